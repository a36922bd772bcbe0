//! Hooks: which backend decides what, and which is told what.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use nuncio_model::{Pattern, quote};
use serde::Deserialize;
use toml::{Table, Value};

use super::check::{secrets_of, unreadable};
use super::problem::Problem;
use super::section::{Key, Section, section};
use super::setting::{ByteSize, Raw, Setting, Wrong, text_settings};
use super::{Config, Secret};

section! {
    /// A backend that decides, or is told: `docs/hooks.md`.
    HooksConfig in "hooks" {
        /// What requests to a backend are signed with: at least 32 bytes, needed as soon as there is a rule or a destination.
        secret: Option<Secret> = None,
        /// File with the secret; empty lines and lines that start with `#` are skipped.
        secret_file: Option<PathBuf> = None,
        /// PEM file with the certificates of the authorities that vouch for `https` backends, in place of those that the system trusts.
        ca_file: Option<PathBuf> = None,
        /// How long a backend may take to answer one request.
        timeout: Duration = Duration::from_secs(2),
        /// Questions that may be under way at once, to all backends; more are refused with `UNAVAILABLE`.
        in_flight: usize = 256,
        /// How often a question is repeated that failed. A message is repeated only if none of it was sent.
        retries: u32 = 2,
        /// Failures in a row after which a backend is not asked for a while.
        breaker_failures: u32 = 5,
        /// How long that lasts; then one question tries it out.
        breaker_pause: Duration = Duration::from_secs(5),
        /// Who decides what. In a file each one is a table `[[hooks.rules]]`. `on` lists `connect`, `join`, `publish`, `call` and `refresh`, `url` is where the
        /// backend is asked. `namespace` and `rooms` are patterns; of the rules that fit, the first counts. `on_failure` is `deny`, or `allow` for a backend
        /// whose word is not needed.
        rules: Vec<HookRule> = Vec::new(),
        /// Who is told what happens. In a file each one is a table `[[hooks.events]]`. `events` lists `connected`, `disconnected`, `joined`, `left`,
        /// `occupied`, `vacated`, `online`, `offline` and `published`; without it all but `published`. `namespace` and `rooms` are patterns.
        events: Vec<EventRule> = Vec::new(),
        /// Events kept for backends that do not answer. A full log takes no new ones but the ends of connections whose beginning it has.
        events_bytes: ByteSize = ByteSize(1 << 30),
    }
}

/// One `[[hooks.rules]]` table: who decides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HookRule {
    /// What is decided there.
    pub on: Vec<HookKind>,
    /// Where the backend is asked.
    pub url: BackendUrl,
    /// In which namespaces. Default all.
    #[serde(default = "anything")]
    pub namespace: Pattern,
    /// For which rooms, where there is one. Default all.
    #[serde(default = "anything")]
    pub rooms: Pattern,
    /// What holds when the backend cannot be asked. Default: no.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// One `[[hooks.events]]` table: who is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EventRule {
    /// Where the events go.
    pub url: BackendUrl,
    /// Which ones. Default all but publications.
    #[serde(default = "EventKind::all_but_published")]
    pub events: Vec<EventKind>,
    /// Of which namespaces. Default all.
    #[serde(default = "anything")]
    pub namespace: Pattern,
    /// Of which rooms, where there is one. Default all.
    #[serde(default = "anything")]
    pub rooms: Pattern,
}

fn anything() -> Pattern {
    Pattern::new("*")
}

/// What a backend decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookKind {
    /// Who a client is, and what it may do.
    Connect,
    /// Whether it may join a room.
    Join,
    /// Whether a message or an event is published, and as what.
    Publish,
    /// What an event without a room is answered with.
    Call,
    /// What a newer token says.
    Refresh,
}

impl HookKind {
    /// The word in the configuration and in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Join => "join",
            Self::Publish => "publish",
            Self::Call => "call",
            Self::Refresh => "refresh",
        }
    }
}

/// What a backend is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A client is in.
    Connected,
    /// A client's connection is over.
    Disconnected,
    /// A session is in a room.
    Joined,
    /// It is not any more.
    Left,
    /// A room has its first member.
    Occupied,
    /// A room has nobody any more.
    Vacated,
    /// A user has a session.
    Online,
    /// A user has none any more.
    Offline,
    /// A message or an event was published.
    Published,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Connected,
        Self::Disconnected,
        Self::Joined,
        Self::Left,
        Self::Occupied,
        Self::Vacated,
        Self::Online,
        Self::Offline,
        Self::Published,
    ];

    fn all_but_published() -> Vec<Self> {
        let all = Self::ALL.into_iter();
        all.filter(|kind| *kind != Self::Published).collect()
    }

    /// The word in the configuration and in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Occupied => "occupied",
            Self::Vacated => "vacated",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Published => "published",
        }
    }
}

/// What holds when a backend cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// No.
    #[default]
    Deny,
    /// Whatever the grants say.
    Allow,
}

