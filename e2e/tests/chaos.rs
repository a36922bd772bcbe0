//! Cut sockets and a killed server, in the small; `chaos_full.rs` is the same in the large.

use std::time::Duration;

use nuncio_e2e::chaos::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_sockets_and_a_killed_server_lose_repeat_and_reorder_nothing() {
    let plan = Plan {
        members: 100,
        rooms: 10,
        time: Duration::from_secs(12),
        publish_pause: Duration::from_millis(500),
        cut_pause: Duration::from_millis(50),
        kills: 2,
    };

    let report = run(plan).await;

    println!("{report:#?}");
    assert_eq!(report.findings, [""; 0]);
    assert_eq!(
        report.counts.announced_gaps, 0,
        "the histories hold everything"
    );
    assert_eq!(report.acknowledged, report.published);
    // The luck was bad enough to mean something.
    assert!(
        report.acknowledged > 500 && report.counts.resumed > 20 && report.counts.rejoined > 100,
        "{report:?}"
    );
}
