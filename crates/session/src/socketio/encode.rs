//! What Socket.IO clients receive, encoded once for all that get it.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use nuncio_model::{Body, EventName, Json, Offset, Publication, Push, Refusal, Reply, UserId};
use nuncio_protocol::{JoinForm, encode};
use nuncio_socketio::encode::{Encoded, ack, event};
use nuncio_socketio::payload::RESERVED_EVENTS;
use nuncio_socketio::{Namespace, Parser, Payload};

/// A message of a room: `message:new`, or the application's event under its own name.
///
/// `offset` is its last argument, where connection states can be recovered: the reference's clients give the last text of any event back.
pub fn publication(parser: Parser, publication: &Publication, offset: Option<Offset>) -> Encoded {
    let namespace = Namespace::new(&publication.namespace);
    match &publication.body {
        Body::Chat { .. } => {
            let message = encode::publication(publication);
            named(parser, &namespace, "message:new", &message, offset)
        }
        Body::Event {
            name,
            data,
            attachments,
        } => {
            let name = name_of(name, publication.author.as_ref());
            own_event(parser, &namespace, None, &name, data, attachments, offset)
        }
    }
}

/// Everything else: the native message's type is the name, its fields are the one argument; `offset` as in [`publication`].
pub fn push(parser: Parser, namespace: &str, push: &Push, offset: Option<Offset>) -> Encoded {
    let namespace = Namespace::new(namespace);
    let name = match push {
        Push::Event {
            name,
            data,
            attachments,
            author,
            ..
        } => {
            let name = name_of(name, author.as_ref());
            return own_event(parser, &namespace, None, &name, data, attachments, offset);
        }
        Push::Question {
            name,
            data,
            attachments,
            ack,
            ts: _,
            compression: _,
        } => {
            let (id, name) = (Some(*ack), name_of(name, None));
            // What is lost with the connection is answered by nobody: it has no place in the order.
            return own_event(parser, &namespace, id, &name, data, attachments, None);
        }
        Push::Private { .. } => "message:private",
        Push::Joined { .. } => "user:joined",
        Push::Left { .. } => "user:left",
        Push::Typing { .. } => "user:typing",
        Push::Presence { .. } => "presence:update",
        Push::PresenceCount { .. } => "presence:count",
        Push::Position { .. } => "room:position",
        Push::Removed { .. } => "room:removed",
        Push::Reconnect { .. } => "server:reconnect",
        Push::Expiring { .. } => "auth:expiring",
    };
    named(parser, &namespace, name, &encode::push(push), offset)
}

/// The acknowledgement of a call that succeeded: the native reply's `data` with a `status`. What a handler answers is as it is; an array is the list of
/// arguments.
pub(crate) fn reply(
    parser: Parser,
    namespace: &Namespace,
    id: u64,
    reply: &Reply,
    form: JoinForm,
) -> Encoded {
    let args = match reply {
        Reply::Answer { data, attachments } if data.as_str().starts_with('[') => {
            Payload::new(data.as_bytes().clone(), attachments.to_vec())
        }
        Reply::Answer { data, attachments } => array(data.as_bytes(), attachments.to_vec()),
        Reply::Done
        | Reply::Joined(_)
        | Reply::Published(_)
        | Reply::Sent { .. }
        | Reply::Presence(_)
        | Reply::History { .. }
        | Reply::Refreshed { .. } => {
            let data = encode::reply_data(reply, form);
            let is_told = data.starts_with(br#"{"status""#);
            let data = if is_told {
                data
            } else {
                with_status("ok", &data)
            };
            array(&data, Vec::new())
        }
    };
    ack(parser, namespace, id, &args)
}

/// The acknowledgement of a call that was refused: `{status:"error", code, message, …}`.
pub(crate) fn refused(
    parser: Parser,
    namespace: &Namespace,
    id: u64,
    refusal: &Refusal,
) -> Encoded {
    let json = with_status("error", &encode::refusal(refusal));
    ack(parser, namespace, id, &array(&json, Vec::new()))
}

/// The event `error`: the refusal of what asked for no acknowledgement.
pub(crate) fn error(parser: Parser, namespace: &Namespace, refusal: &Refusal) -> Encoded {
    let json = encode::refusal(refusal);
    event(parser, namespace, None, "error", &json, &[])
}

/// A native message as an event: `{"type":"x","roomId":…}` becomes `"x",{"roomId":…}`.
fn named(
    parser: Parser,
    namespace: &Namespace,
    name: &str,
    message: &[u8],
    offset: Option<Offset>,
) -> Encoded {
    let fields = message
        .iter()
        .position(|&byte| byte == b',')
        .map_or(&b"}"[..], |comma| &message[comma + 1..]);
    let mut args = BytesMut::with_capacity(fields.len() + 1);
    args.put_u8(b'{');
    args.put_slice(fields);
    put_offset(&mut args, offset);
    event(parser, namespace, None, name, &args, &[])
}

/// An application's event: an array is the list of its arguments, anything else its one argument.
fn own_event(
    parser: Parser,
    namespace: &Namespace,
    id: Option<u64>,
    name: &str,
    data: &Json,
    binary: &[Bytes],
    offset: Option<Offset>,
) -> Encoded {
    let text = data.as_str().trim();
    let args = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let mut args = Cow::Borrowed(args.trim().as_bytes());
    if offset.is_some() {
        let mut more = BytesMut::from(&args[..]);
        put_offset(&mut more, offset);
        args = more.to_vec().into();
    }
    event(parser, namespace, id, name, &args, binary)
}

/// Adds the last argument.
fn put_offset(args: &mut BytesMut, offset: Option<Offset>) {
    let Some(offset) = offset else { return };
    if !args.is_empty() {
        args.put_u8(b',');
    }
    args.put_slice(format!("\"{offset}\"").as_bytes());
}

/// Names that clients take for their own life cycle get a prefix, and so do those that only the server says when a client published the event: it could
/// otherwise forge a message of somebody else, or a lost connection. What the server's program or the backend emits keeps its name.
fn name_of<'a>(name: &'a EventName, author: Option<&UserId>) -> Cow<'a, str> {
    let is_forged = author.is_some() && SERVER_EVENTS.contains(&name.as_str());
    if is_forged || RESERVED_EVENTS.contains(&name.as_str()) {
        format!("event:{name}").into()
    } else {
        name.as_str().into()
    }
}

/// What the server itself emits.
const SERVER_EVENTS: [&str; 12] = [
    "message:new",
    "message:private",
    "user:joined",
    "user:left",
    "user:typing",
    "presence:update",
    "presence:count",
    "room:position",
    "room:removed",
    "server:reconnect",
    "auth:expiring",
    "error",
];

fn with_status(status: &str, object: &[u8]) -> Bytes {
    let mut json = BytesMut::with_capacity(object.len() + 24);
    json.put_slice(br#"{"status":""#);
    json.put_slice(status.as_bytes());
    json.put_slice(br#"","#);
    json.put_slice(&object[1..]);
    json.freeze()
}

fn array(json: &[u8], attachments: Vec<Bytes>) -> Payload {
    let mut array = BytesMut::with_capacity(json.len() + 2);
    array.put_u8(b'[');
    array.put_slice(json);
    array.put_u8(b']');
    Payload::new(array, attachments)
}
