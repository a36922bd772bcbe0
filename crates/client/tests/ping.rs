//! Pings of the plain client, its last words over several connections, and servers that are believed without a check.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use nuncio_client::tls::{Tls, Trust};
use nuncio_client::websocket::{
    ClientConfig, CloseError, Error, Event, Events, PingError, ReconnectEvent, ReconnectOptions,
    ReconnectingWebSocket, WebSocket,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Theirs;
use tokio_tungstenite::{WebSocketStream, accept_async};

#[tokio::test]
async fn a_ping_is_answered_with_its_bytes_and_a_server_s_ping_is_told() {
    let (listener, url) = listen().await;
    let (socket, mut events) = WebSocket::connect(ClientConfig::new(url));
    let mut server = accept(&listener).await;
    assert!(matches!(next(&mut events).await, Event::Open { .. }));

    socket.ping("are you there").await.unwrap();
    assert_eq!(
        server.next().await.unwrap().unwrap(),
        Theirs::Ping("are you there".into())
    );
    server.flush().await.unwrap();
    let Event::Pong(payload) = next(&mut events).await else {
        panic!("no pong");
    };
    assert_eq!(&payload[..], b"are you there");

    server.send(Theirs::Ping("and you".into())).await.unwrap();
    let Event::Ping(payload) = next(&mut events).await else {
        panic!("no ping");
    };
    assert_eq!(&payload[..], b"and you");
}

#[tokio::test]
async fn a_ping_has_at_most_125_bytes_rfc_6455_5_5() {
    let (_listener, url) = listen().await;
    let (socket, _events) = WebSocket::connect(ClientConfig::new(url));

    let refused = socket.ping(vec![0; 126]).await;

    assert_eq!(refused, Err(PingError::TooLong { len: 126 }));
}

#[tokio::test]
async fn a_server_that_sends_nothing_between_two_pings_is_gone() {
    let (listener, url) = listen().await;
    let mut config = ClientConfig::new(url);
    config.ping_interval = Some(Duration::from_millis(50));
    let (_socket, mut events) = WebSocket::connect(config);
    let silent = accept(&listener).await;
    assert!(matches!(next(&mut events).await, Event::Open { .. }));

    let error = next(&mut events).await;
    assert!(
        matches!(error, Event::Error(Error::NoPong { .. })),
        "{error:?}"
    );
    assert!(matches!(next(&mut events).await, Event::Close { code, .. } if code.0 == 1006));
    drop(silent);
}

#[tokio::test]
async fn a_server_that_answers_its_pings_is_kept() {
    let (listener, url) = listen().await;
    let mut config = ClientConfig::new(url);
    config.ping_interval = Some(Duration::from_millis(50));
    let (_socket, mut events) = WebSocket::connect(config);
    let mut server = accept(&listener).await;
    let answering = tokio::spawn(async move { while let Some(Ok(_)) = server.next().await {} });
    assert!(matches!(next(&mut events).await, Event::Open { .. }));

    for _ in 0..5 {
        let event = next(&mut events).await;
        assert!(matches!(event, Event::Pong(_)), "{event:?}");
    }
    answering.abort();
}

#[tokio::test]
async fn the_last_of_several_connections_is_closed_with_a_code() {
    let (listener, url) = listen().await;
    let options = ReconnectOptions::default();
    let (socket, mut events) = ReconnectingWebSocket::connect(ClientConfig::new(url), options);
    let mut server = accept(&listener).await;
    let opened = events.next().await;
    assert!(matches!(
        opened,
        Some(ReconnectEvent::Event(Event::Open { .. }))
    ));

    assert_eq!(
        socket.close_with(1006, ""),
        Err(CloseError::Code { code: 1006 })
    );
    socket.socket().unwrap().ping("x").await.unwrap();
    socket.close_with(4000, "bye").unwrap();

    assert_eq!(
        server.next().await.unwrap().unwrap(),
        Theirs::Ping("x".into())
    );
    let Theirs::Close(Some(frame)) = server.next().await.unwrap().unwrap() else {
        panic!("no close");
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (4000, "bye")
    );
    while let Some(Ok(_)) = server.next().await {}
    while let Some(event) = events.next().await {
        assert!(
            !matches!(event, ReconnectEvent::Waiting { .. }),
            "it connects no more"
        );
    }
}

#[tokio::test]
async fn roots_of_one_s_own_are_believed_and_so_is_everyone_where_nothing_is_checked() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let acceptor = acceptor(&made);
    for (trust, is_believed) in [
        (Trust::Roots(made.cert.pem().as_bytes()), true),
        (Trust::Roots(other.cert.pem().as_bytes()), false),
        (Trust::Anyone, true),
        (Trust::Platform, false),
    ] {
        let (listener, url) = listen().await;
        let url = url.replace("ws://127.0.0.1", "wss://localhost");
        let tls = Tls::new(trust).config().unwrap();
        let (_socket, mut events) = WebSocket::connect(ClientConfig::new(url).tls(tls));
        let (tcp, _) = listener.accept().await.unwrap();

        let server = match acceptor.accept(tcp).await {
            Ok(stream) => Some(accept_async(stream).await.unwrap()),
            Err(_) => None,
        };

        assert_eq!(server.is_some(), is_believed, "{trust:?}");
        let is_open = matches!(next(&mut events).await, Event::Open { .. });
        assert_eq!(is_open, is_believed, "{trust:?}");
    }
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

async fn next(events: &mut Events) -> Event {
    let next = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
    next.expect("it happens").expect("it goes on")
}

fn acceptor(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> tokio_rustls::TlsAcceptor {
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Arc::new(config).into()
}
