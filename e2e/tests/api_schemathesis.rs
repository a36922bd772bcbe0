//! The server API against its own document: what schemathesis makes of it, thousands of requests, good and bad.

use std::path::Path;
use std::process::Command;

use nuncio_e2e::Program;
use nuncio_e2e::backend::ADMIN;
use nuncio_e2e::python::{folder, python};

#[test]
fn the_api_does_what_its_document_says() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let python = python(&home, "schemathesis");
    let keys = format!(r#"api.keys=[{{ name = "judge", key = "{ADMIN}", scopes = ["admin"] }}]"#);
    let server = Program::start(&[&keys]);

    let status = Command::new(python.with_file_name("schemathesis"))
        .args(["run", "--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", "100", "--seed", "1"])
        .args(["--header", &format!("Authorization: Bearer {ADMIN}")])
        .args(["--no-color", "--suppress-health-check", "all"])
        .arg(format!("http://{}/api/v1/openapi.json", server.address))
        .current_dir(folder("schemathesis"))
        .status()
        .expect("schemathesis starts");

    assert!(status.success(), "{status}");
}
