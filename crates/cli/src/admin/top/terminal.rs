//! The terminal, taken over as long as it is looked at.

use std::io::{Read as _, Write as _, stdin, stdout};

use anyhow::{Context as _, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc::{self, Receiver};

use super::keys::{Key, keys};

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// A terminal in raw mode, with a screen of its own. Dropped, it is as it was.
pub(super) struct Terminal {
    before: Termios,
    keys: Receiver<Key>,
}

/// The other screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What a terminal is taken for that does not tell its size.
const SIZE: Size = Size {
    columns: 80,
    rows: 24,
};

impl Terminal {
    /// Takes it over.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn take() -> Result<Self> {
        let before = tcgetattr(stdin()).context("standard input is no terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        let (sender, keys) = mpsc::channel(64);
        // It ends with the process: nothing else wakes it from reading.
        std::thread::spawn(move || read(&sender));
        let terminal = Self { before, keys };
        stdout().write_all(ENTER.as_bytes())?;
        Ok(terminal)
    }

    /// The next key; `None` when the terminal is gone.
    pub(super) async fn key(&mut self) -> Option<Key> {
        self.keys.recv().await
    }

    pub(super) fn size(&self) -> Size {
        let Ok(size) = tcgetwinsize(stdout()) else {
            return SIZE;
        };
        if size.ws_col == 0 || size.ws_row == 0 {
            return SIZE;
        }
        Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        }
    }

    /// Puts the lines in the place of those before, without a flicker: nothing is cleared that is written again.
    pub(super) fn draw(&self, lines: &[String]) -> Result<()> {
        let mut text = String::from("\x1b[H");
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                text += "\r\n";
            }
            text += line;
            text += "\x1b[K";
        }
        text += "\x1b[J";
        let mut out = stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = stdout().write_all(LEAVE.as_bytes());
        let _ = stdout().flush();
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

fn read(sender: &mpsc::Sender<Key>) {
    let mut bytes = [0; 64];
    loop {
        let len = match stdin().read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(len) => len,
        };
        for key in keys(&bytes[..len]) {
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    }
}