text_settings! {
    OnFailure, "`deny` or `allow`", r#""deny" or "allow""#,
        |text| match text { "deny" => Some(Self::Deny), "allow" => Some(Self::Allow), _ => None },
        |answer| match answer { Self::Deny => "deny", Self::Allow => "allow" }.to_owned();
}

/// The URL of a backend: `http` or `https`, with a host. `Debug` and messages leave out its query, which may hold a secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BackendUrl(Uri);

impl BackendUrl {
    /// The whole URL, for the request.
    pub const fn uri(&self) -> &Uri {
        &self.0
    }
}

impl TryFrom<String> for BackendUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "a url such as \"https://backend.example.com/hooks\" is wanted".to_owned();
        let uri = text.parse::<Uri>().map_err(|_| wrong())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().ok_or_else(wrong)?;
        if !is_web || authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let host = self
            .0
            .authority()
            .map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{host}{}", self.0.path())
    }
}

impl fmt::Debug for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Setting for HookRule {
    fn kind() -> String {
        "table {on, url, namespace, rooms, on_failure}".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        Self::deserialize(value.clone()).map_err(|error| {
            let wanted = r#"a rule such as { on = ["join", "publish"], url = "https://backend.example.com/hooks" }"#;
            Wrong::new("the table", format!("{wanted}: {}", error.message()))
        })
    }

    fn to_value(&self) -> Option<Value> {
        let on = self.on.iter().map(|kind| word(kind.as_str()));
        table([
            ("on", Some(Value::Array(on.collect()))),
            ("url", Some(Value::String(self.url.0.to_string()))),
            ("namespace", self.namespace.to_value()),
            ("rooms", self.rooms.to_value()),
            ("on_failure", self.on_failure.to_value()),
        ])
    }
}

impl Setting for EventRule {
    fn kind() -> String {
        "table {url, events, namespace, rooms}".to_owned()
    }

    fn from_value(value: &Value) -> Result<Self, Wrong> {
        Self::deserialize(value.clone()).map_err(|error| {
            let wanted = r#"a destination such as { url = "https://backend.example.com/events" }"#;
            Wrong::new("the table", format!("{wanted}: {}", error.message()))
        })
    }

    fn to_value(&self) -> Option<Value> {
        let events = self.events.iter().map(|kind| word(kind.as_str()));
        table([
            ("url", Some(Value::String(self.url.0.to_string()))),
            ("events", Some(Value::Array(events.collect()))),
            ("namespace", self.namespace.to_value()),
            ("rooms", self.rooms.to_value()),
        ])
    }
}

fn word(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn table<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let written = fields.into_iter();
    let written = written.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Some(Value::Table(written.collect::<Table>()))
}

impl HooksConfig {
    /// Whether a backend decides who clients are, in every namespace: then no token needs to be checked here.
    pub(crate) fn decide_who(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.on.contains(&HookKind::Connect) && rule.namespace == anything())
    }
}

impl Config {
    /// The secret of the hooks, when there are some.
    pub(super) fn check_hooks(&self, problems: &mut Vec<Problem>) -> Option<Secret> {
        let hooks = &self.hooks;
        check_numbers(hooks, problems);
        for rule in &hooks.rules {
            if rule.on.is_empty() {
                let fault = "nothing is decided there: list what is, as in on = [\"join\"]";
                problems.push(Problem::rule("hooks.rules", &rule.url, fault));
            }
        }
        for (i, rule) in hooks.events.iter().enumerate() {
            if rule.events.is_empty() {
                let fault = "nothing is told there: list what is, or leave events out";
                problems.push(Problem::rule("hooks.events", &rule.url, fault));
            }
            if hooks.events[..i].iter().any(|other| other.url == rule.url) {
                let fault = "this destination is there twice: name all its events in one table";
                problems.push(Problem::rule("hooks.events", &rule.url, fault));
            }
        }
        if hooks.rules.is_empty() && hooks.events.is_empty() {
            return None;
        }
        self.check_hook_secret(problems)
    }

    fn check_hook_secret(&self, problems: &mut Vec<Problem>) -> Option<Secret> {
        let file = self.hooks.secret_file.as_ref();
        let secret = match (&self.hooks.secret, file) {
            (Some(secret), _) => Some(secret.clone()),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => secrets_of(&text).next(),
                Err(error) => {
                    problems.push(unreadable("hooks.secret_file", path, &error));
                    return None;
                }
            },
            (None, None) => None,
        };
        let Some(secret) = secret else {
            let fault = "a backend could not tell who asks: put the output of `openssl rand -base64 32` into hooks.secret, NUNCIO_HOOKS_SECRET or \
                         hooks.secret_file";
            problems.push(Problem::rule("hooks.secret", "(not set)", fault));
            return None;
        };
        let len = secret.as_bytes().len();
        if len < Secret::BYTES_MIN || secret.as_bytes() == Secret::EXAMPLE.as_bytes() {
            let min = Secret::BYTES_MIN;
            let fault = format!(
                "{len} bytes that can be guessed, at least {min} that nobody knows are needed: make them with `openssl rand -base64 32`"
            );
            problems.push(Problem::rule("hooks.secret", quote(Secret::MASK), fault));
        }
        Some(secret)
    }
}

