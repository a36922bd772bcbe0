//! The official Java client over each transport: `e2e/socketio/java/Official.java`, against the judge server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn java_clients_meet_in_the_same_rooms() {
    let libraries = libraries();

    let status = Command::new("java")
        .arg("--class-path")
        .arg(libraries.join("*"))
        .arg("Official.java")
        .current_dir(folder())
        .env("SERVER_BIN", env!("CARGO_BIN_EXE_judged"))
        .stdin(Stdio::null())
        .status()
        .expect("java starts");

    assert!(status.success(), "{status}");
}

/// The client and what it needs; they are fetched at the first run.
fn libraries() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("socketio-java");
    if !home.join("fetched").exists() {
        let output = format!("-DoutputDirectory={}", home.display());
        let status = Command::new("mvn")
            .args(["--quiet", "--batch-mode", "dependency:copy-dependencies"])
            .arg(output)
            .current_dir(folder())
            .stdin(Stdio::null())
            .status()
            .expect("mvn starts");
        assert!(status.success(), "mvn: {status}");
        std::fs::write(home.join("fetched"), "").expect("the folder can be written to");
    }
    home
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("socketio/java")
}
