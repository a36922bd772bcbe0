//! What the events of a Socket.IO client mean: commands of the native protocol under other names.

use bytes::Bytes;
use nuncio_model::{Body, Command, EventName, Json, PublishRequest, Refusal};
use nuncio_protocol::{Incoming, JoinForm, Undecodable};
use nuncio_socketio::Event;

/// Events with a meaning of their own, and the type of the native message that each is. All others are the application's.
const BUILT_IN: [(&str, &str); 10] = [
    ("room:join", "room:join"),
    ("room:leave", "room:leave"),
    ("message:send", "chat:message"),
    ("message:private", "message:private"),
    ("typing:start", "typing:start"),
    ("typing:stop", "typing:stop"),
    ("presence:get", "presence:get"),
    ("history:get", "history:get"),
    ("auth:refresh", "auth:refresh"),
    ("event", "event"),
];

/// Reads an event as the native message that it stands for, with the same checks.
///
/// The first argument of a built-in event is an object with the fields of that message; a text is short for `{roomId: text}`.
pub(crate) fn command_of(event: &Event) -> Result<(Command, JoinForm), Refusal> {
    let name = event.name();
    let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
    let text = match built_in {
        Some((_, kind)) => native(kind, &fields(event)),
        None => native("event", &call(&name, event)),
    };
    match nuncio_protocol::decode(&text) {
        Ok(Incoming::Command { command, form, .. }) => {
            let attachments = event.payload().attachments();
            Ok((with_attachments(command, attachments)?, form))
        }
        Ok(incoming) => unreachable!("a built-in event was read as {incoming:?}"),
        Err(Undecodable { refusal, .. }) => Err(refusal),
    }
}

/// Reads an event as a call of the program's handler, whatever its name.
pub(crate) fn call_of(event: &Event) -> Result<Command, Refusal> {
    let args = event.args_json();
    let args = std::str::from_utf8(&args).expect("the arguments of an event are JSON");
    let data = match event.args()[..] {
        [only] if !only.get().starts_with('[') => only.get().to_owned(),
        _ => format!("[{args}]"),
    };
    Json::check_depth(&data)?;
    Ok(Command::Call {
        event: EventName::parse(&event.name())?,
        data: Json::from_checked(data.into()),
        attachments: event.payload().attachments().into(),
    })
}

/// The acknowledgement form of a native message; its `id` is asked for and not used.
fn native(kind: &str, fields: &str) -> String {
    format!(r#"{{"id":0,"event":"{kind}","data":{fields}}}"#)
}

fn fields(event: &Event) -> String {
    match event.args().first().map(|arg| arg.get()) {
        None => "{}".to_owned(),
        Some(text) if text.starts_with('"') => format!(r#"{{"roomId":{text}}}"#),
        Some(object) => object.to_owned(),
    }
}

/// One argument that is not an array stands for itself, anything else is the list of arguments.
fn call(name: &str, event: &Event) -> String {
    let name = serde_json::Value::from(name);
    let args = event.args_json();
    let args = std::str::from_utf8(&args).expect("the arguments of an event are JSON");
    match event.args()[..] {
        [only] if !only.get().starts_with('[') => format!(r#"{{"event":{name},"data":{args}}}"#),
        _ => format!(r#"{{"event":{name},"data":[{args}]}}"#),
    }
}

/// Binary data goes with events, which Socket.IO clients get as it was; a chat message is JSON for everyone.
fn with_attachments(command: Command, binary: &[Bytes]) -> Result<Command, Refusal> {
    if binary.is_empty() {
        return Ok(command);
    }
    match command {
        Command::Publish(PublishRequest {
            room,
            body: Body::Event { name, data, .. },
            idempotency_key,
        }) => {
            let attachments = binary.into();
            Ok(Command::Publish(PublishRequest {
                room,
                body: Body::Event {
                    name,
                    data,
                    attachments,
                },
                idempotency_key,
            }))
        }
        Command::Call { event, data, .. } => Ok(Command::Call {
            event,
            data,
            attachments: binary.into(),
        }),
        Command::Publish(_)
        | Command::Private { .. }
        | Command::Join(_)
        | Command::Leave(_)
        | Command::Typing { .. }
        | Command::Presence { .. }
        | Command::History(_)
        | Command::Refresh { .. } => Err(Refusal::invalid(
            "binary data: only events may have it, as in emit(\"event\", {event, data, roomId})",
        )),
    }
}
