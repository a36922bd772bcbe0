//! The commands of the native protocol (`docs/protocol.md`).

use nuncio_model::{EventName, Json, RoomName};

use super::{InputError, as_json};

/// What only the native protocol has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connect) enum Order {
    /// A line without a slash: a message in the room joined last.
    Say(String),
    Join {
        room: RoomName,
        history: Option<u32>,
    },
    Leave(RoomName),
    Publish {
        room: RoomName,
        content: Json,
    },
    Event {
        room: RoomName,
        name: EventName,
        data: Json,
    },
    Call {
        name: EventName,
        data: Json,
    },
    Private {
        to: Box<str>,
        content: Json,
    },
    Typing {
        room: RoomName,
        stops: bool,
    },
    History {
        room: RoomName,
        limit: Option<u32>,
    },
    Presence {
        room: RoomName,
        limit: u32,
    },
}

/// `None` for a word that is no command of this protocol.
pub(super) fn parse(word: &str, rest: &str) -> Option<Result<Order, InputError>> {
    Some(match word {
        "/join" => join(rest),
        "/leave" => Words::new("/leave ROOM", rest).room().map(Order::Leave),
        "/publish" => publish(rest),
        "/event" => event(rest),
        "/call" => call(rest),
        "/private" => private(rest),
        "/typing" => typing(rest),
        "/history" => history(rest),
        "/presence" => presence(rest),
        _ => return None,
    })
}

fn join(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/join ROOM [HISTORY]", rest);
    let room = words.room()?;
    let history = words.number()?;
    Ok(Order::Join { room, history })
}

fn publish(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/publish ROOM JSON|TEXT", rest);
    let room = words.room()?;
    let content = words.content("what to say")?;
    Ok(Order::Publish { room, content })
}

fn event(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/event ROOM NAME [JSON]", rest);
    let room = words.room()?;
    let (name, data) = (words.event()?, words.data()?);
    Ok(Order::Event { room, name, data })
}

fn call(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/call NAME [JSON]", rest);
    let (name, data) = (words.event()?, words.data()?);
    Ok(Order::Call { name, data })
}

fn private(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/private USER JSON|TEXT", rest);
    let to = words.word("a user")?.into();
    let content = words.content("what to say")?;
    Ok(Order::Private { to, content })
}

fn typing(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/typing ROOM [stop]", rest);
    let room = words.room()?;
    match words.rest {
        "" => Ok(Order::Typing { room, stops: false }),
        "stop" => Ok(Order::Typing { room, stops: true }),
        other => Err(words.wrong(other, "\"stop\"")),
    }
}

fn history(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/history ROOM [LIMIT]", rest);
    let room = words.room()?;
    let limit = words.number()?;
    Ok(Order::History { room, limit })
}

fn presence(rest: &str) -> Result<Order, InputError> {
    let mut words = Words::new("/presence ROOM [LIMIT]", rest);
    let room = words.room()?;
    let limit = words.number()?.unwrap_or(PRESENCE_LIMIT);
    Ok(Order::Presence { room, limit })
}

/// The words behind a command, taken one by one.
struct Words<'a> {
    command: &'static str,
    usage: &'static str,
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn new(usage: &'static str, rest: &'a str) -> Self {
        Self {
            command: super::name(usage),
            usage,
            rest: rest.trim(),
        }
    }

    fn word(&mut self, needed: &'static str) -> Result<&'a str, InputError> {
        let end = self.rest.find(char::is_whitespace);
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        if word.is_empty() {
            return Err(self.missing(needed));
        }
        Ok(word)
    }

    fn room(&mut self) -> Result<RoomName, InputError> {
        let word = self.word("a room")?;
        RoomName::parse(word).map_err(|error| unusable(word, &error))
    }

    fn event(&mut self) -> Result<EventName, InputError> {
        let word = self.word("an event's name")?;
        EventName::parse(word).map_err(|error| unusable(word, &error))
    }

    fn number(&self) -> Result<Option<u32>, InputError> {
        match self.rest {
            "" => Ok(None),
            word => match word.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.wrong(word, "number")),
            },
        }
    }

    /// JSON, or any text.
    fn content(&self, needed: &'static str) -> Result<Json, InputError> {
        if self.rest.is_empty() {
            return Err(self.missing(needed));
        }
        self.json(&as_json(self.rest))
    }

    /// JSON, any text, or nothing, which is `null`.
    fn data(&self) -> Result<Json, InputError> {
        match self.rest {
            "" => Ok(Json::null()),
            text => self.json(&as_json(text)),
        }
    }

    fn json(&self, text: &str) -> Result<Json, InputError> {
        Json::parse(text).map_err(|error| unusable(self.rest, &error))
    }

    const fn missing(&self, needed: &'static str) -> InputError {
        InputError::Missing {
            command: self.command,
            needed,
            usage: self.usage,
        }
    }

    fn wrong(&self, word: &str, expected: &'static str) -> InputError {
        InputError::Wrong {
            word: word.to_owned(),
            expected,
            usage: self.usage,
        }
    }
}

fn unusable(word: &str, error: &dyn std::fmt::Display) -> InputError {
    InputError::Name {
        word: word.to_owned(),
        why: error.to_string(),
    }
}

/// As many users as fit on a page of the terminal.
const PRESENCE_LIMIT: u32 = 50;
