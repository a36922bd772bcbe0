//! The commands of Socket.IO.

use serde_json::value::RawValue;

use super::{InputError, Source, as_json};

/// What only Socket.IO has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connect) enum Order {
    /// Emit an event.
    Emit { name: String, args: Vec<Argument> },
    /// Emit an event and wait for its acknowledgement.
    Ask { name: String, args: Vec<Argument> },
    /// Answer the event with this number.
    Answer { number: u64, args: Vec<Argument> },
    /// Talk in this namespace from now on.
    Namespace(String),
}

/// One argument of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connect) enum Argument {
    /// A JSON value, as it was written.
    Json(String),
    /// Bytes.
    Binary(Source),
}

/// `None` for a word that is no command of Socket.IO.
pub(super) fn parse(word: &str, rest: &str) -> Option<Result<Order, InputError>> {
    Some(match word {
        "/emit" => event("/emit", "/emit EVENT [ARGUMENT…]", rest)
            .map(|(name, args)| Order::Emit { name, args }),
        "/ask" => event("/ask", "/ask EVENT [ARGUMENT…]", rest)
            .map(|(name, args)| Order::Ask { name, args }),
        "/ack" => answer(rest),
        "/ns" => Ok(Order::Namespace(namespace(rest))),
        _ => return None,
    })
}

/// A line without a slash: `["event", …]` is an event, anything else is what `socket.send` sends.
pub(super) fn said(line: &str) -> Order {
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(line)
        && let Some((first, args)) = elements.split_first()
        && let Ok(name) = serde_json::from_str::<String>(first.get())
    {
        let args = args.iter().map(|arg| Argument::Json(arg.get().to_owned()));
        return Order::Emit {
            name,
            args: args.collect(),
        };
    }
    Order::Emit {
        name: "message".to_owned(),
        args: vec![Argument::Json(as_json(line))],
    }
}

fn event(
    command: &'static str,
    usage: &'static str,
    rest: &str,
) -> Result<(String, Vec<Argument>), InputError> {
    let (word, rest) = match rest.starts_with('"') {
        true => json_value(rest).unwrap_or((rest, "")),
        false => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
    };
    let name = serde_json::from_str(word).unwrap_or_else(|_| word.to_owned());
    if name.is_empty() {
        return Err(InputError::Missing {
            command,
            needed: "an event's name",
            usage,
        });
    }
    Ok((name, arguments(rest)?))
}

fn answer(rest: &str) -> Result<Order, InputError> {
    let usage = "/ack NUMBER [ARGUMENT…]";
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if word.is_empty() {
        let needed = "the number that was shown with the event";
        return Err(InputError::Missing {
            command: "/ack",
            needed,
            usage,
        });
    }
    let number = word.trim_start_matches('#').parse();
    let number = number.map_err(|_| InputError::Wrong {
        word: word.to_owned(),
        expected: "number",
        usage,
    })?;
    Ok(Order::Answer {
        number,
        args: arguments(rest)?,
    })
}

fn namespace(rest: &str) -> String {
    format!("/{}", rest.trim().trim_start_matches('/'))
}

/// JSON values, binary values and bare words, in any order.
fn arguments(rest: &str) -> Result<Vec<Argument>, InputError> {
    let mut arguments = Vec::new();
    let mut rest = rest.trim();
    while !rest.is_empty() {
        let (argument, after) = argument(rest)?;
        arguments.push(argument);
        rest = after.trim_start();
    }
    Ok(arguments)
}

fn argument(rest: &str) -> Result<(Argument, &str), InputError> {
    if let Some((json, after)) = json_value(rest) {
        return Ok((Argument::Json(json.to_owned()), after));
    }
    if rest.starts_with(['{', '[', '"']) {
        return Err(InputError::Wrong {
            word: rest.to_owned(),
            expected: "JSON",
            usage: "values are JSON, words, hex:…, base64:… or @FILE",
        });
    }
    let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let is_binary = ["hex:", "base64:", "@"]
        .iter()
        .any(|prefix| word.starts_with(prefix));
    let argument = match is_binary {
        true => Argument::Binary(Source::parse(word)?),
        false => Argument::Json(as_json(word)),
    };
    Ok((argument, after))
}

/// The JSON value at the beginning, where it ends with white space or the line, and what follows it.
fn json_value(rest: &str) -> Option<(&str, &str)> {
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    let after = &rest[values.byte_offset()..];
    let ends = after.is_empty() || after.starts_with(char::is_whitespace);
    ends.then_some((value.get(), after))
}
