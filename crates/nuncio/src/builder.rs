//! A server said piece by piece.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use nuncio_model::{Pattern, Rights, RoomGrant, quote};
use toml::Value;

use crate::config::{
    CheckedConfig, Config, Keys, LimitsConfig, Problem, Problems, Secret, Setting,
};
use crate::io::Io;
use crate::origin::OriginPattern;
use crate::server::{ServeError, Server};

/// What a server in a program is to be. What is not said has the defaults of the [configuration](Config::embedded): it listens on `127.0.0.1:8080`, pages
/// of the same host may connect, history is in memory, all limits hold but the one on how fast clients send.
///
/// ```
/// use std::time::Duration;
/// use nuncio::Server;
///
/// let builder = Server::builder()
///     .listen("127.0.0.1:0")
///     .secret("a secret of 32 bytes or more, kept")
///     .grant("chat:*", nuncio::Rights::ALL)
///     .origins(["https://app.example.com"])
///     .rate_limit(20, 40)
///     .heartbeat(Duration::from_secs(25), Duration::from_secs(10));
/// assert!(builder.check().is_ok());
///
/// let wrong = Server::builder().secret("too short").check().unwrap_err();
/// assert!(wrong.to_string().contains("at least 32 are needed"));
/// ```
///
/// Values are looked at when the server is made, and all that is wrong is told at once.
#[must_use = "nothing is served before bind(), build() or run()"]
pub struct ServerBuilder {
    config: Config,
    native: Option<Endpoint>,
    socketio: Option<Endpoint>,
    io: Option<Io>,
    problems: Vec<Problem>,
}

/// Where an endpoint of the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// At this path.
    At(String),
    /// Nowhere.
    Off,
}

impl From<&str> for Endpoint {
    fn from(path: &str) -> Self {
        Self::At(path.to_owned())
    }
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Config::embedded().into()
    }
}

impl From<Config> for ServerBuilder {
    /// Begins with a configuration from elsewhere, such as a file.
    fn from(config: Config) -> Self {
        Self {
            config,
            native: None,
            socketio: None,
            io: None,
            problems: Vec::new(),
        }
    }
}

