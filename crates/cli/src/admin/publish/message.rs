//! Publications as the server API reads them.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// What is the same in all publications of a command.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) rooms: Vec<String>,
    pub(super) event: Option<String>,
    pub(super) user: Option<String>,
    pub(super) ns: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_ids: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ns: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
}

impl Message {
    /// What the command is called.
    pub(super) fn name(&self) -> &'static str {
        if self.rooms.len() == 1 {
            "publish"
        } else {
            "broadcast"
        }
    }

    /// Where it is posted.
    pub(super) fn path(&self) -> &'static str {
        if self.rooms.len() == 1 {
            "/publish"
        } else {
            "/broadcast"
        }
    }

    /// One publication with this content, or of an event with this data.
    pub(super) fn body(&self, said: Option<&RawValue>, key: Option<&str>) -> Result<String> {
        let is_one = self.rooms.len() == 1;
        let body = Body {
            room_id: is_one.then(|| &*self.rooms[0]),
            room_ids: (!is_one).then_some(&self.rooms),
            content: said.filter(|_| self.event.is_none()),
            event: self.event.as_deref(),
            data: said.filter(|_| self.event.is_some()),
            user_id: self.user.as_deref(),
            ns: self.ns.as_deref(),
            idempotency_key: key,
        };
        Ok(serde_json::to_string(&body)?)
    }
}

/// Text as JSON. One line end goes, as `$(…)` takes it off.
pub(super) fn text_json(text: &str) -> Result<Box<RawValue>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(to_raw_value(text)?)
}

/// JSON as it was written.
pub(super) fn raw_json(text: &str) -> Result<Box<RawValue>> {
    serde_json::from_str(text.trim())
        .context("this is not JSON: a text of its own is written '\"in double quotes\"'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(rooms: &[&str], event: Option<&str>) -> Message {
        Message {
            rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
            event: event.map(str::to_owned),
            user: None,
            ns: None,
        }
    }

    #[test]
    fn one_room_is_published_to_and_several_are_a_broadcast() {
        let said = text_json("Hello\n").unwrap();

        let one = message(&["a"], None);
        let two = message(&["a", "b"], Some("draw"));

        assert_eq!(
            (one.path(), &*one.body(Some(&said), Some("k")).unwrap()),
            (
                "/publish",
                r#"{"roomId":"a","content":"Hello","idempotencyKey":"k"}"#
            )
        );
        assert_eq!(
            (two.path(), &*two.body(Some(&said), None).unwrap()),
            (
                "/broadcast",
                r#"{"roomIds":["a","b"],"event":"draw","data":"Hello"}"#
            )
        );
        assert_eq!(
            two.body(None, None).unwrap(),
            r#"{"roomIds":["a","b"],"event":"draw"}"#
        );
    }

    #[test]
    fn json_goes_on_as_it_was_written() {
        assert_eq!(
            raw_json(" {\"b\": 1.0, \"a\": 2}\n").unwrap().get(),
            "{\"b\": 1.0, \"a\": 2}"
        );
        assert!(
            raw_json("Hello")
                .unwrap_err()
                .to_string()
                .contains("double quotes")
        );
    }
}
