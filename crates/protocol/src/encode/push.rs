//! Everything that reaches clients and is in no room's history.

use bytes::Bytes;
use nuncio_model::{Push, Status, Typing};

use super::text::Text;

/// A push as every receiver gets it. What it does not have (`roomId`, `userId`, `from`) is left out.
pub fn push(push: &Push) -> Bytes {
    match push {
        Push::Event {
            name,
            data,
            attachments: _,
            room,
            author,
            ts,
            compression: _,
        } => {
            let mut text = Text::message("event", name.len() + data.as_bytes().len() + 128);
            text.string("event", name).json("data", data);
            optional(&mut text, "roomId", room.as_deref());
            text.number("ts", *ts);
            optional(&mut text, "userId", author.as_deref());
            text.close()
        }
        Push::Question {
            name,
            data,
            attachments: _,
            ts,
            ack,
            compression: _,
        } => {
            let mut text = Text::message("event", name.len() + data.as_bytes().len() + 96);
            text.string("event", name).json("data", data);
            text.number("ts", *ts).number("ackId", *ack);
            text.close()
        }
        Push::Private {
            from,
            from_user,
            content,
            ts,
        } => {
            let mut text = Text::message("message:private", content.as_bytes().len() + 128);
            if let Some(from) = from {
                text.plain("from", from);
            }
            optional(&mut text, "fromUser", from_user.as_deref());
            text.json("content", content).number("ts", *ts);
            text.close()
        }
        Push::Joined { room, user } => member("user:joined", room, user).close(),
        Push::Left { room, user } => member("user:left", room, user).close(),
        Push::Typing { room, user, typing } => {
            let mut text = member("user:typing", room, user);
            text.truth("typing", matches!(typing, Typing::Started));
            text.close()
        }
        Push::Presence { user, status } => {
            let mut text = Text::message("presence:update", user.len() + 40);
            text.string("userId", user).plain("status", word(*status));
            text.close()
        }
        Push::PresenceCount { room, count } => {
            let mut text = in_room("presence:count", room);
            text.number("count", *count);
            text.close()
        }
        Push::Position {
            room,
            position,
            recovered,
            reason,
        } => {
            let mut text = in_room("room:position", room);
            text.plain("epoch", position.epoch)
                .number("seq", position.seq)
                .truth("recovered", *recovered)
                .plain("reason", reason.as_str());
            text.close()
        }
        Push::Removed { room, code } => {
            let mut text = in_room("room:removed", room);
            text.plain("code", code.as_str());
            text.close()
        }
        Push::Reconnect { after, reason } => {
            let mut text = Text::message("reconnect", reason.len() + 48);
            text.number("after", super::millis(*after))
                .string("reason", reason);
            text.close()
        }
        Push::Expiring { exp } => {
            let mut text = Text::message("auth:expiring", 32);
            text.number("exp", *exp);
            text.close()
        }
    }
}

fn in_room(kind: &'static str, room: &str) -> Text {
    let mut text = Text::message(kind, room.len() + 96);
    text.string("roomId", room);
    text
}

fn member(kind: &'static str, room: &str, user: &str) -> Text {
    let mut text = Text::message(kind, room.len() + user.len() + 48);
    text.string("roomId", room).string("userId", user);
    text
}

fn optional(text: &mut Text, key: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        text.string(key, value);
    }
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Offline => "offline",
    }
}
