//! python-socketio, sync and async, over each transport: `e2e/socketio/official_test.py`, against the judge server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn python_clients_meet_in_the_same_rooms() {
    let python = python();

    let status = Command::new(python)
        .args(["-B", "official_test.py"])
        .current_dir(folder())
        .env("SERVER_BIN", env!("CARGO_BIN_EXE_judged"))
        .stdin(Stdio::null())
        .status()
        .expect("Python starts");

    assert!(status.success(), "{status}");
}

/// An interpreter with the client; it is installed at the first run.
fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-socketio");
    let python = home.join("bin/python");
    if !home.join("installed").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        let requirements = folder().join("requirements.txt");
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        run(install.arg(requirements));
        std::fs::write(home.join("installed"), "").expect("the folder can be written to");
    }
    python
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("socketio")
}

fn run(command: &mut Command) {
    let status = command.status().expect("Python is installed");
    assert!(status.success(), "{command:?}: {status}");
}
