//! The plain client against a server made with tungstenite: another implementation of the same RFC.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use nuncio_client::Jitter;
use nuncio_client::websocket::{
    ClientConfig, CloseError, DeflateConfig, Error, Event, Events, Message, ReadyState,
    ReconnectEvent, ReconnectEvents, ReconnectOptions, ReconnectingWebSocket, WebSocket,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message as Theirs};
use tokio_tungstenite::{WebSocketStream, accept_async};

#[tokio::test]
async fn text_and_binary_go_there_and_back_and_the_end_is_clean() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move { echo(accept(&listener).await).await });
    let (socket, mut events) = WebSocket::connect(ClientConfig::new(url));
    assert_eq!(socket.ready_state(), ReadyState::Connecting);

    socket.send("Grüße").await.unwrap();
    socket.send(Bytes::from(vec![7; 70_000])).await.unwrap();

    assert!(matches!(events.next().await, Some(Event::Open { .. })));
    assert_eq!(message(&mut events).await, "Grüße".into());
    assert_eq!(
        message(&mut events).await,
        Bytes::from(vec![7; 70_000]).into()
    );
    socket.close(4100, "enough").await.unwrap();
    assert_eq!(end(&mut events).await, (4100, "enough".into(), true));
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    assert!(socket.send("late").await.is_err());
    assert!(events.next().await.is_none());
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_sent_before_the_close_still_arrives() {
    let (listener, url) = listen().await;
    let (socket, mut events) = WebSocket::connect(ClientConfig::new(url));
    let mut server = accept(&listener).await;
    assert!(matches!(events.next().await, Some(Event::Open { .. })));

    for n in 0..50 {
        socket.send(n.to_string()).await.unwrap();
    }
    socket.close(1000, "").await.unwrap();

    for n in 0..50 {
        let sent = server.next().await.unwrap().unwrap();
        assert_eq!(sent, Theirs::text(n.to_string()));
    }
    assert!(server.next().await.unwrap().unwrap().is_close());
}

#[tokio::test]
async fn a_close_of_the_server_tells_its_code_and_reason() {
    let (listener, url) = listen().await;
    let (_socket, mut events) = WebSocket::connect(ClientConfig::new(url));
    let mut server = accept(&listener).await;

    let frame = CloseFrame {
        code: 1012.into(),
        reason: "restart".into(),
    };
    server.close(Some(frame)).await.unwrap();

    assert!(matches!(events.next().await, Some(Event::Open { .. })));
    assert_eq!(end(&mut events).await, (1012, "restart".into(), true));
}

#[tokio::test]
async fn a_cut_connection_is_an_error_and_1006() {
    let (listener, url) = listen().await;
    let (_socket, mut events) = WebSocket::connect(ClientConfig::new(url));
    let server = accept(&listener).await;
    assert!(matches!(events.next().await, Some(Event::Open { .. })));

    drop(server);

    let error = events.next().await;
    assert!(
        matches!(error, Some(Event::Error(Error::Io(_)))),
        "{error:?}"
    );
    assert_eq!(end(&mut events).await, (1006, String::new(), false));
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_with_1009() {
    let (listener, url) = listen().await;
    let mut config = ClientConfig::new(url);
    config.message_bytes_max = 10;
    let (_socket, mut events) = WebSocket::connect(config);
    let mut server = accept(&listener).await;

    server.send(Theirs::text("eleven bytes")).await.unwrap();

    let Theirs::Close(Some(frame)) = server.next().await.unwrap().unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1009);
    assert!(matches!(events.next().await, Some(Event::Open { .. })));
    assert!(matches!(
        events.next().await,
        Some(Event::Error(Error::Frame(_)))
    ));
    assert_eq!(end(&mut events).await.0, 1006);
}

