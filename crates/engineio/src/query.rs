//! The first look at a request: its query, and whether it opens or continues a session (protocol v4, "Handshake").

use crate::config::{Config, Transport};
use crate::handshake::RequestError;
use crate::packet::{BinarySupport, Protocol};

/// The query of an Engine.IO request, decoded. Of a repeated key the last one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// `transport`, when it is one this crate knows.
    pub transport: Option<Transport>,
    /// `sid`, when it is there and not empty: the session the request belongs to.
    pub sid: Option<String>,
    /// `EIO`: 4 means v4; anything else, also nothing, means v3.
    pub protocol: Protocol,
    /// `b64`: any value asks for base64.
    pub binary: BinarySupport,
    /// `j`: the answer is to be a script (JSONP).
    pub is_jsonp: bool,
}

/// The method of a request, as far as the protocol cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET: opens a session, or polls.
    Get,
    /// POST: packets from the client.
    Post,
    /// Anything else.
    Other,
}

/// Whether the request asks to become a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Plain HTTP.
    Http,
    /// With `Upgrade: websocket`.
    Upgrade,
}

/// What the check must know about an existing session; see
/// [`Connection::session`](crate::server::Connection::session).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The transport in use.
    pub transport: Transport,
    /// The protocol it was opened with.
    pub protocol: Protocol,
}

/// Where a good request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Open a session over polling: answer through [`Connection::polling`](crate::server::Connection::polling).
    OpenPolling,
    /// Open a session over a WebSocket: accept the upgrade, then
    /// [`Connection::websocket`](crate::server::Connection::websocket).
    OpenWebSocket,
    /// A poll, a POST or another method for the session: `handle_get`, `handle_post`, `handle_other_method`.
    Session,
    /// A WebSocket for the session: accept the upgrade, then
    /// [`Connection::handle_websocket`](crate::server::Connection::handle_websocket).
    SessionWebSocket,
}

impl Query {
    /// Reads a query string: what stands after `?`, without it.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self {
            transport: None,
            sid: None,
            protocol: Protocol::V3,
            binary: BinarySupport::Bytes,
            is_jsonp: false,
        };
        for (key, value) in form_pairs(query) {
            parsed.take(&key, value);
        }
        parsed
    }

    fn take(&mut self, key: &str, value: String) {
        match key {
            "transport" => {
                self.transport = [Transport::Polling, Transport::WebSocket]
                    .into_iter()
                    .find(|transport| transport.as_str() == value);
            }
            "sid" => self.sid = Some(value).filter(|sid| !sid.is_empty()),
            "EIO" => {
                self.protocol = if value == "4" {
                    Protocol::V4
                } else {
                    Protocol::V3
                }
            }
            "b64" if value.is_empty() => self.binary = BinarySupport::Bytes,
            "b64" => self.binary = BinarySupport::Base64,
            "j" => self.is_jsonp = true,
            _ => {}
        }
    }

    /// Checks a request in the reference server's order. `session` is what the server knows under
    /// [`sid`](Self::sid), `None` without a sid or when it is unknown.
    ///
    /// Two answers differ. An upgrade with `transport=polling` is a bad request here, where the reference accepts
    /// the WebSocket and closes it. So is a poll for a script (`j`), which the reference serves: a page of any origin
    /// could have it run, since the request does not say whose page it is.
    ///
    /// # Errors
    /// The [`RequestError`] to answer with: [`RequestError::response`] or, for an upgrade,
    /// [`RequestError::upgrade_response`].
    pub fn check(
        &self,
        config: &Config,
        method: Method,
        kind: RequestKind,
        session: Option<Session>,
    ) -> Result<Route, RequestError> {
        let transport = self
            .transport
            .filter(|&transport| config.transports.allows(transport))
            .ok_or(RequestError::UnknownTransport)?;
        if self.is_jsonp && transport == Transport::Polling {
            return Err(RequestError::BadRequest);
        }
        if self.sid.is_some() {
            let session = session.ok_or(RequestError::UnknownSid)?;
            self.check_session(transport, kind, session)
        } else {
            self.check_open(config, transport, method, kind)
        }
    }

    fn check_session(
        &self,
        transport: Transport,
        kind: RequestKind,
        session: Session,
    ) -> Result<Route, RequestError> {
        if session.protocol != self.protocol {
            return Err(RequestError::BadRequest);
        }
        match (kind, transport) {
            (RequestKind::Upgrade, Transport::WebSocket) => Ok(Route::SessionWebSocket),
            (RequestKind::Http, Transport::Polling) if session.transport == Transport::Polling => {
                Ok(Route::Session)
            }
            (RequestKind::Upgrade | RequestKind::Http, Transport::Polling)
            | (RequestKind::Http, Transport::WebSocket) => Err(RequestError::BadRequest),
        }
    }

    fn check_open(
        &self,
        config: &Config,
        transport: Transport,
        method: Method,
        kind: RequestKind,
    ) -> Result<Route, RequestError> {
        if method != Method::Get {
            return Err(RequestError::BadHandshakeMethod);
        }
        let route = match (kind, transport) {
            (RequestKind::Http, Transport::Polling) => Route::OpenPolling,
            (RequestKind::Upgrade, Transport::WebSocket) => Route::OpenWebSocket,
            (RequestKind::Http, Transport::WebSocket)
            | (RequestKind::Upgrade, Transport::Polling) => {
                return Err(RequestError::BadRequest);
            }
        };
        if self.protocol == Protocol::V3 && !config.protocol_v3 {
            return Err(RequestError::UnsupportedProtocol);
        }
        Ok(route)
    }
}

