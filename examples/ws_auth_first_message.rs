//! The first message must be `{"type":"auth","token":…}`: who says something else is closed with 1008.
//! Run it with JWT_SECRET set, then: `npx wscat -c ws://127.0.0.1:8080/ws`
use nuncio::{Server, auth::Tokens};

#[tokio::main]
async fn main() -> Result<(), nuncio::ServeError> {
    let tokens = Tokens::from_env("JWT_SECRET")?;
    let mut server = Server::builder().environment().build()?;
    server.websocket("/ws", move |mut ws, _| {
        let tokens = tokens.clone();
        async move {
            let first = ws.recv().await.unwrap_or("null".into());
            let first = serde_json::from_slice(first.as_bytes()).unwrap_or(serde_json::Value::Null);
            let token = (first["type"] == "auth").then(|| first["token"].as_str().unwrap_or(""));
            let user = token.ok_or("Not authenticated");
            let user = user.and_then(|token| tokens.verify(token).or(Err("Authentication failed")));
            let Ok(_user) = user.map_err(|reason| ws.close(1008, reason)) else {
                return;
            };
            let _ = ws.send(r#"{"type":"auth_ok"}"#).await;
            while let Some(_message) = ws.recv().await {} // Process normal messages...
        }
    });
    server.run().await
}
