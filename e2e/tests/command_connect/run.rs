//! One run of the program.

use std::process::Stdio;
use std::time::Duration;

use nuncio_e2e::program::program;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// What a run wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Run {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// The messages of a run with `--json`.
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        let lines = self.text().lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Runs to the end without standard input.
pub(crate) async fn connect(args: &[&str]) -> Run {
    connect_with(args, b"").await
}

/// Runs to the end with this as standard input.
pub(crate) async fn connect_with(args: &[&str], input: &[u8]) -> Run {
    let mut child = spawn(args);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = tokio::spawn(async move {
        // Whoever needs no more has closed it.
        let _ = stdin.write_all(&input).await;
    });
    let run = finish(child).await;
    writing.await.unwrap();
    run
}

/// Starts it with an open pipe as standard input.
pub(crate) fn spawn(args: &[&str]) -> Child {
    command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("connect").args(args).env_remove("NUNCIO_TOKEN");
    command
}

pub(crate) async fn finish(child: Child) -> Run {
    let ended = tokio::time::timeout(LONGEST, child.wait_with_output()).await;
    let output = ended.expect("the program ends").unwrap();
    Run {
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

/// No run of a test takes longer, also on a machine with other things to do.
const LONGEST: Duration = Duration::from_secs(60);
