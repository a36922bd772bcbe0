//! Numbers that no double holds.
//!
//! JSON's grammar allows `1e999` (RFC 8259 §6); I-JSON advises against it (RFC 7493 §2.2), and strict parsers refuse the whole message. Content is passed
//! on as it was written, so such a message would be stored and replayed to all of them: it is refused at the door.

use nuncio_model::{Refusal, quote};

/// Refuses JSON with a number beyond the range of a double (IEEE 754). `text` must be valid JSON.
///
/// # Errors
/// [`InvalidMessage`](nuncio_model::ErrorCode::InvalidMessage), quoting the number.
pub(crate) fn check(text: &str) -> Result<(), Refusal> {
    match too_large(text) {
        None => Ok(()),
        Some(number) => Err(Refusal::invalid(format!(
            "Numbers must fit a double: {} does not",
            quote(number)
        ))),
    }
}

fn too_large(text: &str) -> Option<&str> {
    // A double reaches 1.8e308: without an exponent, a number beyond it has more than 308 digits.
    const DIGITS_SAFE: usize = 308;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at += match bytes[at] {
            b'"' => string_len(&bytes[at..]),
            b'-' | b'0'..=b'9' => {
                let number = &text[at..at + number_len(&bytes[at..])];
                let may_overflow = number.len() > DIGITS_SAFE || number.contains(['e', 'E']);
                if may_overflow && number.parse().is_ok_and(f64::is_infinite) {
                    return Some(number);
                }
                number.len()
            }
            _ => 1,
        };
    }
    None
}

fn string_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn number_len(bytes: &[u8]) -> usize {
    let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    bytes.iter().take_while(is_part).count()
}
