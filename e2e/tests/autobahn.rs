//! The Autobahn test suite: all of RFC 6455. Compression (groups 12 and 13) is in `autobahn_long.rs`.

use std::collections::BTreeMap;

use nuncio::Server;
use nuncio::websocket::WebSocketOptions;
use nuncio_e2e::Embedded;
use nuncio_e2e::autobahn::{Report, run, run_at};

#[test]
fn every_case_without_compression_is_ok_or_only_informational() {
    if std::env::var_os("AUTOBAHN_HOME").is_none() && std::env::var_os("CI").is_none() {
        println!("skipped: the suite is not installed (cargo xtask install)");
        return;
    }

    expect_no_fault(run(&["*"], &["12.*", "13.*"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_has_a_handler_of_the_programs_own_a_fault() {
    if std::env::var_os("AUTOBAHN_HOME").is_none() && std::env::var_os("CI").is_none() {
        println!("skipped: the suite is not installed (cargo xtask install)");
        return;
    }
    // The largest messages of the suite have 16 MiB.
    let options = WebSocketOptions::new()
        .message_bytes_max(64 << 20)
        .deflate(0);
    let (server, _) = Embedded::start(Server::builder(), |server| {
        server.websocket_with("/echo", options, |mut ws, _| async move {
            while let Some(message) = ws.recv().await {
                let _ = ws.send(message).await;
            }
        })
    })
    .await;
    let url = server.url("/echo");

    let ran = tokio::task::spawn_blocking(move || run_at(&url, &["*"], &["12.*", "13.*"]));

    expect_no_fault(ran.await.unwrap());
}

fn expect_no_fault(report: Report) {
    // What a server does there, the suite only writes down: it has no wrong answer.
    let informational = ["7.1.6", "7.13.1", "7.13.2"];
    let others: BTreeMap<_, _> = informational
        .map(|case| (case.to_owned(), "INFORMATIONAL".to_owned()))
        .into();
    assert_eq!(report, Report { ok: 298, others });
}
