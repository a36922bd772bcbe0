//! rust_socketio over each transport: `e2e/socketio/rust`, built with its own dependencies, against the program.

use std::path::Path;
use std::process::Command;

use nuncio_e2e::program::Program;

#[test]
fn rust_socketio_meets_others_in_the_same_rooms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("socketio/rust");
    let server = Program::start(&["limits.rate_per_second=0"]);

    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--"])
        .arg(format!("http://{}", server.address))
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("socketio-rust"),
        )
        .current_dir(folder)
        .status()
        .expect("cargo runs");

    assert!(status.success(), "{status}");
}
