//! The program's commands that work through the server API, as a script runs them.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::program::program;
use crate::{Program, TestServer};

/// What a command did.
#[derive(Debug)]
pub struct Done {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// The lines of standard output, each as JSON.
    ///
    /// # Panics
    /// When one is none.
    pub fn json(&self) -> Vec<Value> {
        let lines = self.out.lines();
        let read = |line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?} {self:?}"))
        };
        lines.map(read).collect()
    }
}

/// A command for a server in this process, with a key; it knows nothing of the environment.
pub fn nuncio(server: &TestServer, key: &str, arguments: &[&str]) -> Command {
    let address = server.api_address.unwrap_or(server.address);
    let mut command = bare(arguments);
    command
        .env("NUNCIO_API", format!("http://{address}"))
        .env("NUNCIO_API_KEY", key);
    command
}

/// A command for a demo, in its folder: it finds the key by itself.
pub fn beside(program: &Program, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command
        .args(["--listen", &program.address.to_string()])
        .current_dir(program.folder());
    command
}

/// A command that nothing is said to but its arguments.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env_remove("NUNCIO_API")
        .env_remove("NUNCIO_API_KEY")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
///
/// # Panics
/// When it does not start, or is killed.
pub fn run(mut command: Command) -> Done {
    done(command.output().expect("the program starts"))
}

/// Runs a command that reads this.
///
/// # Panics
/// As [`run`].
pub fn run_with_input(mut command: Command, input: &str) -> Done {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // One that reads nothing has ended already, which its exit code tells.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it was started");
    let _ = writer.join().expect("writing does not panic");
    done(output)
}

fn done(output: Output) -> Done {
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Done {
        code: output.status.code().expect("it is not killed"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}
