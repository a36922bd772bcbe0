//! The Rust WebSocket client before the fuzzing server of the Autobahn test suite. All groups are in `autobahn_client_long.rs`.

use nuncio_e2e::autobahn::FuzzingServer;

#[path = "autobahn_client/driver.rs"]
mod driver;

#[tokio::test]
async fn groups_1_to_7_are_ok_or_only_informational() {
    if std::env::var_os("AUTOBAHN_HOME").is_none() && std::env::var_os("CI").is_none() {
        println!("skipped: the suite is not installed (cargo xtask install)");
        return;
    }
    let groups = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*"];
    let server = FuzzingServer::start(&groups, &[]);

    driver::run_all(server.address).await;

    let report = server.report();
    assert_eq!(driver::faults(&report), []);
    assert_eq!(report.ok + report.others.len(), 246);
}
