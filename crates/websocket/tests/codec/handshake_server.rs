//! RFC 6455 §4.2: the server's side of the opening handshake.

use nuncio_websocket::handshake::{DeflateConfig, HttpVersion, Offer, Refusal, Request};
use nuncio_websocket::{DeflateParams, WindowBits};

/// §1.2, the request of the introduction.
const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

fn offer(request: &str) -> Result<Offer<'_>, Refusal> {
    let (offer, len) = Offer::parse(request.as_bytes())?.unwrap();
    assert_eq!(len, request.len());
    Ok(offer)
}

fn refusal(from: &str, to: &str) -> Refusal {
    assert!(REQUEST.contains(from));
    offer(&REQUEST.replace(from, to)).unwrap_err()
}

/// §1.2, §4.2.2.
#[test]
fn the_request_of_the_rfc_gets_the_response_of_the_rfc() {
    let offer = offer(REQUEST).unwrap();

    let accepted = offer.accept(offer.choose_subprotocol(&["superchat", "chat"]), None);

    assert_eq!(
        String::from_utf8(accepted.encode()).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\n\
        connection: Upgrade\r\n\
        upgrade: websocket\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        sec-websocket-protocol: chat\r\n\
        \r\n"
    );
}

/// §4.2.1: names and the words of lists in any case, lists over several lines, other items beside.
#[test]
fn case_and_lists_do_not_matter() {
    let headers: [(&str, &[u8]); 6] = [
        ("UPGRADE", b"h2c, WebSocket"),
        ("connection", b"keep-alive"),
        ("Connection", b"x,upgrade"),
        ("sec-WebSocket-version", b" 13 "),
        ("SEC-WEBSOCKET-KEY", b"AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-bytes", b"\xff"),
    ];

    let request = Request {
        method: "GET",
        version: HttpVersion::Http11,
        headers,
    };

    assert!(Offer::read(request).is_ok());
}

/// §4.2.1, item 1.
#[test]
fn another_method_or_version_of_http_is_refused() {
    assert_eq!(refusal("GET", "POST"), Refusal::Method);
    assert_eq!(refusal("GET", "get"), Refusal::Method);
    assert_eq!(refusal("HTTP/1.1", "HTTP/1.0"), Refusal::HttpVersion);
    assert_eq!(Offer::parse(b"GET / HTTP/2.0\r\n"), Err(Refusal::Http));
}

/// §4.2.1, items 3 and 4.
#[test]
fn a_request_without_the_upgrade_is_refused() {
    assert_eq!(refusal("Upgrade: websocket\r\n", ""), Refusal::Upgrade);
    assert_eq!(
        refusal("Upgrade: websocket", "Upgrade: websockets"),
        Refusal::Upgrade
    );
    assert_eq!(refusal("Connection: Upgrade\r\n", ""), Refusal::Connection);
    assert_eq!(
        refusal("Connection: Upgrade", "Connection: keep-alive"),
        Refusal::Connection
    );
}

/// §4.2.1, item 5: 16 bytes in base64.
#[test]
fn a_key_that_is_not_16_bytes_is_refused() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for wrong in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZSE=",
        "AAAA",
        "dGhlIHNhbXBsZSBub25j*Q==",
    ] {
        assert_eq!(refusal(key, wrong), Refusal::Key, "{wrong}");
    }
    assert_eq!(
        refusal(&format!("Sec-WebSocket-Key: {key}\r\n"), ""),
        Refusal::Key
    );
}

/// §11.3.1: the key must not appear more than once.
#[test]
fn two_keys_are_refused() {
    let line = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    assert_eq!(refusal(line, &line.repeat(2)), Refusal::Key);
}

/// §4.4: another version gets 426 and learns which one is spoken.
#[test]
fn another_version_of_the_protocol_is_told_13() {
    for wrong in ["8", "14", "013", ""] {
        let version = format!("Sec-WebSocket-Version: {wrong}");

        assert_eq!(
            refusal("Sec-WebSocket-Version: 13", &version),
            Refusal::Version
        );
    }

    assert_eq!(Refusal::Version.status(), 426);
    assert!(
        Refusal::Version
            .headers()
            .contains(&("sec-websocket-version", "13"))
    );
    let response = String::from_utf8(Refusal::Version.encode()).unwrap();
    assert!(
        response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
        "{response}"
    );
    assert!(
        response.contains("\r\nsec-websocket-version: 13\r\n"),
        "{response}"
    );
    assert!(
        response.contains("\r\ncontent-length: 50\r\n"),
        "{response}"
    );
}

