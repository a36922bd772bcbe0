//! Protocol v4 (clients 1.x and 2.x), where it differs.

use nuncio_socketio::server::{DisconnectReason, Refusal};
use nuncio_socketio::{Namespace, Protocol};

use crate::peer::{Peer, connect, disconnected, event, sent};

#[test]
fn the_main_namespace_is_joined_without_asking() {
    let mut peer = Peer::new(Protocol::V4);

    assert_eq!(peer.seen(), [connect("/", "{}")]);
    peer.accept("/");

    assert_eq!(peer.seen(), [sent("0")]);
    assert_eq!(peer.timeout_millis(), None);
}

#[test]
fn other_namespaces_are_asked_for_with_a_query() {
    let mut peer = v4_joined();

    peer.text("0/admin?token=1234&uid=abcd,");
    assert_eq!(
        peer.seen(),
        [connect("/admin", r#"{"token":"1234","uid":"abcd"}"#)]
    );
    peer.accept("/admin");

    assert_eq!(peer.seen(), [sent("0/admin,")]);
    peer.text(r#"2/admin,["hi"]"#);
    assert_eq!(peer.seen(), [event("/admin", None, r#"["hi"]"#)]);
}

#[test]
fn a_refusal_is_the_errors_data_or_its_message() {
    let cases = [
        (
            Refusal::Error {
                message: "no",
                data: None,
            },
            r#"4/admin,"no""#,
        ),
        (
            Refusal::Error {
                message: "no",
                data: Some(r#"{"code":7}"#),
            },
            r#"4/admin,{"code":7}"#,
        ),
        (
            Refusal::UnknownNamespace,
            r#"4/admin,{"message":"Invalid namespace"}"#,
        ),
    ];
    for (refusal, expected) in cases {
        let mut peer = v4_joined();
        peer.text("0/admin,");
        peer.seen();

        peer.connection
            .refuse(&Namespace::new("/admin"), refusal)
            .unwrap();

        assert_eq!(peer.seen(), [sent(expected)]);
    }
}

#[test]
fn a_client_leaves_a_namespace() {
    let mut peer = v4_joined();
    peer.text("0/admin,");
    peer.seen();
    peer.accept("/admin");
    peer.seen();

    peer.text("1/admin,");

    let left = disconnected("/admin", DisconnectReason::ClientNamespaceDisconnect);
    assert_eq!(peer.seen(), [left]);
}

fn v4_joined() -> Peer {
    let mut peer = Peer::new(Protocol::V4);
    peer.accept("/");
    peer.seen();
    peer
}
