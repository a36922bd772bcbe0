//! Which steps each chore has.

use std::time::Duration;

use crate::step::{Outcome, Step, command, root, run, target};
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
        Step::new("judges: official clients, browser, Autobahn", judges),
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
            "long tests: all of Autobahn, chaos, the API by its document, upgrades",
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
    let line = "cargo test --locked --package nuncio-e2e --features judges --no-fail-fast";
    run(with_judges(&mut command(line)).args(tests_behind("judges")?))
}

fn long_tests() -> Outcome {
    let line = "cargo test --locked --release --package nuncio-e2e --features long --no-fail-fast";
    let command = &mut command(line);
    let tests = tests_behind("long")?;
    run(with_judges(command).args(tests).args(["--", "--nocapture"]))
}

/// `--test` and the name of each test that asks for a feature, as the manifest says: a test that is not listed anywhere would never run.
fn tests_behind(feature: &str) -> Result<Vec<String>, String> {
    let path = root().join("e2e/Cargo.toml");
    let manifest = std::fs::read_to_string(&path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let needs = format!("required-features = [\"{feature}\"]");
    let sections = manifest.split("\n[");
    let tests = sections.filter(|section| section.starts_with("[test]]"));
    let names = tests
        .filter(|section| section.contains(&needs))
        .filter_map(|section| section.split('"').nth(1));
    Ok(names
        .flat_map(|name| ["--test".to_owned(), name.to_owned()])
        .collect())
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
