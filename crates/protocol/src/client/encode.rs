//! What a client sends: the inverse of [`crate::decode()`].

use bytes::Bytes;
use nuncio_model::{
    Body, CallId, Command, HistoryQuery, JoinRequest, Position, PublishRequest, RoomName, Typing,
};

use crate::encode::text::Text;
use crate::{Incoming, JoinForm};

/// One message of a client, as unframed JSON text. Attachments of events are left out: the native protocol has no binary.
///
/// A `room:join` written with [`JoinForm::One`] has exactly one room.
///
/// # Panics
/// When a join of [`JoinForm::One`] has another number of rooms.
pub fn encode(message: &Incoming) -> Bytes {
    match message {
        Incoming::Command { id, command, form } => {
            let mut text = self::command(command, *form);
            close(text.call_if("id", id.as_ref()))
        }
        Incoming::Auth { id, token } => {
            let mut text = Text::message("auth", token.len() + 96);
            close(text.string("token", token).call_if("id", id.as_ref()))
        }
        Incoming::Resume { id, resume, rooms } => {
            let mut text = Text::message("resume", resume.len() + 96 + rooms.len() * 96);
            text.string("resume", resume);
            text.array("rooms", rooms, |text, (room, position)| {
                seen(text, room, *position)
            });
            close(text.call_if("id", id.as_ref()))
        }
        Incoming::Ping { id } => close(Text::message("ping", 96).call_if("id", id.as_ref())),
        Incoming::Answer { ack, data } => {
            let mut text = Text::with_capacity(data.as_bytes().len() + 40);
            close(text.raw("{").number("ack", *ack).json("data", data))
        }
    }
}

fn close(text: &mut Text) -> Bytes {
    std::mem::take(text).close()
}

fn command(command: &Command, form: JoinForm) -> Text {
    match command {
        Command::Join(requests) => join(requests, form),
        Command::Leave(room) => in_room("room:leave", room),
        Command::Publish(request) => publish(request),
        Command::Private { to, content } => {
            let mut text = Text::message("message:private", content.as_bytes().len() + 128);
            text.string("to", to).json("content", content);
            text
        }
        Command::Typing { room, typing } => match typing {
            Typing::Started => in_room("typing:start", room),
            Typing::Stopped => in_room("typing:stop", room),
        },
        Command::Presence { room, after, limit } => {
            let mut text = in_room("presence:get", room);
            if let Some(after) = after {
                text.string("after", after);
            }
            text.number("limit", u64::from(*limit));
            text
        }
        Command::History(query) => history(query),
        Command::Call {
            event,
            data,
            attachments: _,
        } => {
            let mut text = Text::message("event", data.as_bytes().len() + 160);
            text.string("event", event).json("data", data);
            text
        }
        Command::Refresh { token } => {
            let mut text = Text::message("auth:refresh", token.reveal().len() + 96);
            text.string("token", token.reveal());
            text
        }
    }
}

fn join(requests: &[JoinRequest], form: JoinForm) -> Text {
    let mut text = Text::message("room:join", requests.len() * 128 + 96);
    match form {
        JoinForm::One => {
            let [request] = requests else {
                panic!("a join of one room has {} rooms", requests.len());
            };
            join_fields(&mut text, request);
        }
        JoinForm::Many => {
            text.array("rooms", requests, |text, request| {
                text.raw("{");
                join_fields(text, request);
                text.end();
            });
        }
    }
    text
}

fn join_fields(text: &mut Text, request: &JoinRequest) {
    text.string("roomId", &request.room);
    if let Some(since) = request.since {
        text.key("since").raw("{");
        position(text, since).end();
    }
    if let Some(history) = request.history {
        text.number("history", u64::from(history));
    }
}

fn publish(request: &PublishRequest) -> Text {
    let mut text = match &request.body {
        Body::Chat { content } => {
            let mut text = Text::message("chat:message", request.body.len() + 256);
            text.string("roomId", &request.room)
                .json("content", content);
            text
        }
        Body::Event {
            name,
            data,
            attachments: _,
        } => {
            let mut text = Text::message("event", request.body.len() + 256);
            text.string("event", name).json("data", data);
            text.string("roomId", &request.room);
            text
        }
    };
    if let Some(key) = &request.idempotency_key {
        text.string("idempotencyKey", key);
    }
    text
}

fn history(query: &HistoryQuery) -> Text {
    let mut text = in_room("history:get", &query.room);
    let limit = query.limit.map(u64::from);
    for (key, value) in [
        ("before", query.before),
        ("after", query.after),
        ("limit", limit),
    ] {
        if let Some(value) = value {
            text.number(key, value);
        }
    }
    text
}

fn seen(text: &mut Text, room: &RoomName, seen: Position) {
    text.raw("{").string("roomId", room);
    position(text, seen).end();
}

fn position(text: &mut Text, position: Position) -> &mut Text {
    text.plain("epoch", position.epoch)
        .number("seq", position.seq)
}

fn in_room(kind: &'static str, room: &RoomName) -> Text {
    let mut text = Text::message(kind, room.len() + 128);
    text.string("roomId", room);
    text
}

impl Text {
    fn call_if(&mut self, key: &'static str, id: Option<&CallId>) -> &mut Self {
        match id {
            Some(id) => self.call(key, id),
            None => self,
        }
    }
}
