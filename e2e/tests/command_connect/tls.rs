//! `wss://`.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::peer::{Peer, Visitor};
use crate::run::{finish, spawn};

#[tokio::test]
async fn a_server_is_believed_by_its_authority_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (acceptor, pem) = certificate();
    std::fs::write(&ca, pem).unwrap();
    let peer = Peer::listen().await;
    let url = format!("wss://localhost:{}/", peer.address.port());

    for (args, is_believed) in [
        (&["--ca", ca.to_str().unwrap()][..], true),
        (&["--insecure"], true),
        (&[], false),
    ] {
        let child = spawn(&[&[&*url, "-x", "hello", "-x", "/expect hello"], args].concat());
        let tcp = peer.tcp().await;
        if let Ok(stream) = acceptor.accept(tcp).await {
            Visitor::accept(stream).await.echo().await;
        }

        let run = finish(child).await;
        assert_eq!(
            run.code,
            if is_believed { 0 } else { 1 },
            "{args:?}: {}",
            run.err
        );
        let warns = run.err.contains("whoever stands in between");
        assert_eq!(warns, args == ["--insecure"], "{args:?}: {}", run.err);
    }
}

fn certificate() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config).into(), made.cert.pem())
}