#[tokio::test]
async fn a_refusal_before_the_upgrade_tells_its_status() {
    let (listener, url) = listen().await;
    let (_socket, mut events) = WebSocket::connect(ClientConfig::new(url));
    let (mut tcp, _) = listener.accept().await.unwrap();

    tcp.write_all(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();

    let Some(Event::Error(Error::Open(error))) = events.next().await else {
        panic!("no error");
    };
    assert_eq!(error.status(), Some(503));
    assert_eq!(end(&mut events).await.0, 1006);
}

#[tokio::test]
async fn only_codes_that_a_client_may_use_are_sent() {
    let (_listener, url) = listen().await;
    let (socket, _events) = WebSocket::connect(ClientConfig::new(url));

    assert_eq!(
        socket.close(1001, "").await,
        Err(CloseError::Code { code: 1001 })
    );
}

#[tokio::test]
async fn an_offer_of_compression_that_is_not_taken_changes_nothing() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move { echo(accept(&listener).await).await });
    let config = ClientConfig::new(url).deflate(DeflateConfig::default());
    let (socket, mut events) = WebSocket::connect(config);

    socket.send("a".repeat(1000)).await.unwrap();

    assert!(matches!(events.next().await, Some(Event::Open { .. })));
    assert_eq!(message(&mut events).await, "a".repeat(1000).into());
    drop(socket);
    assert_eq!(end(&mut events).await.0, 1000);
    server.await.unwrap();
}

#[tokio::test]
async fn wss_trusts_the_root_it_is_given_and_no_other() {
    let (acceptor, trusting) = certificate();
    for tls in [Some(trusting), None] {
        let (listener, url) = listen().await;
        let acceptor = acceptor.clone();
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            match acceptor.accept(tcp).await {
                Ok(stream) => echo(accept_async(stream).await.unwrap()).await,
                Err(error) => assert!(error.to_string().contains("UnknownCA"), "{error}"),
            }
        });
        let is_trusted = tls.is_some();
        let mut config = ClientConfig::new(url.replace("ws://127.0.0.1", "wss://localhost"));
        config.tls = tls;
        let (socket, mut events) = WebSocket::connect(config);

        socket.send("secret").await.unwrap();

        if is_trusted {
            assert!(matches!(events.next().await, Some(Event::Open { .. })));
            assert_eq!(message(&mut events).await, "secret".into());
            socket.close(1000, "").await.unwrap();
        } else {
            assert!(matches!(
                events.next().await,
                Some(Event::Error(Error::Open(_)))
            ));
        }
        end(&mut events).await;
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_connection_is_connected_again_and_an_open_one_counts_anew() {
    let (listener, url) = listen().await;
    let options = ReconnectOptions {
        reconnect_interval: std::time::Duration::from_millis(1),
        jitter: Jitter::None,
        ..ReconnectOptions::default()
    };
    let (socket, mut events) = ReconnectingWebSocket::connect(ClientConfig::new(url), options);

    for _ in 0..3 {
        let mut server = accept(&listener).await;
        until_open(&mut events).await;
        socket.send("here").await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), Theirs::text("here"));
        drop(server);
        assert_eq!(until_waiting(&mut events).await, Some(1));
    }
    let server = tokio::spawn(async move { echo(accept(&listener).await).await });
    until_open(&mut events).await;
    socket.close();
    assert_eq!(until_waiting(&mut events).await, None);
    server.await.unwrap();
}

#[tokio::test]
async fn it_gives_up_after_the_allowed_attempts() {
    let (listener, url) = listen().await;
    drop(listener);
    let options = ReconnectOptions {
        reconnect_interval: std::time::Duration::from_millis(1),
        max_retries: 3,
        ..ReconnectOptions::default()
    };
    let (socket, mut events) = ReconnectingWebSocket::connect(ClientConfig::new(url), options);

    for attempt in 1..=3 {
        assert_eq!(until_waiting(&mut events).await, Some(attempt));
        assert!(socket.send("nobody").await.is_err());
    }
    assert_eq!(until_waiting(&mut events).await, None);
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    (listener, url)
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (tcp, _) = listener.accept().await.unwrap();
    accept_async(tcp).await.unwrap()
}

async fn echo(mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

async fn message(events: &mut Events) -> Message {
    match events.next().await {
        Some(Event::Message(message)) => message,
        other => panic!("{other:?} is no message"),
    }
}

async fn end(events: &mut Events) -> (u16, String, bool) {
    match events.next().await {
        Some(Event::Close {
            code,
            reason,
            was_clean,
        }) => (code.0, reason, was_clean),
        other => panic!("{other:?} is no close"),
    }
}

async fn until_open(events: &mut ReconnectEvents) {
    loop {
        let event = events.next().await.expect("it goes on");
        if matches!(event, ReconnectEvent::Event(Event::Open { .. })) {
            return;
        }
    }
}

async fn until_waiting(events: &mut ReconnectEvents) -> Option<u32> {
    loop {
        if let ReconnectEvent::Waiting { attempt, .. } = events.next().await? {
            return Some(attempt);
        }
    }
}

fn certificate() -> (tokio_rustls::TlsAcceptor, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client))
}
