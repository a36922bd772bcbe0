//! The one answer to a call.

use std::sync::Arc;

use bytes::Bytes;
use nuncio_model::{
    CallId, Joined, Position, PresencePage, Publication, Published, Refusal, Reply, RoomName,
};

use super::{publication, text::Text};
use crate::JoinForm;

/// `{ack, data}`: a call succeeded. `form` is how its `room:join` was written; with [`JoinForm::One`] a refused room is a refused call.
pub fn reply(id: &CallId, reply: &Reply, form: JoinForm) -> Bytes {
    if let (Reply::Joined(rooms), JoinForm::One) = (reply, form)
        && let [Err((_, refusal))] = rooms.as_slice()
    {
        return reply_error(id, refusal);
    }
    let mut text = Text::with_capacity(len(reply) + 80);
    text.raw("{").call("ack", id).key("data");
    data(&mut text, reply, form);
    text.close()
}

/// The `data` of a reply alone, for dialects whose acknowledgements are not messages.
pub fn reply_data(reply: &Reply, form: JoinForm) -> Bytes {
    let mut text = Text::with_capacity(len(reply) + 1);
    data(&mut text, reply, form);
    text.into_bytes()
}

/// A refusal alone, as it stands in the `error` of a reply.
pub fn refusal(refusal: &Refusal) -> Bytes {
    let mut text = Text::with_capacity(refusal.message.len() + 128);
    refusal_object(&mut text, refusal);
    text.into_bytes()
}

/// `{ack, error}`: a call was refused.
pub fn reply_error(id: &CallId, refusal: &Refusal) -> Bytes {
    let mut text = Text::with_capacity(refusal.message.len() + 160);
    text.raw("{").call("ack", id).key("error");
    refusal_object(&mut text, refusal);
    text.close()
}

/// `{type:"error"}`: a message without an `id` was refused.
pub fn error(refusal: &Refusal) -> Bytes {
    let mut text = Text::message("error", refusal.message.len() + 128);
    refusal_fields(&mut text, refusal);
    text.close()
}

/// The refusal of a message with or without an `id`: [`reply_error`] or [`error`].
pub fn refuse(id: Option<&CallId>, refusal: &Refusal) -> Bytes {
    match id {
        Some(id) => reply_error(id, refusal),
        None => error(refusal),
    }
}

fn data(text: &mut Text, reply: &Reply, form: JoinForm) {
    match reply {
        Reply::Done => {
            ok(text).end();
        }
        Reply::Joined(rooms) => joined(text, rooms, form),
        Reply::Published(stored) => published(text, stored),
        Reply::Sent { sessions } => {
            ok(text).number("sessions", u64::from(*sessions)).end();
        }
        Reply::Presence(page) => presence(text, page),
        Reply::History {
            position,
            publications,
        } => history(text, *position, publications),
        Reply::Answer {
            data,
            attachments: _,
        } => {
            text.raw(data.as_str());
        }
        Reply::Refreshed { exp } => {
            ok(text);
            if let Some(exp) = exp {
                text.number("exp", *exp);
            }
            text.end();
        }
    }
}

fn ok(text: &mut Text) -> &mut Text {
    text.raw("{").plain("status", "ok")
}

fn joined(text: &mut Text, rooms: &[Result<Joined, (RoomName, Refusal)>], form: JoinForm) {
    match (form, rooms) {
        (JoinForm::One, [only]) => joined_room(text, only),
        (JoinForm::One | JoinForm::Many, _) => {
            text.raw("{").array("rooms", rooms, joined_room).end();
        }
    }
}

fn joined_room(text: &mut Text, room: &Result<Joined, (RoomName, Refusal)>) {
    match room {
        Ok(joined) => text
            .raw("{")
            .string("roomId", &joined.room)
            .plain("epoch", joined.position.epoch)
            .number("seq", joined.position.seq)
            .truth("recovered", joined.recovered)
            .number("members", joined.members)
            .end(),
        Err((room, refusal)) => {
            text.raw("{").string("roomId", room).key("error");
            refusal_object(text, refusal);
            text.end()
        }
    };
}

fn published(text: &mut Text, stored: &Published) {
    ok(text)
        .plain("id", stored.id)
        .plain("epoch", stored.position.epoch)
        .number("seq", stored.position.seq)
        .number("ts", stored.ts)
        .end();
}

fn presence(text: &mut Text, page: &PresencePage) {
    text.raw("{").number("count", page.count);
    if let Some(members) = &page.members {
        text.array("users", members, |text, member| {
            text.raw("{")
                .string("userId", &member.user)
                .number("sessions", u64::from(member.sessions))
                .end();
        });
    }
    if let Some(next) = &page.next {
        text.string("next", next);
    }
    text.end();
}

fn history(text: &mut Text, position: Position, publications: &[Arc<Publication>]) {
    text.raw("{")
        .plain("epoch", position.epoch)
        .number("seq", position.seq)
        .array("messages", publications, |text, message| {
            publication::write(text, message);
            text.end();
        })
        .end();
}

fn refusal_object(text: &mut Text, refusal: &Refusal) {
    text.raw("{");
    refusal_fields(text, refusal);
    text.end();
}

fn refusal_fields(text: &mut Text, refusal: &Refusal) {
    text.plain("code", refusal.code.as_str())
        .string("message", &refusal.message);
    if let Some(after) = refusal.retry_after {
        text.number("retryAfter", super::millis(after));
    }
    if let Some(data) = &refusal.data {
        text.json("data", data);
    }
}

/// About how long the `data` of a reply gets.
fn len(reply: &Reply) -> usize {
    match reply {
        Reply::Done | Reply::Sent { .. } | Reply::Refreshed { .. } => 48,
        Reply::Published(_) => 112,
        Reply::Joined(rooms) => rooms.len() * 128,
        Reply::Presence(page) => {
            page.members
                .as_ref()
                .map_or(0, |members| members.len() * 48)
                + 64
        }
        Reply::History { publications, .. } => {
            let lens = publications
                .iter()
                .map(|message| publication::len(message) + 2);
            lens.sum::<usize>() + 64
        }
        Reply::Answer { data, .. } => data.as_bytes().len(),
    }
}
