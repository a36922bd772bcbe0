//! The client's side of the opening handshake (RFC 6455 §4.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::extension;
use super::permessage_deflate::{self, DeflateConfig};
use super::{HEADERS_MAX, accept_key, has_item, is_token};
use crate::DeflateParams;

/// A client's request for a WebSocket connection.
#[derive(Debug, Clone)]
pub struct ClientRequest<'a> {
    /// Host and, unless it is the scheme's own, port: `example.org:8080`.
    pub host: &'a str,
    /// Path and query: `/ws?token=x`.
    pub path: &'a str,
    /// 16 random bytes, anew for each connection.
    pub key: [u8; 16],
    /// The subprotocols that the client can speak, best first.
    pub subprotocols: &'a [&'a str],
    /// The compression to offer, if any.
    pub deflate: Option<DeflateConfig>,
    /// More header lines, such as `authorization`, `cookie` or `origin`.
    pub headers: &'a [(&'a str, &'a str)],
}

impl ClientRequest<'_> {
    /// The bytes of the request.
    ///
    /// # Errors
    ///
    /// [`ResponseError::Request`] when a value would break out of its line.
    pub fn encode(&self) -> Result<Vec<u8>, ResponseError> {
        self.check()?;
        let key = STANDARD.encode(self.key);
        let mut head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
            self.path, self.host
        );
        if !self.subprotocols.is_empty() {
            head += &format!(
                "Sec-WebSocket-Protocol: {}\r\n",
                self.subprotocols.join(", ")
            );
        }
        if let Some(config) = &self.deflate {
            head += &format!(
                "Sec-WebSocket-Extensions: {}\r\n",
                permessage_deflate::offer(config)
            );
        }
        for (name, value) in self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        Ok(head.into_bytes())
    }

    /// Reads the head of the server's response; also gives its length, after which frames may follow. `None` while it is cut.
    ///
    /// # Errors
    ///
    /// Each rule of RFC 6455 §4.1 that the response breaks.
    pub fn check_response(
        &self,
        bytes: &[u8],
    ) -> Result<Option<(Agreement, usize)>, ResponseError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(len) =
            response.parse(bytes).map_err(|_| ResponseError::Http)?
        else {
            return Ok(None);
        };
        let status = response.code.ok_or(ResponseError::Http)?;
        if status != 101 {
            return Err(ResponseError::Status { status });
        }
        let mut fields = ResponseFields::default();
        for header in response.headers.iter() {
            fields.read(header.name, header.value)?;
        }
        fields
            .into_agreement(self)
            .map(|agreement| Some((agreement, len)))
    }

    fn check(&self) -> Result<(), ResponseError> {
        let is_line = |value: &str| {
            value
                .bytes()
                .all(|byte| byte >= b' ' && byte != 0x7f || byte == b'\t')
        };
        let is_word =
            |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        let is_sound = is_word(self.host)
            && is_word(self.path)
            && self.path.starts_with('/')
            && self
                .subprotocols
                .iter()
                .all(|subprotocol| is_token(subprotocol.as_bytes()))
            && self
                .headers
                .iter()
                .all(|(name, value)| is_token(name.as_bytes()) && is_line(value));
        if is_sound {
            Ok(())
        } else {
            Err(ResponseError::Request)
        }
    }
}

/// What client and server agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The subprotocol chosen by the server.
    pub subprotocol: Option<String>,
    /// The compression, for [`ConnectionConfig`](crate::ConnectionConfig).
    pub deflate: Option<DeflateParams>,
}

/// Why an opening handshake failed on the client's side. Each variant is one rule of RFC 6455 §4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The request itself has a value that does not fit into its line.
    #[error("host, path, subprotocols or headers of the request are not valid")]
    Request,
    /// Not the head of an HTTP/1 response.
    #[error("the response is not HTTP/1")]
    Http,
    /// Another status than 101, for instance a refusal or a redirect.
    #[error("the server answered with status {status} instead of 101")]
    Status {
        /// The status.
        status: u16,
    },
    /// No `Upgrade: websocket`.
    #[error("the response does not upgrade to websocket")]
    Upgrade,
    /// No `Connection: Upgrade`.
    #[error("the response does not upgrade the connection")]
    Connection,
    /// Not the answer to this key.
    #[error("Sec-WebSocket-Accept does not answer the key")]
    AcceptKey,
    /// A subprotocol that was not asked for.
    #[error("the server chose a subprotocol that was not offered")]
    Subprotocol,
    /// An extension or parameter that was not asked for.
    #[error("the server chose an extension that was not offered")]
    Extensions,
}

#[derive(Debug, Default)]
struct ResponseFields<'a> {
    is_upgrade: bool,
    is_connection_upgrade: bool,
    accept_key: Option<&'a [u8]>,
    subprotocol: Option<&'a [u8]>,
    extensions: Vec<extension::Extension<'a>>,
}

impl<'a> ResponseFields<'a> {
    fn read(&mut self, name: &str, value: &'a [u8]) -> Result<(), ResponseError> {
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case("upgrade") {
            self.is_upgrade |= value.eq_ignore_ascii_case(b"websocket");
        } else if name.eq_ignore_ascii_case("connection") {
            self.is_connection_upgrade |= has_item(value, "upgrade");
        } else if name.eq_ignore_ascii_case("sec-websocket-accept") {
            self.accept_key = Some(value);
        } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
            if self.subprotocol.replace(value).is_some() {
                return Err(ResponseError::Subprotocol);
            }
        } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
            self.extensions
                .extend(extension::parse(value).ok_or(ResponseError::Extensions)?);
        }
        Ok(())
    }

    fn into_agreement(self, request: &ClientRequest<'_>) -> Result<Agreement, ResponseError> {
        if !self.is_upgrade {
            return Err(ResponseError::Upgrade);
        }
        if !self.is_connection_upgrade {
            return Err(ResponseError::Connection);
        }
        if self.accept_key != Some(accept_key(STANDARD.encode(request.key).as_bytes()).as_bytes()) {
            return Err(ResponseError::AcceptKey);
        }
        Ok(Agreement {
            subprotocol: self.agreed_subprotocol(request)?,
            deflate: self.agreed_deflate(request)?,
        })
    }

    fn agreed_subprotocol(
        &self,
        request: &ClientRequest<'_>,
    ) -> Result<Option<String>, ResponseError> {
        let Some(chosen) = self.subprotocol else {
            return Ok(None);
        };
        let offered = request
            .subprotocols
            .iter()
            .find(|offered| offered.as_bytes() == chosen);
        offered
            .map(|chosen| Some((*chosen).to_owned()))
            .ok_or(ResponseError::Subprotocol)
    }

    fn agreed_deflate(
        &self,
        request: &ClientRequest<'_>,
    ) -> Result<Option<DeflateParams>, ResponseError> {
        match (&self.extensions[..], &request.deflate) {
            ([], _) => Ok(None),
            ([answer], Some(config)) => permessage_deflate::agreed(answer, config)
                .map(Some)
                .ok_or(ResponseError::Extensions),
            _ => Err(ResponseError::Extensions),
        }
    }
}
