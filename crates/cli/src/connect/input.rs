//! What one line means: a message, or a command that begins with a slash. Nothing here reads a file or a socket.

mod binary;
mod native;
mod socketio;

use bytes::Bytes;

pub(super) use binary::Source;
pub(super) use native::Order as NativeOrder;
pub(super) use socketio::{Argument, Order as SocketIoOrder};

/// What is spoken in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Any WebSocket.
    Raw,
    /// nuncio's own protocol.
    Native,
    /// Socket.IO 5.
    SocketIo,
}

impl Dialect {
    const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Native => "native",
            Self::SocketIo => "Socket.IO",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Send this text, as it is.
    Text(String),
    /// Send these bytes as one message.
    Binary(Source),
    /// Ping with these bytes.
    Ping(Bytes),
    /// Close with this code.
    Close {
        /// 1000, or 3000 to 4999.
        code: u16,
        /// At most 123 bytes go out.
        reason: String,
    },
    /// Close with 1000.
    Quit,
    /// Show the commands.
    Help,
    /// What only the native protocol has.
    Native(NativeOrder),
    /// What only Socket.IO has.
    SocketIo(SocketIoOrder),
}

/// Why a line means nothing. Each names the word that is wrong and what could stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InputError {
    #[error(
        "no command {word:?}{}; /help lists them, /text {word} sends it as it is",
        meant(.suggestion)
    )]
    Unknown {
        word: String,
        suggestion: Option<&'static str>,
    },
    #[error("{command} is for {needed}, this is a {} connection", .dialect.name())]
    Dialect {
        command: &'static str,
        needed: &'static str,
        dialect: Dialect,
    },
    #[error("{command} needs {needed}: {usage}")]
    Missing {
        command: &'static str,
        needed: &'static str,
        usage: &'static str,
    },
    #[error("{word:?} is no {expected}: {usage}")]
    Wrong {
        word: String,
        expected: &'static str,
        usage: &'static str,
    },
    #[error("close code {code} cannot be sent: 1000 and 3000 to 4999 can")]
    Code { code: u16 },
    #[error("a ping of {len} bytes, at most 125 are allowed (RFC 6455 §5.5)")]
    PingTooLong { len: usize },
    #[error("binary data is written as hex, base64 or @file, not as {word:?}: {why}")]
    Binary { word: String, why: String },
    #[error("{word:?} cannot be used: {why}")]
    Name { word: String, why: String },
    #[error("there is no room to talk in: /join one first, or /publish ROOM TEXT")]
    NoRoom,
}

fn meant(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean {name}?"))
}

