//! The Socket.IO client over HTTP of many kinds: TLS, connections that the server drops, chunks, refusals.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

use std::sync::Arc;
use std::time::Duration;

use nuncio_client::socketio::{Client, Config, DisconnectReason, Event, Events, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

const OPEN: &str =
    r#"0{"sid":"e1","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

#[tokio::test]
async fn https_trusts_the_root_it_is_given_and_no_other() {
    let (acceptor, trusting) = certificate();
    for tls in [Some(trusting), None] {
        let mut server = Server::start(Habit::Keep, Some(acceptor.clone())).await;
        let is_trusted = tls.is_some();
        let mut config = config(&server.url.replace("http://127.0.0.1", "https://localhost"));
        config.tls = tls;
        let client = Client::start(config).unwrap();
        let (_socket, mut events) = client.socket("/").await.unwrap();

        if is_trusted {
            server.let_in().await;
            assert!(matches!(next(&mut events).await, Event::Connect { .. }));
        } else {
            let Event::ConnectError { message, .. } = next(&mut events).await else {
                panic!("connected");
            };
            assert!(message.contains("certificate"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_server_drops_between_requests_is_replaced() {
    for habit in [Habit::Drop, Habit::Chunks] {
        let mut server = Server::start(habit, None).await;
        let client = Client::start(config(&server.url)).unwrap();
        let (socket, mut events) = client.socket("/").await.unwrap();
        server.let_in().await;
        assert!(matches!(next(&mut events).await, Event::Connect { .. }));

        for n in 0..20 {
            socket.emit("n", serde_json::json!(n)).await.unwrap();
            assert_eq!(server.posted().await, format!(r#"42["n",{n}]"#));
            server.say(&format!(r#"42["n",{n}]"#)).await;
            assert!(matches!(next(&mut events).await, Event::Message { .. }));
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_ends_the_connection() {
    let mut server = Server::start(Habit::Keep, None).await;
    let mut config = config(&server.url);
    config.message_bytes_max = 1000;
    let client = Client::start(config).unwrap();
    let (_socket, mut events) = client.socket("/").await.unwrap();
    server.let_in().await;
    assert!(matches!(next(&mut events).await, Event::Connect { .. }));

    server.say(&format!(r#"42["{}"]"#, "x".repeat(2000))).await;

    let reason = DisconnectReason::TransportError;
    let active = true;
    assert_eq!(
        next(&mut events).await,
        Event::Disconnect { reason, active }
    );
}

#[tokio::test]
async fn a_server_that_is_no_socket_io_is_quoted_by_its_status() {
    let server = Server::start(Habit::Refuse, None).await;
    let client = Client::start(config(&server.url)).unwrap();
    let (_socket, mut events) = client.socket("/").await.unwrap();

    let Event::ConnectError {
        message, active, ..
    } = next(&mut events).await
    else {
        panic!("connected");
    };
    assert_eq!(message, "the server answered with status 502");
    assert!(active);
}

#[tokio::test]
async fn when_every_handle_is_dropped_the_server_is_told() {
    let mut server = Server::start(Habit::Keep, None).await;
    let client = Client::start(config(&server.url)).unwrap();
    let (socket, mut events) = client.socket("/").await.unwrap();
    server.let_in().await;
    assert!(matches!(next(&mut events).await, Event::Connect { .. }));

    drop(client);
    drop(socket);

    assert_eq!(server.posted().await, "41");
    assert_eq!(server.posted().await, "1");
    let reason = DisconnectReason::ClientDisconnect;
    let active = false;
    assert_eq!(
        next(&mut events).await,
        Event::Disconnect { reason, active }
    );
    assert_eq!(events.next().await, None);
}

fn config(url: &str) -> Config {
    let mut config = Config::new(url).transports([Transport::Polling]);
    config.conversation.backoff.delay_first = Duration::from_millis(10);
    config
}

async fn next(events: &mut Events) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
    event.expect("it comes in time").expect("it goes on")
}

/// What a server does beside answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Keep,
    /// It closes each connection after one answer, without a word.
    Drop,
    /// It answers in chunks.
    Chunks,
    /// It has status 502 for everything.
    Refuse,
}

/// One Engine.IO session by polling.
struct Server {
    url: String,
    posts: mpsc::Receiver<String>,
    say: mpsc::Sender<String>,
}

impl Server {
    async fn start(habit: Habit, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (post, posts) = mpsc::channel(64);
        let (say, said) = mpsc::channel(64);
        let said = Arc::new(Mutex::new(said));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (post, said, tls) = (post.clone(), said.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(tcp, habit, post, said).await,
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(stream) => serve(stream, habit, post, said).await,
                            Err(_) => Some(()),
                        },
                    }
                });
            }
        });
        Self { url, posts, say }
    }

    async fn let_in(&mut self) {
        assert_eq!(self.posted().await, "40");
        self.say(r#"40{"sid":"s1"}"#).await;
    }

    async fn posted(&mut self) -> String {
        self.posts.recv().await.unwrap()
    }

    async fn say(&self, packet: &str) {
        self.say.send(packet.to_owned()).await.unwrap();
    }
}

/// Answers the requests of one connection; `None` when it ended.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    habit: Habit,
    post: mpsc::Sender<String>,
    said: Arc<Mutex<mpsc::Receiver<String>>>,
) -> Option<()> {
    loop {
        let (head, body) = request(&mut stream).await?;
        let body = if head.starts_with("POST ") {
            post.send(body).await.ok()?;
            "ok".to_owned()
        } else if head.contains("sid=e1") {
            said.lock().await.recv().await?
        } else {
            OPEN.to_owned()
        };
        let answer = match habit {
            Habit::Keep | Habit::Drop => format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            Habit::Chunks => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ),
            Habit::Refuse => "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if habit == Habit::Drop {
            return None;
        }
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
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
