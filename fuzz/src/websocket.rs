//! The WebSocket codec: frames of both roles, compression, the opening handshake.

use std::cell::RefCell;

use nuncio_websocket::handshake::{ClientRequest, DeflateConfig, HttpVersion, Offer, Request};
use nuncio_websocket::{
    CloseCode, Connection, ConnectionConfig, DeflateParams, Deflater, Event, FrameError, Inflater,
    Mask, Role, WindowBits,
};

const MESSAGE_BYTES_MAX: u64 = 4096;

const DEFLATE: DeflateParams = DeflateParams {
    server_window: WindowBits::MAX,
    client_window: WindowBits::MAX,
};

thread_local! {
    /// One for all inputs, as a server has one for all messages.
    static DEFLATER: RefCell<Deflater> = const { RefCell::new(Deflater::new()) };
}

/// Bytes from a client: the first says how the rest is cut.
pub fn server(bytes: &[u8]) {
    frames(Role::Server, bytes);
}

/// Bytes from a server: the first says how the rest is cut.
pub fn client(bytes: &[u8]) {
    frames(Role::Client, bytes);
}

/// A compressed payload, and the same bytes as a payload to compress.
pub fn deflate(bytes: &[u8]) {
    let mut inflater = Inflater::new();
    match inflater.inflate(bytes, MESSAGE_BYTES_MAX) {
        Ok(inflated) => assert!(inflated.len() as u64 <= MESSAGE_BYTES_MAX),
        Err(FrameError::TooBig { len, max }) => assert!(len > max),
        Err(error) => assert_eq!(error, FrameError::Deflate),
    }
    let Some((first, payload)) = bytes.split_first() else {
        return;
    };
    let window = WindowBits::new(9 + first % 7).expect("9 to 15");
    let deflated = DEFLATER.with_borrow_mut(|deflater| deflater.deflate(payload, window).to_vec());
    assert_eq!(
        inflater.inflate(&deflated, payload.len() as u64),
        Ok(payload)
    );
}

/// A request, a response, and an extension list in a good request.
pub fn handshake(bytes: &[u8]) {
    let config = DeflateConfig::default();
    if let Ok(Some((offer, len))) = Offer::parse(bytes) {
        assert!(len <= bytes.len());
        accept(&offer, &config);
    }
    let _ = client_request(&config).check_response(bytes);
    let headers: [(&str, &[u8]); 6] = [
        ("connection", b"upgrade"),
        ("upgrade", b"websocket"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-extensions", bytes),
        ("sec-websocket-protocol", bytes),
    ];
    for headers in [&headers[..5], &headers[..]] {
        let headers = headers.iter().copied();
        let request = Request {
            method: "GET",
            version: HttpVersion::Http11,
            headers,
        };
        if let Ok(offer) = Offer::read(request) {
            accept(&offer, &config);
        }
    }
}

/// The response to an offer must be one that a client can read, in as many lines as it has headers.
fn accept(offer: &Offer<'_>, config: &DeflateConfig) {
    let accepted = offer.accept(offer.subprotocols().first().copied(), Some(config));
    let response = accepted.encode();
    let lines = response.windows(2).filter(|end| end == b"\r\n").count();
    assert_eq!(lines, accepted.headers().count() + 2);
    let checked = client_request(config).check_response(&response);
    assert!(!matches!(checked, Ok(None)));
}

fn client_request(config: &DeflateConfig) -> ClientRequest<'static> {
    ClientRequest {
        host: "example.org",
        path: "/",
        key: *b"the sample nonce",
        subprotocols: &["chat"],
        deflate: Some(*config),
        headers: &[],
    }
}

/// However the bytes are cut, the events and the refusal are the same, and nothing is kept after the end.
fn frames(role: Role, bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = receive(role, bytes, bytes.len().max(1));
    let pieces = receive(role, bytes, usize::from(cut % 16) + 1);
    assert_eq!(whole, pieces);
}

fn receive(
    role: Role,
    bytes: &[u8],
    piece_len: usize,
) -> (Vec<Event<'static>>, Option<FrameError>) {
    let config = ConnectionConfig {
        message_bytes_max: MESSAGE_BYTES_MAX,
        deflate: Some(DEFLATE),
    };
    let mut connection = Connection::new(role, config);
    let mut inflater = Inflater::new();
    let (mut events, mut refused) = (Vec::new(), None);
    for piece in bytes.to_vec().chunks_mut(piece_len) {
        let mut input = piece;
        loop {
            match connection.receive(&mut input, &mut inflater) {
                Ok(Some(event)) => events.push(checked(event)),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(refused.replace(error), None);
                    assert!(CloseCode::new(error.close_code().as_u16()).is_some());
                }
            }
        }
        assert!(input.is_empty());
        assert!(connection.heap_bytes() <= 2 * MESSAGE_BYTES_MAX as usize + 2048);
    }
    let is_over = refused.is_some() || matches!(events.last(), Some(Event::Close { .. }));
    if is_over {
        assert_eq!(connection.heap_bytes(), 0);
        assert!(connection.close(None, "", Mask::None).is_some());
    }
    assert!(connection.close(None, "", Mask::None).is_some() != is_over);
    (events, refused)
}

fn checked(event: Event<'_>) -> Event<'static> {
    match &event {
        Event::Text(text) => assert!(text.len() as u64 <= MESSAGE_BYTES_MAX),
        Event::Binary(bytes) => assert!(bytes.len() as u64 <= MESSAGE_BYTES_MAX),
        Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
        Event::Close { reason, .. } => assert!(reason.len() <= 123),
    }
    event.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    #[test]
    fn frames_from_a_client() {
        let seeds: [&[u8]; 5] = [
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            b"\x01\x83\0\0\0\0Hel\x80\x82\0\0\0\0lo",
            b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00",
            b"\x89\x82\0\0\0\0Hi",
            b"\x88\x82\0\0\0\0\x03\xe8",
        ];

        corpus::run(&seeds, server);
    }

    #[test]
    fn frames_from_a_server() {
        let seeds: [&[u8]; 6] = [
            b"\x81\x05Hello",
            b"\x01\x03Hel\x80\x02lo",
            b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
            b"\x89\x02Hi",
            b"\x82\x7e\x00\x7e",
            b"\x88\x02\x03\xe8",
        ];

        corpus::run(&seeds, client);
    }

    #[test]
    fn compressed_payloads() {
        let seeds: [&[u8]; 4] = [
            b"\xf2\x48\xcd\xc9\xc9\x07\x00",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\x00\x05\x00\xfa\xffHello\x00",
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ];

        corpus::run(&seeds, deflate);
    }

    #[test]
    fn requests_and_responses() {
        let seeds: [&[u8]; 4] = [
            b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            b"permessage-deflate; server_max_window_bits=10, ",
        ];

        corpus::run(&seeds, handshake);
    }
}
