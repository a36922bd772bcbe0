//! Everything as JSON objects, for programs.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Content, Happening, close_code_meaning};

/// One line.
pub(super) fn line(happening: &Happening, at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let object = Object {
        ts: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        body: Body::of(happening),
    };
    let json = serde_json::to_string(&object).expect("its fields have text as their names");
    format!("{json}\n")
}

#[derive(Serialize)]
struct Object<'a> {
    /// Milliseconds since the Unix epoch.
    ts: u64,
    #[serde(flatten)]
    body: Body<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Body<'a> {
    Open {
        url: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    Message(Said<'a>),
    Sent(Said<'a>),
    Event {
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        args: Box<RawValue>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ack: Option<u64>,
    },
    Answer {
        to: &'a str,
        args: Box<RawValue>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<String>,
    },
    Ping {
        payload: String,
    },
    Pong {
        payload: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        ms: Option<f64>,
    },
    Waiting {
        ms: u64,
    },
    Close {
        code: u16,
        meaning: &'static str,
        reason: &'a str,
    },
    Error {
        message: &'a str,
    },
    Notice {
        message: &'a str,
    },
}

/// A message: as JSON where it is an object or an array, else as text, or in base64.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Said<'a> {
    Json(Box<RawValue>),
    Text(&'a str),
    Binary(String),
}

impl<'a> Body<'a> {
    fn of(happening: &'a Happening) -> Self {
        match happening {
            Happening::Open { url, detail } => Self::Open {
                url,
                detail: detail.as_deref(),
            },
            Happening::Message(content) => Self::Message(Said::of(content)),
            Happening::Sent(content) => Self::Sent(Said::of(content)),
            Happening::Event {
                namespace,
                json,
                attachments,
                ack,
            } => Self::Event {
                namespace: namespace.as_deref(),
                args: embedded(json),
                attachments: attachments
                    .iter()
                    .map(|bytes| STANDARD.encode(bytes))
                    .collect(),
                ack: *ack,
            },
            Happening::Answer {
                to,
                json,
                attachments,
            } => Self::Answer {
                to,
                args: embedded(json),
                attachments: attachments
                    .iter()
                    .map(|bytes| STANDARD.encode(bytes))
                    .collect(),
            },
            Happening::Ping(payload) => Self::Ping {
                payload: String::from_utf8_lossy(payload).into_owned(),
            },
            Happening::Pong { payload, took } => Self::Pong {
                payload: String::from_utf8_lossy(payload).into_owned(),
                ms: took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
            },
            Happening::Waiting { delay } => Self::Waiting {
                ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            },
            Happening::Closed { code, reason } => Self::Close {
                code: *code,
                meaning: close_code_meaning(*code),
                reason,
            },
            Happening::Problem(message) => Self::Error { message },
            Happening::Notice(message) => Self::Notice { message },
        }
    }
}

impl<'a> Said<'a> {
    fn of(content: &'a Content) -> Self {
        match content {
            Content::Binary(bytes) => Self::Binary(STANDARD.encode(bytes)),
            Content::Text(text) if text.trim_start().starts_with(['{', '[']) => {
                match super::super::json::tokens(text) {
                    Some(_) => Self::Json(embedded(text)),
                    None => Self::Text(text),
                }
            }
            Content::Text(text) => Self::Text(text),
        }
    }
}

/// On one line, in its own order and spelling.
fn embedded(json: &str) -> Box<RawValue> {
    RawValue::from_string(super::one_line(json)).unwrap_or_else(|_| {
        let text = serde_json::Value::from(json).to_string();
        RawValue::from_string(text).expect("a JSON string is JSON")
    })
}
