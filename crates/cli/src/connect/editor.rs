//! A line editor with history, above whose line other things can be printed.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What somebody typed. After the last line, Ctrl-D, nothing comes.
#[derive(Debug)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    Failed(String),
}

/// The side of the editor that prints.
pub(super) struct Editor {
    printer: Box<dyn ExternalPrinter + Send>,
    /// The terminal as it was: the thread that reads may be in the middle of a line at the end.
    before: Termios,
}

impl Editor {
    /// Begins to read lines, in a thread of its own: a terminal can be read in no other way that leaves it usable by others.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub(super) fn start(
        no_history: bool,
        token: Option<&str>,
    ) -> Result<(Self, UnboundedReceiver<Typed>)> {
        let before = tcgetattr(io::stdin()).context("the terminal cannot be read")?;
        let config = Config::builder()
            .max_history_size(HISTORY_LINES_MAX)?
            .history_ignore_dups(true)?
            .build();
        let mut editor = DefaultEditor::with_config(config)?;
        let printer = Box::new(editor.create_external_printer()?);
        let history = history_path().filter(|_| !no_history);
        if let Some(path) = &history {
            prepare(path)?;
            // The first time there is none.
            let _ = editor.load_history(path);
        }
        // A person does not type faster than this program reads, and what is pasted is in memory already.
        let (typed, lines) = unbounded_channel();
        let keeper = Keeper {
            path: history,
            token: token.map(str::to_owned),
        };
        thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || read(editor, &keeper, &typed))?;
        Ok((Self { printer, before }, lines))
    }

    /// Prints above the line that is being typed.
    pub(super) fn print(&mut self, text: String) -> io::Result<()> {
        self.printer.print(text).map_err(io::Error::other)
    }

    /// Gives the terminal back as it was, after all that was printed.
    pub(super) fn finish(mut self) {
        // The editor takes one text at a time: once it has taken the first of these, what was printed before is seen. They leave
        // the cursor where it was.
        for _ in 0..2 {
            if self.print("\u{1b}[A\n".to_owned()).is_err() {
                break;
            }
        }
        // The terminal may be gone, and then it needs nothing.
        let _ = io::stdout().write_all(b"\r\x1b[K\x1b[?2004l");
        let _ = io::stdout().flush();
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Reads lines until there are no more, or nobody wants them.
fn read(mut editor: DefaultEditor, keeper: &Keeper, typed: &UnboundedSender<Typed>) {
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => {
                keeper.keep(&mut editor, &line);
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            Err(ReadlineError::Eof) => return,
            Err(error) => Typed::Failed(format!("the terminal cannot be read: {error}")),
        };
        let is_over = matches!(line, Typed::Failed(_));
        if typed.send(line).is_err() || is_over {
            return;
        }
    }
}

/// Says which lines are kept.
struct Keeper {
    path: Option<PathBuf>,
    token: Option<String>,
}

impl Keeper {
    /// Each line at once: a run may end at any moment.
    fn keep(&self, editor: &mut DefaultEditor, line: &str) {
        if is_secret(line, self.token.as_deref()) {
            return;
        }
        let added = editor.add_history_entry(line);
        if let (Some(path), Ok(true)) = (&self.path, added) {
            // A history that cannot be written is no reason to stop talking.
            let _ = editor.append_history(path);
        }
    }
}

/// Whether a line is not to be kept: it begins with a space, as in shells, or looks as if it held a secret.
fn is_secret(line: &str, token: Option<&str>) -> bool {
    let lower = line.to_ascii_lowercase();
    let words = [
        "token",
        "password",
        "secret",
        "bearer ",
        "authorization",
        "\"resume\"",
    ];
    line.starts_with(' ')
        || line.trim().is_empty()
        || token.is_some_and(|token| line.contains(token))
        // Every JSON Web Token begins so.
        || line.contains("eyJ")
        || words.iter().any(|word| lower.contains(word))
}

/// `$XDG_STATE_HOME/nuncio/connect_history`, which is `~/.local/state/…` where nobody says otherwise.
fn history_path() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    Some(state.or_else(home)?.join("nuncio/connect_history"))
}

/// Makes the file, for this user alone.
fn prepare(path: &Path) -> Result<()> {
    let made = path.parent().map_or(Ok(()), |folder| {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
    });
    let opened = made.and_then(|()| {
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true).mode(0o600).open(path)
    });
    opened.map(|_| ()).with_context(|| {
        format!(
            "{} cannot be written: --no-history does without",
            path.display()
        )
    })
}

const PROMPT: &str = "> ";

/// As many as one may want to look through.
const HISTORY_LINES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_kept() {
        for line in [
            " spaced",
            "",
            r#"{"type":"auth","token":"x"}"#,
            "/emit login eyJhbGciOi",
            "Authorization: Bearer x",
            "my own s3cret-value here",
            r#"{"type":"resume","resume":"x"}"#,
        ] {
            assert!(is_secret(line, Some("s3cret-value")), "{line}");
        }
        for line in ["hello", "/join lobby", r#"{"type":"ping"}"#] {
            assert!(!is_secret(line, Some("s3cret-value")), "{line}");
        }
    }
}
