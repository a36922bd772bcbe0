//! How results are written: tables for people, JSON for programs.

use std::io::{IsTerminal as _, stdout};

use clap::{Args, ValueEnum};

/// How a result is to be written.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// A table, or a line of JSON for each entry; without it a table on a terminal, and JSON elsewhere.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<Format>,
}

/// What a result is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one JSON value a line.
    Json,
}

impl OutputArgs {
    /// What was asked for, or what suits where standard output goes.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or_else(|| {
            if stdout().is_terminal() {
                Format::Table
            } else {
                Format::Json
            }
        })
    }
}

/// Whether words may be set off by colour and weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Coloured,
}

impl Paint {
    /// For standard output: on a terminal, unless `NO_COLOR` (no-color.org) is set.
    pub(super) fn of_stdout() -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if stdout().is_terminal() && !is_unwanted {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    /// The text in a style of ECMA-48 §8.3.117: `1` bold, `2` faint, `36` cyan.
    pub(super) fn style(self, style: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{style}m{text}\x1b[0m"),
        }
    }
}

/// Columns of the terminal; `None` where there is none, and nothing has to fit.
pub(super) fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

/// The text with what a terminal would obey written out: names and contents are from others.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        if sign.is_control() {
            shown.extend(sign.escape_default());
        } else {
            shown.push(sign);
        }
    }
    shown
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(harmless("a\x1b[2Jb\u{9b}c\n"), "a\\u{1b}[2Jb\\u{9b}c\\n");
        assert_eq!(harmless("grüße 你好"), "grüße 你好");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
