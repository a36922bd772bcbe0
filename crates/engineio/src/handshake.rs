//! The answers to a handshake: the OPEN packet, the refusals (protocol v4, "Handshake").

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Transport};
use crate::packet::Packet;

/// Why a request was refused, with the reference server's codes and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// `transport` is missing, unknown or not offered.
    #[error("Transport unknown")]
    UnknownTransport,
    /// No such session, or it is closed.
    #[error("Session ID unknown")]
    UnknownSid,
    /// A session opens with GET only.
    #[error("Bad handshake method")]
    BadHandshakeMethod,
    /// The transport or the protocol is not the session's, or a WebSocket was asked for without an upgrade.
    #[error("Bad request")]
    BadRequest,
    /// The application refused.
    #[error("Forbidden")]
    Forbidden,
    /// The server does not let protocol v3 in.
    #[error("Unsupported protocol version")]
    UnsupportedProtocol,
}

/// An HTTP response. Those with status 200 should also say `cache-control: no-store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// `Content-Type`, absent when the body is empty.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

/// The JSON object of the OPEN packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The session id, a secret: whoever knows it can take the session over.
    pub sid: String,
    /// Transports the client may upgrade to.
    pub upgrades: Vec<String>,
    /// Milliseconds between pings.
    pub ping_interval: u64,
    /// Milliseconds to answer a ping.
    pub ping_timeout: u64,
    /// Largest POST body in bytes; servers of protocol v3 may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_payload: Option<usize>,
}

impl RequestError {
    /// The number in the body.
    pub const fn code(self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSid => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden => 4,
            Self::UnsupportedProtocol => 5,
        }
    }

    /// The answer to a plain request: `{"code":0,"message":"Transport unknown"}`, 403 for [`Self::Forbidden`], else 400.
    pub fn response(self) -> Response {
        self.response_with(&self.to_string())
    }

    /// The same with another message, as the application's refusal may have one.
    pub fn response_with(self, message: &str) -> Response {
        let message = serde_json::Value::from(message);
        Response {
            status: if self == Self::Forbidden { 403 } else { 400 },
            content_type: Some("application/json"),
            body: format!(r#"{{"code":{},"message":{message}}}"#, self.code()).into(),
        }
    }

    /// The answer to an upgrade: always 400, the bare message as the body. Close the connection after it.
    pub fn upgrade_response(self) -> Response {
        Response {
            status: 400,
            content_type: Some("text/html"),
            body: self.to_string().into(),
        }
    }
}

impl Response {
    /// A status without a body.
    pub(crate) const fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            body: Bytes::new(),
        }
    }

    /// The answer to a POST that was taken. HTML, since some browsers offer other types for download.
    pub(crate) const fn ok() -> Self {
        Self {
            status: 200,
            content_type: Some("text/html"),
            body: Bytes::from_static(b"ok"),
        }
    }
}

impl Open {
    pub(crate) fn packet(sid: &str, transport: Transport, config: &Config) -> Packet {
        let open = Self {
            sid: sid.to_owned(),
            upgrades: config
                .upgrades_from(transport)
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            ping_interval: millis(config.ping_interval),
            ping_timeout: millis(config.ping_timeout),
            max_payload: Some(config.payload_bytes_max),
        };
        let json = serde_json::to_vec(&open).expect("strings and numbers are always JSON");
        Packet::Open(json.into())
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_are_the_reference_ones() {
        let bodies = [
            (
                RequestError::UnknownTransport,
                400,
                r#"{"code":0,"message":"Transport unknown"}"#,
            ),
            (
                RequestError::UnknownSid,
                400,
                r#"{"code":1,"message":"Session ID unknown"}"#,
            ),
            (
                RequestError::BadHandshakeMethod,
                400,
                r#"{"code":2,"message":"Bad handshake method"}"#,
            ),
            (
                RequestError::BadRequest,
                400,
                r#"{"code":3,"message":"Bad request"}"#,
            ),
            (
                RequestError::Forbidden,
                403,
                r#"{"code":4,"message":"Forbidden"}"#,
            ),
            (
                RequestError::UnsupportedProtocol,
                400,
                r#"{"code":5,"message":"Unsupported protocol version"}"#,
            ),
        ];
        for (error, status, body) in bodies {
            let response = error.response();
            assert_eq!(
                (response.status, &response.body[..]),
                (status, body.as_bytes())
            );
            assert_eq!(response.content_type, Some("application/json"));
        }
        let custom = RequestError::Forbidden.response_with("no \"quotes\"");
        assert_eq!(custom.body, r#"{"code":4,"message":"no \"quotes\""}"#);
        assert_eq!(
            RequestError::UnknownTransport.upgrade_response().body,
            "Transport unknown"
        );
    }

    #[test]
    fn the_open_packet_has_exactly_five_members_in_the_reference_order() {
        let packet = Open::packet(
            "lv_VI97HAXpY6yYWAAAC",
            Transport::Polling,
            &Config::default(),
        );

        let expected = r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        assert_eq!(
            packet,
            Packet::Open(Bytes::from_static(expected.as_bytes()))
        );
    }
}
