//! What a server sends, read as cheaply as a benchmark must: frame headers, and the first bytes of each payload.

/// One frame from the server, as far as a benchmark cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A room message: one delivery.
    Publication,
    /// The reply to the call with this `id`.
    Ack(u64),
    /// Engine.IO's handshake: namespaces may be joined.
    Open,
    /// The session is authenticated, or the namespace joined; calls may begin.
    AuthOk,
    /// A ping (RFC 6455 §5.5.2), to be answered with the same payload.
    Ping(Box<[u8]>),
    /// A ping of Engine.IO.
    EnginePing,
    /// A close frame with its code; 1005 where it carries none (§7.1.5).
    Close(u16),
    /// An error reply or an `error` message, by its first bytes.
    Refused(Box<str>),
    /// Anything else: the welcome, presence, pongs.
    Other,
}

/// Cuts the bytes of one connection into [`Arrival`]s.
///
/// Payloads are never gathered: a frame is judged by its first [`PREFIX_LEN_MAX`] bytes and the rest is passed over. Only a
/// frame whose beginning is cut off is kept, so that ten thousand silent readers own no buffer.
#[derive(Debug, Default)]
pub(crate) struct ArrivalReader {
    carry: Vec<u8>,
    passing_over: u64,
}

impl ArrivalReader {
    /// Takes the next arrival off the front of `input`; `None` once `input` is used up.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Option<Arrival> {
        self.pass_over(input);
        if self.carry.is_empty() && !input.is_empty() {
            let Some(head) = Head::parse(input) else {
                self.carry = input.to_vec();
                *input = &[];
                return None;
            };
            let arrival = head.judge(input);
            self.passing_over = head.frame_len;
            self.pass_over(input);
            return Some(arrival);
        }
        self.next_from_carry(input)
    }

    fn next_from_carry(&mut self, input: &mut &[u8]) -> Option<Arrival> {
        while let Some((&byte, rest)) = input.split_first() {
            self.carry.push(byte);
            *input = rest;
            if let Some(head) = Head::parse(&self.carry) {
                let carry = std::mem::take(&mut self.carry);
                self.passing_over = head.frame_len - carry.len() as u64;
                return Some(head.judge(&carry));
            }
        }
        None
    }

    fn pass_over(&mut self, input: &mut &[u8]) {
        let available = input.len() as u64;
        let passed = self.passing_over.min(available);
        self.passing_over -= passed;
        // `passed` is at most the length of a slice.
        *input = &input[passed as usize..];
    }
}

/// The part of a frame that must be there before it can be judged.
#[derive(Debug, Clone, Copy)]
struct Head {
    opcode: u8,
    header_len: usize,
    prefix_len: usize,
    frame_len: u64,
}

impl Head {
    /// RFC 6455 §5.2, server to client: no mask. `None` until the header and the judged part of the payload are there.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (header_len, payload_len) = match short & 0x7f {
            126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let prefix_len = payload_len.min(PREFIX_LEN_MAX) as usize;
        let whole = bytes.len() >= header_len + prefix_len;
        whole.then_some(Self {
            opcode: first & 0x0f,
            header_len,
            prefix_len,
            frame_len: header_len as u64 + payload_len,
        })
    }

    fn judge(self, frame: &[u8]) -> Arrival {
        let prefix = &frame[self.header_len..self.header_len + self.prefix_len];
        match self.opcode {
            TEXT => judge_text(prefix),
            CLOSE => Arrival::Close(
                prefix
                    .first_chunk()
                    .map_or(1005, |code| u16::from_be_bytes(*code)),
            ),
            PING => Arrival::Ping(prefix.into()),
            _ => Arrival::Other,
        }
    }
}

/// Native messages are objects, packets of Engine.IO begin with a digit.
fn judge_text(prefix: &[u8]) -> Arrival {
    match prefix.first() {
        Some(b'{') => judge_message(prefix),
        _ => judge_packet(prefix),
    }
}

