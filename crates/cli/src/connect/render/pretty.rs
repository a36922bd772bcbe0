//! For people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::super::json::{Token, tokens};
use super::{Content, Happening, Renderer, close_code_meaning, dump::dump, one_line};

/// What is painted how.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::connect) struct Styles {
    received: Style,
    sent: Style,
    key: Style,
    text: Style,
    number: Style,
    literal: Style,
    event: Style,
    problem: Style,
    pub(super) faint: Style,
}

impl Styles {
    /// In colour.
    pub(in crate::connect) const fn coloured() -> Self {
        Self {
            received: AnsiColor::Cyan.on_default().bold(),
            sent: AnsiColor::Green.on_default().bold(),
            key: AnsiColor::Blue.on_default(),
            text: AnsiColor::Green.on_default(),
            number: AnsiColor::Yellow.on_default(),
            literal: AnsiColor::Magenta.on_default(),
            event: Style::new().bold(),
            problem: AnsiColor::Red.on_default(),
            faint: Style::new().dimmed(),
        }
    }
}

pub(super) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A message; `None` for what is none.
pub(super) fn message(renderer: &Renderer, happening: &Happening) -> Option<String> {
    let styles = &renderer.styles;
    let received = paint(styles.received, "<");
    Some(match happening {
        Happening::Message(content) => format!("{received} {}", said(renderer, content)),
        Happening::Sent(content) => {
            let sent = paint(styles.sent, ">");
            format!("{sent} {}", said(renderer, content))
        }
        Happening::Event {
            namespace,
            json,
            attachments,
            ack,
        } => {
            let mut text = format!("{received} ");
            if let Some(namespace) = namespace {
                text += &paint(styles.faint, &format!("{namespace} "));
            }
            text += &set_out(renderer, json);
            if let Some(number) = ack {
                let wanted = format!("  answer it with: /ack {number}\n");
                text += &paint(styles.faint, &wanted);
            }
            text + &parts(renderer, attachments)
        }
        Happening::Answer {
            to,
            json,
            attachments,
        } => {
            let name = paint(styles.event, &visible(to));
            let text = format!("{received} {name} answered {}", set_out(renderer, json));
            text + &parts(renderer, attachments)
        }
        Happening::Open { .. }
        | Happening::Ping(_)
        | Happening::Pong { .. }
        | Happening::Waiting { .. }
        | Happening::Closed { .. }
        | Happening::Problem(_)
        | Happening::Notice(_) => return None,
    })
}

/// What is no message.
pub(super) fn news(renderer: &Renderer, happening: &Happening) -> String {
    let styles = &renderer.styles;
    let (style, text) = match happening {
        Happening::Open { url, detail: None } => (styles.faint, format!("Connected to {url}")),
        Happening::Open {
            url,
            detail: Some(detail),
        } => (styles.faint, format!("Connected to {url} ({detail})")),
        Happening::Ping(payload) => (styles.faint, format!("Ping{}", quoted(payload))),
        Happening::Pong {
            payload,
            took: None,
        } => (styles.faint, format!("Pong{}", quoted(payload))),
        Happening::Pong {
            payload,
            took: Some(took),
        } => {
            let ms = took.as_secs_f64() * 1e3;
            (
                styles.faint,
                format!("Pong{} after {ms:.1} ms", quoted(payload)),
            )
        }
        Happening::Waiting { delay } => (
            styles.faint,
            format!("The next attempt follows in {:.1} s", delay.as_secs_f64()),
        ),
        Happening::Closed { code, reason } => {
            let meaning = close_code_meaning(*code);
            let colon = if reason.is_empty() { "" } else { ": " };
            (
                styles.faint,
                format!("Closed with {code} ({meaning}){colon}{reason}"),
            )
        }
        Happening::Problem(problem) => (styles.problem, problem.clone()),
        Happening::Notice(notice) => (styles.faint, notice.clone()),
        Happening::Sent(Content::Text(text)) => (styles.faint, format!("> {text}")),
        Happening::Sent(Content::Binary(bytes)) => {
            (styles.faint, format!("> {} bytes", bytes.len()))
        }
        Happening::Message(_) | Happening::Event { .. } | Happening::Answer { .. } => {
            (styles.faint, String::new())
        }
    };
    format!("{}\n", paint(style, &visible(text.trim_end())))
}

fn said(renderer: &Renderer, content: &Content) -> String {
    match content {
        Content::Text(text) => set_out(renderer, text),
        Content::Binary(bytes) => {
            let len = format!("{} bytes", bytes.len());
            format!("{}\n{}", paint(renderer.styles.event, &len), dump(bytes))
        }
    }
}

fn parts(renderer: &Renderer, attachments: &[bytes::Bytes]) -> String {
    let parts = attachments.iter().enumerate().map(|(number, bytes)| {
        let head = format!("  binary {number}: {} bytes\n", bytes.len());
        paint(renderer.styles.faint, &head) + &dump(bytes)
    });
    parts.collect()
}

/// JSON in colour, on one line where it fits, else one value a line; any other text as it is.
fn set_out(renderer: &Renderer, text: &str) -> String {
    let is_structure = text.trim_start().starts_with(['{', '[']);
    match tokens(text).filter(|_| is_structure) {
        None => format!("{}\n", visible(text)),
        Some(tokens) => {
            let fits = one_line(text).chars().count() + MARGIN <= renderer.width;
            let layout = if fits { Layout::Line } else { Layout::Tree };
            format!("{}\n", json(&renderer.styles, &tokens, layout))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Line,
    Tree,
}

fn json(styles: &Styles, tokens: &[Token<'_>], layout: Layout) -> String {
    let (mut text, mut depth) = (String::new(), 0);
    let mut before = None;
    for &token in tokens {
        let is_empty = matches!((before, token), (Some(Token::Open(_)), Token::Close(_)));
        match token {
            Token::Close(_) => {
                depth -= 1;
                if !is_empty {
                    new_line(&mut text, depth, layout);
                }
            }
            _ if matches!(before, Some(Token::Open(_))) => new_line(&mut text, depth, layout),
            _ => {}
        }
        let style = match token {
            Token::Key(_) => styles.key,
            Token::Text(_) => styles.text,
            Token::Number(_) => styles.number,
            Token::Literal(_) => styles.literal,
            Token::Open(_) | Token::Close(_) | Token::Colon | Token::Comma => Style::new(),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", paint(style, &visible(token.text())));
        match token {
            Token::Open(_) => depth += 1,
            Token::Colon => text.push(' '),
            Token::Comma if layout == Layout::Line => text.push(' '),
            Token::Comma => new_line(&mut text, depth, layout),
            Token::Close(_)
            | Token::Key(_)
            | Token::Text(_)
            | Token::Number(_)
            | Token::Literal(_) => {}
        }
        before = Some(token);
    }
    text
}

fn new_line(text: &mut String, depth: usize, layout: Layout) {
    if layout == Layout::Tree {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth + 1));
    }
}

/// Without the characters that command a terminal: a server must not move the cursor, rename the window or hide what it said.
fn visible(text: &str) -> String {
    let is_command = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if !text.contains(is_command) {
        return text.to_owned();
    }
    let letters = text.chars().map(|letter| match is_command(letter) {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    });
    letters.collect()
}

fn quoted(payload: &[u8]) -> String {
    match payload {
        [] => String::new(),
        payload => format!(" {:?}", String::from_utf8_lossy(payload)),
    }
}

/// The mark before a message, and a column to spare.
const MARGIN: usize = 3;
