//! The configuration: sections of documented keys, read from `nuncio.toml`, from `NUNCIO_…` variables and from flags, in rising precedence.
//!
//! Each key is declared once, in `sections.rs`; its variable, its `--set` name and its line in the reference page follow from that.
//! [`Config::check`] turns what was written into a [`CheckedConfig`], whose values hold together.

mod api;
mod check;
mod hook;
mod network;
mod problem;
mod reference;
mod room_rule;
mod secret;
mod section;
mod sections;
mod setting;
mod socketio;
mod source;
mod streams;
mod suggest;

use nuncio_model::{Pattern, Rights, RoomGrant};
use toml::Value;

pub use api::{ApiConfig, ApiKey, Scope};
pub use check::{CheckedConfig, Keys, TlsFiles};
pub use hook::{BackendUrl, EventKind, EventRule, HookKind, HookRule, HooksConfig, OnFailure};
pub use network::{Network, client_address};
pub use problem::{Place, Problem, Problems};
pub use reference::reference;
pub use room_rule::{HistoryMode, RoomRule};
pub use secret::Secret;
pub use section::Key;
pub use sections::{
    AuthConfig, DeflateConfig, GrantsConfig, HeartbeatConfig, HistoryConfig, LimitsConfig,
    LogConfig, LogFormat, MetricsConfig, PresenceConfig, RoomRules, ServerConfig, StoreConfig,
    TlsConfig,
};
pub use setting::{ByteSize, Wrong, parse_duration};
pub use socketio::{SocketIoConfig, SocketIoCookieConfig};
pub use source::Sources;
pub use streams::StreamsConfig;

pub(crate) use setting::{Setting, text_settings};
pub(crate) use suggest::suggest;

use section::Section;
use setting::Raw;

/// All that can be configured, as written.
///
/// ```
/// use std::path::Path;
/// use nuncio::config::Config;
///
/// let config = Config::from_toml("[limits]\nmessage_bytes = \"1MiB\"", Path::new("nuncio.toml"))?;
/// assert_eq!(config.limits.message_bytes.0, 1 << 20);
/// # Ok::<(), nuncio::config::Problems>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Config {
    /// Where the server listens, and what it accepts.
    pub server: ServerConfig,
    /// Encryption by the server itself.
    pub tls: TlsConfig,
    /// Whose tokens are believed.
    pub auth: AuthConfig,
    /// What a token grants that does not say.
    pub grants: GrantsConfig,
    /// How a lost connection is noticed.
    pub heartbeat: HeartbeatConfig,
    /// Bounds of each connection, session, user and room.
    pub limits: LimitsConfig,
    /// Who is online, and who is typing.
    pub presence: PresenceConfig,
    /// What each room keeps.
    pub history: HistoryConfig,
    /// What differs for rooms by name.
    pub rooms: RoomRules,
    /// The durable history on disk.
    pub store: StoreConfig,
    /// Monitoring for Prometheus.
    pub metrics: MetricsConfig,
    /// What the server says.
    pub log: LogConfig,
    /// Where Socket.IO clients connect.
    pub socketio: SocketIoConfig,
    /// The cookie of their sessions.
    pub socketio_cookie: SocketIoCookieConfig,
    /// Where native clients without a WebSocket connect.
    pub streams: StreamsConfig,
    /// Compression of messages.
    pub deflate: DeflateConfig,
    /// The server API for backends.
    pub api: ApiConfig,
    /// A backend that decides, or is told.
    pub hooks: HooksConfig,
    mode: Mode,
}

/// Whether somebody configured the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// A file or a secret says who may do what.
    #[default]
    Configured,
    /// Nothing does: whoever reaches the server may enter and do everything, so it listens on this machine only.
    Demo,
    /// A program has the server inside: what it does not say is off, but for what keeps it safe.
    Embedded,
}

impl Config {
    /// The configuration of a server inside a program: no secrets are asked for, history is in memory, clients may send as fast as they like, `/metrics` is
    /// not served. [`ServerBuilder`](crate::ServerBuilder) begins with it.
    pub fn embedded() -> Self {
        let mut embedded = Self {
            mode: Mode::Embedded,
            ..Self::default()
        };
        embedded.store.enabled = false;
        embedded.limits.rate_per_second = 0;
        embedded.metrics.enabled = false;
        embedded
    }

    /// The configuration of the demo: everybody who asks `POST /demo/token` gets a token, which grants everything; the echo endpoint is on.
    /// [`check`](Self::check) refuses it on an address that other machines reach.
    pub fn demo() -> Self {
        let everywhere = RoomGrant {
            rooms: Pattern::new("*"),
            allow: Rights::ALL,
        };
        let mut demo = Self {
            mode: Mode::Demo,
            ..Self::default()
        };
        demo.server.echo = true;
        demo.grants.rooms = vec![everywhere];
        demo.grants.private = vec![Pattern::new("*")];
        demo
    }

