//! What is under way in a Socket.IO conversation: namespaces that open, events that go out, answers that are waited for.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use nuncio_client::socketio::{AckId, Args, Client, Event, Events, Payload, Socket};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::super::super::input::{Argument, Source};

/// One thing that is under way.
pub(super) type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What came of it.
pub(super) enum Done {
    Opened(String, Socket),
    Resolved(Kind, Args),
    Sent(Result<(), String>),
    Answered(String, Result<Args, String>),
    Failed(String),
}

/// What is to go out.
pub(super) enum Kind {
    Emit(String),
    Ask(String),
    Answer(String, AckId),
}

/// The namespaces of one conversation.
pub(super) struct Namespaces {
    /// `None` while it opens.
    sockets: BTreeMap<String, Option<Socket>>,
    connected: Vec<String>,
    current: String,
    tell: mpsc::Sender<(String, Event)>,
}

impl Namespaces {
    pub(super) const fn new(tell: mpsc::Sender<(String, Event)>) -> Self {
        Self {
            sockets: BTreeMap::new(),
            connected: Vec::new(),
            current: String::new(),
            tell,
        }
    }

    /// Talks in a namespace that is open already. Answers whether it is.
    pub(super) fn turn_to(&mut self, name: &str) -> bool {
        let is_open = self.sockets.contains_key(name);
        if is_open {
            name.clone_into(&mut self.current);
        }
        is_open
    }

    /// Connects to another namespace and talks there.
    pub(super) fn open(&mut self, client: &Client, name: &str) -> Work {
        name.clone_into(&mut self.current);
        self.sockets.insert(name.to_owned(), None);
        let (client, name, tell) = (client.clone(), name.to_owned(), self.tell.clone());
        Box::pin(async move {
            match client.socket(&name).await {
                Ok((socket, events)) => {
                    tokio::spawn(forward(name.clone(), events, tell));
                    Done::Opened(name, socket)
                }
                Err(error) => Done::Failed(format!("{name}: {error}")),
            }
        })
    }

    pub(super) fn handle_opened(&mut self, name: String, socket: Socket) {
        self.sockets.insert(name, Some(socket));
    }

    pub(super) fn handle_connected(&mut self, name: &str) {
        self.connected.push(name.to_owned());
    }

    pub(super) fn handle_lost(&mut self, name: &str) {
        self.connected.retain(|connected| connected != name);
    }

    /// It does not come back. Answers whether it was the last.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.sockets.remove(name);
        if self.current == name
            && let Some(other) = self.sockets.keys().next()
        {
            other.clone_into(&mut self.current);
        }
        self.sockets.is_empty()
    }

    /// Whether the namespace that one talks in is connected.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.contains(&self.current)
    }

    /// Where something goes: answers to where the question came from.
    pub(super) fn socket(&self, kind: &Kind) -> Option<Socket> {
        let name = match kind {
            Kind::Emit(_) | Kind::Ask(_) => &self.current,
            Kind::Answer(namespace, _) => namespace,
        };
        self.sockets.get(name)?.clone()
    }
}

/// All namespaces' events in one channel, whose bound holds the server back.
async fn forward(name: String, mut events: Events, tell: mpsc::Sender<(String, Event)>) {
    while let Some(event) = events.next().await {
        if tell.send((name.clone(), event)).await.is_err() {
            return;
        }
    }
}

/// Reads what stands in files.
pub(super) fn resolve(kind: Kind, arguments: Vec<Argument>) -> Work {
    Box::pin(async move {
        let mut args = Args::new();
        for argument in arguments {
            args = match argument {
                Argument::Json(json) => with_json(args, &json),
                Argument::Binary(source) => match read(source).await {
                    Ok(bytes) => args.binary(bytes),
                    Err(problem) => return Done::Sent(Err(problem)),
                },
            };
        }
        Done::Resolved(kind, args)
    })
}

/// A value as it was written: its keys keep their order, its numbers their spelling.
fn with_json(args: Args, json: &str) -> Args {
    let list = String::from_utf8_lossy(args.payload().json()).into_owned();
    let inner = list.strip_suffix(']').unwrap_or(&list);
    let comma = if args.is_empty() { "" } else { "," };
    let whole = format!("{inner}{comma}{json}]");
    Payload::new(whole, args.payload().attachments().to_vec()).into()
}

async fn read(source: Source) -> Result<Bytes, String> {
    match source {
        Source::Bytes(bytes) => Ok(bytes),
        Source::File(path) => {
            let bytes = tokio::fs::read(&path).await;
            let bytes =
                bytes.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            Ok(bytes.into())
        }
        Source::Stdin => {
            let mut bytes = Vec::new();
            let read = tokio::io::stdin().read_to_end(&mut bytes).await;
            read.map_err(|error| format!("standard input cannot be read: {error}"))?;
            Ok(bytes.into())
        }
    }
}

/// Sends, and waits for the acknowledgement where one is wanted.
pub(super) fn send(socket: Socket, kind: Kind, args: Args, timeout: Duration) -> Work {
    Box::pin(async move {
        match kind {
            Kind::Emit(name) => {
                let sent = socket.emit(&name, args).await;
                Done::Sent(sent.map_err(|error| format!("{name}: {error}")))
            }
            Kind::Ask(name) => {
                let answered = socket.timeout(timeout).emit_with_ack(&name, args).await;
                Done::Answered(name, answered.map_err(|error| error.to_string()))
            }
            Kind::Answer(_, ack) => {
                let sent = socket.answer(ack, args).await;
                Done::Sent(sent.map_err(|error| error.to_string()))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_their_spelling_and_binary_ones_their_place() {
        let args = with_json(Args::new(), r#"{"b":1.50,"a":2}"#).binary(vec![1]);
        let args = with_json(args, "null");

        let json = std::str::from_utf8(args.payload().json()).unwrap();
        assert_eq!(
            json,
            r#"[{"b":1.50,"a":2},{"_placeholder":true,"num":0},null]"#
        );
        assert_eq!(args.payload().attachments(), [Bytes::from_static(&[1])]);
    }
}