/// Reads a line that was typed, or stands in a script.
///
/// # Errors
/// What is wrong with the line.
pub(super) fn parse(dialect: Dialect, line: &str) -> Result<Input, InputError> {
    if !line.starts_with('/') {
        return message(dialect, line);
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim_start();
    if let Some(input) = shared(dialect, word, rest)? {
        return Ok(input);
    }
    let native = native::parse(word, rest);
    let socketio = socketio::parse(word, rest);
    match (dialect, native, socketio) {
        (Dialect::Native, Some(order), _) => Ok(Input::Native(order?)),
        (Dialect::SocketIo, _, Some(order)) => Ok(Input::SocketIo(order?)),
        (Dialect::Raw | Dialect::SocketIo, Some(_), _) => {
            Err(foreign(dialect, word, "the native protocol (--native)"))
        }
        (Dialect::Raw | Dialect::Native, _, Some(_)) => {
            Err(foreign(dialect, word, "Socket.IO (--socketio)"))
        }
        (_, None, None) => Err(InputError::Unknown {
            word: word.to_owned(),
            suggestion: suggestion(dialect, word),
        }),
    }
}

/// A line that is no command: data from a pipe, or what was typed without a slash.
///
/// # Errors
/// [`InputError::Name`] where the dialect cannot send it.
pub(super) fn message(dialect: Dialect, line: &str) -> Result<Input, InputError> {
    match dialect {
        Dialect::Raw => Ok(Input::Text(line.to_owned())),
        Dialect::Native if is_object(line) => Ok(Input::Text(line.to_owned())),
        Dialect::Native => Ok(Input::Native(NativeOrder::Say(line.to_owned()))),
        Dialect::SocketIo => Ok(Input::SocketIo(socketio::said(line))),
    }
}

/// What every dialect has.
fn shared(dialect: Dialect, word: &str, rest: &str) -> Result<Option<Input>, InputError> {
    Ok(Some(match word {
        "/text" => Input::Text(rest.to_owned()),
        "/binary" if dialect == Dialect::Native => {
            return Err(InputError::Dialect {
                command: "/binary",
                needed: "raw connections and Socket.IO",
                dialect,
            });
        }
        "/binary" => Input::Binary(Source::parse(rest)?),
        "/ping" if dialect == Dialect::SocketIo => {
            return Err(InputError::Dialect {
                command: "/ping",
                needed: "WebSockets (in Socket.IO only the server pings)",
                dialect,
            });
        }
        "/ping" => {
            let len = rest.len();
            if len > 125 {
                return Err(InputError::PingTooLong { len });
            }
            Input::Ping(Bytes::copy_from_slice(rest.as_bytes()))
        }
        "/close" => close(rest)?,
        "/quit" | "/exit" => Input::Quit,
        "/help" => Input::Help,
        _ => return Ok(None),
    }))
}

fn close(rest: &str) -> Result<Input, InputError> {
    let (word, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let code = match word {
        "" => 1000,
        word => word.parse().map_err(|_| InputError::Wrong {
            word: word.to_owned(),
            expected: "close code",
            usage: "/close [CODE [REASON]]",
        })?,
    };
    if !matches!(code, 1000 | 3000..=4999) {
        return Err(InputError::Code { code });
    }
    let reason = reason.trim().to_owned();
    Ok(Input::Close { code, reason })
}

fn foreign(dialect: Dialect, word: &str, needed: &'static str) -> InputError {
    let known = NATIVE.iter().chain(SOCKETIO);
    let known = known
        .map(|(usage, _)| name(usage))
        .find(|name| *name == word);
    InputError::Dialect {
        command: known.unwrap_or("this command"),
        needed,
        dialect,
    }
}

fn suggestion(dialect: Dialect, word: &str) -> Option<&'static str> {
    let names = commands(dialect).map(|(usage, _)| name(usage));
    let near = names
        .map(|name| (strsim::jaro_winkler(name, word), name))
        .filter(|(likeness, _)| *likeness > 0.85);
    near.max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn name(usage: &'static str) -> &'static str {
    usage.split(' ').next().unwrap_or(usage)
}

fn is_object(line: &str) -> bool {
    line.trim_start().starts_with('{') && is_json(line)
}

/// Whether a text is one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// JSON as it is; any other text as a JSON string.
fn as_json(text: &str) -> String {
    if is_json(text) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// What `/help` shows.
pub(super) fn help(dialect: Dialect) -> String {
    let lines = commands(dialect).map(|(usage, meaning)| format!("  {usage:<34} {meaning}\n"));
    let plain = match dialect {
        Dialect::Raw => "A line without a slash is sent as it is.",
        Dialect::Native => {
            "A line of JSON is sent as it is; any other line is said in the room joined last."
        }
        Dialect::SocketIo => {
            "A line [\"event\", …] is emitted; any other line is emitted as \"message\"."
        }
    };
    format!("{plain}\n{}", lines.collect::<String>())
}

fn commands(dialect: Dialect) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let own: &[_] = match dialect {
        Dialect::Raw => RAW,
        Dialect::Native => NATIVE,
        Dialect::SocketIo => SOCKETIO,
    };
    own.iter().chain(SHARED)
}

const RAW: &[(&str, &str)] = &[
    ("/binary HEX|BASE64|@FILE", "send bytes as one message"),
    ("/ping [TEXT]", "ping; the answer is shown with its time"),
];

const NATIVE: &[(&str, &str)] = &[
    ("/join ROOM [HISTORY]", "join, with so many messages"),
    ("/leave ROOM", "leave"),
    ("/publish ROOM JSON|TEXT", "publish a message"),
    ("/event ROOM NAME [JSON]", "publish an event"),
    ("/call NAME [JSON]", "ask the server's own handler"),
    ("/private USER JSON|TEXT", "send to a user or a session"),
    ("/typing ROOM [stop]", "say that you type, or stopped"),
    ("/history ROOM [LIMIT]", "the newest messages"),
    ("/presence ROOM [LIMIT]", "who is there"),
    ("/ping [TEXT]", "ping; the answer is shown with its time"),
];

const SOCKETIO: &[(&str, &str)] = &[
    ("/emit EVENT [ARGUMENT…]", "emit; JSON, words, hex:…, @FILE"),
    (
        "/ask EVENT [ARGUMENT…]",
        "emit, and show the acknowledgement",
    ),
    (
        "/ack NUMBER [ARGUMENT…]",
        "answer an event that asks for it",
    ),
    ("/ns [NAMESPACE]", "talk in another namespace"),
    (
        "/binary HEX|BASE64|@FILE",
        "emit \"message\" with these bytes",
    ),
];

const SHARED: &[(&str, &str)] = &[
    ("/text LINE", "send a line that begins with a slash"),
    ("/close [CODE [REASON]]", "close; without a code with 1000"),
    ("/quit", "close and end, as Ctrl-D does"),
    ("/help", "this list"),
];

#[cfg(test)]
mod tests;
