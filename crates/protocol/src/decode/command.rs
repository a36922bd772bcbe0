//! Each type of message that a client may send, and the fields it reads.

use nuncio_model::{
    Body, CallId, Command, HistoryQuery, JoinRequest, PublishRequest, Refusal, RoomLimits, Secret,
    Typing,
};

use super::field::{self, Wrong};
use super::fields::{Fields, Key};
use super::{Incoming, JoinForm, unknown_type};

/// Rooms of one `room:join`.
const ROOMS_MAX: usize = 100;

/// Whether a client may send messages of this type.
pub(crate) fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "auth"
            | "auth:refresh"
            | "resume"
            | "room:join"
            | "room:leave"
            | "chat:message"
            | "message:private"
            | "typing:start"
            | "typing:stop"
            | "presence:get"
            | "history:get"
            | "event"
            | "ping"
    )
}

/// Reads the fields of a message whose type is `kind`.
pub(crate) fn of_type(
    kind: &str,
    fields: &Fields<'_>,
    id: Option<CallId>,
) -> Result<Incoming, Refusal> {
    let command = match kind {
        "auth" => {
            let token = fields.required(Key::Token, field::secret)?;
            return Ok(Incoming::Auth { id, token });
        }
        "resume" => return resume(fields, id),
        "ping" => return Ok(Incoming::Ping { id }),
        "room:join" => return join(fields, id),
        "auth:refresh" => Command::Refresh {
            token: Secret::new(fields.required(Key::Token, field::secret)?),
        },
        "room:leave" => Command::Leave(fields.required(Key::RoomId, field::room)?),
        "chat:message" => Command::Publish(chat(fields)?),
        "message:private" => private(fields)?,
        "typing:start" => typing(fields, Typing::Started)?,
        "typing:stop" => typing(fields, Typing::Stopped)?,
        "presence:get" => presence(fields)?,
        "history:get" => Command::History(history(fields)?),
        "event" => event(fields)?,
        _ => return Err(unknown_type(kind)),
    };
    Ok(Incoming::Command {
        id,
        command,
        form: JoinForm::One,
    })
}

fn resume(fields: &Fields<'_>, id: Option<CallId>) -> Result<Incoming, Refusal> {
    let seen = |entry: &Fields<'_>| {
        let room = entry.required(Key::RoomId, field::room)?;
        Ok((room, field::position(entry)?))
    };
    let rooms = fields.optional(Key::Rooms, |raw| field::objects(raw, seen))?;
    Ok(Incoming::Resume {
        id,
        resume: fields.required(Key::Resume, field::secret)?,
        rooms: rooms.unwrap_or_default(),
    })
}

fn join(fields: &Fields<'_>, id: Option<CallId>) -> Result<Incoming, Refusal> {
    let (requests, form) = match (fields.has(Key::RoomId), fields.has(Key::Rooms)) {
        (true, true) => {
            return Err(Refusal::invalid(
                "room:join takes roomId or rooms, not both",
            ));
        }
        (false, true) => (join_many(fields)?, JoinForm::Many),
        (false, false) => {
            return Err(Refusal::invalid("room:join needs roomId or rooms"));
        }
        (true, false) => (vec![join_one(fields)?], JoinForm::One),
    };
    Ok(Incoming::Command {
        id,
        command: Command::Join(requests),
        form,
    })
}

fn join_one(fields: &Fields<'_>) -> Result<JoinRequest, Wrong> {
    Ok(JoinRequest {
        room: fields.required(Key::RoomId, field::room)?,
        since: fields.optional(Key::Since, |raw| field::position(&field::object(raw)?))?,
        history: fields.optional(Key::History, field::count)?,
    })
}

fn join_many(fields: &Fields<'_>) -> Result<Vec<JoinRequest>, Refusal> {
    let requests = fields.required(Key::Rooms, |raw| field::objects(raw, join_one))?;
    match requests.len() {
        1..=ROOMS_MAX => Ok(requests),
        len => Err(Refusal::invalid(format!(
            "rooms must be an array of 1 to {ROOMS_MAX} rooms, not {len}"
        ))),
    }
}

fn chat(fields: &Fields<'_>) -> Result<PublishRequest, Refusal> {
    Ok(PublishRequest {
        room: fields.required(Key::RoomId, field::room)?,
        body: Body::Chat {
            content: fields.any(Key::Content)?,
        },
        idempotency_key: fields.optional(Key::Idempotency, field::idempotency_key)?,
    })
}

fn private(fields: &Fields<'_>) -> Result<Command, Refusal> {
    Ok(Command::Private {
        to: fields.required(Key::To, field::user)?.as_str().into(),
        content: fields.any(Key::Content)?,
    })
}

fn typing(fields: &Fields<'_>, typing: Typing) -> Result<Command, Refusal> {
    Ok(Command::Typing {
        room: fields.required(Key::RoomId, field::room)?,
        typing,
    })
}

fn presence(fields: &Fields<'_>) -> Result<Command, Refusal> {
    let limit = fields.optional(Key::Limit, field::count)?;
    Ok(Command::Presence {
        room: fields.required(Key::RoomId, field::room)?,
        after: fields.optional(Key::After, field::user)?,
        limit: limit.unwrap_or_else(|| RoomLimits::default().presence_page_max),
    })
}

fn history(fields: &Fields<'_>) -> Result<HistoryQuery, Refusal> {
    if fields.has(Key::Before) && fields.has(Key::After) {
        return Err(Refusal::invalid(
            "history:get takes before or after, not both",
        ));
    }
    Ok(HistoryQuery {
        room: fields.required(Key::RoomId, field::room)?,
        before: fields.optional(Key::Before, field::safe_integer)?,
        after: fields.optional(Key::After, field::safe_integer)?,
        limit: fields.optional(Key::Limit, field::count)?,
    })
}

fn event(fields: &Fields<'_>) -> Result<Command, Refusal> {
    let name = fields.required(Key::Event, field::event)?;
    let data = fields.any_or_null(Key::Data);
    let attachments = Box::default();
    let Some(room) = fields.optional(Key::RoomId, field::room)? else {
        return Ok(Command::Call {
            event: name,
            data,
            attachments,
        });
    };
    Ok(Command::Publish(PublishRequest {
        room,
        body: Body::Event {
            name,
            data,
            attachments,
        },
        idempotency_key: fields.optional(Key::Idempotency, field::idempotency_key)?,
    }))
}
