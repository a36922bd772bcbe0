//! From what was written to what holds: every rule between values, checked once, all problems told at once.

mod api;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nuncio_model::{ConnectionLimits, Grants, HistoryLimits, RateLimits, RoomLimits, quote};
use nuncio_transport::InvalidCookie;

use super::problem::{Problem, Problems};
use super::{ApiKey, Config, HistoryMode, Mode, Secret};
use crate::origin::{Hosts, Origins};

/// A configuration whose values are good and fit each other. Made by [`Config::check`] only.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckedConfig {
    /// As it was written, for what needs no second form.
    pub config: Config,
    /// Bounds of a connection.
    pub connection: ConnectionLimits,
    /// How fast a session and a user may send.
    pub rate: RateLimits,
    /// Bounds of rooms and users.
    pub room: RoomLimits,
    /// What a room keeps where no rule says otherwise.
    pub history: HistoryLimits,
    /// Which pages may connect.
    pub origins: Origins,
    /// What tokens are signed with.
    pub keys: Keys,
    /// What a token grants that does not say.
    pub grants: Arc<Grants>,
    /// What visitors without a token may watch.
    pub anonymous: Arc<Grants>,
    /// The files for encryption, if the server does it.
    pub tls: Option<TlsFiles>,
    /// Who may use the server API; nobody, where it does not exist.
    pub api_keys: Vec<ApiKey>,
    /// Threads that serve connections, at least one.
    pub workers: usize,
    /// What requests to a backend are signed with, when there are hooks.
    pub hook_secret: Option<Secret>,
}

/// Where the secrets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// From the configuration; the first signs. Only a server in a program may have none: then every token is refused.
    Secrets(Vec<Secret>),
    /// The demo's own, kept in this file.
    Demo(PathBuf),
}

/// Certificate and key, both readable when they were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with the certificate chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

const COOKIE_NAME: &str =
    "only letters, digits and !#$%&'*+-.^_`|~ may be in it, one at least: write \"io\"";
const COOKIE_PATH: &str = "a semicolon, a control character or a letter that is not ASCII would break the header: write \"/\"";

/// Paths that mean something else than the WebSocket endpoint.
const PATHS_TAKEN: [&str; 9] = [
    "/", "/sse", "/poll", "/send", "/metrics", "/healthz", "/readyz", "/api", "/demo",
];

/// More threads than any machine has cores for are a slip of the keyboard.
const WORKERS_MAX: usize = 1024;

impl Config {
    /// Checks what no single value shows, and reads the files that are named.
    ///
    /// # Errors
    /// [`Problems`], all at once, each with the key, the value and the way out.
    pub fn check(self) -> Result<CheckedConfig, Problems> {
        let mut problems = Vec::new();
        self.check_server(&mut problems);
        self.check_positive(&mut problems);
        self.check_limits(&mut problems);
        self.check_rooms(&mut problems);
        self.check_log(&mut problems);
        let tls = self.check_tls(&mut problems);
        let keys = self.check_keys(&mut problems);
        let api_keys = self.check_api(&mut problems);
        let hook_secret = self.check_hooks(&mut problems);
        if problems.is_empty() {
            Ok(self.into_checked(tls, keys, api_keys, hook_secret))
        } else {
            Err(Problems(problems))
        }
    }

    fn into_checked(
        self,
        tls: Option<TlsFiles>,
        keys: Keys,
        api_keys: Vec<ApiKey>,
        hook_secret: Option<Secret>,
    ) -> CheckedConfig {
        let hosts = match self.mode {
            Mode::Demo => Hosts::Loopback,
            Mode::Configured | Mode::Embedded => Hosts::Any,
        };
        let workers = match self.server.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        CheckedConfig {
            connection: self.connection_limits(),
            rate: self.rate_limits(),
            room: self.room_limits(),
            history: self.history_limits(),
            origins: Origins::new(&self.server.origins, hosts),
            grants: Arc::new(self.default_grants()),
            anonymous: Arc::new(self.anonymous_grants()),
            config: self,
            keys,
            tls,
            api_keys,
            workers,
            hook_secret,
        }
    }

    fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            message_bytes_max: self.limits.message_bytes.0,
            outbox_bytes_max: self.limits.outbox_bytes.0,
            rooms_max: self.limits.rooms_per_session,
            calls_max: self.limits.calls_in_flight,
            auth_timeout: self.auth.timeout,
            heartbeat_interval: self.heartbeat.interval,
            heartbeat_timeout: self.heartbeat.timeout,
            clock_leeway: self.auth.leeway,
        }
    }

    const fn rate_limits(&self) -> RateLimits {
        RateLimits {
            per_second: self.limits.rate_per_second,
            burst: self.limits.rate_burst,
            control_factor: self.limits.rate_control_factor,
            refusals_max: self.limits.rate_refusals_max,
        }
    }

    const fn room_limits(&self) -> RoomLimits {
        RoomLimits {
            members_max: self.limits.members_per_room,
            sessions_per_user_max: self.limits.sessions_per_user,
            presence_names_max: self.presence.names_max,
            presence_page_max: self.presence.page_max,
            presence_grace: self.presence.grace,
            typing_timeout: self.presence.typing_timeout,
        }
    }

    const fn history_limits(&self) -> HistoryLimits {
        HistoryLimits {
            messages_max: self.history.messages,
            bytes_max: self.history.bytes.0,
            age_max: self.history.age,
            idempotency_ttl: self.history.idempotency_ttl,
        }
    }

    fn default_grants(&self) -> Grants {
        Grants {
            namespaces: self.grants.namespaces.clone(),
            rooms: self.grants.rooms.clone(),
            private: self.grants.private.clone(),
        }
    }

    fn anonymous_grants(&self) -> Grants {
        Grants {
            namespaces: self.grants.namespaces.clone(),
            rooms: self.grants.anonymous.clone(),
            private: Vec::new(),
        }
    }

    fn check_server(&self, problems: &mut Vec<Problem>) {
        let path = &self.server.path;
        if !path.starts_with('/')
            || path.contains(['?', '#', ' ', '*'])
            || (path.len() > 1 && path.ends_with('/'))
        {
            let fault = "a path starts with /, does not end with one, and has no ?, #, * or space: write \"/ws\"";
            problems.push(Problem::rule("server.path", quote(path), fault));
        } else if PATHS_TAKEN.contains(&path.as_str()) || path.starts_with("/api/") {
            let fault = "this path has a meaning already: choose another, such as \"/ws\"";
            problems.push(Problem::rule("server.path", quote(path), fault));
        }
        self.check_socketio(problems);
        if self.server.workers > WORKERS_MAX {
            let fault = format!("at most {WORKERS_MAX} are allowed; 0 takes one per core");
            problems.push(Problem::rule("server.workers", self.server.workers, fault));
        }
        if self.server.head_bytes_max.0 < 1024 {
            let fault = "the headers of a browser are larger: allow at least 1KiB, better 16KiB";
            problems.push(Problem::rule(
                "server.head_bytes_max",
                self.server.head_bytes_max,
                fault,
            ));
        }
        if self.mode == Mode::Demo {
            check_demo_address("server.listen", Some(self.server.listen), problems);
            check_demo_address("metrics.listen", self.metrics.listen, problems);
            check_demo_address("api.listen", self.api.listen, problems);
        }
    }

    fn check_socketio(&self, problems: &mut Vec<Problem>) {
        let path = self.socketio.path.trim_end_matches('/');
        let is_path = path.starts_with('/') && !path.contains(['?', '#', ' ', '*']);
        if !is_path || PATHS_TAKEN.contains(&path) || path == self.server.path {
            let fault = "it must start with / and be no path that has a meaning already: write \"/socket.io/\"";
            let found = quote(&self.socketio.path);
            problems.push(Problem::rule("socketio.path", found, fault));
        }
        if self.socketio.transports().is_none() {
            let fault = "nobody could connect: write \"polling\", \"websocket\" or both, or set socketio.enabled = false";
            problems.push(Problem::rule("socketio.transports", "[]", fault));
        }
        if let Some(cookie) = self.socketio_cookie.cookie()
            && let Err(fault) = cookie.check()
        {
            let (key, found, fault) = match &fault {
                InvalidCookie::Name(name) => ("socketio.cookie.name", name, COOKIE_NAME),
                InvalidCookie::Path(path) => ("socketio.cookie.path", path, COOKIE_PATH),
            };
            problems.push(Problem::rule(key, quote(found), fault));
        }
    }

    fn check_positive(&self, problems: &mut Vec<Problem>) {
        let (server, limits) = (&self.server, &self.limits);
        for (key, number) in [
            ("server.handshakes_max", server.handshakes_max),
            ("server.sessions_max", server.sessions_max),
            ("server.drain_rate", server.drain_rate as usize),
            ("limits.message_bytes", limits.message_bytes.0),
            ("socketio.max_payload", self.socketio.max_payload.0),
            ("limits.rooms_per_session", limits.rooms_per_session),
            ("limits.calls_in_flight", limits.calls_in_flight),
            (
                "limits.rate_control_factor",
                limits.rate_control_factor as usize,
            ),
            (
                "limits.rate_refusals_max",
                limits.rate_refusals_max as usize,
            ),
            ("limits.members_per_room", limits.members_per_room),
            ("limits.sessions_per_user", limits.sessions_per_user),
            ("presence.page_max", self.presence.page_max as usize),
            ("api.body_bytes", self.api.body_bytes.0),
            ("api.requests_max", self.api.requests_max),
            ("api.batch_max", self.api.batch_max),
        ] {
            if number == 0 {
                problems.push(Problem::rule(key, 0, "nothing could ever pass: write at least 1, or leave the key out for its default"));
            }
        }
        for (key, duration) in [
            ("server.head_timeout", server.head_timeout),
            ("auth.timeout", self.auth.timeout),
            ("heartbeat.interval", self.heartbeat.interval),
            ("heartbeat.timeout", self.heartbeat.timeout),
            ("socketio.ping_interval", self.socketio.ping_interval),
            ("socketio.ping_timeout", self.socketio.ping_timeout),
            ("socketio.connect_timeout", self.socketio.connect_timeout),
            ("socketio.upgrade_timeout", self.socketio.upgrade_timeout),
            ("socketio.attachments_wait", self.socketio.attachments_wait),
            ("streams.poll_wait", self.streams.poll_wait),
            ("streams.silence", self.streams.silence),
        ] {
            if duration == Duration::ZERO {
                problems.push(Problem::rule(key, "0s", "it would be over at once: write a duration such as \"10s\", or leave the key out for its default"));
            }
        }
    }

    fn check_limits(&self, problems: &mut Vec<Problem>) {
        let limits = &self.limits;
        if limits.outbox_bytes < limits.message_bytes {
            let fault = format!(
                "less than limits.message_bytes = {}: one message would disconnect its receivers; raise it, or lower the other",
                limits.message_bytes
            );
            problems.push(Problem::rule(
                "limits.outbox_bytes",
                limits.outbox_bytes,
                fault,
            ));
        }
        if limits.rate_per_second > 0 && limits.rate_burst == 0 {
            let fault = "no message could ever pass: write at least 1, or set limits.rate_per_second = 0 for no limit";
            problems.push(Problem::rule("limits.rate_burst", 0, fault));
        }
    }

    fn check_rooms(&self, problems: &mut Vec<Problem>) {
        for rule in &self.rooms.0 {
            if rule.history == Some(HistoryMode::Durable) && !self.store.enabled {
                let found = format!(
                    "{{ pattern = {}, history = \"durable\" }}",
                    quote(rule.pattern.as_str())
                );
                let fault =
                    "there is no store: set store.enabled = true, or write history = \"memory\"";
                problems.push(Problem::rule("rooms", found, fault));
            }
        }
    }

    fn check_log(&self, problems: &mut Vec<Problem>) {
        let is_level = |level: &str| {
            level
                .trim()
                .parse::<tracing::level_filters::LevelFilter>()
                .is_ok()
        };
        let level_of =
            |part: &str| is_level(part.rsplit_once('=').map_or(part, |(_, level)| level));
        if !self.log.level.split(',').all(level_of) {
            let fault = "write error, warn, info, debug or trace; parts may differ, as in \"info,nuncio_transport=debug\"";
            problems.push(Problem::rule("log.level", quote(&self.log.level), fault));
        }
    }

    fn check_tls(&self, problems: &mut Vec<Problem>) -> Option<TlsFiles> {
        match (&self.tls.certificate, &self.tls.key) {
            (Some(certificate), Some(key)) => {
                check_readable("server.tls.certificate", certificate, problems);
                check_readable("server.tls.key", key, problems);
                Some(TlsFiles {
                    certificate: certificate.clone(),
                    key: key.clone(),
                })
            }
            (Some(certificate), None) => {
                let fault = "its private key is missing: set server.tls.key too";
                problems.push(Problem::rule(
                    "server.tls.certificate",
                    quote(&certificate.to_string_lossy()),
                    fault,
                ));
                None
            }
            (None, Some(key)) => {
                let fault = "its certificate is missing: set server.tls.certificate too";
                problems.push(Problem::rule(
                    "server.tls.key",
                    quote(&key.to_string_lossy()),
                    fault,
                ));
                None
            }
            (None, None) => None,
        }
    }

    fn check_keys(&self, problems: &mut Vec<Problem>) -> Keys {
        if self.mode == Mode::Demo {
            return Keys::Demo(self.store.path.join("demo-secret"));
        }
        let mut secrets = self.auth.secrets.clone();
        if let Some(path) = &self.auth.secrets_file {
            match std::fs::read_to_string(path) {
                Ok(text) => secrets.extend(secrets_of(&text)),
                Err(error) => problems.push(unreadable("auth.secrets_file", path, &error)),
            }
        }
        if secrets.is_empty()
            && self.mode == Mode::Configured
            && !self.hooks.decide_who()
            && problems
                .iter()
                .all(|problem| !is_about(problem, "auth.secrets_file"))
        {
            let fault = "no token can be checked: put the output of `openssl rand -base64 32` into auth.secrets, NUNCIO_AUTH_SECRETS or \
                         auth.secrets_file; or let a backend decide who clients are ([[hooks.rules]] with on = [\"connect\"]); or start without a configuration file for the demo";
            problems.push(Problem::rule("auth.secrets", "[]", fault));
        }
        for (i, secret) in secrets.iter().enumerate() {
            check_secret(i + 1, secret, problems);
        }
        Keys::Secrets(secrets)
    }
}

