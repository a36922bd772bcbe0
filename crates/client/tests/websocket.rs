//! The plain client against a server made with tungstenite: another implementation of the same RFC.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nuncio_client::Jitter;
use nuncio_client::websocket::{
    ClientConfig, CloseError, DeflateConfig, Error, Event, Events, Message, MessageKind,
    ReadyState, ReconnectEvent, ReconnectEvents, ReconnectOptions, ReconnectingWebSocket,
    StreamError, WebSocket,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
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
        reconnect_interval: Duration::from_millis(1),
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
        reconnect_interval: Duration::from_millis(1),
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

#[tokio::test]
async fn a_stream_is_sent_as_one_message_and_others_wait_for_its_end() {
    let (listener, url) = listen().await;
    let (socket, _events) = WebSocket::connect(ClientConfig::new(url));
    let mut server = accept(&listener).await;
    let (mut source, stream) = tokio::io::duplex(1024);
    let sending = tokio::spawn({
        let socket = socket.clone();
        async move { socket.send_stream(MessageKind::Binary, stream).await }
    });
    source.write_all(&[1; 100_000]).await.unwrap();

    socket.send("after it").await.unwrap();
    source.write_all(&[2; 100_000]).await.unwrap();
    drop(source);

    let Theirs::Binary(bytes) = server.next().await.unwrap().unwrap() else {
        panic!("not the stream");
    };
    assert_eq!(bytes, [vec![1; 100_000], vec![2; 100_000]].concat());
    assert_eq!(
        server.next().await.unwrap().unwrap(),
        Theirs::text("after it")
    );
    assert_eq!(sending.await.unwrap().unwrap(), 200_000);
}

#[tokio::test]
async fn a_stream_is_read_no_faster_than_the_server_takes_it() {
    let (listener, url) = listen().await;
    let (socket, _events) = WebSocket::connect(ClientConfig::new(url));
    let server = accept(&listener).await;
    // Nobody reads at the other end: what the network and the buffers do not hold is not read from the stream.
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let endless = Source(move |buffer: &mut ReadBuf<'_>| {
        let bytes = buffer.remaining();
        counted.fetch_add(bytes, Ordering::Relaxed);
        buffer.put_slice(&vec![7; bytes]);
        Ok(())
    });

    let sent = tokio::time::timeout(
        Duration::from_millis(300),
        socket.send_stream(MessageKind::Binary, endless),
    );

    assert!(sent.await.is_err());
    let read = count.load(Ordering::Relaxed);
    assert!(read < 32 * 1024 * 1024, "{read} bytes");
    drop(server);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_the_connection_for_its_message_cannot_be_taken_back() {
    let (listener, url) = listen().await;
    let (socket, mut events) = WebSocket::connect(ClientConfig::new(url));
    let mut server = accept(&listener).await;
    let mut is_begun = false;
    let broken = Source(move |buffer: &mut ReadBuf<'_>| {
        if std::mem::replace(&mut is_begun, true) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        buffer.put_slice(b"begun");
        Ok(())
    });

    let sent = socket.send_stream(MessageKind::Text, broken).await;

    assert!(matches!(sent, Err(StreamError::Read(_))), "{sent:?}");
    let Theirs::Close(Some(frame)) = server.next().await.unwrap().unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1011);
    let _ = server.next().await;
    assert!(matches!(events.next().await, Some(Event::Open { .. })));
    assert_eq!(end(&mut events).await.0, 1011);
}

#[tokio::test]
async fn a_large_message_is_received_in_pieces_while_it_arrives() {
    let (listener, url) = listen().await;
    let mut config = ClientConfig::new(url);
    config.piece_bytes_min = Some(1000);
    config.message_bytes_max = 3_000_000;
    let (socket, mut events) = WebSocket::connect(config);
    let mut server = accept(&listener).await;
    let text = "ä€😀".repeat(200_000);
    let serving = tokio::spawn({
        let text = text.clone();
        async move {
            server.send(Theirs::text("small")).await.unwrap();
            server.send(Theirs::text(text)).await.unwrap();
            server.send(Theirs::binary(vec![1; 900])).await.unwrap();
            server
        }
    });

    assert!(matches!(events.next().await, Some(Event::Open { .. })));
    assert_eq!(message(&mut events).await, "small".into());
    let (mut pieces, mut joined) = (0, String::new());
    loop {
        let Some(Event::Piece(piece)) = events.next().await else {
            panic!("not a piece");
        };
        assert_eq!(piece.kind, MessageKind::Text);
        joined += std::str::from_utf8(&piece.bytes).unwrap();
        pieces += 1;
        if piece.is_last {
            break;
        }
    }
    assert!(joined == text && pieces > 1, "{pieces} pieces");
    assert_eq!(message(&mut events).await, Bytes::from(vec![1; 900]).into());
    drop((socket, serving.await.unwrap()));
}

#[tokio::test]
async fn the_longest_message_is_a_bound_for_pieces_too() {
    let (listener, url) = listen().await;
    let mut config = ClientConfig::new(url);
    config.piece_bytes_min = Some(1);
    config.message_bytes_max = 100_000;
    let (_socket, mut events) = WebSocket::connect(config);
    let server = accept(&listener).await;
    let mut tcp = server.into_inner();

    // Three fragments of 40,000 bytes: a head of 4 bytes each, the last of which says FIN.
    for head in [[0x02, 126], [0x00, 126], [0x80, 126]] {
        let mut fragment = head.to_vec();
        fragment.extend(40_000u16.to_be_bytes());
        fragment.extend(vec![9; 40_000]);
        // The client stops reading at the third.
        let _ = tcp.write_all(&fragment).await;
    }

    let mut total = 0;
    loop {
        match events.next().await.unwrap() {
            Event::Piece(piece) => total += piece.bytes.len(),
            Event::Error(Error::Frame(_)) => break,
            Event::Open { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(total <= 80_000, "{total}");
}

/// A stream by a function that fills a buffer.
struct Source<F>(F);

impl<F: FnMut(&mut ReadBuf<'_>) -> io::Result<()> + Unpin> AsyncRead for Source<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready((self.0)(buffer))
    }
}
