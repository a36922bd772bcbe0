//! What the command line means, checked before anything is sent.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nuncio_client::tls::{Tls, Trust};
use nuncio_client::websocket::{ClientConfig, DeflateConfig, Proxy};

use super::args::{ConnectArgs, DialectArg};
use super::input::Dialect;
use super::script::{self, Step};

/// Where to connect, as whom, and how.
pub(super) struct Plan {
    pub(super) dialect: Dialect,
    /// With a scheme, and the path where the dialect wants it.
    pub(super) url: String,
    pub(super) token: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) proxy: Proxy,
    tls: Option<Arc<TlsConfig>>,
}

/// What the clients' `tls` takes.
type TlsConfig = nuncio_client::tls::ClientConfig;

impl Plan {
    /// # Errors
    /// What is wrong with the command line, in words.
    pub(super) fn new(args: &ConnectArgs) -> Result<Self> {
        let dialect = dialect(args);
        let url = with_scheme(&args.url, dialect);
        let token = token(args)?;
        let mut headers = headers(args)?;
        if let Some(token) = token.as_ref().filter(|_| dialect == Dialect::Raw) {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        check(args, dialect)?;
        Ok(Self {
            dialect,
            url,
            token,
            headers,
            proxy: match args.proxy.as_deref() {
                None => Proxy::Environment,
                Some("none") => Proxy::None,
                Some(url) => Proxy::Url(url.to_owned()),
            },
            tls: tls(args)?,
        })
    }

    /// The connection, for the dialects that have a WebSocket each.
    pub(super) fn websocket(&self, args: &ConnectArgs) -> ClientConfig {
        let mut config = ClientConfig::new(&self.url).proxy(self.proxy.clone());
        config.headers.clone_from(&self.headers);
        config.subprotocols.clone_from(&args.subprotocol);
        config.deflate = args.compress.then(DeflateConfig::default);
        config.open_timeout = args.connect_timeout;
        config.ping_interval = args.ping_interval;
        config.close_timeout = super::CLOSE_TIMEOUT;
        config.tls.clone_from(&self.tls);
        config
    }

    /// How TLS checks the server.
    pub(super) fn tls(&self) -> Option<Arc<TlsConfig>> {
        self.tls.clone()
    }
}

/// The lines of `--execute` and `--script`.
///
/// # Errors
/// The first that is wrong, or a file that cannot be read.
pub(super) fn steps(args: &ConnectArgs, dialect: Dialect) -> Result<Vec<Step>> {
    let executed = args.execute.iter();
    let mut steps = executed
        .map(|line| Ok(script::parse_line(dialect, line)?))
        .collect::<Result<Vec<_>>>()?;
    if let Some(path) = &args.script {
        let (name, text) = match path.to_str() {
            Some("-") => ("standard input".to_owned(), read_stdin()?),
            _ => (path.display().to_string(), read(path)?),
        };
        steps.extend(script::parse(dialect, &name, &text)?);
    }
    Ok(steps)
}

fn dialect(args: &ConnectArgs) -> Dialect {
    match (args.native, args.socketio, args.dialect) {
        (true, _, _) | (_, _, DialectArg::Native) => Dialect::Native,
        (_, true, _) | (_, _, DialectArg::SocketIo) => Dialect::SocketIo,
        (_, _, DialectArg::Raw) => Dialect::Raw,
        (_, _, DialectArg::Auto) if is_http(&args.url) => Dialect::SocketIo,
        (_, _, DialectArg::Auto) => Dialect::Raw,
    }
}

fn is_http(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default();
    ["http", "https"]
        .iter()
        .any(|http| scheme.eq_ignore_ascii_case(http))
}

/// `ws://` where there is none, `ws` for `http` where a WebSocket is wanted, `/ws` where the native protocol has no path.
fn with_scheme(url: &str, dialect: Dialect) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let scheme = match (dialect, scheme.to_ascii_lowercase().as_str()) {
        (Dialect::Raw | Dialect::Native, "http") => "ws".to_owned(),
        (Dialect::Raw | Dialect::Native, "https") => "wss".to_owned(),
        (_, scheme) => scheme.to_owned(),
    };
    let (place, query) = match rest.find('?') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let path = match dialect {
        Dialect::Native if !place.trim_end_matches('/').contains('/') => "/ws",
        Dialect::Raw | Dialect::Native | Dialect::SocketIo => "",
    };
    let place = if path.is_empty() {
        place
    } else {
        place.trim_end_matches('/')
    };
    format!("{scheme}://{place}{path}{query}")
}

fn token(args: &ConnectArgs) -> Result<Option<String>> {
    let token = match (&args.token, &args.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(path)) => Some(read(path)?),
        (None, None) => None,
    };
    let token = token.map(|token| token.trim().to_owned());
    let is_empty = token.as_ref().is_some_and(String::is_empty);
    ensure!(!is_empty, "the token is empty");
    Ok(token)
}

