//! Two thousand clients, two minutes, five kills. Give it a release build: `cargo xtask long`.

use std::time::Duration;

use nuncio_e2e::chaos::{Plan, run};
use nuncio_e2e::program::raise_file_limit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_over_five_kills_lose_repeat_and_see_reordered_nothing() {
    raise_file_limit();
    let plan = Plan {
        members: 2000,
        rooms: 200,
        time: Duration::from_secs(120),
        publish_pause: Duration::from_secs(2),
        cut_pause: Duration::from_millis(50),
        kills: 5,
    };

    let report = run(plan).await;

    println!("{report:#?}");
    assert_eq!(report.findings, [""; 0]);
    assert_eq!(
        report.counts.announced_gaps, 0,
        "the histories hold everything"
    );
    assert_eq!(report.acknowledged, report.published);
    assert!(
        report.cuts > 1000 && report.counts.rejoined > 5000,
        "{report:?}"
    );
}
