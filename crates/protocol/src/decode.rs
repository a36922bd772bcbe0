//! What a client says: one text, one [`Incoming`] or one [`Undecodable`].
//!
//! The text is walked once for its depth and once by the parser, which keeps the known fields as slices of it. Only the fields that the
//! message's type reads are looked at: a wrong `limit` in a `typing:start` is an unknown field, and unknown fields are ignored.

mod command;
mod field;
mod fields;
mod number;
mod unicode;

use std::fmt;

use nuncio_model::{CallId, Command, ErrorCode, Json, Position, Refusal, RoomName, quote};
use serde::de::IgnoredAny;

use self::fields::{Fields, Key};

/// One message of a client, checked.
#[derive(Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Something to do.
    Command {
        /// Under which to reply; without it only failures are told.
        id: Option<CallId>,
        /// What to do.
        command: Command,
        /// How a `room:join` was written, which decides how its reply is; [`JoinForm::One`] for everything else.
        form: JoinForm,
    },
    /// `auth`: first-message authentication.
    Auth {
        /// As in [`Command`](Self::Command).
        id: Option<CallId>,
        /// The token. Never logged.
        token: Box<str>,
    },
    /// `resume`: take a session over.
    Resume {
        /// As in [`Command`](Self::Command).
        id: Option<CallId>,
        /// The resume token as written. Never logged.
        resume: Box<str>,
        /// What was last seen, by room.
        rooms: Vec<(RoomName, Position)>,
    },
    /// `ping`.
    Ping {
        /// As in [`Command`](Self::Command).
        id: Option<CallId>,
    },
    /// `{ack, data}`: the answer to what the server asked with `ackId`.
    Answer {
        /// The `ackId`.
        ack: u64,
        /// The answer; `null` when it was left out.
        data: Json,
    },
}

/// How a `room:join` names its rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JoinForm {
    /// One, in `roomId`: the reply's `data` is that room, or the reply is an error.
    #[default]
    One,
    /// A list, in `rooms`: the reply's `data` is `{rooms}`, in which single rooms may be refused.
    Many,
}

/// A message that cannot be understood, and what to tell its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// The message's `id`, when it had a valid one: the refusal is then its reply.
    pub id: Option<CallId>,
    /// The answer.
    pub refusal: Refusal,
}

/// Reads one message.
///
/// # Errors
/// [`Undecodable`]: [`ParseError`](ErrorCode::ParseError) for what is not JSON, [`InvalidMessage`](ErrorCode::InvalidMessage) for JSON that
/// is no message or has a wrong field, [`UnknownType`](ErrorCode::UnknownType). The conversation goes on in each case.
pub fn decode(text: &str) -> Result<Incoming, Undecodable> {
    let fields = read(text).map_err(|refusal| Undecodable { id: None, refusal })?;
    let id = call_id(&fields).map_err(|refusal| Undecodable { id: None, refusal })?;
    incoming(&fields, id.clone())
        .and_then(|incoming| unicode::check(text).map(|()| incoming))
        .and_then(|incoming| number::check(text).map(|()| incoming))
        .map_err(|refusal| Undecodable { id, refusal })
}

/// Checks JSON that reaches clients by another way than a message of the protocol, by the same rules (`docs/protocol.md`, "What counts as JSON").
///
/// # Errors
/// [`ParseError`](ErrorCode::ParseError) or [`InvalidMessage`](ErrorCode::InvalidMessage), naming what strict parsers could not read.
pub fn check_json(text: &str) -> Result<(), Refusal> {
    Json::check_depth(text)?;
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Err(Refusal::new(ErrorCode::ParseError, "Invalid JSON"));
    }
    unicode::check(text)?;
    number::check(text)
}

fn read(text: &str) -> Result<Fields<'_>, Refusal> {
    Json::check_depth(text)?;
    serde_json::from_str(text).map_err(|_| unreadable(text))
}

/// Tells text that is not JSON from JSON that is not an object with Unicode keys.
fn unreadable(text: &str) -> Refusal {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Refusal::new(ErrorCode::ParseError, "Invalid JSON");
    }
    unicode::check(text).err().unwrap_or_else(no_type)
}

fn no_type() -> Refusal {
    Refusal::invalid("Message must have a type field")
}

fn call_id(fields: &Fields<'_>) -> Result<Option<CallId>, Refusal> {
    Ok(fields.optional(Key::Id, field::call_id)?)
}

fn incoming(fields: &Fields<'_>, id: Option<CallId>) -> Result<Incoming, Refusal> {
    if let Some(kind) = fields.optional(Key::Type, field::string)? {
        return match &*kind {
            "" => Err(no_type()),
            _ => command::of_type(&kind, fields, id),
        };
    }
    if fields.has(Key::Ack) {
        return answer(fields);
    }
    match fields.optional(Key::Event, field::string)? {
        Some(event) if id.is_some() => acknowledged(&event, fields, id),
        _ => Err(no_type()),
    }
}

/// The acknowledgement form `{id, event, data}`: `data` holds the fields of a message of type `event`.
fn acknowledged(event: &str, outer: &Fields<'_>, id: Option<CallId>) -> Result<Incoming, Refusal> {
    if !command::is_known(event) {
        return Err(unknown_type(event));
    }
    let inner = match outer.raw(Key::Data) {
        Some(data) => field::object(data).map_err(|wrong| wrong.inside(Key::Data))?,
        None => Fields::default(),
    };
    command::of_type(event, &inner, id)
}

fn answer(fields: &Fields<'_>) -> Result<Incoming, Refusal> {
    Ok(Incoming::Answer {
        ack: fields.required(Key::Ack, field::safe_integer)?,
        data: fields.any_or_null(Key::Data),
    })
}

fn unknown_type(kind: &str) -> Refusal {
    let message = format!("Unknown message type {}", quote(kind));
    Refusal::new(ErrorCode::UnknownType, message)
}

/// Shows everything but tokens.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command {
                id,
                command: Command::Refresh { token: _ },
                form: _,
            } => write!(f, "Command {{ id: {id:?}, command: Refresh(secret) }}"),
            Self::Command { id, command, form } => f
                .debug_struct("Command")
                .field("id", id)
                .field("command", command)
                .field("form", form)
                .finish(),
            Self::Auth { id, token: _ } => write!(f, "Auth {{ id: {id:?}, secret }}"),
            Self::Resume {
                id,
                resume: _,
                rooms,
            } => write!(f, "Resume {{ id: {id:?}, rooms: {rooms:?}, secret }}"),
            Self::Ping { id } => write!(f, "Ping {{ id: {id:?} }}"),
            Self::Answer { ack, data } => write!(f, "Answer {{ ack: {ack}, data: {data:?} }}"),
        }
    }
}
