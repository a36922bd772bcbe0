//! The server's half of the opening handshake (RFC 6455 §4.2), for one well-behaved client.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use memchr::memmem;

/// The answer to a request, or `None` while its head is incomplete.
///
/// # Errors
/// When the head carries no `Sec-WebSocket-Key`.
pub(super) fn reply(request: &[u8]) -> Result<Option<Vec<u8>>> {
    if memmem::find(request, b"\r\n\r\n").is_none() {
        return Ok(None);
    }
    let key = key(request).context("an upgrade without Sec-WebSocket-Key")?;
    let reply = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    );
    Ok(Some(reply.into_bytes()))
}

fn key(request: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"Sec-WebSocket-Key: ";
    let start = memmem::find(request, NAME)? + NAME.len();
    let len = memchr::memchr(b'\r', &request[start..])?;
    Some(&request[start..start + len])
}

fn accept(key: &[u8]) -> String {
    let mut digest = sha1_smol::Sha1::new();
    digest.update(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(digest.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_section_1_3_is_answered_with_its_accept_value() {
        let request = b"GET /ws HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

        let reply = String::from_utf8(reply(request).unwrap().unwrap()).unwrap();

        assert!(
            reply.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{reply}"
        );
    }

    #[test]
    fn half_a_head_waits_for_the_rest() {
        assert!(
            reply(b"GET /ws HTTP/1.1\r\nSec-WebSocket-Key: abc\r\n")
                .unwrap()
                .is_none()
        );
    }
}
