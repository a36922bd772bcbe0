//! python-socketio, sync and async, over each transport: `e2e/socketio/official_test.py`, against the judge server.

use std::path::Path;
use std::process::{Command, Stdio};

use nuncio_e2e::python::{folder, python};

#[test]
fn python_clients_meet_in_the_same_rooms() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-socketio");
    let python = python(&home, "socketio");

    let status = Command::new(python)
        .args(["-B", "official_test.py"])
        .current_dir(folder("socketio"))
        .env("SERVER_BIN", env!("CARGO_BIN_EXE_judged"))
        .stdin(Stdio::null())
        .status()
        .expect("Python starts");

    assert!(status.success(), "{status}");
}
