//! Protocol v4 and v3, "HTTP long-polling".

use bytes::Bytes;
use nuncio_engineio::payload::Content;
use nuncio_engineio::server::{Close, CloseReason, SendError};
use nuncio_engineio::{BinarySupport, Frame, Protocol};

use crate::peer::{Peer, Seen, config, message, ok, polled, unknown_sid};

const V4: Protocol = Protocol::V4;
const V3: Protocol = Protocol::V3;

#[test]
fn the_handshake_answers_the_first_get_with_the_open_packet() {
    let mut peer = Peer::opening(V4, BinarySupport::Bytes, config());

    let seen = peer.seen();

    let [Seen::Response(_, 200, body)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(
        body,
        r#"0{"sid":"the-sid","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#
    );
}

#[test]
fn what_is_sent_at_once_rides_in_the_handshake_response() {
    let mut peer = Peer::opening(V3, BinarySupport::Base64, config());

    peer.send("0");

    let seen = peer.seen();
    let [Seen::Response(_, 200, body)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert!(
        body.starts_with("101:0{") && body.ends_with("}2:40"),
        "{body}"
    );
}

#[test]
fn a_post_is_answered_with_ok_after_its_messages() {
    let mut peer = Peer::polling(V4);

    let post = peer.post("4test1\x1e4test2\x1ebAQIDBA==");

    assert_eq!(
        peer.seen(),
        [
            message("test1"),
            message("test2"),
            Seen::Binary(vec![1, 2, 3, 4]),
            ok(post)
        ]
    );
}

#[test]
fn a_v3_post_has_lengths_and_may_be_binary() {
    let mut peer = Peer::polling(V3);

    let text = peer.post("6:4hello10:b4AQIDBA==");
    let binary = peer.post_content(Content::Binary, &[0, 2, 255, 52, 104, 1, 3, 255, 4, 1, 2]);

    let hello = [message("hello"), Seen::Binary(vec![1, 2, 3, 4]), ok(text)];
    let bytes = [message("h"), Seen::Binary(vec![1, 2]), ok(binary)];
    assert_eq!(peer.seen(), [&hello[..], &bytes[..]].concat());
}

#[test]
fn messages_wait_for_a_poll_and_share_it() {
    let mut peer = Peer::polling(V4);
    peer.send("a");
    peer.connection
        .send(Frame::Binary(Bytes::from_static(&[1, 2, 3, 4])))
        .unwrap();
    assert_eq!(peer.seen(), []);

    let poll = peer.get();

    assert_eq!(peer.seen(), [polled(poll, "4a\x1ebAQIDBA==")]);
}

#[test]
fn a_pending_poll_takes_all_that_is_sent_in_one_round() {
    let mut peer = Peer::polling(V4);
    let poll = peer.get();
    assert_eq!(peer.seen(), []);

    peer.send("a");
    peer.send("b");

    assert_eq!(peer.seen(), [polled(poll, "4a\x1e4b")]);
}

#[test]
fn only_a_waiting_poll_without_a_queue_is_writable() {
    let mut peer = Peer::polling(V4);
    assert!(!peer.connection.is_writable());

    peer.get();
    assert!(peer.connection.is_writable());

    peer.send("a");
    assert!(!peer.connection.is_writable());
}

#[test]
fn an_invalid_packet_answers_400_and_closes_the_session() {
    for body in ["abc", "", "7", "4a\u{1e}"] {
        let mut peer = Peer::polling(V4);

        let post = peer.post(body);
        let seen = peer.seen();
        let poll = peer.get();

        let end = [
            Seen::Response(post, 400, String::new()),
            Seen::Closed(CloseReason::ParseError),
        ];
        assert!(seen.ends_with(&end), "{body:?} gave {seen:?}");
        assert_eq!(peer.seen(), [unknown_sid(poll)]);
    }
}

#[test]
fn packets_before_an_invalid_one_are_delivered() {
    let mut peer = Peer::polling(V4);

    let post = peer.post("4a\x1ex\x1e4b");

    assert_eq!(
        peer.seen(),
        [
            message("a"),
            Seen::Response(post, 400, String::new()),
            Seen::Closed(CloseReason::ParseError)
        ]
    );
}

#[test]
fn a_v4_post_of_octets_is_refused_and_closes_the_session() {
    let mut peer = Peer::polling(V4);

    let post = peer.post_content(Content::Binary, b"4x");

    assert_eq!(
        peer.seen(),
        [
            Seen::Closed(CloseReason::TransportError),
            Seen::Response(post, 400, String::new())
        ]
    );
}

#[test]
fn a_post_that_is_too_large_is_answered_413_and_the_session_goes_on() {
    let mut config = config();
    config.payload_bytes_max = 100;
    let mut peer = Peer::opening(V4, BinarySupport::Bytes, config);
    peer.seen();

    let large = peer.post(&format!("4{}", "x".repeat(100)));
    let small = peer.post("4hi");

    let answers = [
        Seen::Response(large, 413, String::new()),
        message("hi"),
        ok(small),
    ];
    assert_eq!(peer.seen(), answers);
}

#[test]
fn control_packets_without_a_meaning_here_are_ignored() {
    let mut peer = Peer::polling(V4);

    let post = peer.post("0\x1e5\x1e6\x1e4x");

    assert_eq!(peer.seen(), [message("x"), ok(post)]);
}

#[test]
fn two_polls_at_once_close_the_session() {
    let mut peer = Peer::polling(V4);
    let first = peer.get();

    let second = peer.get();

    assert_eq!(
        peer.seen(),
        [
            polled(first, "1"),
            Seen::Closed(CloseReason::TransportError),
            Seen::Response(second, 400, String::new())
        ]
    );
    let third = peer.get();
    assert_eq!(peer.seen(), [unknown_sid(third)]);
}

#[test]
fn two_posts_at_once_close_the_session() {
    let mut peer = Peer::polling(V4);
    let first = peer.request();
    let second = peer.request();
    assert!(peer.connection.handle_post(peer.now, first, Content::Text));

    assert!(!peer.connection.handle_post(peer.now, second, Content::Text));

    assert_eq!(
        peer.seen(),
        [
            Seen::Response(first, 400, String::new()),
            Seen::Closed(CloseReason::TransportError),
            Seen::Response(second, 400, String::new())
        ]
    );
    peer.connection
        .handle_post_body(peer.now, first, Content::Text, Bytes::from_static(b"4late"));
    assert_eq!(peer.seen(), []);
}

#[test]
fn a_poll_that_is_cut_off_closes_the_session_before_the_next_request() {
    let mut peer = Peer::polling(V4);
    let poll = peer.get();

    peer.connection.handle_aborted(peer.now, poll);
    let next = peer.get();

    assert_eq!(
        peer.seen(),
        [Seen::Closed(CloseReason::TransportError), unknown_sid(next)]
    );
}

#[test]
fn a_post_that_is_cut_off_closes_the_session() {
    let mut peer = Peer::polling(V4);
    let poll = peer.get();
    let post = peer.request();
    assert!(peer.connection.handle_post(peer.now, post, Content::Text));

    peer.connection.handle_aborted(peer.now, post);

    assert_eq!(
        peer.seen(),
        [polled(poll, "1"), Seen::Closed(CloseReason::TransportError)]
    );
}

#[test]
fn a_request_that_was_answered_cannot_abort_anything() {
    let mut peer = Peer::polling(V4);
    let poll = peer.get();
    peer.send("a");
    peer.seen();

    peer.connection.handle_aborted(peer.now, poll);

    assert_eq!(peer.seen(), []);
    assert!(!peer.connection.is_closed());
}

#[test]
fn the_clients_close_packet_releases_the_poll_with_a_noop() {
    for (protocol, body, noop) in [(V4, "1", "6"), (V3, "1:1", "1:6")] {
        let mut peer = Peer::polling(protocol);
        let poll = peer.get();

        let post = peer.post(body);

        assert_eq!(
            peer.seen(),
            [
                polled(poll, noop),
                ok(post),
                Seen::Closed(CloseReason::TransportClose)
            ]
        );
        let next = peer.get();
        assert_eq!(peer.seen(), [unknown_sid(next)]);
    }
}

#[test]
fn packets_after_the_clients_close_packet_are_ignored() {
    let mut peer = Peer::polling(V4);

    let post = peer.post("4a\x1e1\x1e4b");

    let end = Seen::Closed(CloseReason::TransportClose);
    assert_eq!(peer.seen(), [message("a"), ok(post), end]);
}

#[test]
fn other_methods_on_a_session_are_answered_500() {
    let mut peer = Peer::polling(V4);
    let request = peer.request();

    peer.connection.handle_other_method(peer.now, request);

    assert_eq!(peer.seen(), [Seen::Response(request, 500, String::new())]);
}

#[test]
fn close_tells_a_pending_poll_at_once() {
    let mut peer = Peer::polling(V4);
    let poll = peer.get();

    peer.connection.close(peer.now, Close::Flush);

    assert_eq!(
        peer.seen(),
        [polled(poll, "1"), Seen::Closed(CloseReason::ForcedClose)]
    );
}

#[test]
fn close_lets_the_next_poll_fetch_what_waits_and_the_one_after_it_the_end() {
    let mut peer = Peer::polling(V4);
    peer.send("last words");

    peer.connection.close(peer.now, Close::Flush);
    assert_eq!(peer.seen(), []);
    assert_eq!(
        peer.connection.send(Frame::Text("4x".into())),
        Err(SendError::Closed)
    );
    let poll = peer.get();
    assert_eq!(peer.seen(), [polled(poll, "4last words")]);
    let poll = peer.get();

    assert_eq!(
        peer.seen(),
        [polled(poll, "1"), Seen::Closed(CloseReason::ForcedClose)]
    );
}

#[test]
fn close_waits_at_most_thirty_seconds_for_a_poll() {
    let mut config = config();
    config.ping_interval = std::time::Duration::from_secs(60);
    let mut peer = Peer::opening(V4, BinarySupport::Bytes, config);
    peer.seen();

    peer.connection.close(peer.now, Close::Flush);
    assert_eq!(peer.timeout_millis(), Some(30_000));
    peer.pass(29_999);
    assert_eq!(peer.seen(), []);
    peer.pass(1);

    assert_eq!(peer.seen(), [Seen::Closed(CloseReason::ForcedClose)]);
    assert_eq!(peer.timeout_millis(), None);
}

#[test]
fn close_without_waiting_drops_what_waits() {
    let mut peer = Peer::polling(V4);
    peer.send("lost");

    peer.connection.close(peer.now, Close::Discard);
    let poll = peer.get();

    assert_eq!(
        peer.seen(),
        [Seen::Closed(CloseReason::ForcedClose), unknown_sid(poll)]
    );
}

#[test]
fn messages_that_arrive_while_closing_are_dropped() {
    let mut peer = Peer::polling(V4);
    peer.connection.close(peer.now, Close::Flush);

    let post = peer.post("4late");

    assert_eq!(peer.seen(), [ok(post)]);
}

#[test]
fn the_queue_is_bounded_and_takes_more_after_a_poll() {
    let mut config = config();
    config.queue_bytes_max = 10;
    let mut peer = Peer::opening(V4, BinarySupport::Bytes, config);
    peer.seen();
    peer.send("12345678");

    let refused = peer.connection.send(Frame::Text("4ab".into()));
    assert_eq!(refused, Err(SendError::QueueFull { bytes: 9, max: 10 }));
    let poll = peer.get();
    assert_eq!(peer.seen(), [polled(poll, "412345678")]);

    assert_eq!(peer.connection.send(Frame::Text("4ab".into())), Ok(()));
}

#[test]
fn a_v3_poll_with_binary_messages_is_octets_unless_base64_was_asked_for() {
    let cases = [
        (
            BinarySupport::Base64,
            &b"6:4hello10:b4AQIDBA=="[..],
            "text/plain; charset=UTF-8",
        ),
        (
            BinarySupport::Bytes,
            &[
                0, 6, 255, 52, 104, 101, 108, 108, 111, 1, 5, 255, 4, 1, 2, 3, 4,
            ][..],
            "application/octet-stream",
        ),
    ];
    for (binary, body, content_type) in cases {
        let mut peer = Peer::opening(V3, binary, config());
        peer.seen();
        peer.send("hello");
        peer.connection
            .send(Frame::Binary(Bytes::from_static(&[1, 2, 3, 4])))
            .unwrap();

        peer.get();

        let output = peer.connection.poll_output();
        let Some(nuncio_engineio::server::Output::Respond { response, .. }) = output else {
            panic!("{output:?}")
        };
        assert_eq!(&response.body[..], body);
        assert_eq!(response.content_type, Some(content_type));
    }
}
