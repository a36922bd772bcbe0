//! Where the server listens, and what goes with each request.

use std::sync::Arc;

use nuncio_websocket::handshake::DeflateConfig;

use crate::dial::{Proxy, Security, Url, UrlError};
use crate::socketio::Config;
use crate::websocket::ClientConfig;

use super::polling::is_header;

/// Where the server listens, and what goes with each request.
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) proxy: Proxy,
    deflate: Option<DeflateConfig>,
    pub(super) body_bytes_max: usize,
    /// The path of the server with a question mark, and the query of the application.
    base: String,
}

/// Why a client cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URL, with `ws` standing for `http`.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A path in the URL: namespaces are given to `Client::socket`, the server's path is `Config::path`.
    #[error(
        "the URL has the path {path:?}: give a namespace to `socket`, or the server's path as `Config::path`"
    )]
    Path {
        /// As written.
        path: String,
    },
    /// A header whose name or value does not fit into its line.
    #[error("the header {name:?} is not valid")]
    Header {
        /// As written.
        name: String,
    },
    /// No transport.
    #[error("no transport is allowed")]
    Transports,
}

impl Endpoint {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut url = Url::parse(&as_websocket(&config.url))?;
        let (path, query) = url.path.split_once('?').unwrap_or((&url.path, ""));
        if path != "/" {
            let path = path.to_owned();
            return Err(ConfigError::Path { path });
        }
        let bad = config
            .headers
            .iter()
            .find(|(name, value)| !is_header(name, value));
        if let Some((name, _)) = bad {
            let name = name.clone();
            return Err(ConfigError::Header { name });
        }
        if config.conversation.transports.is_empty() {
            return Err(ConfigError::Transports);
        }
        let separator = if query.is_empty() { "" } else { "&" };
        let path = config.path.trim_matches('/');
        let base = match path {
            "" => format!("/?{query}{separator}"),
            path => format!("/{path}/?{query}{separator}"),
        };
        url.path = "/".to_owned();
        Ok(Self {
            url,
            headers: config.headers.clone(),
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
            deflate: config.deflate,
            body_bytes_max: usize::try_from(config.message_bytes_max).unwrap_or(usize::MAX),
            base,
        })
    }

    /// The target of a request with Engine.IO's query.
    pub(super) fn target(&self, query: &str) -> String {
        format!("{}{query}", self.base)
    }

    /// The WebSocket for a query.
    pub(super) fn websocket(&self, query: &str, cookie: Option<String>) -> ClientConfig {
        let scheme = match self.url.security {
            Security::Plain => "ws",
            Security::Tls => "wss",
        };
        let url = format!("{scheme}://{}{}", self.url.authority, self.target(query));
        let mut config = ClientConfig::new(url).proxy(self.proxy.clone());
        let headers = self.headers.iter();
        let headers = headers.filter(|(name, _)| !name.eq_ignore_ascii_case("cookie"));
        config.headers = headers.cloned().collect();
        config
            .headers
            .extend(cookie.map(|cookie| ("cookie".to_owned(), cookie)));
        config.tls = self.tls.clone();
        config.deflate = self.deflate;
        config.message_bytes_max = self.body_bytes_max as u64;
        // Engine.IO has its own, which ends the attempt.
        config.open_timeout = std::time::Duration::from_secs(60);
        config
    }
}

/// The same URL with the schemes of WebSocket.
fn as_websocket(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "ws",
        "https" => "wss",
        _ => scheme,
    };
    format!("{scheme}://{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_and_websocket_urls_mean_the_same_server() {
        for url in ["http://a:1", "ws://a:1/", "HTTP://a:1?"] {
            let endpoint = Endpoint::new(&Config::new(url)).unwrap();
            assert_eq!(endpoint.target("EIO=4"), "/socket.io/?EIO=4", "{url}");
            let config = endpoint.websocket("EIO=4", None);
            assert_eq!(config.url, "ws://a:1/socket.io/?EIO=4");
        }
        let endpoint = Endpoint::new(&Config::new("https://a")).unwrap();
        assert_eq!(endpoint.websocket("x", None).url, "wss://a/socket.io/?x");
    }

    #[test]
    fn the_application_s_query_and_path_are_in_every_request() {
        let mut config = Config::new("http://a/?token=7");
        config.path = "/chat/io".to_owned();

        let endpoint = Endpoint::new(&config).unwrap();

        assert_eq!(endpoint.target("EIO=4"), "/chat/io/?token=7&EIO=4");
    }

    #[test]
    fn what_cannot_work_is_refused_at_once() {
        let refused = |config: Config| Endpoint::new(&config).err().unwrap();

        assert!(matches!(
            refused(Config::new("ftp://a")),
            ConfigError::Url(UrlError::Scheme)
        ));
        assert!(matches!(
            refused(Config::new("http://a/chat")),
            ConfigError::Path { .. }
        ));
        let config = Config::new("http://a").header("x y", "1");
        assert!(matches!(refused(config), ConfigError::Header { .. }));
        let config = Config::new("http://a").transports([]);
        assert_eq!(refused(config), ConfigError::Transports);
    }
}
