//! `nuncio connect`: talks to a server by hand or by script.
//!
//! Three parts with clear borders: what a line means (`input`, `script`, `course`) and what is shown (`render`) are decided without
//! I/O; `driver` runs between the terminal or pipe (`source`, `editor`, `screen`) and the connection (`talk`).

mod args;
mod binary_out;
mod course;
mod driver;
mod editor;
mod exit;
mod happening;
mod input;
mod json;
mod pattern;
mod plan;
mod render;
mod screen;
mod script;
mod source;
mod talk;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

pub(crate) use args::ConnectArgs;
use course::{Course, Lines, Rules, Stay};
use driver::Driver;
use exit::Exit;
use input::Input;
use plan::Plan;
use screen::Screen;
use script::Step;
use source::Source;
use talk::Talk;

/// Connects, and stays until the end of the lines or of the connection.
pub(crate) fn run(args: &ConnectArgs) -> ExitCode {
    match start(args) {
        Ok(exit) => exit.code(),
        Err(error) => {
            eprintln!("nuncio: {error:#}");
            Exit::Usage.code()
        }
    }
}

/// # Errors
/// What is wrong with the command line or a script; nothing was sent then.
fn start(args: &ConnectArgs) -> Result<Exit> {
    let plan = Plan::new(args)?;
    if args.insecure {
        eprintln!(
            "nuncio: --insecure: whoever stands in between can read and change everything, the token too"
        );
    }
    let mut steps = plan::steps(args, plan.dialect)?;
    if args.binary {
        let stdin = Input::Binary(input::Source::Stdin);
        steps.push(Step::Do(stdin));
    }
    let talks_by_hand = !args.binary && args.execute.is_empty() && args.script.is_none();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let exit = runtime.block_on(async {
        let (source, lines, editor) = if talks_by_hand {
            let (source, editor) = source::open(args, plan.token.as_deref())?;
            (source, Lines::Open, editor)
        } else {
            (Source::None, Lines::Ended, None)
        };
        let screen = Screen::open(args, editor)?;
        let course = Course::new(rules(args, &steps, &source), steps, lines);
        let talk = Talk::start(args, &plan)?;
        let driver = Driver::new(plan.dialect, talk, course, source, screen)?;
        Ok(driver.run().await)
    });
    // A read of standard input cannot be called off.
    runtime.shutdown_background();
    exit
}

fn rules(args: &ConnectArgs, steps: &[Step], source: &Source) -> Rules {
    let expects = steps
        .iter()
        .any(|step| matches!(step, Step::Expect(_) | Step::ExpectClose(_)));
    let default = match source {
        // Whoever types says when it is over.
        Source::Editor(_) => None,
        Source::None | Source::Pipe { .. } if expects || args.count.is_some() => None,
        Source::None | Source::Pipe { .. } => Some(Stay::For(STAY)),
    };
    Rules {
        count: args.count,
        wait: args.wait.or(default),
        timeout: args.timeout,
    }
}

/// How long to stay after the last line of a pipe, for its answers; wscat stays as long.
const STAY: Duration = Duration::from_secs(2);

/// How long the server may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
