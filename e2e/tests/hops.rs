//! A session that moves between the transports misses and repeats nothing.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_hops_between_transports_under_load_loses_and_repeats_nothing() {
    let hopped = nuncio_e2e::hops::run(60).await;

    assert!(hopped.messages > 100, "{hopped:?}");
}
