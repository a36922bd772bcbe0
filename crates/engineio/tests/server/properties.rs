//! Properties over random packets, bodies and orders of events.

use bytes::Bytes;
use nuncio_engineio::payload::{self, Content, Packets};
use nuncio_engineio::server::{Close, RequestId, SocketEnd, SocketId};
use nuncio_engineio::{BinarySupport, Frame, Message, Packet, Protocol};
use proptest::prelude::*;

use crate::peer::{Peer, Seen};

proptest! {
    #[test]
    fn frames_round_trip(packet in packet(), protocol in protocol(), binary in binary_support()) {
        let frame = packet.clone().encode().for_websocket(protocol, binary);
        prop_assert_eq!(Packet::decode(protocol, frame), Ok(packet));
    }

    #[test]
    fn payloads_round_trip(
        packets in prop::collection::vec(packet(), 1..8),
        protocol in protocol(),
        binary in binary_support(),
    ) {
        let frames: Vec<Frame> = packets.iter().cloned().map(Packet::encode).collect();
        let (content, body) = payload::encode(protocol, binary, &frames);
        let decoded: Result<Vec<Packet>, _> = Packets::new(protocol, content, body).collect();
        prop_assert_eq!(decoded, Ok(packets));
    }

    #[test]
    fn decoding_never_panics_and_stops_at_the_first_error(
        body in prop::collection::vec(any::<u8>(), 0..64),
        protocol in protocol(),
        content in prop_oneof![Just(Content::Text), Just(Content::Binary)],
    ) {
        let results: Vec<_> = Packets::new(protocol, content, Bytes::from(body)).collect();
        let errors = results.iter().filter(|result| result.is_err()).count();
        prop_assert!(errors <= 1);
        prop_assert!(errors == 0 || results.last().is_some_and(Result::is_err));
    }

    #[test]
    fn every_request_is_answered_once_and_the_end_is_reported_once(
        protocol in protocol(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let mut peer = Peer::polling(protocol);
        let mut run = Run::default();
        for step in steps {
            run.take(&mut peer, step);
        }
        peer.connection.close(peer.now, Close::Discard);
        run.see(peer.seen());
        run.end();
    }

    #[test]
    fn an_upgrade_in_the_middle_of_traffic_loses_and_reorders_nothing(
        before in 0_usize..20,
        polls in prop::collection::vec(any::<bool>(), 20),
        posts in prop::collection::vec(1_usize..4, 0..6),
        after in 0_usize..20,
    ) {
        let mut peer = Peer::polling(Protocol::V4);
        let socket = peer.connection.handle_websocket(peer.now).unwrap();
        let (mut received, mut delivered, mut posted) = (Vec::new(), Vec::new(), 0);
        let mut sent = 0;
        for (index, poll) in polls.iter().take(before).enumerate() {
            peer.send(&sent.to_string());
            sent += 1;
            if *poll {
                peer.get();
            }
            if index == before / 2 {
                peer.frame(socket, "2probe");
            }
            collect(&mut peer, &mut received, &mut delivered);
        }
        for count in posts {
            let body: Vec<String> = (posted..posted + count).map(|n| format!("4{n}")).collect();
            posted += count;
            peer.post(&body.join("\x1e"));
        }
        peer.frame(socket, "5");
        for _ in 0..after {
            peer.send(&sent.to_string());
            sent += 1;
            peer.frame(socket, &format!("4{posted}"));
            posted += 1;
        }
        collect(&mut peer, &mut received, &mut delivered);
        prop_assert_eq!(received, (0..sent).map(|n| n.to_string()).collect::<Vec<_>>());
        prop_assert_eq!(delivered, (0..posted).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

/// What the client received over both transports, and what the server's application received.
fn collect(peer: &mut Peer, received: &mut Vec<String>, delivered: &mut Vec<String>) {
    for seen in peer.seen() {
        match seen {
            Seen::Message(text) => delivered.push(text),
            Seen::Response(_, 200, body) if body != "ok" => {
                received.extend(body.split('\x1e').filter_map(message_text));
            }
            Seen::Frame(_, text) => received.extend(message_text(&text)),
            Seen::Response(..)
            | Seen::Binary(_)
            | Seen::BinaryFrame(..)
            | Seen::SocketClosed(_)
            | Seen::Upgraded(_)
            | Seen::Closed(_) => {}
        }
    }
}

fn message_text(packet: &str) -> Option<String> {
    packet.strip_prefix('4').map(str::to_owned)
}

#[derive(Debug, Clone)]
enum Step {
    Get,
    Post(String),
    PostWithoutBody,
    AbortLast,
    Open,
    Frame(String),
    SocketEnd,
    Send,
    Close,
    Pass(u64),
    Drain,
}

#[derive(Default)]
struct Run {
    asked: Vec<RequestId>,
    aborted: Vec<RequestId>,
    answered: Vec<RequestId>,
    socket: Option<SocketId>,
    ends: usize,
}

impl Run {
    fn take(&mut self, peer: &mut Peer, step: Step) {
        match step {
            Step::Get => self.asked.push(peer.get()),
            Step::Post(body) => self.asked.push(peer.post(&body)),
            Step::PostWithoutBody => {
                let request = peer.request();
                self.asked.push(request);
                let _ = peer
                    .connection
                    .handle_post(peer.now, request, Content::Text);
            }
            Step::AbortLast => {
                if let Some(&request) = self.asked.last() {
                    self.see(peer.seen());
                    peer.connection.handle_aborted(peer.now, request);
                    self.aborted.push(request);
                }
            }
            Step::Open => self.socket = peer.connection.handle_websocket(peer.now).or(self.socket),
            Step::Frame(text) => {
                if let Some(socket) = self.socket {
                    peer.frame(socket, &text);
                }
            }
            Step::SocketEnd => {
                if let Some(socket) = self.socket {
                    peer.connection
                        .handle_socket_end(peer.now, socket, SocketEnd::Closed);
                }
            }
            Step::Send => drop(peer.connection.send(Packet::text("x").encode())),
            Step::Close => peer.connection.close(peer.now, Close::Flush),
            Step::Pass(millis) => peer.pass(millis),
            Step::Drain => self.see(peer.seen()),
        }
    }

    fn see(&mut self, seen: Vec<Seen>) {
        for one in seen {
            match one {
                Seen::Response(request, ..) => self.answered.push(request),
                Seen::Closed(_) => self.ends += 1,
                Seen::Message(_)
                | Seen::Binary(_)
                | Seen::Frame(..)
                | Seen::BinaryFrame(..)
                | Seen::SocketClosed(_)
                | Seen::Upgraded(_) => {}
            }
        }
    }

    fn end(mut self) {
        assert_eq!(self.ends, 1);
        for request in self.asked {
            let answers = self
                .answered
                .extract_if(.., |answered| *answered == request)
                .count();
            let is_aborted = self.aborted.contains(&request);
            assert!(
                answers == 1 || (answers == 0 && is_aborted),
                "{request:?}: {answers} answers"
            );
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let body = prop_oneof![
        Just("4a\x1e4b"),
        Just("3"),
        Just("2"),
        Just("1"),
        Just("bad"),
        Just("2:4a"),
        Just("1:2"),
        Just("")
    ];
    let frame = prop_oneof![
        Just("2probe"),
        Just("5"),
        Just("4a"),
        Just("3"),
        Just("2"),
        Just("1"),
        Just("x")
    ];
    prop_oneof![
        3 => Just(Step::Get),
        2 => body.prop_map(|body| Step::Post(body.to_owned())),
        1 => Just(Step::PostWithoutBody),
        1 => Just(Step::AbortLast),
        1 => Just(Step::Open),
        3 => frame.prop_map(|text| Step::Frame(text.to_owned())),
        1 => Just(Step::SocketEnd),
        2 => Just(Step::Send),
        1 => Just(Step::Close),
        2 => (0_u64..400).prop_map(Step::Pass),
        3 => Just(Step::Drain),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    let text = "[^\u{1e}]{0,12}";
    prop_oneof![
        text.prop_map(|data| Packet::Open(data.into())),
        Just(Packet::Close),
        text.prop_map(|data| Packet::Ping(data.into())),
        text.prop_map(|data| Packet::Pong(data.into())),
        text.prop_map(|data| Packet::Message(Message::Text(data.into()))),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Packet::binary),
        Just(Packet::Upgrade),
        Just(Packet::Noop),
    ]
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::V3), Just(Protocol::V4)]
}

fn binary_support() -> impl Strategy<Value = BinarySupport> {
    prop_oneof![Just(BinarySupport::Bytes), Just(BinarySupport::Base64)]
}
