//! Steps of a chore: each is announced, timed, and reported again at the end.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What a step says when it fails.
pub(crate) type Outcome = Result<(), String>;

/// One thing to do.
pub(crate) struct Step {
    name: String,
    action: Box<dyn FnOnce() -> Outcome>,
    need: Need,
}

/// What the failure of a step means for those after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The others run all the same, so that one run shows all that is wrong.
    OwnOnly,
    /// The others cannot work.
    OfAllAfter,
}

impl Step {
    /// A step that does something of its own.
    pub(crate) fn new(name: &str, action: impl FnOnce() -> Outcome + 'static) -> Self {
        Self {
            name: name.to_owned(),
            action: Box::new(action),
            need: Need::OwnOnly,
        }
    }

    /// A step that runs one command in the project's folder.
    pub(crate) fn command(name: &str, line: &'static str) -> Self {
        Self::new(name, move || run(&mut command(line)))
    }

    /// The same step, without which the following ones are pointless.
    pub(crate) fn needed(self) -> Self {
        Self {
            need: Need::OfAllAfter,
            ..self
        }
    }
}

/// Runs the steps in order and says how it went, in the manner of `cargo test`.
#[expect(
    clippy::print_stdout,
    reason = "the summary is what the command is run for"
)]
pub(crate) fn run_all(steps: Vec<Step>) -> ExitCode {
    let begin = Instant::now();
    let len = steps.len();
    let (mut lines, mut failures) = (Vec::new(), Vec::new());
    for (index, step) in steps.into_iter().enumerate() {
        eprintln!("\n== {} of {len}: {} ==", index + 1, step.name);
        let step_begin = Instant::now();
        let outcome = (step.action)();
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        let line = format!("step {} ... {word} ({})", step.name, seconds(step_begin));
        eprintln!("== {line} ==");
        lines.push(line);
        if let Err(why) = outcome {
            eprintln!("{why}");
            failures.push(format!("{}: {why}", step.name));
            if step.need == Need::OfAllAfter {
                break;
            }
        }
    }
    println!("\n{}", lines.join("\n"));
    for failure in &failures {
        println!("\n{failure}");
    }
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    let passed = lines.len() - failures.len();
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {}",
        failures.len(),
        len - lines.len(),
        seconds(begin)
    );
    ExitCode::from(u8::from(!failures.is_empty()))
}

fn seconds(begin: Instant) -> String {
    let elapsed: Duration = begin.elapsed();
    format!("{:.2}s", elapsed.as_secs_f64())
}

/// A command from a line of words, in the project's folder, without input.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    // What a chore runs chooses its own toolchain: that of the folder, or `+nightly`.
    command
        .args(words)
        .current_dir(root())
        .stdin(Stdio::null())
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Runs a command with its output shown.
pub(crate) fn run(command: &mut Command) -> Outcome {
    eprintln!("$ {}", shown(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{}: {status}", shown(command))),
        Err(error) => Err(format!("{}: {error}", shown(command))),
    }
}

/// Whether a command ends well; its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where Cargo builds.
pub(crate) fn target() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(given.unwrap_or_else(|| "target".into()))
}
