//! The first messages of a connection: who the server is, who the client is, where its rooms stand.

use bytes::Bytes;
use nuncio_model::{
    ConnectionLimits, Identity, Position, RateLimits, ResumeToken, RoomName, SocketId,
};

use super::{millis, text::Text};
use crate::VERSION;

/// What `welcome` tells.
#[derive(Debug, Clone, Copy)]
pub struct Welcome<'a> {
    /// The session's public id.
    pub id: SocketId,
    /// Heartbeat, size and rooms.
    pub connection: &'a ConnectionLimits,
    /// Rate and burst.
    pub rate: &'a RateLimits,
    /// Messages that a room keeps.
    pub history_max: usize,
    /// The server's name and version.
    pub server: &'a str,
    /// The token to resume with, once the client is authenticated.
    pub resume: Option<&'a ResumeToken>,
}

/// `welcome`, the first message of every connection.
pub fn welcome(welcome: &Welcome<'_>) -> Bytes {
    let (connection, rate) = (welcome.connection, welcome.rate);
    let mut text = Text::message("welcome", welcome.server.len() + 320);
    text.plain("id", welcome.id)
        .number("protocol", u64::from(VERSION));
    text.key("heartbeat")
        .raw("{")
        .number("interval", millis(connection.heartbeat_interval))
        .number("timeout", millis(connection.heartbeat_timeout))
        .end();
    text.key("limits")
        .raw("{")
        .number("messageBytes", connection.message_bytes_max as u64)
        .number("rooms", connection.rooms_max as u64)
        .number("ratePerSecond", u64::from(rate.per_second))
        .number("burst", u64::from(rate.burst))
        .number("historyMax", welcome.history_max as u64)
        .end();
    text.string("server", welcome.server);
    if let Some(token) = welcome.resume {
        text.plain("resume", token.reveal());
    }
    text.close()
}

/// `auth_ok`: who the client is, until when, and how to resume. Never the token itself.
pub fn auth_ok(identity: &Identity, resume: &ResumeToken) -> Bytes {
    let profile_len = identity
        .profile
        .as_ref()
        .map_or(0, |json| json.as_bytes().len());
    let mut text = Text::message("auth_ok", identity.user.len() + profile_len + 128);
    text.key("user").raw("{").string("sub", &identity.user);
    if let Some(profile) = &identity.profile {
        text.json("info", profile);
    }
    text.end();
    if let Some(exp) = identity.exp {
        text.number("exp", exp);
    }
    text.plain("resume", resume.reveal());
    text.close()
}

/// Where a room of a resumed session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The room.
    pub room: RoomName,
    /// Its newest position.
    pub position: Position,
    /// Whether all that was missed follows.
    pub recovered: bool,
}

/// `resumed`: the session was taken over under the `id` that it had; `resume` is the token for the next time.
pub fn resumed(resume: &ResumeToken, rooms: &[Recovery]) -> Bytes {
    let mut text = Text::message("resumed", 112 + rooms.len() * 112);
    text.plain("id", resume.socket)
        .plain("resume", resume.reveal());
    text.array("rooms", rooms, |text, room| {
        text.raw("{")
            .string("roomId", &room.room)
            .plain("epoch", room.position.epoch)
            .number("seq", room.position.seq)
            .truth("recovered", room.recovered)
            .end();
    });
    text.close()
}
