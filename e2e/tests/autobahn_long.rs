//! The Autobahn test suite: compression (RFC 7692), which takes ten minutes.

use std::collections::BTreeMap;

use nuncio_e2e::autobahn::{Report, run};

#[test]
fn every_case_of_compression_by_the_bare_offer_is_ok() {
    assert_eq!(run(&["12.*"], &[]), all_ok(90));
}

#[test]
fn every_case_of_compression_by_parameters_is_ok() {
    assert_eq!(run(&["13.*"], &[]), all_ok(126));
}

fn all_ok(ok: usize) -> Report {
    let others = BTreeMap::new();
    Report { ok, others }
}
