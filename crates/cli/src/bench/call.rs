//! What a benchmark's client sends: the upgrade, a join, publishes, pongs.

/// What the connections of a load speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Dialect {
    /// The native protocol over a WebSocket.
    Native,
    /// Socket.IO over a WebSocket from the start.
    Socketio,
}

impl Dialect {
    /// The opening handshake (RFC 6455 §4.1). The key is the RFC's own example: a benchmark does not check the answer's digest.
    pub(crate) fn upgrade(self, host: &str, token: Option<&str>) -> Vec<u8> {
        let path = match self {
            Self::Native => "/ws?",
            Self::Socketio => "/socket.io/?EIO=4&transport=websocket&",
        };
        let token = token.map_or_else(String::new, |token| format!("token={token}"));
        format!(
            "GET {path}{token} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes()
    }

    /// Joins `room`; the reply carries [`JOIN_ID`].
    pub(crate) fn join(self, room: &str) -> Vec<u8> {
        text(&match self {
            Self::Native => format!(r#"{{"type":"room:join","roomId":"{room}","id":{JOIN_ID}}}"#),
            Self::Socketio => format!(r#"42{JOIN_ID}["room:join","{room}"]"#),
        })
    }

    /// Appends one publish with the call id `id` to `frames`. `content` is a JSON value.
    pub(crate) fn push_publish(self, frames: &mut Vec<u8>, room: &str, content: &str, id: u64) {
        let payload = match self {
            Self::Native => format!(
                r#"{{"type":"chat:message","roomId":"{room}","content":{content},"id":{id}}}"#
            ),
            Self::Socketio => {
                format!(r#"42{id}["message:send",{{"roomId":"{room}","content":{content}}}]"#)
            }
        };
        push_frame(frames, TEXT, payload.as_bytes());
    }
}

/// Joins the main namespace of Socket.IO.
pub(crate) fn connect() -> Vec<u8> {
    text("40")
}

/// The answer to a ping of Engine.IO.
pub(crate) fn engine_pong() -> Vec<u8> {
    text("3")
}

fn text(payload: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    push_frame(&mut frame, TEXT, payload.as_bytes());
    frame
}

/// The answer to a ping (RFC 6455 §5.5.3).
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    push_frame(&mut frame, PONG, payload);
    frame
}

/// The id of the one join of each connection; publishes count on from [`PUBLISH_ID_FIRST`].
pub(crate) const JOIN_ID: u64 = 1;
/// See [`JOIN_ID`].
pub(crate) const PUBLISH_ID_FIRST: u64 = 2;

/// One masked frame (§5.3). The mask is constant, which no server can tell; it is not zero, so that unmasking is real work.
fn push_frame(frames: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    frames.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => frames.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            frames.push(0x80 | 126);
            frames.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frames.push(0x80 | 127);
            frames.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frames.extend_from_slice(&MASK);
    frames.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const TEXT: u8 = 0x1;
const PONG: u8 = 0xa;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masked_hello_of_rfc_6455_section_5_7_is_what_a_client_sends() {
        let mut frame = Vec::new();

        push_frame(&mut frame, TEXT, b"Hello");

        assert_eq!(
            frame,
            [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
    }

    #[test]
    fn a_payload_of_126_bytes_takes_the_16_bit_length() {
        let mut frame = Vec::new();

        push_frame(&mut frame, TEXT, &[b'x'; 126]);

        assert_eq!(frame[..4], [0x81, 0xfe, 0x00, 0x7e]);
        assert_eq!(frame.len(), 4 + 4 + 126);
    }
}
