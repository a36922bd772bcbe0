//! rust_socketio over each transport: `e2e/socketio/rust`, built with its own dependencies, against the judge server.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nuncio_e2e::program::Program;

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn rust_socketio_meets_others_in_the_same_rooms_and_comes_back() {
    let client = build();
    let judged = Path::new(env!("CARGO_BIN_EXE_judged"));
    let mut server = Program::start_another(judged, &["limits.rate_per_second=0"]);
    let url = format!("http://{}", server.address);

    let status = Command::new(&client).arg(&url).status();
    let status = status.expect("the client starts");
    assert!(status.success(), "{status}");

    for transport in ["polling", "websocket", "polling, then websocket"] {
        let mut staying = Command::new(&client)
            .args([&url, transport, "stay"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the client starts");
        let lines = lines(staying.stdout.take().expect("it is piped"));
        connects(&lines, transport);
        for end in [Program::kill, Program::stop] {
            end(&mut server);
            server.start_again();
            connects(&lines, transport);
        }
        // Its standard input ends, and it with that.
        drop(staying.stdin.take());
        staying.wait().expect("the client ends");
    }
}

fn connects(lines: &Receiver<String>, transport: &str) {
    let line = lines.recv_timeout(PATIENCE);
    let line = line.unwrap_or_else(|_| panic!("it does not connect over {transport}"));
    assert_eq!(line, "connected");
}

fn lines(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(output).lines();
        lines
            .map_while(Result::ok)
            .try_for_each(|line| tell.send(line))
    });
    told
}

fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("socketio-rust");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked"])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("socketio/rust"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "{status}");
    target.join("debug/official-rust")
}
