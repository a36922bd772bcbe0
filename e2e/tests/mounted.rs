//! The server inside an axum application, or anything that calls it as a service.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use nuncio::websocket::Clients;
use nuncio::{Mount, Server, ServerBuilder};
use nuncio_e2e::polling::{Poller, Version};
use nuncio_e2e::{Client, Raw, http, raw};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_service::Service;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn builder() -> ServerBuilder {
    Server::builder()
        .secret(SECRET)
        .grant("*", nuncio::Rights::ALL)
}

/// A server with an echo that says first whose address it sees.
fn built(builder: ServerBuilder) -> (Mount, Clients, String) {
    let mut server = builder.build().unwrap_or_else(|error| panic!("{error}"));
    let clients = server.websocket("/echo", |mut ws, _| async move {
        let _ = ws.send(ws.address().to_string()).await;
        while let Some(message) = ws.recv().await {
            let _ = ws.send(message).await;
        }
    });
    let token = server
        .tokens()
        .mint("ann", std::time::Duration::from_secs(60));
    (server.into_service(), clients, token)
}

/// An axum application that stops when the service does.
async fn serve(app: Router, nuncio: Mount) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let handle = nuncio.handle();
    let serving = tokio::spawn(async move {
        let drained = async move { handle.stopped().await };
        let served = axum::serve(listener, app).with_graceful_shutdown(drained);
        served.await.expect("it listened all the time");
    });
    (address, serving)
}

#[tokio::test]
async fn beside_the_routes_of_an_application_everything_is_served() {
    let (nuncio, clients, token) = built(builder());
    let app = Router::new().route("/", get(|| async { "the application's own" }));
    let app = app.fallback_service(nuncio.clone());
    let (address, serving) = serve(app, nuncio.clone()).await;

    assert_eq!(
        http::get(address, "/").await.text(),
        "the application's own"
    );
    assert_eq!(http::get(address, "/readyz").await.text(), "ready\n");
    assert_eq!(http::get(address, "/nothing").await.status, 404);

    let mut echo = Raw::connect(address, "/echo", &[]).await;
    assert_eq!(echo.frame().await.unwrap().payload, b"127.0.0.1");
    echo.send(raw::TEXT, b"hello").await;
    assert_eq!(echo.frame().await.unwrap().payload, b"hello");

    let (mut ann, _) = Client::enter(&format!("ws://{address}/ws?token={token}")).await;
    ann.join("lobby").await;
    let poller = Poller::open(address, Version::V4, "").await;
    poller.post(&format!(r#"40{{"token":"{token}"}}"#)).await;
    poller.poll_until(r#"40{"sid":""#).await;
    poller.post(r#"421["room:join","lobby"]"#).await;
    poller.poll_until("431").await;
    let mut upgraded = poller.websocket().await;
    upgraded.send(raw::TEXT, b"2probe").await;
    assert_eq!(upgraded.frame().await.unwrap().payload, b"3probe");
    upgraded.send(raw::TEXT, b"5").await;
    ann.publish("lobby", "to a client that upgraded").await;
    let pushed = upgraded.frame().await.unwrap();
    let pushed = String::from_utf8(pushed.payload).unwrap();
    assert!(pushed.contains("to a client that upgraded"), "{pushed}");

    let draining = tokio::spawn(async move { nuncio.drain().await });
    assert_eq!(echo.closed().await.0, 1012);
    drop((echo, upgraded, ann));
    draining.await.unwrap();
    serving.await.unwrap();
    assert!(clients.is_empty());
}

#[tokio::test]
async fn a_poll_that_waits_is_cut_when_the_server_leaves() {
    let (nuncio, _, token) = built(builder());
    let (address, serving) = serve(
        Router::new().fallback_service(nuncio.clone()),
        nuncio.clone(),
    )
    .await;
    let poller = Poller::open(address, Version::V4, "").await;
    poller.post(&format!(r#"40{{"token":"{token}"}}"#)).await;
    poller.poll_until(r#"40{"sid":""#).await;
    let mut poll = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\n\r\n", poller.path);
    tokio::io::AsyncWriteExt::write_all(&mut poll, request.as_bytes())
        .await
        .unwrap();
    // Answered after it, so it was read before.
    assert_eq!(http::get(address, "/readyz").await.status, 200);

    nuncio.drain().await;

    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut poll, &mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(
        answer, "",
        "an orderly end would keep some clients away for good"
    );
    serving.await.unwrap();
}

#[tokio::test]
async fn it_may_be_nested_or_have_single_paths() {
    let (nuncio, _, token) = built(builder());
    let app = Router::new()
        .nest_service("/live", nuncio.clone())
        .route_service("/socket.io/", nuncio.clone());
    let (address, _serving) = serve(app, nuncio).await;

    let mut echo = Raw::connect(address, "/live/echo", &[]).await;
    assert_eq!(echo.frame().await.unwrap().payload, b"127.0.0.1");
    Client::enter(&format!("ws://{address}/live/ws?token={token}")).await;
    Poller::open(address, Version::V4, "").await;
    assert_eq!(http::get(address, "/readyz").await.status, 404);
}

#[tokio::test]
async fn the_address_comes_from_where_the_application_says() {
    let (nuncio, _, _) = built(builder());
    let forwarded = nuncio
        .clone()
        .peer_from(|_| Some("203.0.113.9".parse().unwrap()));
    let app = Router::new().fallback_service(forwarded);
    let (address, _serving) = serve(app, nuncio).await;

    let mut echo = Raw::connect(address, "/echo", &[]).await;

    assert_eq!(echo.frame().await.unwrap().payload, b"203.0.113.9");
}

#[tokio::test]
async fn an_address_that_nobody_tells_is_nobodys() {
    let (nuncio, _, _) = built(builder());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback_service(nuncio);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut echo = Raw::connect(address, "/echo", &[]).await;

    assert_eq!(echo.frame().await.unwrap().payload, b"0.0.0.0");
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_inside_too() {
    let (nuncio, _, _) = built(builder());
    let app = Router::new().fallback_service(nuncio.clone());
    let (address, _serving) = serve(app, nuncio).await;

    let foreign = [("Origin", "https://evil.example")];
    assert_eq!(http::upgrade(address, "/echo", &foreign).await.status, 403);
    assert_eq!(http::upgrade(address, "/ws", &foreign).await.status, 403);
}

#[tokio::test]
async fn it_answers_requests_with_any_body() {
    let (mut nuncio, _, _) = built(builder());
    let request = |path: &str| http_request(path, axum::body::Body::empty());

    let ready = nuncio.call(request("/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200);
    let text = http_request("/readyz", "a String is a body too".to_owned());
    assert_eq!(nuncio.call(text).await.unwrap().status(), 200);
    nuncio.drain().await;
    assert_eq!(nuncio.call(request("/readyz")).await.unwrap().status(), 503);
}

fn http_request<B>(path: &str, body: B) -> axum::http::Request<B> {
    let mut request = axum::http::Request::new(body);
    *request.uri_mut() = path.parse().expect("a path");
    request
}
