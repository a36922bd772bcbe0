//! Backends over https, and whom the server takes them for.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nuncio::Server;
use nuncio::config::Config;
use nuncio_e2e::hook_backend::{Reply, SECRET};
use nuncio_e2e::{Client, HookBackend as Backend, TestServer, http};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

#[tokio::test]
async fn a_backend_over_https_is_known_by_the_authority_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, certificate, address) = start(folder.path()).await;
    let server = TestServer::start(&config(&certificate, address)).await;

    for _ in 0..2 {
        let url = format!("{}?token=opaque", server.anonymous());
        let (_, entered) = Client::enter(&url).await;
        assert_eq!(entered["user"]["sub"], "ann");
    }

    assert_eq!(backend.asked("connect").len(), 2);
}

#[tokio::test]
async fn a_backend_that_nobody_vouches_for_hears_nothing() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (backend, _, address) = start(folder.path()).await;
    let (_, stranger, _) = start(other.path()).await;
    let server = TestServer::start(&config(&stranger, address)).await;

    let refused = http::upgrade(server.address, "/ws?token=opaque", &[]).await;

    assert_eq!(refused.status, 503);
    assert!(backend.asked("connect").is_empty());
}

#[tokio::test]
async fn a_file_without_certificates_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let more = config(&file, ([127, 0, 0, 1], 1).into());
    let text = format!("{}\n{more}", nuncio_e2e::server::CONFIG);
    let mut config = Config::from_toml(&text, Path::new("test.toml")).unwrap();
    config.store.path = folder.path().join("data");

    let started = Server::bind(config.check().unwrap()).await;
    let error = started.err().unwrap().to_string();

    assert!(
        error.contains("hooks.ca_file") && error.contains("holds no certificate"),
        "{error}"
    );
}

fn config(authority: &Path, backend: SocketAddr) -> String {
    format!(
        "[hooks]\nsecret = \"{SECRET}\"\nca_file = {authority:?}\nretries = 0\n\
         [[hooks.rules]]\non = [\"connect\"]\nurl = \"https://localhost:{}/hooks\"\n",
        backend.port()
    )
}

/// A backend behind TLS: its certificate's file, and where it is reached.
async fn start(folder: &Path) -> (Backend, PathBuf, SocketAddr) {
    let backend =
        Backend::start(|_| async { Reply::json(json!({"allow": true, "user": {"sub": "ann"}})) })
            .await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = folder.join("certificate.pem");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let tls = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(decrypt(
        listener,
        TlsAcceptor::from(Arc::new(tls)),
        backend.address,
    ));
    (backend, certificate, address)
}

async fn decrypt(listener: TcpListener, tls: TlsAcceptor, backend: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            let mut outside = tls.accept(stream).await?;
            let mut inside = TcpStream::connect(backend).await?;
            tokio::io::copy_bidirectional(&mut outside, &mut inside).await
        });
    }
}
