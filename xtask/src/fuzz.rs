//! Fuzzing, one step for each target.

use std::time::Duration;

use crate::step::{Outcome, Step, command, root, run, succeeds};

/// How long each target runs before a change is taken.
pub(crate) const SMOKE: Duration = Duration::from_secs(10);

/// Fuzzes each target. Where cargo-fuzz or a nightly compiler is missing, the same checks run on fixed bytes.
pub(crate) fn steps(each: Duration) -> Vec<Step> {
    let can_fuzz = succeeds(&mut command("cargo +nightly --version"))
        && succeeds(&mut command("cargo fuzz --version"));
    if !can_fuzz {
        return vec![Step::new("fuzz targets on fixed bytes", on_fixed_bytes)];
    }
    let mut steps =
        vec![Step::command("build of the fuzz targets", "cargo +nightly fuzz build").needed()];
    steps.extend(targets().into_iter().map(|target| {
        let name = format!("fuzz {target}");
        Step::new(&name, move || fuzz(&target, each))
    }));
    steps
}

fn on_fixed_bytes() -> Outcome {
    eprintln!(
        "cargo-fuzz or a nightly compiler is missing: instead of fuzzing, each target runs on the same 86,000 inputs as always"
    );
    run(&mut command(
        "cargo test --release --locked --manifest-path fuzz/Cargo.toml",
    ))
}

fn fuzz(target: &str, each: Duration) -> Outcome {
    let time = format!("-max_total_time={}", each.as_secs());
    run(command("cargo +nightly fuzz run").arg(target).args([
        "--",
        &time,
        "-print_final_stats=0",
        "-print_funcs=0",
        "-verbosity=0",
    ]))
}

/// The targets by the names of their files.
fn targets() -> Vec<String> {
    let files = std::fs::read_dir(root().join("fuzz/fuzz_targets"));
    let paths = files
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path());
    let mut names: Vec<String> = paths
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}
