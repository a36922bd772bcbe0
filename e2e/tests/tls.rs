//! `wss://` by the server itself.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nuncio_e2e::{Client, TestServer, http};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

#[tokio::test]
async fn two_clients_chat_encrypted() {
    let tls = Tls::start(&[]).await;
    let mut ann = tls.enter("ann").await;
    let mut bob = tls.enter("bob").await;
    ann.join("lobby").await;
    bob.join("lobby").await;

    for n in 1..=5 {
        ann.publish("lobby", &n.to_string()).await;
        for client in [&mut ann, &mut bob] {
            assert_eq!(client.expect("chat:message").await["seq"], n);
        }
    }
    bob.publish("lobby", "answer").await;
    assert_eq!(ann.expect("chat:message").await["content"], "answer");
}

#[tokio::test]
async fn http_1_1_is_agreed_on_by_alpn_with_tls_1_3_and_1_2() {
    let tls = Tls::start(&[]).await;

    for version in [&TLS13, &TLS12] {
        let stream = tls.connect(version, tls.socket().await).await;
        let (_, session) = stream.get_ref();
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(session.protocol_version(), Some(version.version));
    }
}

#[tokio::test]
async fn plain_requests_are_answered_over_tls() {
    let tls = Tls::start(&[]).await;
    let mut stream = tls.connect(&TLS13, tls.socket().await).await;

    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();

    let (answer, _) = http::read(&mut stream).await;
    assert_eq!((answer.status, &*answer.text()), (200, "ok\n"));
}

#[tokio::test]
async fn a_backlog_of_more_than_a_megabyte_arrives_whole() {
    let tls = Tls::start(&["limits.rate_per_second=0", "history.bytes=100MiB"]).await;
    let mut ann = tls.enter("ann").await;
    for n in 0..40 {
        ann.publish("lobby", &format!("{n:->50000}")).await;
    }
    let mut bob = tls.enter("bob").await;

    bob.send(json!({"type": "room:join", "roomId": "lobby", "history": 100}))
        .await;

    for n in 0..40 {
        let message = bob.expect("chat:message").await;
        assert_eq!(message["content"], format!("{n:->50000}"));
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_gets_1013() {
    let tls = Tls::start(&[
        "limits.rate_per_second=0",
        "limits.outbox_bytes=128KiB",
        "history.messages=0",
        "store.enabled=false",
    ])
    .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let socket = socket.connect(tls.server.address).await.unwrap();
    let mut slow = tls.enter_over("slow", socket).await;
    slow.join("lobby").await;
    let mut ann = tls.enter("ann").await;

    let closes = "nuncio_slow_consumers_total";
    for round in 0.. {
        assert!(round < 500, "a bound is there");
        ann.publish("lobby", &"x".repeat(50_000)).await;
        if round % 10 == 0 && tls.metric(closes).await > 0.0 {
            break;
        }
    }

    assert_eq!(slow.closed().await.0, 1013);
}

#[tokio::test]
async fn the_closing_handshakes_of_both_layers_are_done() {
    let tls = Tls::start(&[]).await;
    let mut ann = tls.enter("ann").await;

    let normal = CloseFrame {
        code: 1000.into(),
        reason: "".into(),
    };
    ann.stream.close(Some(normal)).await.unwrap();
    assert_eq!(ann.closed().await.0, 1000);

    // Without close_notify, rustls would say that the end is unexpected.
    let mut rest = Vec::new();
    ann.stream.get_mut().read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_drain_reaches_clients_over_tls() {
    let mut tls = Tls::start(&[]).await;
    let mut ann = tls.enter("ann").await;

    tls.server.drain();

    ann.expect("reconnect").await;
    assert_eq!(
        ann.closed().await,
        (1012, "Server shutting down".to_owned())
    );
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_ended() {
    let tls = Tls::start(&["server.head_timeout=200ms"]).await;

    // Nothing at all, and the head of a record that never comes.
    for begun in [&b""[..], &[0x16, 3, 1, 1, 0]] {
        let mut stream = tls.socket().await;
        stream.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        assert!(
            tokio::time::timeout(Duration::from_secs(5), end)
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn a_plain_request_to_the_encrypted_port_gets_no_answer_and_harms_nobody() {
    let tls = Tls::start(&[]).await;
    let mut stream = tls.socket().await;

    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;

    assert!(!rest.starts_with(b"HTTP"));
    tls.enter("ann").await;
}

struct Tls {
    server: TestServer,
    certificate: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

impl Tls {
    async fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: String| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let certificate = file("certificate.pem", made.cert.pem());
        let key = file("key.pem", made.signing_key.serialize_pem());
        let certificate = format!("server.tls.certificate={}", certificate.display());
        let key = format!("server.tls.key={}", key.display());
        let mut all = vec![&*certificate, &*key];
        all.extend(settings);
        Self {
            server: TestServer::set(&all).await,
            certificate: made.cert.der().clone(),
            _folder: folder,
        }
    }

    async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.server.address).await.unwrap()
    }

    async fn connect(
        &self,
        version: &'static SupportedProtocolVersion,
        socket: TcpStream,
    ) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
            .unwrap()
    }

    async fn enter(&self, user: &str) -> Client {
        self.enter_over(user, self.socket().await).await
    }

    async fn enter_over(&self, user: &str, socket: TcpStream) -> Client {
        let stream = self.connect(&TLS13, socket).await;
        let url = format!("wss://localhost/ws?token={}", self.server.token(user));
        let (client, _) = Client::over(stream, url).await.unwrap();
        Client::entered(client).await.0
    }

    async fn metric(&self, name: &str) -> f64 {
        let mut stream = self.connect(&TLS13, self.socket().await).await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let (answer, _) = http::read(&mut stream).await;
        nuncio_e2e::server::value_of(&answer.text(), name).unwrap()
    }
}