fn check_demo_address(key: &'static str, address: Option<SocketAddr>, problems: &mut Vec<Problem>) {
    let Some(address) = address.filter(|address| !address.ip().is_loopback()) else {
        return;
    };
    let fault = "other machines reach this address, and without secrets this is the demo, which lets everybody in: set auth.secrets in nuncio.toml or \
                 NUNCIO_AUTH_SECRETS (make one with `openssl rand -base64 32`) and what is granted in the section grants, or listen on 127.0.0.1";
    problems.push(Problem::rule(key, address, fault));
}

fn check_secret(number: usize, secret: &Secret, problems: &mut Vec<Problem>) {
    let found = format!("(secret {number}, hidden)");
    let len = secret.as_bytes().len();
    if secret.as_bytes() == Secret::EXAMPLE.as_bytes() {
        let fault = "this is the example of the documentation, which everybody knows: use the output of `openssl rand -base64 32`";
        problems.push(Problem::rule("auth.secrets", found, fault));
    } else if len < Secret::BYTES_MIN {
        let fault = format!(
            "{len} bytes can be guessed, at least {} are needed: make one with `openssl rand -base64 32`",
            Secret::BYTES_MIN
        );
        problems.push(Problem::rule("auth.secrets", found, fault));
    }
}

pub(super) fn secrets_of(text: &str) -> impl Iterator<Item = Secret> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(Secret::new)
}

fn check_readable(key: &'static str, path: &Path, problems: &mut Vec<Problem>) {
    let file = File::open(path).and_then(|file| file.metadata());
    match file {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => problems.push(Problem::rule(
            key,
            quote(&path.to_string_lossy()),
            "this is no file: name a PEM file",
        )),
        Err(error) => problems.push(unreadable(key, path, &error)),
    }
}

pub(super) fn unreadable(key: &'static str, path: &Path, error: &std::io::Error) -> Problem {
    let fault = format!("{error}; name a file that the user running nuncio may read");
    Problem::rule(key, quote(&path.to_string_lossy()), fault)
}

fn is_about(problem: &Problem, name: &str) -> bool {
    matches!(problem, Problem::Rule { key, .. } if *key == name)
}

#[cfg(test)]
mod tests;