    /// Whether this is the demo.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// All keys, in the order of the reference page.
    pub fn keys() -> Vec<Key> {
        let config = Self::default();
        config
            .sections()
            .iter()
            .flat_map(|section| section.keys())
            .collect()
    }

    /// The configuration as a file would have it, every key of it, with the secrets hidden.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        // Before the first header, a key belongs to no section.
        let (top, sections): (Vec<_>, Vec<_>) = self
            .sections()
            .into_iter()
            .partition(|section| is_top(*section));
        for section in top.into_iter().chain(sections) {
            if !is_top(section) {
                text += &format!("\n[{}]\n", section.name());
            }
            for (key, value) in section.keys().iter().zip(section.values()) {
                text += &assignment(&key.name, value.as_ref());
            }
        }
        text
    }

    fn set(&mut self, key: &str, raw: Raw<'_>) -> Option<Result<(), Wrong>> {
        let (section, field) = key.rsplit_once('.').unwrap_or((key, key));
        let mut sections = self.sections_mut().into_iter();
        sections
            .find(|known| known.name() == section)?
            .set(field, raw)
    }

    /// Whether a table of this name has keys of its own; `rooms` has none: its tables are the value of one key.
    fn is_section(name: &str) -> bool {
        let config = Self::default();
        config
            .sections()
            .iter()
            .any(|section| section.name() == name && !is_top(*section))
    }

    fn is_no_key(name: &str) -> bool {
        Self::keys().iter().all(|key| key.name != name)
    }

    fn section_names() -> impl Iterator<Item = String> {
        let names = Self::keys().into_iter();
        names.filter_map(|key| Some(key.name.rsplit_once('.')?.0.to_owned()))
    }

    fn sections(&self) -> [&dyn Section; 18] {
        [
            &self.server,
            &self.tls,
            &self.auth,
            &self.grants,
            &self.heartbeat,
            &self.limits,
            &self.presence,
            &self.history,
            &self.rooms,
            &self.store,
            &self.metrics,
            &self.log,
            &self.socketio,
            &self.socketio_cookie,
            &self.streams,
            &self.deflate,
            &self.api,
            &self.hooks,
        ]
    }

    fn sections_mut(&mut self) -> [&mut dyn Section; 18] {
        [
            &mut self.server,
            &mut self.tls,
            &mut self.auth,
            &mut self.grants,
            &mut self.heartbeat,
            &mut self.limits,
            &mut self.presence,
            &mut self.history,
            &mut self.rooms,
            &mut self.store,
            &mut self.metrics,
            &mut self.log,
            &mut self.socketio,
            &mut self.socketio_cookie,
            &mut self.streams,
            &mut self.deflate,
            &mut self.api,
            &mut self.hooks,
        ]
    }
}

/// Whether the section's one key stands at the top of the file, under the section's own name.
fn is_top(section: &dyn Section) -> bool {
    section.keys().iter().all(|key| key.name == section.name())
}

fn assignment(key: &str, value: Option<&Value>) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    match value {
        Some(value) => format!("{name} = {value}\n"),
        None => format!("# {name} is not set\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_default_listens_on_this_machine_and_grants_nothing() {
        let config = Config::default();

        assert!(config.server.listen.ip().is_loopback());
        assert!(config.grants.rooms.is_empty() && config.grants.private.is_empty());
        assert!(config.server.origins.is_empty() && !config.server.echo);
    }

    #[test]
    fn every_key_has_a_variable_of_its_own_and_a_text() {
        let keys = Config::keys();
        let variables: HashSet<String> = keys.iter().map(Key::variable).collect();

        assert_eq!(variables.len(), keys.len());
        for key in keys {
            assert!(
                key.doc.ends_with('.') && key.doc.len() > 10,
                "{}: {:?}",
                key.name,
                key.doc
            );
        }
    }

    #[test]
    fn what_is_written_out_reads_back_the_same() {
        let mut config = Config::demo();
        config.mode = Mode::Configured;
        config.rooms.0 = vec![RoomRule {
            history: Some(HistoryMode::Memory),
            messages: Some(5),
            ..RoomRule::new("tmp:*")
        }];
        config.auth.issuer = Some("it's \"quoted\"".to_owned());

        let text = config.to_toml();

        assert_eq!(
            Config::from_toml(&text, Path::new("written")),
            Ok(config),
            "{text}"
        );
    }

    #[test]
    fn what_is_written_out_hides_the_secrets() {
        let mut config = Config::default();
        config.auth.secrets = vec![Secret::new("01234567890123456789012345678901")];

        let text = config.to_toml();

        assert!(
            text.contains(Secret::MASK) && !text.contains("0123456789"),
            "{text}"
        );
        assert!(!format!("{config:?}").contains("0123456789"));
    }
}
