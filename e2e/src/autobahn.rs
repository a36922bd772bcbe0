//! The fuzzing client of the Autobahn test suite, run against the echo endpoint.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::program::Program;

/// The settings that the suite needs: messages of 16 MiB, compression of every message.
pub const SETTINGS: [&str; 5] = [
    "server.echo=true",
    "limits.message_bytes=64MiB",
    "limits.outbox_bytes=128MiB",
    "deflate.enabled=true",
    "deflate.threshold=0",
];

/// How the cases ended: the number of each behaviour, and the cases that are not `OK`, with theirs.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// Cases that are `OK` in what was sent and in how the connection was closed.
    pub ok: usize,
    /// All others.
    pub others: BTreeMap<String, String>,
}

/// Runs some cases against a server of their own and returns how they ended.
///
/// # Panics
/// When the suite does not run: `AUTOBAHN_HOME` must name its folder (`cargo xtask install`).
pub fn run(cases: &[&str], excluded: &[&str]) -> Report {
    let home =
        std::env::var_os("AUTOBAHN_HOME").expect("AUTOBAHN_HOME names the folder of the suite");
    let home = Path::new(&home);
    let program = Program::start(&SETTINGS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let specification = json!({
        "outdir": folder.path(),
        "servers": [{"agent": "nuncio", "url": program.url("/ws/echo?plain"), "options": {"version": 18}}],
        "cases": cases,
        "exclude-cases": excluded,
        "exclude-agent-cases": {},
    });
    let file = folder.path().join("specification.json");
    std::fs::write(&file, specification.to_string()).expect("a file in the temporary folder");
    let suite = Command::new(home.join("py27"))
        .arg(home.join("site27/bin/wstest"))
        .args(["-m", "fuzzingclient", "-s"])
        .arg(&file)
        .output()
        .expect("the suite starts");
    let index = std::fs::read_to_string(folder.path().join("index.json"));
    let index = index.unwrap_or_else(|error| panic!("no report ({error}): {suite:?}"));
    report(&serde_json::from_str(&index).expect("the report is JSON"))
}

fn report(index: &Value) -> Report {
    let cases = index["nuncio"]
        .as_object()
        .expect("the report has the agent");
    let (mut ok, mut others) = (0, BTreeMap::new());
    for (case, result) in cases {
        match (
            result["behavior"].as_str(),
            result["behaviorClose"].as_str(),
        ) {
            (Some("OK"), Some("OK")) => ok += 1,
            (behavior, close) => {
                let behavior = behavior.unwrap_or("nothing");
                let text = match close {
                    Some("OK" | "INFORMATIONAL") => behavior.to_owned(),
                    Some(_) | None => format!("{behavior}, close {close:?}"),
                };
                others.insert(case.clone(), text);
            }
        }
    }
    Report { ok, others }
}
