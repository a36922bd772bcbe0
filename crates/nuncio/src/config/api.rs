//! The section `api`: who may use the server API, and how much of it at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use nuncio_model::{Namespace, Pattern, quote};
use toml::{Table, Value};

use super::secret::Secret;
use super::section::{Key, Section, section};
use super::setting::{ByteSize, Raw, Setting, Wrong, text_settings};
use super::suggest::suggest;

section! {
    /// The server API for backends, at `/api/v1`; what it can do is in [api.md](api.md). Without a key it does not exist.
    ApiConfig in "api" {
        /// Who may use it. `name` is what logs call it, `key` at least 32 bytes, sent as `Authorization: Bearer`. `scopes` lists `publish`, `read`,
        /// `sessions`; `admin` is all of them and more. `rooms` (patterns) and `namespaces` bind the key to those.
        keys: Vec<ApiKey> = Vec::new(),
        /// TOML file with more keys: tables `[[keys]]` with the same fields.
        keys_file: Option<PathBuf> = None,
        /// An address of its own, such as `127.0.0.1:8081`; the API is then not on the main one.
        listen: Option<SocketAddr> = None,
        /// Largest body of a request.
        body_bytes: ByteSize = ByteSize::kib(4096),
        /// Requests of one key that are served at once; more are answered 429.
        requests_max: usize = 64,
        /// Commands a second of one key, those of a batch counted singly. 0 means no limit.
        rate_per_second: u32 = 100_000,
        /// Commands of one batch, and rooms of one broadcast.
        batch_max: usize = 1_000,
    }
}

/// One key of the server API.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiKey {
    /// What logs call it.
    pub name: String,
    /// The secret itself.
    pub key: Secret,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Rooms that it is bound to; `None` is no bond.
    pub rooms: Option<Vec<Pattern>>,
    /// Namespaces that it is bound to; `None` is no bond.
    pub namespaces: Option<Vec<Namespace>>,
}

/// What a key of the server API may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Publish, emit, broadcast, private messages.
    Publish,
    /// History, presence, rooms, server information.
    Read,
    /// Sessions: list, join, leave, disconnect, grants, revoke.
    Sessions,
    /// All of these, and what concerns everybody: clear a history, disconnect a namespace.
    Admin,
}

text_settings! {
    Scope, "`publish`, `read`, `sessions` or `admin`", r#""publish", "read", "sessions" or "admin""#,
        |text| match text { "publish" => Some(Self::Publish), "read" => Some(Self::Read), "sessions" => Some(Self::Sessions), "admin" => Some(Self::Admin), _ => None },
        |scope| scope.as_str().to_owned();
}

impl Scope {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Sessions => "sessions",
            Self::Admin => "admin",
        }
    }
}

const FIELDS: [&str; 5] = ["name", "key", "scopes", "rooms", "namespaces"];
const WANTED: &str = r#"a key such as { name = "backend", key = "…", scopes = ["publish"] }"#;

impl ApiKey {
    /// A key that is bound to nothing but its scopes.
    pub fn new(name: &str, key: &str, scopes: impl Into<Vec<Scope>>) -> Self {
        Self {
            name: name.to_owned(),
            key: Secret::new(key),
            scopes: scopes.into(),
            rooms: None,
            namespaces: None,
        }
    }

    /// The keys of a file, which is TOML with tables `[[keys]]`. What is wrong is told without the keys themselves.
    pub(super) fn read_file(text: &str) -> Result<Vec<Self>, String> {
        // The parser's message would quote the line.
        let mut table: Table = text
            .parse()
            .map_err(|_| "this is not TOML: write tables [[keys]]".to_owned())?;
        let keys = table.remove("keys").unwrap_or(Value::Array(Vec::new()));
        if let Some(other) = table.keys().next() {
            return Err(format!(
                "{} is unknown: write tables [[keys]]",
                quote(other)
            ));
        }
        Setting::from_value(&keys).map_err(|wrong: Wrong| wrong.to_string())
    }

