//! The native protocol: what clients say.

use nuncio_protocol::{Undecodable, decode as decode_text};

/// A refusal quotes at most 64 bytes of the peer's text, each escaped to at most 10, and says a sentence besides.
const REFUSAL_BYTES_MAX: usize = 1024;

/// A message of a client: it is read, or refused in few words; the same bytes always in the same way.
pub fn decode(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let decoded = decode_text(text);
    if let Err(Undecodable { refusal, .. }) = &decoded {
        assert!(refusal.message.len() <= REFUSAL_BYTES_MAX, "{refusal:?}");
    }
    assert!(decoded == decode_text(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    #[test]
    fn messages_of_clients() {
        let seeds: [&[u8]; 8] = [
            br#"{"type":"room:join","roomId":"lobby","since":{"epoch":"e","seq":3},"id":1}"#,
            br#"{"type":"room:join","rooms":[{"roomId":"a"},{"roomId":"b","history":9}],"id":"x"}"#,
            br#"{"type":"chat:message","roomId":"lobby","content":[{"a":null}],"idempotencyKey":"k"}"#,
            br#"{"type":"resume","resume":"t","rooms":[{"roomId":"lobby","epoch":"e","seq":0}]}"#,
            br#"{"id":7,"event":"history:get","data":{"roomId":"lobby","before":4,"limit":2}}"#,
            br#"{"ack":0,"data":"\ud83d\ude00"}"#,
            br#"[[[[{"#,
            br#""\ud83d"#,
        ];

        corpus::run(&seeds, decode);
    }
}
