//! What differs for the rooms of a pattern.

use nuncio_model::Pattern;
use serde::Deserialize;
use toml::{Table, Value};

use super::setting::{Setting, Wrong, text_settings};

/// One `[[rooms]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RoomRule {
    /// Which rooms.
    pub pattern: Pattern,
    /// Where their history is; the default depends on whether there is a store.
    #[serde(default)]
    pub history: Option<HistoryMode>,
    /// Newest messages kept, in place of `history.messages`.
    #[serde(default)]
    pub messages: Option<usize>,
    /// Whether joins, leaves and states are announced. Default true.
    #[serde(default = "announced")]
    pub presence: bool,
}

const fn announced() -> bool {
    true
}

impl RoomRule {
    /// A rule that changes nothing yet for the rooms of `pattern`.
    pub fn new(pattern: &str) -> Self {
        Self {
            pattern: Pattern::new(pattern),
            history: None,
            messages: None,
            presence: true,
        }
    }
}

/// Where a room's messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryMode {
    /// On disk: nothing is visible or acknowledged before it is stored.
    Durable,
    /// In memory: gone with the room or the process.
    Memory,
    /// Nowhere: nothing can be replayed.
    None,
}

text_settings! {
    HistoryMode, "`durable`, `memory` or `none`", r#""durable", "memory" or "none""#,
        |text| match text { "durable" => Some(Self::Durable), "memory" => Some(Self::Memory), "none" => Some(Self::None), _ => None },
        |mode| match mode { Self::Durable => "durable", Self::Memory => "memory", Self::None => "none" }.to_owned();
}

impl Setting for RoomRule {
    fn kind() -> String {
        "table {pattern, history, messages, presence}".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        Self::deserialize(value.clone()).map_err(|error| {
            let wanted = r#"a rule such as { pattern = "tmp:*", history = "memory" }"#;
            Wrong::value(value, format!("{wanted}: {}", error.message()))
        })
    }

    fn to_value(&self) -> Option<Value> {
        let fields = [
            ("pattern", self.pattern.to_value()),
            ("history", self.history.to_value()),
            ("messages", self.messages.to_value()),
            ("presence", self.presence.to_value()),
        ];
        let written = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Some(Value::Table(written.collect::<Table>()))
    }
}