/// The pairs of a query, percent-decoded, `+` as a space (WHATWG URL, "application/x-www-form-urlencoded").
fn form_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(key), form_decode(value))
        })
}

fn form_decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                (Some(_) | None, _) => decoded.push(b'%'),
            },
            (&byte, _) => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_the_last_of_a_repeated_key_counts() {
        let query = Query::parse("EIO=3&EIO=4&transport=web%73ocket&sid=a%2Bb+c&b64=1&t=x&&y");

        assert_eq!(query.transport, Some(Transport::WebSocket));
        assert_eq!(query.sid.as_deref(), Some("a+b c"));
        assert_eq!(query.protocol, Protocol::V4);
        assert_eq!(query.binary, BinarySupport::Base64);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(Query::parse("sid=%zz%4").sid.as_deref(), Some("%zz%4"));
        assert_eq!(Query::parse("sid=%").sid.as_deref(), Some("%"));
    }

    #[test]
    fn requests_without_a_session_get_the_reference_answers() {
        use RequestError::*;
        use RequestKind::*;

        let cases = [
            ("", Method::Get, Http, Err(UnknownTransport)),
            ("EIO=4", Method::Get, Http, Err(UnknownTransport)),
            (
                "EIO=4&transport=abc",
                Method::Get,
                Http,
                Err(UnknownTransport),
            ),
            (
                "EIO=4&transport=webtransport",
                Method::Get,
                Http,
                Err(UnknownTransport),
            ),
            (
                "transport=polling",
                Method::Get,
                Http,
                Err(UnsupportedProtocol),
            ),
            (
                "EIO=abc&transport=polling",
                Method::Get,
                Http,
                Err(UnsupportedProtocol),
            ),
            (
                "EIO=3&transport=websocket",
                Method::Get,
                Upgrade,
                Err(UnsupportedProtocol),
            ),
            (
                "EIO=4&transport=websocket",
                Method::Get,
                Http,
                Err(BadRequest),
            ),
            (
                "EIO=4&transport=polling",
                Method::Get,
                Upgrade,
                Err(BadRequest),
            ),
            (
                "EIO=4&transport=polling&j=0",
                Method::Get,
                Http,
                Err(BadRequest),
            ),
            (
                "EIO=4&transport=polling",
                Method::Post,
                Http,
                Err(BadHandshakeMethod),
            ),
            (
                "EIO=4&transport=polling",
                Method::Other,
                Http,
                Err(BadHandshakeMethod),
            ),
            (
                "EIO=4&transport=polling&sid=nope",
                Method::Get,
                Http,
                Err(UnknownSid),
            ),
            (
                "EIO=4&transport=websocket&sid=nope",
                Method::Get,
                Upgrade,
                Err(UnknownSid),
            ),
            (
                "EIO=4&transport=polling&sid=",
                Method::Get,
                Http,
                Ok(Route::OpenPolling),
            ),
            (
                "EIO=4&transport=websocket",
                Method::Get,
                Upgrade,
                Ok(Route::OpenWebSocket),
            ),
        ];

        for (query, method, kind, expected) in cases {
            let checked = Query::parse(query).check(&Config::default(), method, kind, None);
            assert_eq!(checked, expected, "{query} {method:?} {kind:?}");
        }
    }

    #[test]
    fn requests_for_a_session_must_match_its_transport_and_protocol() {
        use RequestKind::*;
        let polling = Session {
            transport: Transport::Polling,
            protocol: Protocol::V4,
        };
        let websocket = Session {
            transport: Transport::WebSocket,
            protocol: Protocol::V4,
        };

        let cases = [
            (
                "EIO=4&transport=polling&sid=s",
                Http,
                polling,
                Ok(Route::Session),
            ),
            (
                "EIO=4&transport=polling&sid=s",
                Http,
                websocket,
                Err(RequestError::BadRequest),
            ),
            (
                "EIO=3&transport=polling&sid=s",
                Http,
                polling,
                Err(RequestError::BadRequest),
            ),
            (
                "EIO=4&transport=websocket&sid=s",
                Http,
                polling,
                Err(RequestError::BadRequest),
            ),
            (
                "EIO=4&transport=websocket&sid=s",
                Upgrade,
                polling,
                Ok(Route::SessionWebSocket),
            ),
            (
                "EIO=4&transport=websocket&sid=s",
                Upgrade,
                websocket,
                Ok(Route::SessionWebSocket),
            ),
        ];

        for (query, kind, session, expected) in cases {
            let checked =
                Query::parse(query).check(&Config::default(), Method::Get, kind, Some(session));
            assert_eq!(checked, expected, "{query} {kind:?}");
        }
    }

    #[test]
    fn a_missing_eio_means_v3_where_v3_is_let_in() {
        let config = Config {
            protocol_v3: true,
            ..Config::default()
        };

        let checked =
            Query::parse("transport=polling").check(&config, Method::Get, RequestKind::Http, None);

        assert_eq!(checked, Ok(Route::OpenPolling));
    }

    #[test]
    fn a_transport_that_is_not_offered_is_unknown() {
        let config = Config {
            transports: crate::Transports::WebSocket,
            ..Config::default()
        };

        let checked = Query::parse("EIO=4&transport=polling").check(
            &config,
            Method::Get,
            RequestKind::Http,
            None,
        );

        assert_eq!(checked, Err(RequestError::UnknownTransport));
    }
}
