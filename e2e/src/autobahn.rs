//! The Autobahn test suite: its fuzzing client against the echo endpoint, and its fuzzing server for clients.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Program, free_address};

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
    let program = Program::start(&SETTINGS);
    run_at(&program.url("/ws/echo?plain"), cases, excluded)
}

/// The same against a server that echoes at this URL.
///
/// # Panics
/// As [`run`].
pub fn run_at(url: &str, cases: &[&str], excluded: &[&str]) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let specification = json!({
        "outdir": folder.path(),
        "servers": [{"agent": "nuncio", "url": url, "options": {"version": 18}}],
        "cases": cases,
        "exclude-cases": excluded,
        "exclude-agent-cases": {},
    });
    let suite = suite("fuzzingclient", &folder, &specification)
        .output()
        .expect("the suite starts");
    let index = std::fs::read_to_string(folder.path().join("index.json"));
    let index = index.unwrap_or_else(|error| panic!("no report ({error}): {suite:?}"));
    report(&serde_json::from_str(&index).expect("the report is JSON"))
}

/// The fuzzing server of the suite: a client asks it for cases and is judged. It is killed when it is dropped.
pub struct FuzzingServer {
    /// Where it listens.
    pub address: SocketAddr,
    folder: TempDir,
    process: Child,
}

impl FuzzingServer {
    /// Starts it with some cases, and waits until it listens.
    ///
    /// # Panics
    /// When it does not: `AUTOBAHN_HOME` must name its folder (`cargo xtask install`).
    pub fn start(cases: &[&str], excluded: &[&str]) -> Self {
        let address = free_address();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let specification = json!({
            "url": format!("ws://{address}"),
            "outdir": folder.path(),
            "cases": cases,
            "exclude-cases": excluded,
            "exclude-agent-cases": {},
        });
        let mut process = suite("fuzzingserver", &folder, &specification)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the suite starts");
        let late = Instant::now() + START_MAX;
        while TcpStream::connect(address).is_err() {
            let ended = process.try_wait().expect("it was started here");
            assert!(ended.is_none(), "the suite ended: {ended:?}");
            assert!(Instant::now() < late, "not ready after {START_MAX:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            address,
            folder,
            process,
        }
    }

    /// How the cases ended, once the client named `nuncio` has asked for the reports.
    ///
    /// # Panics
    /// When there is no report.
    pub fn report(&self) -> Report {
        let index = std::fs::read_to_string(self.folder.path().join("index.json"));
        let index = index.expect("the client asked for the reports");
        report(&serde_json::from_str(&index).expect("the report is JSON"))
    }
}

impl Drop for FuzzingServer {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long the suite may take to start.
const START_MAX: Duration = Duration::from_secs(60);

fn suite(mode: &str, folder: &TempDir, specification: &Value) -> Command {
    let home =
        std::env::var_os("AUTOBAHN_HOME").expect("AUTOBAHN_HOME names the folder of the suite");
    let home = PathBuf::from(home);
    let file: &Path = &folder.path().join("specification.json");
    std::fs::write(file, specification.to_string()).expect("a file in the temporary folder");
    let mut suite = Command::new(home.join("py27"));
    suite
        .arg(home.join("site27/bin/wstest"))
        // No web server beside it.
        .args(["-w", "0", "-m", mode, "-s"])
        .arg(file)
        .current_dir(folder.path());
    suite
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
