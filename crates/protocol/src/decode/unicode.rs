//! Text that is not Unicode: half of a surrogate pair, written as an escape.
//!
//! JSON's grammar allows `"\ud83d"` alone (RFC 8259 §8.2 calls what receivers do with it unpredictable), and I-JSON forbids it (RFC 7493
//! §2.1). Content is passed on as it was written, so a message that strict parsers cannot read would be stored and replayed to all of them:
//! it is refused at the door.

use nuncio_model::Refusal;

/// Refuses JSON in which an escape stands for half a surrogate pair. `text` must be valid JSON.
///
/// # Errors
/// [`InvalidMessage`](nuncio_model::ErrorCode::InvalidMessage), quoting the escape.
pub(crate) fn check(text: &str) -> Result<(), Refusal> {
    match lone_surrogate(text) {
        None => Ok(()),
        Some(escape) => Err(Refusal::invalid(format!(
            "Text must be Unicode: {escape} is half of a surrogate pair"
        ))),
    }
}

fn lone_surrogate(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at..];
        rest = match unit(escape) {
            None => &escape[2..],
            Some(0xD800..=0xDBFF) if matches!(unit(&escape[6..]), Some(0xDC00..=0xDFFF)) => {
                &escape[12..]
            }
            Some(0xD800..=0xDFFF) => return Some(&escape[..6]),
            Some(_) => &escape[6..],
        };
    }
    None
}

/// The UTF-16 unit of a `\uXXXX` at the start of `text`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}
