//! A session that moves between the transports a thousand times.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hops_under_load_lose_and_repeat_nothing() {
    let hopped = nuncio_e2e::hops::run(1000).await;

    eprintln!("{hopped:?}");
    assert!(hopped.messages > 1000, "{hopped:?}");
}
