//! The opening handshake (RFC 6455 §4) and the negotiation of compression (RFC 7692 §5, §7.1).
//!
//! A server looks at a request in two steps: [`Offer::read`] checks it and says what the client asks for, [`Offer::accept`]
//! decides and gives the response. Between them the caller may look at the subprotocols, at a cookie or at the origin, none of
//! which is this module's business. Both take borrowed values, so that any HTTP library can feed them; [`Offer::parse`]
//! reads the bytes of a request itself. A client writes a [`ClientRequest`] and checks the response with it.

mod client;
mod extension;
mod permessage_deflate;
mod server;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use client::{Agreement, ClientRequest, ResponseError};
pub use permessage_deflate::DeflateConfig;
pub use server::{Accepted, HttpVersion, Offer, Refusal, Request};

/// The value of `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 §4.2.2, step 5.4).
pub fn accept_key(key: &[u8]) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.digest().bytes())
}

/// The items of a comma-separated header value, without the spaces around them and without the empty ones.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

fn has_item(value: &[u8], wanted: &str) -> bool {
    items(value).any(|item| item.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Whether the bytes are a `token` of HTTP (RFC 9110 §5.6.2), such as a method, a subprotocol or an extension's name.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// The most header lines that are read from a request or response in bytes.
const HEADERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §1.3.
    #[test]
    fn the_key_of_the_rfc_gets_the_answer_of_the_rfc() {
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_list_may_have_spaces_and_empty_items() {
        assert!(has_item(b"keep-alive, Upgrade", "upgrade"));
        assert!(has_item(b" ,UPGRADE\t, ", "upgrade"));
        assert!(!has_item(b"upgrades, up grade", "upgrade"));
    }
}