fn check_numbers(hooks: &HooksConfig, problems: &mut Vec<Problem>) {
    for (key, number) in [
        ("hooks.in_flight", hooks.in_flight),
        ("hooks.breaker_failures", hooks.breaker_failures as usize),
        ("hooks.events_bytes", hooks.events_bytes.0),
    ] {
        if number == 0 {
            let fault =
                "nothing could ever pass: write at least 1, or leave the key out for its default";
            problems.push(Problem::rule(key, 0, fault));
        }
    }
    for (key, duration) in [
        ("hooks.timeout", hooks.timeout),
        ("hooks.breaker_pause", hooks.breaker_pause),
    ] {
        if duration == Duration::ZERO {
            let fault = "it would be over at once: write a duration such as \"2s\", or leave the key out for its default";
            problems.push(Problem::rule(key, "0s", fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SECRET: &str = "secret = \"a secret of hooks with more than 32 bytes\"";

    #[test]
    fn rules_and_destinations_are_read_with_their_defaults() {
        let config = read(&format!(
            r#"
            [hooks]
            {SECRET}
            [[hooks.rules]]
            on = ["connect", "publish"]
            url = "http://127.0.0.1:9000/decide?key=hidden"
            rooms = "chat:*"
            [[hooks.events]]
            url = "https://backend.example.com/events"
            "#
        ))
        .unwrap();

        let rule = &config.hooks.rules[0];
        assert_eq!(rule.on, [HookKind::Connect, HookKind::Publish]);
        assert!(rule.namespace.matches("/chat") && !rule.rooms.matches("news"));
        assert_eq!(rule.on_failure, OnFailure::Deny);
        assert_eq!(format!("{:?}", rule.url), "http://127.0.0.1:9000/decide");
        assert_eq!(
            config.hooks.events[0].events.len(),
            EventKind::ALL.len() - 1
        );
        let again = Config::from_toml(&config.to_toml(), Path::new("written")).unwrap();
        assert_eq!(again.hooks.rules, config.hooks.rules);
        assert_eq!(again.hooks.events, config.hooks.events);
    }

    #[test]
    fn what_is_wrong_with_a_table_is_named() {
        for (table, named) in [
            (
                r#"[[hooks.rules]]
                on = ["conect"]
                url = "http://a""#,
                "conect",
            ),
            (
                r#"[[hooks.rules]]
                on = ["join"]
                url = "ftp://a/b""#,
                "https://backend.example.com",
            ),
            (
                r#"[[hooks.rules]]
                on = ["join"]
                url = "http://user:password@a/b""#,
                "https://backend.example.com",
            ),
            (
                r#"[[hooks.rules]]
                on = ["join"]
                uri = "http://a""#,
                "unknown field `uri`",
            ),
            (
                r#"[[hooks.events]]
                url = "http://a"
                events = ["conected"]"#,
                "conected",
            ),
            ("[hooks]\ntimeuot = 1", "did you mean hooks.timeout?"),
        ] {
            let problems = read(table).unwrap_err().to_string();

            assert!(problems.contains(named), "{problems}");
            assert!(!problems.contains("password"), "{problems}");
        }
    }

    #[test]
    fn a_backend_without_a_good_secret_is_refused() {
        let rule = "[[hooks.rules]]\non = [\"join\"]\nurl = \"http://a\"";
        for (secret, named) in [
            ("", "hooks.secret"),
            ("secret = \"short\"", "5 bytes"),
            ("secret_file = \"/nowhere/secret\"", "hooks.secret_file"),
        ] {
            let mut config = read(&format!("[hooks]\n{secret}\n{rule}")).unwrap();
            config.auth.secrets = vec![Secret::new("a secret of at least thirty-two bytes")];

            let problems = config.check().unwrap_err().to_string();

            assert!(problems.contains(named), "{problems}");
            assert!(!problems.contains("short"), "{problems}");
        }
    }

    #[test]
    fn a_destination_twice_and_empty_lists_are_refused() {
        let mut config = read(&format!(
            r#"
            [hooks]
            {SECRET}
            in_flight = 0
            [[hooks.rules]]
            on = []
            url = "http://a"
            [[hooks.events]]
            url = "http://b"
            [[hooks.events]]
            url = "http://b"
            events = []
            "#
        ))
        .unwrap();
        config.auth.secrets = vec![Secret::new("a secret of at least thirty-two bytes")];

        let problems = config.check().unwrap_err();

        assert_eq!(problems.0.len(), 4, "{problems}");
    }

    fn read(text: &str) -> Result<Config, super::super::Problems> {
        Config::from_toml(text, Path::new("nuncio.toml"))
    }
}
