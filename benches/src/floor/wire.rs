//! The few messages of the native protocol that a floor knows, found by their text and not by a JSON parser.

use anyhow::{Context, Result, bail};
use memchr::memmem;

/// A client's message; `id` and `content` are the JSON text as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Join { id: &'a [u8] },
    Publish { id: &'a [u8], content: &'a [u8] },
    Other,
}

/// Takes the first frame of `bytes`, unmasked in place, with its length; `None` while it is incomplete.
///
/// # Errors
/// When the frame is unmasked or over 64 KiB, and when a join or a publish lacks a field.
pub(super) fn decode(bytes: &mut [u8]) -> Result<Option<(Message<'_>, usize)>> {
    let Some((payload, len)) = unmask(bytes)? else {
        return Ok(None);
    };
    let message = if memmem::find(payload, br#""type":"chat:message""#).is_some() {
        Message::Publish {
            id: field(payload, br#""id":"#)?,
            content: field(payload, br#""content":"#)?,
        }
    } else if memmem::find(payload, br#""type":"room:join""#).is_some() {
        Message::Join {
            id: field(payload, br#""id":"#)?,
        }
    } else {
        Message::Other
    };
    Ok(Some((message, len)))
}

/// A publication as members get it, framed, as long as the server's own.
pub(super) fn publication(content: &[u8]) -> Vec<u8> {
    let payload = [
        br#"{"type":"chat:message","id":"019ab3c5-8d7e-7c41-b0a9-5f6c2d1e0f3a","seq":100000,"roomId":"bench","userId":"bench-0","content":"#.as_slice(),
        content,
        br#","ts":1763800000000}"#.as_slice(),
    ]
    .concat();
    frame(&payload)
}

pub(super) fn join_reply(id: &[u8]) -> Vec<u8> {
    let data = br#","data":{"roomId":"bench","epoch":"019ab3c58d7e","seq":0,"recovered":true,"members":1}}"#.as_slice();
    frame(&[br#"{"ack":"#, id, data].concat())
}

pub(super) fn publish_reply(id: &[u8]) -> Vec<u8> {
    let data = br#","data":{"status":"ok","id":"019ab3c5-8d7e-7c41-b0a9-5f6c2d1e0f3a","epoch":"019ab3c58d7e","seq":100000,"ts":1763800000000}}"#.as_slice();
    frame(&[br#"{"ack":"#, id, data].concat())
}

/// What a client is told first on every connection.
pub(super) fn greeting() -> Vec<u8> {
    let welcome = frame(br#"{"type":"welcome","id":"floor","protocol":1}"#);
    let auth_ok = frame(br#"{"type":"auth_ok","user":{"sub":"bench-0"}}"#);
    [welcome, auth_ok].concat()
}

/// The JSON value after `name`, up to the comma or brace that ends it; a string may hold both.
fn field<'a>(payload: &'a [u8], name: &[u8]) -> Result<&'a [u8]> {
    let missing = || format!("a message without {}", String::from_utf8_lossy(name));
    let start = memmem::find(payload, name).with_context(missing)? + name.len();
    let value = &payload[start..];
    let len = match value.first() {
        Some(b'"') => memchr::memchr(b'"', &value[1..]).map(|end| end + 2),
        _ => memchr::memchr2(b',', b'}', value),
    };
    Ok(&value[..len.with_context(missing)?])
}

/// RFC 6455 §5.2, text frames of a client only: the payload and the length of the whole frame.
fn unmask(bytes: &mut [u8]) -> Result<Option<(&[u8], usize)>> {
    let &mut [_, second, ..] = bytes else {
        return Ok(None);
    };
    if second & 0x80 == 0 {
        bail!("a client's frame without a mask (RFC 6455 §5.1)");
    }
    let (start, payload_len) = match second & 0x7f {
        127 => bail!("a frame over 64 KiB: a floor has no room for it"),
        126 if bytes.len() < 4 => return Ok(None),
        126 => (8, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
        short => (6, usize::from(short)),
    };
    let len = start + payload_len;
    if bytes.len() < len {
        return Ok(None);
    }
    let (head, payload) = bytes[..len].split_at_mut(start);
    let mask = &head[start - 4..];
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    Ok(Some((payload, len)))
}

/// A final text frame of a server: no mask (RFC 6455 §5.2).
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(payload.len()) {
        Ok(short) if short <= 125 => frame.push(short),
        _ => {
            let len = u16::try_from(payload.len()).expect("a floor answers in less than 64 KiB");
            frame.push(126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_unmasked_and_gives_its_id_and_content() {
        let mut bytes =
            masked(br#"{"type":"chat:message","roomId":"bench","content":"a, b}","id":7}"#);
        let whole = bytes.len();

        let decoded = decode(&mut bytes).unwrap();

        assert_eq!(
            decoded,
            Some((
                Message::Publish {
                    id: b"7",
                    content: br#""a, b}""#
                },
                whole
            ))
        );
    }

    #[test]
    fn a_frame_cut_anywhere_waits_for_the_rest() {
        let bytes = masked(&[b'x'; 300]);

        for len in 0..bytes.len() {
            assert_eq!(
                decode(&mut bytes[..len].to_vec()).unwrap(),
                None,
                "cut at {len}"
            );
        }
    }

    #[test]
    fn a_publication_of_100_bytes_is_framed_with_a_16_bit_length() {
        let frame = publication(format!("\"{}\"", "x".repeat(100)).as_bytes());

        assert_eq!(frame[..2], [0x81, 126]);
        assert_eq!(
            usize::from(u16::from_be_bytes([frame[2], frame[3]])),
            frame.len() - 4
        );
    }

    #[test]
    fn an_unmasked_frame_is_refused() {
        assert!(decode(&mut [0x81, 0x01, b'x']).is_err());
    }

    fn masked(payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut bytes = vec![0x81, 0x80 | 126];
        bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&mask);
        bytes.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }
}
