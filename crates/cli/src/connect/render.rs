//! What is shown of what happens: for people, for pipes, or as JSON.

mod clock;
mod dump;
mod object;
mod pretty;

use std::time::SystemTime;

use super::happening::{Content, Happening, close_code_meaning, hex};
pub(super) use pretty::Styles;

/// Turns what happens into text.
#[derive(Debug, Clone)]
pub(super) struct Renderer {
    /// The form.
    pub(super) form: Form,
    /// Colours, or none.
    pub(super) styles: Styles,
    /// Whether each line begins with the time.
    pub(super) timestamps: Timestamps,
    /// Columns of the terminal: JSON that fits stays on one line.
    pub(super) width: usize,
    /// What is shown beside messages and the connection's own news.
    pub(super) show: Show,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people: marks, colours, JSON set out, bytes as a dump.
    Pretty,
    /// A line for each message, as it came; bytes as hex.
    Plain,
    /// A JSON object on a line for everything that happens.
    Json,
    /// The bytes of each message, and nothing else.
    Raw,
}

/// Whether the time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timestamps {
    Shown,
    Hidden,
}

/// What is shown beside messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Show {
    /// Pings and pongs.
    pub(super) control: bool,
    /// What we send.
    pub(super) sent: bool,
}

/// What goes where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shown {
    /// Messages: to standard output.
    pub(super) out: Vec<u8>,
    /// News of the connection: to standard error.
    pub(super) err: Vec<u8>,
}

impl Renderer {
    /// What is to be shown; nothing for what nobody asked to see.
    pub(super) fn render(&self, happening: &Happening, at: SystemTime) -> Shown {
        if !self.is_shown(happening) {
            return Shown::default();
        }
        match self.form {
            Form::Json => Shown {
                out: object::line(happening, at).into_bytes(),
                err: Vec::new(),
            },
            Form::Raw => self.with_news(happening, at, raw(happening)),
            Form::Plain => {
                let line = plain(happening).map(|line| self.stamped(line, at).into_bytes());
                self.with_news(happening, at, line)
            }
            Form::Pretty => {
                let message = pretty::message(self, happening);
                let message = message.map(|text| self.stamped(text, at).into_bytes());
                self.with_news(happening, at, message)
            }
        }
    }

    fn is_shown(&self, happening: &Happening) -> bool {
        match happening {
            Happening::Ping(_) | Happening::Pong { took: None, .. } => self.show.control,
            Happening::Sent(_) => self.show.sent,
            Happening::Open { .. }
            | Happening::Message(_)
            | Happening::Event { .. }
            | Happening::Answer { .. }
            | Happening::Pong { took: Some(_), .. }
            | Happening::Waiting { .. }
            | Happening::Closed { .. }
            | Happening::Problem(_)
            | Happening::Notice(_) => true,
        }
    }

    /// A message goes out; what is none is news.
    fn with_news(&self, happening: &Happening, at: SystemTime, out: Option<Vec<u8>>) -> Shown {
        match out {
            Some(out) => Shown {
                out,
                err: Vec::new(),
            },
            None => Shown {
                out: Vec::new(),
                err: self.stamped(pretty::news(self, happening), at).into_bytes(),
            },
        }
    }

    fn stamped(&self, text: String, at: SystemTime) -> String {
        match self.timestamps {
            Timestamps::Hidden => text,
            Timestamps::Shown => {
                let time = clock::utc(at);
                format!("{} {text}", pretty::paint(self.styles.faint, &time))
            }
        }
    }
}

fn plain(happening: &Happening) -> Option<String> {
    match happening {
        Happening::Message(Content::Text(text)) => Some(format!("{text}\n")),
        Happening::Message(Content::Binary(bytes)) => Some(format!("{}\n", hex(bytes))),
        Happening::Event { json, .. } | Happening::Answer { json, .. } => {
            Some(format!("{}\n", one_line(json)))
        }
        Happening::Open { .. }
        | Happening::Sent(_)
        | Happening::Ping(_)
        | Happening::Pong { .. }
        | Happening::Waiting { .. }
        | Happening::Closed { .. }
        | Happening::Problem(_)
        | Happening::Notice(_) => None,
    }
}

/// Events with binary parts are these parts: whoever wants bytes wants no placeholders.
fn raw(happening: &Happening) -> Option<Vec<u8>> {
    match happening {
        Happening::Message(Content::Text(text)) => Some(text.clone().into_bytes()),
        Happening::Message(Content::Binary(bytes)) => Some(bytes.to_vec()),
        Happening::Event {
            json, attachments, ..
        }
        | Happening::Answer {
            json, attachments, ..
        } => Some(match attachments.is_empty() {
            true => json.clone().into_bytes(),
            false => attachments.concat(),
        }),
        Happening::Open { .. }
        | Happening::Sent(_)
        | Happening::Ping(_)
        | Happening::Pong { .. }
        | Happening::Waiting { .. }
        | Happening::Closed { .. }
        | Happening::Problem(_)
        | Happening::Notice(_) => None,
    }
}

/// JSON without white space between its tokens: what a server sent in several lines is one.
fn one_line(json: &str) -> String {
    match super::json::tokens(json) {
        Some(tokens) => tokens.into_iter().map(super::json::Token::text).collect(),
        None => json.to_owned(),
    }
}

#[cfg(test)]
mod tests;
