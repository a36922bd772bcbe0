//! The server's side of the opening handshake (RFC 6455 §4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::extension::{self, Extension};
use super::permessage_deflate::{self, DeflateConfig};
use super::{HEADERS_MAX, accept_key, has_item, is_token, items};
use crate::DeflateParams;

/// A request's head, borrowed from whatever read it.
#[derive(Debug, Clone)]
pub struct Request<'a, H> {
    /// The method, as written.
    pub method: &'a str,
    /// The version of HTTP.
    pub version: HttpVersion,
    /// Name and value of each header line, in order; names in any case.
    pub headers: H,
}

/// The version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0, which has no upgrades.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A request for a WebSocket connection that keeps all rules, and what the client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer<'a> {
    key: &'a [u8],
    subprotocols: Vec<&'a str>,
    extensions: Vec<Extension<'a>>,
}

impl<'a> Offer<'a> {
    /// Checks a request (RFC 6455 §4.2.1).
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    ///
    /// ```
    /// use nuncio_websocket::handshake::{HttpVersion, Offer, Request};
    ///
    /// let headers: [(&str, &[u8]); 4] = [
    ///     ("connection", b"Upgrade"),
    ///     ("upgrade", b"websocket"),
    ///     ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ///     ("sec-websocket-version", b"13"),
    /// ];
    /// let offer = Offer::read(Request { method: "GET", version: HttpVersion::Http11, headers })?;
    /// assert_eq!(offer.accept(None, None).accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    /// # Ok::<(), nuncio_websocket::handshake::Refusal>(())
    /// ```
    pub fn read<H>(request: Request<'a, H>) -> Result<Self, Refusal>
    where
        H: IntoIterator<Item = (&'a str, &'a [u8])>,
    {
        if request.method != "GET" {
            return Err(Refusal::Method);
        }
        if request.version != HttpVersion::Http11 {
            return Err(Refusal::HttpVersion);
        }
        let mut fields = Fields::default();
        for (name, value) in request.headers {
            fields.read(name, value)?;
        }
        fields.into_offer()
    }

    /// Reads the bytes of a request's head and checks it; also gives the head's length. `None` while the head is cut.
    ///
    /// The caller bounds the length of `bytes`. For who has no HTTP library at hand.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(len) = request.parse(bytes).map_err(|_| Refusal::Http)?
        else {
            return Ok(None);
        };
        let method = request.method.ok_or(Refusal::Http)?;
        let version = if request.version == Some(1) {
            HttpVersion::Http11
        } else {
            HttpVersion::Http10
        };
        let headers = request
            .headers
            .iter()
            .map(|header| (header.name, header.value));
        Self::read(Request {
            method,
            version,
            headers,
        })
        .map(|offer| Some((offer, len)))
    }

    /// The subprotocols that the client can speak, best first.
    pub fn subprotocols(&self) -> &[&'a str] {
        &self.subprotocols
    }

    /// The client's favourite among the `supported` subprotocols. Case matters (RFC 6455 §4.1, item 10).
    pub fn choose_subprotocol(&self, supported: &[&str]) -> Option<&'a str> {
        self.subprotocols
            .iter()
            .copied()
            .find(|offered| supported.contains(offered))
    }

    /// Accepts the connection (RFC 6455 §4.2.2).
    ///
    /// `subprotocol` is one of [`subprotocols`](Self::subprotocols) or none. With `deflate` the client's first acceptable offer of
    /// compression is taken, if it makes any.
    ///
    /// # Panics
    ///
    /// When `subprotocol` was not offered: the client would have to end the connection.
    pub fn accept(&self, subprotocol: Option<&str>, deflate: Option<&DeflateConfig>) -> Accepted {
        if let Some(subprotocol) = subprotocol {
            assert!(
                self.subprotocols.contains(&subprotocol),
                "subprotocol {subprotocol} was not offered"
            );
        }
        let agreed =
            deflate.and_then(|config| permessage_deflate::choose(self.extensions.iter(), config));
        let (deflate, extensions) = agreed.unzip();
        let accept_key = accept_key(self.key);
        Accepted {
            accept_key,
            subprotocol: subprotocol.map(str::to_owned),
            deflate,
            extensions,
        }
    }
}

/// The answer 101 to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept_key: String,
    /// The subprotocol chosen.
    pub subprotocol: Option<String>,
    /// The compression agreed on, for [`ConnectionConfig`](crate::ConnectionConfig).
    pub deflate: Option<DeflateParams>,
    extensions: Option<String>,
}

impl Accepted {
    /// The header lines of the response.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("connection", Some("Upgrade")),
            ("upgrade", Some("websocket")),
            ("sec-websocket-accept", Some(&*self.accept_key)),
            ("sec-websocket-protocol", self.subprotocol.as_deref()),
            ("sec-websocket-extensions", self.extensions.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// The whole response in bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_head("101 Switching Protocols", self.headers())
    }
}