fn headers(args: &ConnectArgs) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for line in &args.header {
        let Some((name, value)) = line
            .split_once(':')
            .filter(|(name, _)| !name.trim().is_empty())
        else {
            bail!("the header {line:?} has no colon: -H 'name: value'");
        };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let origin = args.origin.clone();
    headers.extend(origin.map(|origin| ("origin".to_owned(), origin)));
    if let Some(basic) = &args.basic {
        ensure!(
            basic.contains(':'),
            "--basic has no colon: --basic user:password"
        );
        let value = format!("Basic {}", STANDARD.encode(basic));
        headers.push(("authorization".to_owned(), value));
    }
    Ok(headers)
}

/// What goes with one dialect only.
fn check(args: &ConnectArgs, dialect: Dialect) -> Result<()> {
    let socketio = [
        (args.auth.is_some(), "--auth"),
        (args.namespace.is_some(), "--namespace"),
    ];
    let websocket = [
        (!args.subprotocol.is_empty(), "--subprotocol"),
        (args.ping_interval.is_some(), "--ping-interval"),
    ];
    for (_, flag) in socketio.iter().filter(|(given, _)| *given) {
        ensure!(
            dialect == Dialect::SocketIo,
            "{flag} is for Socket.IO: add --socketio"
        );
    }
    for (_, flag) in websocket.iter().filter(|(given, _)| *given) {
        ensure!(
            dialect != Dialect::SocketIo,
            "{flag} is for WebSockets, not for Socket.IO"
        );
    }
    let is_binary = args.binary && dialect == Dialect::Native;
    ensure!(!is_binary, "the native protocol has no binary messages");
    Ok(())
}

fn tls(args: &ConnectArgs) -> Result<Option<Arc<TlsConfig>>> {
    if args.ca.is_none() && args.cert.is_none() && !args.insecure {
        return Ok(None);
    }
    let roots = args.ca.as_deref().map(read).transpose()?;
    let trust = match &roots {
        Some(roots) => Trust::Roots(roots.as_bytes()),
        None if args.insecure => Trust::Anyone,
        None => Trust::Platform,
    };
    let cert = args.cert.as_deref().map(read).transpose()?;
    let key = args.key.as_deref().map(read).transpose()?;
    let mut tls = Tls::new(trust);
    if let (Some(cert), Some(key)) = (&cert, &key) {
        tls = tls.identity(cert.as_bytes(), key.as_bytes());
    }
    Ok(Some(tls.config()?))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.context("standard input cannot be read")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ConnectArgs,
    }

    #[test]
    fn the_scheme_says_what_is_spoken_unless_a_flag_does() {
        for (line, dialect, url) in [
            ("ws://a/ws", Dialect::Raw, "ws://a/ws"),
            ("a:8080", Dialect::Raw, "ws://a:8080"),
            ("https://a/chat", Dialect::SocketIo, "https://a/chat"),
            ("--dialect raw https://a/x", Dialect::Raw, "wss://a/x"),
            ("--native a:8080", Dialect::Native, "ws://a:8080/ws"),
            ("--native https://a/?x=/", Dialect::Native, "wss://a/ws?x=/"),
            ("--native ws://a/chat", Dialect::Native, "ws://a/chat"),
            ("--socketio ws://a", Dialect::SocketIo, "ws://a"),
        ] {
            let plan = plan(line).unwrap();

            assert_eq!((plan.dialect, &*plan.url), (dialect, url), "{line}");
        }
    }

    #[test]
    fn a_token_goes_into_a_header_where_no_protocol_has_a_place_for_it() {
        let raw = plan("ws://a --token x").unwrap();
        assert_eq!(raw.headers, [("authorization".into(), "Bearer x".into())]);
        assert_eq!(plan("--native ws://a --token x").unwrap().headers, []);
    }

    #[test]
    fn what_cannot_be_meant_is_told_before_anything_is_sent() {
        for (line, wrong) in [
            (
                "ws://a -H x",
                "the header \"x\" has no colon: -H 'name: value'",
            ),
            (
                "ws://a --basic x",
                "--basic has no colon: --basic user:password",
            ),
            (
                "ws://a --auth {}",
                "--auth is for Socket.IO: add --socketio",
            ),
            (
                "http://a -s x",
                "--subprotocol is for WebSockets, not for Socket.IO",
            ),
            ("ws://a --ca /no/such", "/no/such cannot be read"),
            (
                "--native ws://a --binary",
                "the native protocol has no binary messages",
            ),
        ] {
            let error = plan(line).err().unwrap().to_string();
            assert_eq!(error, wrong, "{line}");
        }
    }

    fn plan(line: &str) -> Result<Plan> {
        let line = Line::try_parse_from(std::iter::once("x").chain(line.split(' ')));
        Plan::new(&line.unwrap().args)
    }
}
