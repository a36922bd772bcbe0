//! The Rust WebSocket client before all cases of the Autobahn fuzzing server, which take many minutes.

use nuncio_e2e::autobahn::FuzzingServer;

#[path = "autobahn_client/driver.rs"]
mod driver;

#[tokio::test]
async fn every_case_is_ok_or_only_informational() {
    let server = FuzzingServer::start(&["*"], &[]);

    driver::run_all(server.address).await;

    let report = server.report();
    assert_eq!(driver::faults(&report), []);
    assert_eq!(report.ok + report.others.len(), 517);
}
