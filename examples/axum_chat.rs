//! An axum application with a chat beside its own page: open http://127.0.0.1:3000 in two tabs.
use axum::{Router, response::Html, routing::get};

const PAGE: &str = r#"<ul id=said></ul><input id=text autofocus placeholder="Say something"><script>
  const ws = new WebSocket(`ws://${location.host}/chat`);
  ws.onmessage = ({ data }) => said.append(Object.assign(document.createElement("li"), { textContent: data }));
  text.onchange = () => { ws.send(text.value); text.value = ""; };
</script>"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut server = nuncio::Server::builder().build()?;
    server.websocket("/chat", |mut ws, _| async move {
        while let Some(message) = ws.recv().await {
            ws.clients().broadcast(message);
        }
    });
    let (nuncio, page) = (server.into_service(), get(Html(PAGE)));
    let app = Router::new()
        .route("/", page)
        .fallback_service(nuncio.clone());
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let served = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = tokio::signal::ctrl_c().await;
        nuncio.drain().await;
    });
    Ok(served.await?)
}
