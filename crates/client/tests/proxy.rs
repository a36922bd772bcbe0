//! Clients behind a proxy: a server of the test at its end, and what the proxy was asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::net::SocketAddr;

use futures_util::StreamExt;
use nuncio_client::socketio;
use nuncio_client::websocket::{
    ClientConfig, Error, Event, Message, OpenError, Proxy, ProxyError, WebSocket,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

#[tokio::test]
async fn a_websocket_goes_through_the_tunnel_of_a_proxy() {
    let server = echo().await;
    let (proxy, mut asked) = proxy("200 Connection established").await;
    let config = ClientConfig::new("ws://chat.example:8080/");
    let proxy = Proxy::Url(format!("http://ann:secret@{proxy}"));

    let (socket, mut events) = WebSocket::connect(config.proxy(proxy));
    socket.send("Hello").await.unwrap();

    let request = asked.recv().await.unwrap();
    let expected = "CONNECT chat.example:8080 HTTP/1.1\r\nHost: chat.example:8080\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n";
    assert_eq!(request.head, expected);
    request.connect_to(server);
    assert!(matches!(events.next().await, Some(Event::Open { .. })));
    let Some(Event::Message(Message::Text(text))) = events.next().await else {
        panic!("no answer");
    };
    assert_eq!(text, "Hello");
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_is_named_by_its_status() {
    let (proxy, mut asked) = proxy("407 Proxy Authentication Required").await;
    let config = ClientConfig::new("ws://chat.example/");

    let (_socket, mut events) = WebSocket::connect(config.proxy(Proxy::Url(proxy.to_string())));

    asked.recv().await.unwrap();
    let Some(Event::Error(Error::Open(OpenError::Proxy(error)))) = events.next().await else {
        panic!("no error");
    };
    assert!(
        matches!(error, ProxyError::Refused { status: 407 }),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_proxy_there_the_error_says_so() {
    let config = ClientConfig::new("ws://chat.example/");

    let (_socket, mut events) =
        WebSocket::connect(config.proxy(Proxy::Url("http://127.0.0.1:1".to_owned())));

    let Some(Event::Error(Error::Open(OpenError::Proxy(error)))) = events.next().await else {
        panic!("no error");
    };
    assert!(matches!(error, ProxyError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn the_polling_of_socket_io_goes_through_it_too() {
    let (proxy, mut asked) = proxy("200 OK").await;
    let mut config = socketio::Config::new("http://chat.example");
    config.proxy = Proxy::Url(proxy.to_string());
    let client = socketio::Client::start(config).unwrap();
    let _socket = client.socket("/").await.unwrap();

    let request = asked.recv().await.unwrap();

    assert!(
        request.head.starts_with("CONNECT chat.example:80 "),
        "{}",
        request.head
    );
    let head = head(&mut { request.stream }).await;
    assert!(
        head.starts_with("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nhost: chat.example\r\n"), "{head}");
}

/// What the proxy was asked, after it answered.
struct Asked {
    head: String,
    stream: TcpStream,
}

impl Asked {
    fn connect_to(mut self, server: SocketAddr) {
        tokio::spawn(async move {
            let mut server = TcpStream::connect(server).await.unwrap();
            // It ends with the test.
            let _ = copy_bidirectional(&mut self.stream, &mut server).await;
        });
    }
}

/// A proxy that gives each request the same answer, and then away.
async fn proxy(status: &'static str) -> (SocketAddr, mpsc::Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = head(&mut stream).await;
            let answer = format!("HTTP/1.1 {status}\r\nVia: test\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = tell.send(Asked { head, stream }).await;
        }
    });
    (address, told)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let (write, read) = tokio_tungstenite::accept_async(tcp).await.unwrap().split();
        let _ = read.forward(write).await;
    });
    address
}