/// §4.2.1, item 8, and §4.2.2, item 5.5: the client's order of preference.
#[test]
fn the_clients_favourite_subprotocol_is_chosen() {
    let request = REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: Chat,third\r\n\r\n");

    let offer = offer(&request).unwrap();

    assert_eq!(offer.subprotocols(), ["chat", "superchat", "Chat", "third"]);
    assert_eq!(
        offer.choose_subprotocol(&["third", "superchat"]),
        Some("superchat")
    );
    assert_eq!(offer.choose_subprotocol(&["CHAT"]), None);
}

/// §11.3.4: subprotocols are tokens.
#[test]
fn a_subprotocol_that_is_not_a_token_is_refused() {
    assert_eq!(
        refusal("chat, superchat", "chat, super chat"),
        Refusal::Subprotocol
    );
    assert_eq!(refusal("chat, superchat", "chat/2"), Refusal::Subprotocol);
}

#[test]
#[should_panic(expected = "was not offered")]
fn a_subprotocol_that_was_not_offered_is_a_bug_of_the_caller() {
    offer(REQUEST).unwrap().accept(Some("other"), None);
}

/// §9.1: an extension list that breaks the grammar fails the handshake.
#[test]
fn a_broken_extension_list_is_refused() {
    let line = "\r\nSec-WebSocket-Extensions: permessage-deflate; =\r\n\r\n";

    assert_eq!(
        offer(&REQUEST.replace("\r\n\r\n", line)),
        Err(Refusal::Extensions)
    );
}

/// RFC 7692 §5: unknown extensions and unacceptable offers are declined, over all lines.
#[test]
fn compression_is_agreed_on_when_offered_and_wanted() {
    let lines = "\r\nSec-WebSocket-Extensions: foo, permessage-deflate; server_max_window_bits=8\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10; client_max_window_bits\r\n\r\n";
    let request = REQUEST.replace("\r\n\r\n", lines);
    let offer = offer(&request).unwrap();

    let accepted = offer.accept(None, Some(&DeflateConfig::default()));

    let server_window = WindowBits::new(10).unwrap();
    let agreed = DeflateParams {
        server_window,
        client_window: WindowBits::MAX,
    };
    assert_eq!(accepted.deflate, Some(agreed));
    let line = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10";
    assert_eq!(
        accepted.headers().last(),
        Some(("sec-websocket-extensions", line))
    );
    assert_eq!(offer.accept(None, None).deflate, None);
    assert_eq!(offer.accept(None, None).headers().count(), 3);
}

#[test]
fn a_cut_head_waits_and_what_follows_is_left() {
    for cut in 0..REQUEST.len() {
        assert_eq!(
            Offer::parse(&REQUEST.as_bytes()[..cut]),
            Ok(None),
            "cut at {cut}"
        );
    }

    let with_a_frame = [REQUEST.as_bytes(), &[0x81, 0x80, 0, 0, 0, 0]].concat();

    assert_eq!(
        Offer::parse(&with_a_frame).unwrap().unwrap().1,
        REQUEST.len()
    );
}

#[test]
fn every_refusal_is_a_complete_response() {
    for refusal in [
        Refusal::Http,
        Refusal::Method,
        Refusal::HttpVersion,
        Refusal::Upgrade,
        Refusal::Connection,
        Refusal::Key,
        Refusal::Version,
        Refusal::Subprotocol,
        Refusal::Extensions,
    ] {
        let response = refusal.encode();
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut parsed = httparse::Response::new(&mut headers);

        let len = parsed.parse(&response).unwrap().unwrap();

        assert_eq!(parsed.code, Some(refusal.status()));
        let header = |name| {
            parsed
                .headers
                .iter()
                .find(|header| header.name == name)
                .unwrap()
                .value
        };
        assert_eq!(
            header("content-length"),
            (response.len() - len).to_string().as_bytes()
        );
        assert!(header("connection").ends_with(b"close"));
    }
}
