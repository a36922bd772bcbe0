//! The bodies of polls, of what is sent beside a stream, and of errors.

use bytes::Bytes;
use nuncio_model::{CloseCode, ErrorCode, Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::encode::{self, text::Text};

/// A batch of messages: what a poll is answered with. `cursor`, given to the next poll, acknowledges all of it.
pub fn batch(cursor: u64, texts: &[Bytes]) -> Bytes {
    let len: usize = texts.iter().map(|text| text.len() + 1).sum();
    let mut body = Text::with_capacity(len + 48);
    body.raw("{").number("cursor", cursor);
    body.array("messages", texts, |body, text| {
        body.bytes(text);
    });
    body.close()
}

/// The body of a `POST /send`: `{n, messages, close?}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Its number: 1 for the first body of a session's stream or poll, 2 for the next.
    pub number: u64,
    /// The messages, in order, as they were written.
    pub messages: Vec<Box<str>>,
    /// Given by a client that goes, and means to: 1000 or 1001.
    pub close: Option<CloseCode>,
}

/// Reads the body of a `POST /send`.
///
/// # Errors
/// [`ErrorCode::ParseError`] for what is not JSON, [`ErrorCode::InvalidMessage`] for JSON that is something else.
pub fn posting(text: &str) -> Result<Posting, Refusal> {
    #[derive(Deserialize)]
    struct Written<'a> {
        n: u64,
        #[serde(borrow, default)]
        messages: Vec<&'a RawValue>,
        close: Option<u16>,
    }
    let written: Written<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    if !matches!(written.close, None | Some(1000 | 1001)) {
        return Err(Refusal::invalid("close must be 1000 or 1001"));
    }
    let messages = written.messages.into_iter();
    Ok(Posting {
        number: written.n,
        messages: messages.map(|message| message.get().into()).collect(),
        close: written.close.map(CloseCode),
    })
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    match error.classify() {
        serde_json::error::Category::Data => Refusal::invalid(
            "the body must be an object {n, messages}: a number that counts from 1, and a list of messages",
        ),
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => Refusal::new(ErrorCode::ParseError, "Invalid JSON"),
    }
}

/// `{error}`: the body of an answer that refuses.
pub fn error_body(refusal: &Refusal) -> Bytes {
    wrapped(&encode::refusal(refusal))
}

/// The same for a refusal that is written already, as an `error` message or as a reply. `None` for any other text.
pub fn error_body_of(text: &[u8]) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    const MESSAGE: &[u8] = br#"{"type":"error","#;
    if let Some(fields) = text.strip_prefix(MESSAGE) {
        return Some(wrapped(&[b"{", fields].concat()));
    }
    let Written { error } = serde_json::from_slice(text).ok()?;
    error.map(|error| wrapped(error.get().as_bytes()))
}

fn wrapped(error: &[u8]) -> Bytes {
    let mut body = Text::with_capacity(error.len() + 12);
    body.raw("{").key("error").bytes(error);
    body.close()
}