/// Why a request was refused. Each variant is one rule and maps to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not the head of an HTTP/1 request.
    #[error("the request is not HTTP/1")]
    Http,
    /// Another method than GET.
    #[error("the method must be GET (RFC 6455 §4.2.1)")]
    Method,
    /// HTTP/1.0.
    #[error("the version must be HTTP/1.1 (RFC 6455 §4.2.1)")]
    HttpVersion,
    /// No `Upgrade: websocket`.
    #[error(
        "this is a WebSocket endpoint: the header Upgrade must name websocket (RFC 6455 §4.2.1)"
    )]
    Upgrade,
    /// No `Connection: Upgrade`.
    #[error("the header Connection must name Upgrade (RFC 6455 §4.2.1)")]
    Connection,
    /// No key, more than one, or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64, once (RFC 6455 §4.2.1)")]
    Key,
    /// Another version of the protocol than 13.
    #[error("Sec-WebSocket-Version must be 13 (RFC 6455 §4.4)")]
    Version,
    /// A subprotocol that is not a token.
    #[error("Sec-WebSocket-Protocol must be a list of tokens (RFC 6455 §4.2.1)")]
    Subprotocol,
    /// An extension list that breaks the grammar.
    #[error("Sec-WebSocket-Extensions breaks its grammar (RFC 6455 §9.1)")]
    Extensions,
}

impl Refusal {
    /// The HTTP status of the response.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Upgrade | Self::Version => 426,
            Self::HttpVersion => 505,
            Self::Http | Self::Connection | Self::Key | Self::Subprotocol | Self::Extensions => 400,
        }
    }

    /// The header lines that the status asks for; `connection: close` is among them.
    pub const fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("connection", "close"), ("allow", "GET")],
            Self::Upgrade | Self::Version => &[
                ("connection", "Upgrade, close"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
            ],
            Self::Http
            | Self::HttpVersion
            | Self::Connection
            | Self::Key
            | Self::Subprotocol
            | Self::Extensions => &[("connection", "close")],
        }
    }

    /// The whole response in bytes, with the reason as its text.
    pub fn encode(&self) -> Vec<u8> {
        let body = format!("{self}\n");
        let len = body.len().to_string();
        let body_headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", &*len),
        ];
        let status = match self.status() {
            405 => "405 Method Not Allowed",
            426 => "426 Upgrade Required",
            505 => "505 HTTP Version Not Supported",
            _ => "400 Bad Request",
        };
        let mut response = encode_head(status, self.headers().iter().copied().chain(body_headers));
        response.extend_from_slice(body.as_bytes());
        response
    }
}

/// The header lines that matter, collected in one pass.
#[derive(Debug, Default)]
struct Fields<'a> {
    is_upgrade: bool,
    is_connection_upgrade: bool,
    key: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    subprotocols: Vec<&'a str>,
    extensions: Vec<Extension<'a>>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, name: &str, value: &'a [u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case("upgrade") {
            self.is_upgrade |= has_item(value, "websocket");
        } else if name.eq_ignore_ascii_case("connection") {
            self.is_connection_upgrade |= has_item(value, "upgrade");
        } else if name.eq_ignore_ascii_case("sec-websocket-key") {
            set_once(&mut self.key, value).ok_or(Refusal::Key)?;
        } else if name.eq_ignore_ascii_case("sec-websocket-version") {
            set_once(&mut self.version, value).ok_or(Refusal::Version)?;
        } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
            self.read_subprotocols(value)?;
        } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
            self.extensions
                .extend(extension::parse(value).ok_or(Refusal::Extensions)?);
        }
        Ok(())
    }

    fn read_subprotocols(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        for item in items(value) {
            let token = std::str::from_utf8(item)
                .ok()
                .filter(|item| is_token(item.as_bytes()));
            self.subprotocols.push(token.ok_or(Refusal::Subprotocol)?);
        }
        Ok(())
    }

    fn into_offer(self) -> Result<Offer<'a>, Refusal> {
        if !self.is_upgrade {
            return Err(Refusal::Upgrade);
        }
        if !self.is_connection_upgrade {
            return Err(Refusal::Connection);
        }
        if self.version != Some(b"13") {
            return Err(Refusal::Version);
        }
        let key = self.key.filter(|key| is_key(key)).ok_or(Refusal::Key)?;
        Ok(Offer {
            key,
            subprotocols: self.subprotocols,
            extensions: self.extensions,
        })
    }
}

/// `None` when the header came before.
fn set_once<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Option<()> {
    slot.replace(value.trim_ascii()).is_none().then_some(())
}

fn is_key(key: &[u8]) -> bool {
    let mut bytes = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key, &mut bytes) == Ok(16)
}

pub(super) fn encode_head<'a>(
    status: &str,
    headers: impl Iterator<Item = (&'static str, &'a str)>,
) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head += "\r\n";
    head.into_bytes()
}
