//! The Autobahn test suite: all of RFC 6455. Compression (groups 12 and 13) is in `autobahn_long.rs`.

use std::collections::BTreeMap;

use nuncio_e2e::autobahn::{Report, run};

#[test]
fn every_case_without_compression_is_ok_or_only_informational() {
    if std::env::var_os("AUTOBAHN_HOME").is_none() && std::env::var_os("CI").is_none() {
        println!("skipped: the suite is not installed (cargo xtask install)");
        return;
    }

    let report = run(&["*"], &["12.*", "13.*"]);

    // What a server does there, the suite only writes down: it has no wrong answer.
    let informational = ["7.1.6", "7.13.1", "7.13.2"];
    let others: BTreeMap<_, _> = informational
        .map(|case| (case.to_owned(), "INFORMATIONAL".to_owned()))
        .into();
    assert_eq!(report, Report { ok: 298, others });
}
