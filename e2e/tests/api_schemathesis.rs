//! The server API against its own document: what schemathesis makes of it, thousands of requests, good and bad.

use std::path::{Path, PathBuf};
use std::process::Command;

use nuncio_e2e::Program;
use nuncio_e2e::backend::ADMIN;

#[test]
fn the_api_does_what_its_document_says() {
    let python = python();
    let keys = format!(r#"api.keys=[{{ name = "judge", key = "{ADMIN}", scopes = ["admin"] }}]"#);
    let server = Program::start(&[&keys]);

    let status = Command::new(python.with_file_name("schemathesis"))
        .args(["run", "--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", "100", "--seed", "1"])
        .args(["--header", &format!("Authorization: Bearer {ADMIN}")])
        .args(["--no-color", "--suppress-health-check", "all"])
        .arg(format!("http://{}/api/v1/openapi.json", server.address))
        .current_dir(folder())
        .status()
        .expect("schemathesis starts");

    assert!(status.success(), "{status}");
}

/// An interpreter with schemathesis; it is installed at the first run.
fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis")
}

fn run(command: &mut Command) {
    let status = command.status().expect("Python is installed");
    assert!(status.success(), "{command:?}: {status}");
}
