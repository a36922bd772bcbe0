//! Which steps each chore has.

use std::time::Duration;

use crate::step::{Outcome, Step, command, run, target};
use crate::{autobahn, fuzz, install};

/// All that must hold before a change is taken.
pub(crate) fn ci() -> Vec<Step> {
    let mut steps = install();
    steps.extend([
        Step::command("formatting", "cargo fmt --all --check"),
        Step::command(
            "formatting of the fuzz targets",
            "cargo fmt --check --manifest-path fuzz/Cargo.toml",
        ),
        Step::command(
            "lints",
            "cargo clippy --workspace --all-targets --all-features --locked -- -D warnings",
        ),
        Step::new("documentation", documentation),
        Step::command(
            "release build",
            "cargo build --release --locked --package nuncio-cli",
        ),
        Step::new("tests", tests),
        Step::command(
            "TypeScript client: types and unit tests",
            "npm --prefix clients/typescript test",
        ),
        Step::command(
            "TypeScript client: the page in Chromium",
            "npm --prefix clients/typescript run test:browser",
        ),
        Step::new("TypeScript client against the server", typescript_server),
        Step::new("guide's client, browser, Autobahn 1-10", judges),
    ]);
    steps.extend(fuzz::steps(fuzz::SMOKE));
    steps
}

/// What takes too long for each change.
pub(crate) fn long() -> Vec<Step> {
    let mut steps = install();
    steps.extend([
        Step::command(
            "release build",
            "cargo build --release --locked --package nuncio-cli",
        ),
        Step::new(
            "Autobahn 12 and 13, the full chaos run, the API by its document",
            long_tests,
        ),
    ]);
    steps.extend(fuzz::steps(Duration::from_secs(600)));
    steps.extend(bench());
    steps
}

/// What is needed beside Rust.
pub(crate) fn install() -> Vec<Step> {
    vec![
        Step::new("programs", install::programs).needed(),
        Step::new("npm packages", install::npm_packages).needed(),
        Step::new("Autobahn suite", autobahn::install),
    ]
}

/// The figures that the README shows; how they are taken is in `benches/README.md`.
pub(crate) fn bench() -> Vec<Step> {
    vec![
        Step::command(
            "release build",
            "cargo build --release --locked --package nuncio-cli",
        )
        .needed(),
        Step::command(
            "floors",
            "cargo build --release --locked --package nuncio-benches",
        )
        .needed(),
        Step::new("idle memory", || {
            run(command(&release_program()).args(["bench", "idle"]))
        }),
        Step::new("fan-out", || {
            run(command(&release_program()).args(["bench", "fanout"]))
        }),
    ]
}

fn documentation() -> Outcome {
    let line = "cargo doc --workspace --no-deps --document-private-items --locked";
    run(command(line).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Tests that kill the server take the release build: building the program alone, with fewer features, would take minutes more.
fn tests() -> Outcome {
    let line = "cargo test --workspace --locked --no-fail-fast";
    run(command(line).env("SERVER_BIN", release_program()))
}

fn typescript_server() -> Outcome {
    let line = "npm --prefix clients/typescript run test:server";
    run(command(line).env("SERVER_BIN", release_program()))
}

fn judges() -> Outcome {
    let line = "cargo test --locked --package nuncio-e2e --features judges --no-fail-fast --test guide_client --test node_websocket --test browser --test proxies --test socketio_official --test socketio_python --test socketio_java --test rust_socketio_client --test rust_websocket_client --test autobahn --test autobahn_client";
    run(with_judges(&mut command(line)))
}

fn long_tests() -> Outcome {
    let line = "cargo test --locked --release --package nuncio-e2e --features long --test autobahn_long --test autobahn_client_long --test chaos_full --test api_schemathesis --test hops_long --test socketio_rust --test socketio_upgrades -- --nocapture";
    run(with_judges(&mut command(line)))
}

fn with_judges(command: &mut std::process::Command) -> &mut std::process::Command {
    let command = command.env("SERVER_BIN", release_program());
    match autobahn::folder() {
        Some(folder) => command.env("AUTOBAHN_HOME", folder),
        None => command,
    }
}

fn release_program() -> String {
    target().join("release/nuncio").display().to_string()
}