impl ServerBuilder {
    /// Address and port to listen on, such as `"0.0.0.0:8080"` or `([127, 0, 0, 1], 0)`; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub fn listen(mut self, address: impl ToSocketAddrs + fmt::Debug) -> Self {
        match first(&address) {
            Ok(address) => self.config.server.listen = address,
            Err(error) => {
                let fault =
                    format!("{error}; write an address and a port, such as \"127.0.0.1:8080\"");
                let found = format!("{address:?}");
                self.problems
                    .push(Problem::rule("server.listen", found, fault));
            }
        }
        self
    }

    /// A secret that tokens are signed with (HS256), of at least 32 bytes. May be said several times: the first signs, all are believed.
    /// Without one nobody can authenticate, and neither the native endpoint nor the built-in Socket.IO one exists.
    pub fn secret(mut self, secret: &str) -> Self {
        self.config.auth.secrets.push(Secret::new(secret));
        self
    }

    /// What a token grants that does not say itself: rights in the rooms of a pattern such as `chat:*`. Nothing is granted that nobody says.
    pub fn grant(mut self, rooms: &str, allow: Rights) -> Self {
        let rooms = Pattern::new(rooms);
        self.config.grants.rooms.push(RoomGrant { rooms, allow });
        self
    }

    /// Whose pages may connect: `https://app.example.com`, `https://*.example.com`, `same-host`, `*`. Default: those of the host that is asked.
    pub fn origins<'a>(mut self, origins: impl IntoIterator<Item = &'a str>) -> Self {
        for origin in origins {
            match OriginPattern::from_value(&Value::String(origin.to_owned())) {
                Ok(pattern) => self.config.server.origins.push(pattern),
                Err(wrong) => {
                    let found = quote(origin);
                    self.problems
                        .push(Problem::rule("server.origins", found, wrong));
                }
            }
        }
        self
    }

    /// Where native clients connect: a path, or [`Endpoint::Off`]. Default `/ws` where there is a secret.
    pub fn native(mut self, endpoint: impl Into<Endpoint>) -> Self {
        self.native = Some(endpoint.into());
        self
    }

    /// Where Socket.IO clients connect: a path, or [`Endpoint::Off`]. Default `/socket.io/` where there is a secret.
    pub fn socketio(mut self, endpoint: impl Into<Endpoint>) -> Self {
        self.socketio = Some(endpoint.into());
        self
    }

    /// Handlers for clients. With them the endpoints are there without a secret too: then no token is verified, everybody is let in under the name of its id,
    /// and it is for the handlers' middleware to refuse.
    pub fn io(mut self, io: &Io) -> Self {
        self.io = Some(io.clone());
        self
    }

    /// Bounds of connections, sessions, users and rooms: `.limits(|limits| limits.rooms_per_session = 500)`.
    pub fn limits(mut self, change: impl FnOnce(&mut LimitsConfig)) -> Self {
        change(&mut self.config.limits);
        self
    }

    /// How many messages a second a session, and a user over all sessions, may send, and how many at once after a pause. Default: as many as they like.
    pub fn rate_limit(self, per_second: u32, burst: u32) -> Self {
        self.limits(|limits| {
            limits.rate_per_second = per_second;
            limits.rate_burst = burst;
        })
    }

    /// Keeps the history of rooms in a folder, which is made when missing: what was acknowledged survives the process. Default: in memory.
    pub fn store(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.store.path = folder.into();
        self.config.store.enabled = true;
        self
    }

    /// The newest messages that a room keeps. Default 100; 0 keeps none.
    pub fn history(mut self, messages: usize) -> Self {
        self.config.history.messages = messages;
        self
    }

    /// How long the session of a Socket.IO client is kept that lost its connection: it gets back its id, rooms and data, and what it missed. Default: it is
    /// not kept.
    pub fn recovery(mut self, kept_for: Duration) -> Self {
        self.config.socketio.recovery = kept_for;
        self
    }

    /// Encrypts by itself, with these PEM files. Default: it does not.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.config.tls.certificate = Some(certificate.into());
        self.config.tls.key = Some(key.into());
        self
    }

    /// The pause between pings to a silent client, and how much longer it may stay silent. Default 30 s and 20 s.
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.config.heartbeat.interval = interval;
        self.config.heartbeat.timeout = timeout;
        self
    }

    /// Lets variables of the process change what was said so far, such as `NUNCIO_SERVER_LISTEN` or `NUNCIO_AUTH_SECRETS`: one for each key of the configuration.
    pub fn environment(mut self) -> Self {
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        for (name, value) in texts {
            self.config
                .apply_variable(&name, &value, &mut self.problems);
        }
        self
    }

    /// Everything else that can be configured, and the same once more: `.configure(|config| config.metrics.enabled = true)`.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Looks at what was said, without making a server.
    ///
    /// # Errors
    /// [`Problems`], all at once, each with the key of the configuration, its value and the way out.
    pub fn check(self) -> Result<(), Problems> {
        self.checked().map(drop)
    }

    /// Opens the data without listening: for a server [inside another one](Server::into_service), or one that listens when it runs.
    ///
    /// # Errors
    /// [`ServeError`] names what cannot be used, and the way out.
    pub fn build(self) -> Result<Server, ServeError> {
        let io = self.io.clone().unwrap_or_default();
        let (config, native) = self.checked()?;
        let mut server = Server::build_with(config, io)?;
        if native == Endpoint::Off {
            server.endpoints.websocket = None;
        }
        Ok(server)
    }

    /// Opens the data and begins to listen; nothing is served before the server [runs](Server::run).
    ///
    /// # Errors
    /// As [`build`](Self::build); and that the address cannot be listened on.
    pub async fn bind(self) -> Result<Server, ServeError> {
        let mut server = self.build()?;
        server.listen().await?;
        Ok(server)
    }

    /// Serves until the process is told to end: [`bind`](Self::bind), then [`run`](Server::run).
    ///
    /// # Errors
    /// As theirs.
    pub async fn run(self) -> Result<(), ServeError> {
        self.bind().await?.run().await
    }

    fn checked(mut self) -> Result<(CheckedConfig, Endpoint), Problems> {
        let (native, socketio) = (self.native.take(), self.socketio.take());
        if let Some(Endpoint::At(path)) = &native {
            self.config.server.path.clone_from(path);
        }
        if let Some(Endpoint::At(path)) = &socketio {
            self.config.socketio.path.clone_from(path);
        }
        let mut config = match self.config.check() {
            Ok(config) => config,
            Err(Problems(more)) => return Err(Problems([self.problems, more].concat())),
        };
        // Whoever has handlers may do without tokens.
        let has_keys = config.keys != Keys::Secrets(Vec::new())
            || self.io.is_some()
            || config.config.hooks.decide_who();
        let mut problems = self.problems;
        for (key, endpoint) in [("server.path", &native), ("socketio.path", &socketio)] {
            if let (Some(Endpoint::At(path)), false) = (endpoint, has_keys) {
                let fault = "nobody could authenticate there: give the server a secret";
                problems.push(Problem::rule(key, quote(path), fault));
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let is_on = |endpoint: Option<Endpoint>| match endpoint {
            Some(Endpoint::At(_)) => true,
            Some(Endpoint::Off) => false,
            None => has_keys,
        };
        config.config.socketio.enabled &= is_on(socketio);
        let native = if is_on(native) {
            Endpoint::At(config.config.server.path.clone())
        } else {
            Endpoint::Off
        };
        Ok((config, native))
    }
}

fn first(address: &impl ToSocketAddrs) -> std::io::Result<SocketAddr> {
    let mut addresses = address.to_socket_addrs()?;
    let none = || std::io::Error::other("it is the name of no address");
    addresses.next().ok_or_else(none)
}

#[cfg(test)]
mod tests;