    fn from_table(table: &Table) -> Result<Self, Wrong> {
        if let Some(unknown) = table.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let meant = suggest(unknown, FIELDS.map(str::to_owned).into_iter());
            let meant = meant.map_or_else(String::new, |name| format!("; did you mean {name}?"));
            let found = format!("the field {}", quote(unknown));
            return Err(Wrong::new(
                found,
                format!("one of {}{meant}", FIELDS.join(", ")),
            ));
        }
        Ok(Self {
            name: required(table, "name")?,
            key: required(table, "key")?,
            scopes: required(table, "scopes")?,
            rooms: optional(table, "rooms")?,
            namespaces: optional(table, "namespaces")?,
        })
    }
}

fn required<T: Setting>(table: &Table, name: &str) -> Result<T, Wrong> {
    optional(table, name)?.ok_or_else(|| Wrong::new(format!("a key without {name}"), WANTED))
}

fn optional<T: Setting>(table: &Table, name: &str) -> Result<Option<T>, Wrong> {
    table.get(name).map(T::from_value).transpose()
}

impl Setting for ApiKey {
    fn kind() -> String {
        "table {name, key, scopes, rooms, namespaces}".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Table(table) => Self::from_table(table),
            // Not shown: it may be a secret.
            _ => Err(Wrong::new("what is written (hidden)", WANTED)),
        }
    }

    fn from_text(_: &str) -> Result<Self, Wrong> {
        let wanted = format!(
            "a list in brackets of tables: [{}]",
            &WANTED["a key such as ".len()..]
        );
        Err(Wrong::new("what is written (hidden)", wanted))
    }

    fn to_value(&self) -> Option<Value> {
        let fields = [
            ("name", self.name.to_value()),
            ("key", self.key.to_value()),
            ("scopes", self.scopes.to_value()),
            ("rooms", self.rooms.to_value()),
            ("namespaces", self.namespaces.to_value()),
        ];
        let written = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Some(Value::Table(written.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a key of at least thirty-two bytes";

    #[test]
    fn a_key_reads_back_but_for_its_secret() {
        let text = format!(
            "[[keys]]\nname = \"b\"\nkey = \"{SECRET}\"\nscopes = [\"publish\", \"read\"]\nrooms = [\"chat:*\"]"
        );

        let keys = ApiKey::read_file(&text).unwrap();

        assert_eq!(keys[0].scopes, [Scope::Publish, Scope::Read]);
        assert_eq!(keys[0].rooms, Some(vec![Pattern::new("chat:*")]));
        assert_eq!(keys[0].namespaces, None);
        let written = keys.to_value().unwrap().to_string();
        assert!(
            !written.contains(SECRET) && written.contains("chat:*"),
            "{written}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_key_is_told_without_its_secret() {
        for (text, told) in [
            (format!("keys = \"{SECRET}\""), "a key such as"),
            (format!("[[keys]]\nkey = \"{SECRET}\""), "without name"),
            (
                format!("[[keys]]\nscpoes = \"{SECRET}\""),
                "did you mean scopes?",
            ),
            (
                format!("[[keys]]\nname = \"b\"\nkey = \"{SECRET}"),
                "not TOML",
            ),
            (format!("[keys]\nname = \"{SECRET}\""), "a list in brackets"),
            (
                format!("[[keys]]\nname = \"b\"\nkey = \"{SECRET}\"\nscopes = [\"write\"]"),
                "\"write\" is not \"publish\"",
            ),
            (
                format!("[[key]]\nname = \"{SECRET}\""),
                "\"key\" is unknown",
            ),
        ] {
            let wrong = ApiKey::read_file(&text).unwrap_err();

            assert!(wrong.contains(told), "{told}: {wrong}");
            assert!(!wrong.contains(SECRET), "{wrong}");
        }
        assert!(
            !ApiKey::from_text(SECRET)
                .unwrap_err()
                .to_string()
                .contains(SECRET)
        );
    }
}