fn judge_packet(prefix: &[u8]) -> Arrival {
    if prefix.starts_with(br#"42["message:new""#) {
        return Arrival::Publication;
    }
    match prefix {
        [b'4', b'3', ack @ ..] => {
            let (id, rest) = number(ack);
            if rest.starts_with(br#"[{"status":"error""#) {
                return refused(prefix);
            }
            Arrival::Ack(id)
        }
        [b'4', b'0', ..] => Arrival::AuthOk,
        [b'4', b'4', ..] => refused(prefix),
        [b'4', b'2', rest @ ..] if rest.starts_with(br#"["error""#) => refused(prefix),
        [b'0', ..] => Arrival::Open,
        [b'2'] => Arrival::EnginePing,
        _ => Arrival::Other,
    }
}

/// The number that a text begins with, and the rest.
fn number(text: &[u8]) -> (u64, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let number = digits.iter().fold(0u64, |number, digit| {
        number
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'))
    });
    (number, rest)
}

fn judge_message(prefix: &[u8]) -> Arrival {
    if prefix.starts_with(br#"{"type":"chat:message""#) {
        return Arrival::Publication;
    }
    if let Some(ack) = prefix.strip_prefix(br#"{"ack":"#) {
        let (id, rest) = number(ack);
        if rest.starts_with(br#","error""#) {
            return refused(prefix);
        }
        return Arrival::Ack(id);
    }
    if prefix.starts_with(br#"{"type":"error""#) {
        return refused(prefix);
    }
    if prefix.starts_with(br#"{"type":"auth_ok""#) {
        return Arrival::AuthOk;
    }
    Arrival::Other
}

fn refused(prefix: &[u8]) -> Arrival {
    Arrival::Refused(String::from_utf8_lossy(prefix).into())
}

/// A control frame fits in whole (RFC 6455 §5.5), and so does all that tells the native messages apart.
const PREFIX_LEN_MAX: u64 = 125;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_room_message_is_one_publication() {
        let payload = format!(
            r#"{{"type":"chat:message","content":"{}"}}"#,
            "x".repeat(70_000)
        );

        assert_eq!(
            read_in_chunks(&frame(TEXT, payload.as_bytes()), 16_384),
            [Arrival::Publication]
        );
    }

    #[test]
    fn any_chunking_gives_the_same_arrivals() {
        let bytes = conversation();
        let whole = read_in_chunks(&bytes, bytes.len());

        for chunk_len in 1..bytes.len() {
            assert_eq!(
                read_in_chunks(&bytes, chunk_len),
                whole,
                "chunks of {chunk_len}"
            );
        }
    }

    #[test]
    fn each_kind_of_message_is_told_apart() {
        assert_eq!(
            read_in_chunks(&conversation(), usize::MAX),
            [
                Arrival::Other,
                Arrival::AuthOk,
                Arrival::Ack(18_446),
                Arrival::Publication,
                Arrival::Ping((*b"beat").into()),
                Arrival::Refused(r#"{"ack":7,"error":{"code":"RATE_LIMITED"}}"#.into()),
                Arrival::Refused(r#"{"type":"error","code":"FORBIDDEN"}"#.into()),
                Arrival::Close(1013),
                Arrival::Close(1005),
            ]
        );
    }

    #[test]
    fn each_kind_of_socketio_packet_is_told_apart() {
        let packets: [&[u8]; 7] = [
            br#"0{"sid":"s1"}"#,
            br#"40{"sid":"s2"}"#,
            br#"4318446[{"status":"ok"}]"#,
            br#"42["message:new",{"seq":1}]"#,
            b"2",
            br#"437[{"status":"error","code":"RATE_LIMITED"}]"#,
            br#"42["user:joined",{}]"#,
        ];
        let bytes: Vec<u8> = packets.iter().flat_map(|text| frame(TEXT, text)).collect();

        assert_eq!(
            read_in_chunks(&bytes, usize::MAX),
            [
                Arrival::Open,
                Arrival::AuthOk,
                Arrival::Ack(18_446),
                Arrival::Publication,
                Arrival::EnginePing,
                Arrival::Refused(r#"437[{"status":"error","code":"RATE_LIMITED"}]"#.into()),
                Arrival::Other,
            ]
        );
    }

    fn conversation() -> Vec<u8> {
        [
            frame(TEXT, br#"{"type":"welcome","id":"s1","protocol":1}"#),
            frame(TEXT, br#"{"type":"auth_ok","user":{"sub":"ann"}}"#),
            frame(TEXT, br#"{"ack":18446,"data":{"status":"ok"}}"#),
            frame(
                TEXT,
                format!(
                    r#"{{"type":"chat:message","content":"{}"}}"#,
                    "x".repeat(200)
                )
                .as_bytes(),
            ),
            frame(PING, b"beat"),
            frame(TEXT, br#"{"ack":7,"error":{"code":"RATE_LIMITED"}}"#),
            frame(TEXT, br#"{"type":"error","code":"FORBIDDEN"}"#),
            frame(CLOSE, &[0x03, 0xf5]),
            frame(CLOSE, b""),
        ]
        .concat()
    }

    fn read_in_chunks(bytes: &[u8], chunk_len: usize) -> Vec<Arrival> {
        let mut reader = ArrivalReader::default();
        let mut arrivals = Vec::new();
        for mut chunk in bytes.chunks(chunk_len) {
            arrivals.extend(std::iter::from_fn(|| reader.next(&mut chunk)));
        }
        arrivals
    }

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            short @ 0..=125 => frame.push(short as u8),
            medium @ 126..=0xffff => {
                frame.push(126);
                frame.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }
}
