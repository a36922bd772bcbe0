//! The chores of the project: `cargo xtask` and one of the names below.

mod autobahn;
mod chores;
mod fuzz;
mod install;
mod step;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask ci        everything that must hold before a change is taken (up to 20 minutes, 45 from nothing)
cargo xtask long      what takes longer: compression cases, long fuzzing, the full chaos run
cargo xtask install   only installs what `ci` needs beside Rust, and says what
cargo xtask fuzz [S]  fuzzes each target for S seconds (default 10)
cargo xtask bench     idle memory and fan-out, beside the floors";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let steps = match arguments[..] {
        ["ci"] => chores::ci(),
        ["long"] => chores::long(),
        ["install"] => chores::install(),
        ["bench"] => chores::bench(),
        ["fuzz"] => fuzz::steps(fuzz::SMOKE),
        ["fuzz", seconds] => match seconds.parse() {
            Ok(seconds) => fuzz::steps(std::time::Duration::from_secs(seconds)),
            Err(error) => return refused(&format!("{seconds}: {error}")),
        },
        _ => return refused(USAGE),
    };
    step::run_all(steps)
}

fn refused(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}
