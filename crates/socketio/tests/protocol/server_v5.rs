//! Protocol v5, "Exchange protocol", as the server sees it.

use std::time::Duration;

use nuncio_socketio::server::{Config, Connection, DisconnectReason, NotAsked, Refusal};
use nuncio_socketio::{Namespace, Protocol};

use crate::peer::{Peer, Seen, connect, disconnected, event, sent};

#[test]
fn a_client_asks_and_is_let_in_with_its_id() {
    let mut peer = Peer::new(Protocol::V5);

    peer.text("0");
    assert_eq!(peer.seen(), [connect("/", "{}")]);
    peer.accept("/");

    assert_eq!(peer.seen(), [sent(r#"0{"sid":"the-id"}"#)]);
    assert!(peer.connection.is_joined(&Namespace::MAIN));
}

#[test]
fn the_auth_payload_is_passed_on() {
    let mut peer = Peer::new(Protocol::V5);

    peer.text(r#"0/custom,{"token":"abc"}"#);
    assert_eq!(peer.seen(), [connect("/custom", r#"{"token":"abc"}"#)]);
    peer.accept("/custom");

    assert_eq!(peer.seen(), [sent(r#"0/custom,{"sid":"the-id"}"#)]);
}

#[test]
fn a_recoverable_client_is_told_its_private_id() {
    let mut peer = Peer::new(Protocol::V5);
    peer.text("0");
    peer.seen();

    peer.connection
        .accept(&Namespace::MAIN, "the-id", Some("secret"))
        .unwrap();

    assert_eq!(peer.seen(), [sent(r#"0{"sid":"the-id","pid":"secret"}"#)]);
}

#[test]
fn an_unknown_namespace_is_refused() {
    let mut peer = Peer::new(Protocol::V5);
    peer.text("0/random");
    peer.seen();

    peer.connection
        .refuse(&Namespace::new("/random"), Refusal::UnknownNamespace)
        .unwrap();

    assert_eq!(
        peer.seen(),
        [sent(r#"4/random,{"message":"Invalid namespace"}"#)]
    );
}

#[test]
fn a_middlewares_refusal_has_a_message_and_data() {
    let cases = [
        (None, r#"4{"message":"not \"you\""}"#),
        (
            Some(r#"{"code":7}"#),
            r#"4{"message":"not \"you\"","data":{"code":7}}"#,
        ),
    ];
    for (data, expected) in cases {
        let mut peer = Peer::new(Protocol::V5);
        peer.text("0");
        peer.seen();

        let refusal = Refusal::Error {
            message: "not \"you\"",
            data,
        };
        peer.connection.refuse(&Namespace::MAIN, refusal).unwrap();

        assert_eq!(peer.seen(), [sent(expected)]);
        peer.text("0");
        assert_eq!(peer.seen(), [connect("/", "{}")], "it may ask again");
    }
}

#[test]
fn a_client_that_joins_nothing_is_closed_after_the_connect_timeout() {
    let mut config = Config::default();
    config.connect_timeout = Duration::from_millis(1_000);
    let mut peer = Peer::with(Protocol::V5, config);
    assert_eq!(peer.timeout_millis(), Some(1_000));

    peer.pass(999);
    assert_eq!(peer.seen(), []);
    peer.pass(1);

    assert_eq!(peer.seen(), [Seen::Close]);
    assert_eq!(peer.timeout_millis(), None);
}

#[test]
fn a_client_that_joined_is_not_timed_out() {
    let peer = Peer::joined();

    assert_eq!(peer.timeout_millis(), None);
}

#[test]
fn a_decision_after_the_client_left_is_an_error() {
    let mut peer = Peer::new(Protocol::V5);
    peer.text("0");
    peer.connection
        .handle_close(DisconnectReason::TransportClose);

    let accepted = peer.connection.accept(&Namespace::MAIN, "the-id", None);

    assert_eq!(accepted, Err(NotAsked));
    assert_eq!(
        peer.seen(),
        [connect("/", "{}")],
        "never joined, so never disconnected"
    );
}

#[test]
fn events_of_joined_namespaces_arrive_with_their_ids() {
    let mut peer = Peer::joined();
    peer.join("/custom");

    peer.text(r#"2["message",1,"2",{"3":[true]}]"#);
    peer.text(r#"2/custom,456["message"]"#);

    assert_eq!(
        peer.seen(),
        [
            event("/", None, r#"["message",1,"2",{"3":[true]}]"#),
            event("/custom", Some(456), r#"["message"]"#)
        ]
    );
}

#[test]
fn a_binary_event_arrives_with_its_attachments() {
    let mut peer = Peer::joined();

    peer.text(r#"51-["m",{"_placeholder":true,"num":0}]"#);
    assert_eq!(peer.seen(), []);
    peer.binary(&[1, 2, 3]);

    assert_eq!(
        peer.seen(),
        [event("/", None, r#"["m",{"_placeholder":true,"num":0}]"#)]
    );
}

#[test]
fn malformed_packets_close_the_connection() {
    for text in ["abc", "2{}", r#"2abc["message-with-ack",1]"#, "9", ""] {
        let mut peer = Peer::joined();

        peer.text(text);
        peer.text(r#"2["late"]"#);

        let end = [
            disconnected("/", DisconnectReason::ForcedClose),
            Seen::Close,
        ];
        assert_eq!(peer.seen(), end, "{text:?}");
    }
}

#[test]
fn overdue_attachments_close_the_connection() {
    let mut peer = Peer::joined();
    peer.text(r#"51-["m",{"_placeholder":true,"num":0}]"#);
    assert_eq!(peer.timeout_millis(), Some(30_000));

    peer.pass(30_000);

    assert_eq!(
        peer.seen(),
        [
            disconnected("/", DisconnectReason::ForcedClose),
            Seen::Close
        ]
    );
}

#[test]
fn packets_out_of_place_close_the_connection() {
    for text in [
        r#"2/other,["a"]"#,
        "3/other,1[]",
        "1/other",
        "0",
        r#"4{"message":"x"}"#,
    ] {
        let mut peer = Peer::joined();

        peer.text(text);

        let end = [
            disconnected("/", DisconnectReason::ForcedServerClose),
            Seen::Close,
        ];
        assert_eq!(peer.seen(), end, "{text}");
    }
}

#[test]
fn an_event_before_the_answer_to_connect_closes_the_connection() {
    let mut peer = Peer::new(Protocol::V5);

    peer.text("0");
    peer.text(r#"2["early"]"#);

    assert_eq!(peer.seen(), [connect("/", "{}"), Seen::Close]);
}

#[test]
fn a_client_leaves_one_namespace_and_keeps_the_other() {
    let mut peer = Peer::joined();
    peer.join("/custom");

    peer.text("1/custom");
    peer.text(r#"2["message","message to main namespace"]"#);

    assert_eq!(
        peer.seen(),
        [
            disconnected("/custom", DisconnectReason::ClientNamespaceDisconnect),
            event("/", None, r#"["message","message to main namespace"]"#)
        ]
    );
}

#[test]
fn leaving_the_last_namespace_keeps_the_connection() {
    let mut peer = Peer::joined();

    peer.text("1");
    let left = [disconnected(
        "/",
        DisconnectReason::ClientNamespaceDisconnect,
    )];
    assert_eq!(peer.seen(), left);

    peer.text("0");
    assert_eq!(peer.seen(), [connect("/", "{}")]);
}

#[test]
fn the_server_disconnects_a_namespace() {
    let mut peer = Peer::joined();
    peer.join("/custom");

    peer.connection.disconnect(&Namespace::new("/custom"));

    assert_eq!(
        peer.seen(),
        [
            sent("1/custom,"),
            disconnected("/custom", DisconnectReason::ServerNamespaceDisconnect)
        ]
    );
}

#[test]
fn what_was_under_way_when_the_server_disconnected_is_ignored() {
    let mut peer = Peer::joined();
    peer.join("/custom");
    peer.connection.disconnect(&Namespace::new("/custom"));
    peer.seen();

    peer.text(r#"2/custom,["under way"]"#);
    peer.text("3/custom,1[]");
    peer.text("1/custom,");
    assert_eq!(peer.seen(), []);

    peer.text("0/custom,");
    assert_eq!(peer.seen(), [connect("/custom", "{}")]);
}

#[test]
fn disconnecting_all_tells_each_namespace_and_closes() {
    let mut peer = Peer::joined();
    peer.join("/custom");

    peer.connection.disconnect_all();

    assert_eq!(
        peer.seen(),
        [
            sent("1"),
            disconnected("/", DisconnectReason::ServerNamespaceDisconnect),
            sent("1/custom,"),
            disconnected("/custom", DisconnectReason::ServerNamespaceDisconnect),
            Seen::Close
        ]
    );
}

#[test]
fn a_shutdown_closes_without_a_disconnect_packet() {
    let mut peer = Peer::joined();

    peer.connection.close(DisconnectReason::ServerShuttingDown);

    let end = [
        disconnected("/", DisconnectReason::ServerShuttingDown),
        Seen::Close,
    ];
    assert_eq!(peer.seen(), end);
}

#[test]
fn the_end_of_the_transport_is_told_to_each_joined_namespace() {
    let mut peer = Peer::joined();
    peer.join("/custom");
    peer.text("0/asked");
    peer.seen();

    peer.connection.handle_close(DisconnectReason::PingTimeout);
    peer.connection
        .handle_close(DisconnectReason::TransportClose);

    assert_eq!(
        peer.seen(),
        [
            disconnected("/", DisconnectReason::PingTimeout),
            disconnected("/custom", DisconnectReason::PingTimeout)
        ]
    );
}

#[test]
fn an_expected_acknowledgement_arrives_once() {
    let mut peer = Peer::joined();
    peer.connection.expect_ack(&Namespace::MAIN, 12, None);

    peer.text("313[0]");
    peer.text("312[1]");
    peer.text("312[2]");
    peer.text("3[3]");

    assert_eq!(peer.seen(), [Seen::Ack("/".into(), 12, "[1]".into())]);
}

#[test]
fn an_acknowledgement_may_have_no_arguments_at_all() {
    let mut peer = Peer::joined();
    peer.connection.expect_ack(&Namespace::MAIN, 12, None);

    peer.text("312");

    assert_eq!(peer.seen(), [Seen::Ack("/".into(), 12, "[]".into())]);
}

#[test]
fn an_acknowledgement_of_another_namespace_does_not_count() {
    let mut peer = Peer::joined();
    peer.join("/custom");
    peer.connection.expect_ack(&Namespace::MAIN, 12, None);

    peer.text("3/custom,12[]");

    assert_eq!(peer.seen(), []);
}

#[test]
fn acknowledgements_time_out_in_order_to_the_millisecond() {
    let mut peer = Peer::joined();
    let now = peer.now;
    for (id, millis) in [(1, 300), (2, 100), (3, 200)] {
        let deadline = now + Duration::from_millis(millis);
        peer.connection
            .expect_ack(&Namespace::MAIN, id, Some(deadline));
    }
    peer.text("33[]");
    peer.seen();

    assert_eq!(peer.timeout_millis(), Some(100));
    peer.pass(100);
    assert_eq!(peer.seen(), [Seen::AckTimeout("/".into(), 2)]);
    peer.pass(199);
    assert_eq!(peer.seen(), []);
    peer.pass(1);

    assert_eq!(peer.seen(), [Seen::AckTimeout("/".into(), 1)]);
    assert_eq!(peer.timeout_millis(), None);
}

#[test]
fn a_namespace_takes_its_acknowledgements_with_it() {
    let mut peer = Peer::joined();
    let deadline = peer.now + Duration::from_millis(100);
    peer.connection
        .expect_ack(&Namespace::MAIN, 1, Some(deadline));

    peer.text("1");
    peer.pass(100);

    let left = [disconnected(
        "/",
        DisconnectReason::ClientNamespaceDisconnect,
    )];
    assert_eq!(peer.seen(), left);
}

#[test]
fn the_acknowledgements_of_other_namespaces_stay() {
    let mut peer = Peer::joined();
    peer.join("/custom");
    let deadline = peer.now + Duration::from_millis(100);
    for namespace in [Namespace::MAIN, Namespace::new("/custom")] {
        peer.connection.expect_ack(&namespace, 1, Some(deadline));
    }

    peer.text("1/custom,");
    peer.seen();
    peer.pass(100);

    assert_eq!(peer.seen(), [Seen::AckTimeout("/".into(), 1)]);
}

#[test]
fn one_connection_has_so_many_namespaces_only() {
    let mut config = Config::default();
    config.limits.namespaces_max = 2;
    let mut peer = Peer::with(Protocol::V5, config);
    peer.join("/a");
    peer.join("/b");

    peer.text("0/c");

    assert_eq!(
        peer.seen(),
        [sent(r#"4/c,{"message":"Too many namespaces"}"#)]
    );
}

#[test]
fn an_idle_connection_fits_in_128_bytes() {
    assert!(
        size_of::<Connection>() <= 128,
        "{} bytes",
        size_of::<Connection>()
    );
}
