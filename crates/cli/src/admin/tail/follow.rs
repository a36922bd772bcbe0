//! Where a tail stands: what it asks for, and what the messages it gets mean. It knows no socket and no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::events::Event;
use crate::admin::api::Query;

/// What is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) rooms: Vec<String>,
    pub(super) ns: Option<String>,
    pub(super) history: u32,
    /// What is not kept too.
    pub(super) all: bool,
}

/// Where the tail stands over all its connections.
#[derive(Debug)]
pub(super) struct Follow {
    wish: Wish,
    /// The id of the last event: what the next connection begins behind.
    last: Option<String>,
    /// The life of each room's numbering, which messages name only where it changes.
    epochs: BTreeMap<String, String>,
    /// Whether this connection began behind something.
    continues: bool,
    retry: Duration,
}

/// A message of the native protocol, as far as it is shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) r#type: String,
    pub(super) room_id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) seq: Option<u64>,
    pub(super) epoch: Option<String>,
    pub(super) event: Option<String>,
    pub(super) content: Option<Box<RawValue>>,
    pub(super) data: Option<Box<RawValue>>,
    /// Milliseconds since the Unix epoch.
    pub(super) ts: Option<u64>,
    recovered: Option<bool>,
    /// A word in `room:removed`, a number in `close`.
    code: Option<Box<RawValue>>,
    /// As it came, with the epoch where it has a number.
    #[serde(skip)]
    pub(super) text: String,
}

/// What an event means for whoever follows.
#[derive(Debug)]
pub(super) enum Told {
    Message(Box<Message>),
    /// Not everything since the last message is there; the message says where the room stands.
    Gap(Box<Message>),
    /// The server took the tail out of a room.
    Removed {
        room: String,
        code: String,
    },
}

impl Follow {
    pub(super) fn new(wish: Wish, since: Option<String>) -> Self {
        Self {
            wish,
            last: since,
            epochs: BTreeMap::new(),
            continues: false,
            retry: Duration::from_secs(1),
        }
    }

    /// What the next connection asks for.
    pub(super) fn query(&self) -> Query<'static> {
        let rooms = self.wish.rooms.iter();
        let mut query: Query<'static> = rooms.map(|room| ("roomId", room.clone())).collect();
        query.extend(self.wish.ns.clone().map(|ns| ("ns", ns)));
        match &self.last {
            Some(last) => query.push(("since", last.clone())),
            None => query.push(("limit", self.wish.history.to_string())),
        }
        query
    }

    /// A connection begins with what [`query`](Self::query) asked for.
    pub(super) fn opened(&mut self) {
        self.continues = self.last.is_some();
    }

    /// How long to wait before the next connection.
    pub(super) const fn retry(&self) -> Duration {
        self.retry
    }

    /// Takes an event. `None` when there is nothing to tell of it.
    ///
    /// # Errors
    /// When it is no message of the protocol.
    pub(super) fn handle(&mut self, event: Event) -> Result<Option<Told>> {
        if let Some(retry) = event.retry {
            self.retry = retry;
        }
        let told = match event.data {
            Some(data) => self.message(data)?,
            None => None,
        };
        // After its message, never before: what was not shown is asked for again.
        if event.id.is_some() {
            self.last = event.id;
        }
        Ok(told)
    }

    fn message(&mut self, text: String) -> Result<Option<Told>> {
        let mut message: Message = serde_json::from_str(&text)
            .context("what the server sends is no message: is this a nuncio server?")?;
        message.text = text;
        if let (Some(room), Some(epoch)) = (&message.room_id, &message.epoch) {
            self.epochs.insert(room.clone(), epoch.clone());
        }
        let is_shown = match &*message.r#type {
            "room:position" => {
                let is_gap = self.continues && message.recovered == Some(false);
                return Ok(is_gap.then(|| Told::Gap(Box::new(message))));
            }
            "room:removed" => {
                let code = message.code.as_ref().map_or("", |code| code.get());
                return Ok(Some(Told::Removed {
                    code: code.trim_matches('"').to_owned(),
                    room: message.room_id.unwrap_or_default(),
                }));
            }
            // How this connection ends, after which comes another.
            "reconnect" | "close" => false,
            "chat:message" | "event" => true,
            _ => self.wish.all,
        };
        self.name_epoch(&mut message);
        Ok(is_shown.then(|| Told::Message(Box::new(message))))
    }

    /// A line of JSON may be all that somebody keeps: its position is to be whole.
    fn name_epoch(&self, message: &mut Message) {
        let room = message.room_id.as_ref();
        let epoch = room.and_then(|room| self.epochs.get(room));
        if let (Some(epoch), None, Some(_)) = (epoch, &message.epoch, message.seq)
            && let Some(rest) = message.text.strip_prefix('{')
        {
            message.text = format!("{{\"epoch\":\"{epoch}\",{rest}");
            message.epoch = Some(epoch.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(since: Option<&str>) -> Follow {
        let wish = Wish {
            rooms: vec!["a".to_owned(), "b".to_owned()],
            ns: None,
            history: 5,
            all: false,
        };
        Follow::new(wish, since.map(str::to_owned))
    }

    fn event(id: &str, data: &str) -> Event {
        Event {
            id: (!id.is_empty()).then(|| id.to_owned()),
            data: Some(data.to_owned()),
            retry: None,
        }
    }

    const POSITION: &str =
        r#"{"type":"room:position","roomId":"a","epoch":"e1","seq":4,"recovered":false}"#;
    const MESSAGE: &str = r#"{"type":"chat:message","roomId":"a","seq":5,"content":"x"}"#;

    #[test]
    fn it_begins_with_history_and_goes_on_behind_the_last_event() {
        let mut follow = follow(None);
        assert_eq!(follow.query().last().unwrap(), &("limit", "5".to_owned()));
        follow.opened();
        assert!(follow.handle(event("e1.4,-", POSITION)).unwrap().is_none());

        follow.handle(event("e1.5,-", MESSAGE)).unwrap().unwrap();

        assert_eq!(
            follow.query().last().unwrap(),
            &("since", "e1.5,-".to_owned())
        );
    }

    #[test]
    fn what_is_shown_has_its_whole_position() {
        let mut follow = follow(None);
        follow.handle(event("", POSITION)).unwrap();

        let Some(Told::Message(message)) = follow.handle(event("", MESSAGE)).unwrap() else {
            panic!("it is a message");
        };

        assert_eq!(
            message.text,
            r#"{"epoch":"e1","type":"chat:message","roomId":"a","seq":5,"content":"x"}"#
        );
    }

    #[test]
    fn a_gap_is_told_only_by_a_connection_that_goes_on() {
        let mut fresh = follow(None);
        fresh.opened();
        assert!(fresh.handle(event("", POSITION)).unwrap().is_none());

        let mut later = follow(Some("e0.9,-"));
        later.opened();

        assert!(matches!(
            later.handle(event("", POSITION)).unwrap(),
            Some(Told::Gap(_))
        ));
    }

    #[test]
    fn what_is_not_kept_is_shown_only_when_asked_for() {
        let typing = r#"{"type":"typing","roomId":"a","users":["ann"]}"#;
        let mut some = follow(None);
        let mut all = follow(None);
        all.wish.all = true;

        assert!(some.handle(event("", typing)).unwrap().is_none());
        assert!(matches!(
            all.handle(event("", typing)).unwrap(),
            Some(Told::Message(_))
        ));
    }
}
