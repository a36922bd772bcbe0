//! RFC 6455 §4.1: the client's side of the opening handshake.

use nuncio_websocket::handshake::{Agreement, ClientRequest, DeflateConfig, Offer, ResponseError};
use nuncio_websocket::{DeflateParams, WindowBits};

const REQUEST: ClientRequest<'_> = ClientRequest {
    host: "server.example.com",
    path: "/chat?a=b",
    key: *b"the sample nonce",
    subprotocols: &["chat", "superchat"],
    deflate: None,
    headers: &[("origin", "http://example.com")],
};

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: WebSocket\r\n\
    Connection: upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

fn checked(response: &str) -> Result<Agreement, ResponseError> {
    REQUEST
        .check_response(response.as_bytes())
        .map(|checked| checked.unwrap().0)
}

fn with(line: &str) -> String {
    RESPONSE.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"))
}

/// §4.1, items 1 to 12.
#[test]
fn the_request_has_every_line_it_needs() {
    let request = String::from_utf8(REQUEST.encode().unwrap()).unwrap();

    assert_eq!(
        request,
        "GET /chat?a=b HTTP/1.1\r\n\
        Host: server.example.com\r\n\
        Connection: Upgrade\r\n\
        Upgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\n\
        origin: http://example.com\r\n\
        \r\n"
    );
}

#[test]
fn a_value_that_would_break_out_of_its_line_is_refused() {
    for request in [
        ClientRequest {
            host: "a\r\nb: c",
            ..REQUEST
        },
        ClientRequest {
            host: "",
            ..REQUEST
        },
        ClientRequest {
            path: "/ HTTP/1.1\r\n",
            ..REQUEST
        },
        ClientRequest {
            path: "chat",
            ..REQUEST
        },
        ClientRequest {
            subprotocols: &["a,b"],
            ..REQUEST
        },
        ClientRequest {
            headers: &[("a", "b\r\nc: d")],
            ..REQUEST
        },
        ClientRequest {
            headers: &[("a b", "c")],
            ..REQUEST
        },
    ] {
        assert_eq!(request.encode(), Err(ResponseError::Request), "{request:?}");
    }
}

/// §4.1, "the client MUST validate the server's response".
#[test]
fn a_good_response_is_accepted() {
    assert_eq!(
        checked(RESPONSE),
        Ok(Agreement {
            subprotocol: None,
            deflate: None
        })
    );
    let chosen = checked(&with("Sec-WebSocket-Protocol: superchat"))
        .unwrap()
        .subprotocol;
    assert_eq!(chosen.as_deref(), Some("superchat"));
}

/// §4.1, item 1 of the validation.
#[test]
fn another_status_is_refused() {
    let response = "HTTP/1.1 401 Unauthorized\r\n\r\n";

    assert_eq!(
        checked(response),
        Err(ResponseError::Status { status: 401 })
    );
    assert_eq!(checked("SSH-2.0-OpenSSH\r\n"), Err(ResponseError::Http));
}

/// §4.1, items 2 to 4.
#[test]
fn a_response_that_does_not_upgrade_is_refused() {
    let without = |line: &str| checked(&RESPONSE.replace(line, ""));

    assert_eq!(
        without("Upgrade: WebSocket\r\n"),
        Err(ResponseError::Upgrade)
    );
    assert_eq!(
        without("Connection: upgrade\r\n"),
        Err(ResponseError::Connection)
    );
    assert_eq!(
        without("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        Err(ResponseError::AcceptKey)
    );
    assert_eq!(
        checked(&RESPONSE.replace("s3p", "S3p")),
        Err(ResponseError::AcceptKey)
    );
}

/// §4.1, items 5 and 6: nothing that was not asked for.
#[test]
fn what_was_not_offered_is_refused() {
    assert_eq!(
        checked(&with("Sec-WebSocket-Protocol: other")),
        Err(ResponseError::Subprotocol)
    );
    assert_eq!(
        checked(&with("Sec-WebSocket-Extensions: permessage-deflate")),
        Err(ResponseError::Extensions)
    );
    let two = with("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat");
    assert_eq!(checked(&two), Err(ResponseError::Subprotocol));
}

/// RFC 7692 §5.1, §7.1: what the own server answers is what the client asked for.
#[test]
fn client_and_server_agree_on_compression() {
    let bits = |bits| WindowBits::new(bits).unwrap();
    let config = DeflateConfig {
        server_window_max: bits(12),
        client_window_max: bits(10),
    };
    let request = ClientRequest {
        deflate: Some(config),
        ..REQUEST
    };
    let bytes = request.encode().unwrap();
    let (offer, _) = Offer::parse(&bytes).unwrap().unwrap();

    let accepted = offer.accept(Some("chat"), Some(&DeflateConfig::default()));
    let (agreement, len) = request.check_response(&accepted.encode()).unwrap().unwrap();

    assert_eq!(
        agreement.deflate,
        Some(DeflateParams {
            server_window: bits(12),
            client_window: bits(10)
        })
    );
    assert_eq!(agreement.deflate, accepted.deflate);
    assert_eq!(agreement.subprotocol.as_deref(), Some("chat"));
    assert_eq!(len, accepted.encode().len());
}

#[test]
fn a_cut_response_waits_and_frames_that_follow_are_left() {
    for cut in 0..RESPONSE.len() {
        assert_eq!(
            REQUEST.check_response(&RESPONSE.as_bytes()[..cut]),
            Ok(None),
            "cut at {cut}"
        );
    }

    let with_a_frame = [RESPONSE.as_bytes(), b"\x81\x02Hi"].concat();

    assert_eq!(
        REQUEST.check_response(&with_a_frame).unwrap().unwrap().1,
        RESPONSE.len()
    );
}
