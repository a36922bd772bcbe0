//! Where lines come from.

use std::future::pending;
use std::io::{self, IsTerminal as _};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt as _, BufReader, Stdin};
use tokio::sync::mpsc::UnboundedReceiver;

use super::args::ConnectArgs;
use super::editor::{Editor, Typed};

/// Where lines come from.
pub(super) enum Source {
    /// From nowhere: the script says it all.
    None,
    /// From standard input.
    Pipe {
        lines: tokio::io::Lines<BufReader<Stdin>>,
        /// Whether a line may be a command.
        reading: Reading,
    },
    /// From an editor.
    Editor(UnboundedReceiver<Typed>),
}

/// How a line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is data, whatever it begins with.
    Message,
    /// A person typed it: with a slash it is a command.
    Command,
}

/// One line, or the end of them.
#[derive(Debug)]
pub(super) enum Line {
    Text(String, Reading),
    Interrupted,
    End,
    Failed(String),
}

/// An editor where somebody types, else the lines of standard input.
///
/// # Errors
/// When the terminal cannot be used.
pub(super) fn open(args: &ConnectArgs, token: Option<&str>) -> Result<(Source, Option<Editor>)> {
    let types = io::stdin().is_terminal();
    if types && io::stdout().is_terminal() {
        let (editor, typed) = Editor::start(args.no_history, token)?;
        return Ok((Source::Editor(typed), Some(editor)));
    }
    let reading = match types {
        true => Reading::Command,
        false => Reading::Message,
    };
    let lines = BufReader::new(tokio::io::stdin()).lines();
    Ok((Source::Pipe { lines, reading }, None))
}

impl Source {
    /// The next line; dropped half-way it has lost nothing.
    pub(super) async fn next(&mut self) -> Line {
        match self {
            Self::None => pending().await,
            Self::Pipe { lines, reading } => match lines.next_line().await {
                Ok(Some(line)) => Line::Text(line, *reading),
                Ok(None) => Line::End,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => Line::Failed(
                    "a line of standard input is not UTF-8: --binary sends bytes".to_owned(),
                ),
                Err(error) => Line::Failed(format!("standard input cannot be read: {error}")),
            },
            Self::Editor(typed) => match typed.recv().await {
                Some(Typed::Line(line)) => Line::Text(line, Reading::Command),
                Some(Typed::Interrupted) => Line::Interrupted,
                Some(Typed::Failed(why)) => Line::Failed(why),
                None => Line::End,
            },
        }
    }

    /// Whether lines are taken as they come, also while the connection does not take them.
    pub(super) const fn is_typed(&self) -> bool {
        matches!(self, Self::Editor(_))
    }
}
