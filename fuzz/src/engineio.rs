//! Engine.IO: packets, payloads, and one connection over polling and WebSocket.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_engineio::payload::{self, Content, Packets};
use nuncio_engineio::server::{Connection, Output, RequestId, SocketEnd, SocketId};
use nuncio_engineio::{BinarySupport, Config, Frame, Method, Packet, Protocol, Query, RequestKind};

/// One instant for all inputs, so that they do the same each time.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A WebSocket message: what is a packet survives encoding and decoding again.
pub fn packet(bytes: &[u8]) {
    for protocol in [Protocol::V4, Protocol::V3] {
        for frame in frames(bytes) {
            let Ok(packet) = Packet::decode(protocol, frame) else {
                continue;
            };
            let sent = packet
                .clone()
                .encode()
                .for_websocket(protocol, BinarySupport::Bytes);
            assert_eq!(Packet::decode(protocol, sent), Ok(packet));
        }
    }
}

/// An HTTP body, and a query: the packets of a good body survive another body.
pub fn payload(bytes: &[u8]) {
    let query = String::from_utf8_lossy(bytes);
    let _ = Query::parse(&query).check(&Config::default(), Method::Get, RequestKind::Http, None);
    let forms = [
        (Protocol::V4, Content::Text),
        (Protocol::V3, Content::Text),
        (Protocol::V3, Content::Binary),
    ];
    for (protocol, content) in forms {
        let body = Bytes::copy_from_slice(bytes);
        let packets: Result<Vec<Packet>, _> = Packets::new(protocol, content, body).collect();
        let Ok(packets) = packets else { continue };
        let encoded: Vec<Frame> = packets.iter().cloned().map(Packet::encode).collect();
        for binary in [BinarySupport::Bytes, BinarySupport::Base64] {
            let (content, body) = payload::encode(protocol, binary, &encoded);
            let again: Result<Vec<Packet>, _> = Packets::new(protocol, content, body).collect();
            assert_eq!(again.as_ref(), Ok(&packets));
        }
    }
}

/// One connection: the bytes are a script of requests, messages and time. It answers each request once, and nothing after its end.
pub fn connection(bytes: &[u8]) {
    let Some((protocol, script)) = bytes.split_first() else {
        return;
    };
    let protocol = if protocol % 2 == 0 {
        Protocol::V4
    } else {
        Protocol::V3
    };
    let mut peer = Peer::new(protocol);
    for step in script.split(|&byte| byte == b'\n') {
        peer.step(step);
    }
}

struct Peer {
    connection: Connection,
    now: Instant,
    requests: u64,
    unanswered: Vec<RequestId>,
    socket: Option<SocketId>,
}

impl Peer {
    fn new(protocol: Protocol) -> Self {
        let config = Arc::new(Config::default());
        let (now, request) = (*BEGIN, RequestId(0));
        let connection =
            Connection::polling(now, config, "sid", protocol, BinarySupport::Bytes, request);
        let mut peer = Self {
            connection,
            now,
            requests: 0,
            unanswered: vec![request],
            socket: None,
        };
        peer.take_outputs();
        peer
    }

    fn step(&mut self, step: &[u8]) {
        let Some((what, data)) = step.split_first() else {
            return;
        };
        let (now, data) = (self.now, Bytes::copy_from_slice(data));
        match what {
            b'g' => {
                let request = self.request();
                self.connection.handle_get(now, request);
            }
            b'p' => self.post(data),
            b'a' => {
                if let Some(request) = self.unanswered.pop() {
                    self.connection.handle_aborted(now, request);
                }
            }
            b'w' => self.socket = self.connection.handle_websocket(now).or(self.socket),
            b'f' => {
                for frame in frames(&data) {
                    if let Some(socket) = self.socket {
                        self.connection.handle_frame(now, socket, frame);
                    }
                }
            }
            b'e' => {
                if let Some(socket) = self.socket.take() {
                    self.connection
                        .handle_socket_end(now, socket, SocketEnd::Closed);
                }
            }
            b't' => {
                self.now += Duration::from_millis(100 * data.len() as u64);
                self.connection.handle_timeout(self.now);
            }
            _ => {
                let _ = self.connection.send(Packet::binary(data).encode());
            }
        }
        self.take_outputs();
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.unanswered.push(request);
        request
    }

    fn post(&mut self, body: Bytes) {
        let request = self.request();
        if self
            .connection
            .handle_post(self.now, request, Content::Text)
        {
            self.connection
                .handle_post_body(self.now, request, Content::Text, body);
        }
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            if let Output::Respond { request, .. } = output {
                let before = self.unanswered.len();
                self.unanswered.retain(|unanswered| *unanswered != request);
                assert_eq!(self.unanswered.len() + 1, before, "answered once");
            }
        }
        if self.connection.is_closed() {
            assert_eq!(self.connection.poll_timeout(), None);
            assert_eq!(self.connection.queue_bytes(), 0);
        }
    }
}

/// The bytes as a binary message, and as a text where they are one.
fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame> {
    let binary = Frame::Binary(Bytes::copy_from_slice(bytes));
    let text = std::str::from_utf8(bytes).ok();
    let text = text.map(|text| Frame::Text(Bytes::copy_from_slice(text.as_bytes())));
    [Some(binary), text].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    #[test]
    fn websocket_messages() {
        let seeds: [&[u8]; 6] = [
            b"4hello",
            b"2probe",
            b"bAQID",
            b"b4AQID",
            b"\x04\x01",
            b"0{}",
        ];

        corpus::run(&seeds, packet);
    }

    #[test]
    fn bodies_and_queries() {
        let seeds: [&[u8]; 6] = [
            b"4hello\x1ebAQID\x1e2",
            b"6:4hello",
            b"10:b4AQIDBA==",
            b"\x00\x06\xff4hello",
            b"\x01\x04\xff\x04\x01\x02\x03",
            b"EIO=4&transport=polling&sid=s&b64=1",
        ];

        corpus::run(&seeds, payload);
    }

    #[test]
    fn scripts_of_a_connection() {
        let seeds: [&[u8]; 8] = [
            b"\x00g\np4hello\n",
            b"g\n",
            b"w\nf2probe\n",
            b"f5\nf4hi\n",
            b"xdata\n",
            b"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt\n",
            b"a\n",
            b"e\n",
        ];

        corpus::run(&seeds, connection);
    }
}
