//! The client's connection, alone and against the server's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nuncio_socketio::client::{CannotJoin, Connection, DisconnectReason, Output};
use nuncio_socketio::payload::ArrayBuilder;
use nuncio_socketio::server::{self, Config};
use nuncio_socketio::{Encoded, Frame, Limits, Namespace, Parser, ParserRule, Protocol, encode};

use crate::peer::{start, wire};

const MAIN: Namespace = Namespace::MAIN;

#[test]
fn a_client_asks_with_its_auth_payload() {
    let mut client = client();

    client.connect(&MAIN, Bytes::new()).unwrap();
    client
        .connect(
            &Namespace::new("/chat"),
            Bytes::from_static(br#"{"token":"a"}"#),
        )
        .unwrap();

    assert_eq!(texts(&mut client), ["0", r#"0/chat,{"token":"a"}"#]);
    assert_eq!(client.connect(&MAIN, Bytes::new()), Err(CannotJoin));
}

#[test]
fn the_servers_answer_has_the_id_and_perhaps_a_private_one() {
    for (answer, pid) in [
        (r#"0{"sid":"abc"}"#, None),
        (r#"0{"sid":"abc","pid":"def"}"#, Some("def".to_owned())),
    ] {
        let mut client = client();
        client.connect(&MAIN, Bytes::new()).unwrap();
        texts(&mut client);

        receive(&mut client, answer);

        let connected = Output::Connected {
            namespace: MAIN,
            sid: "abc".into(),
            pid,
        };
        assert_eq!(client.poll_output(), Some(connected));
        assert!(client.is_joined(&MAIN));
    }
}

#[test]
fn events_that_a_recovering_server_sends_before_its_answer_follow_it() {
    let mut client = client();
    client.connect(&MAIN, Bytes::new()).unwrap();
    texts(&mut client);

    receive(&mut client, r#"2["missed","offset"]"#);
    assert_eq!(client.poll_output(), None);
    receive(&mut client, r#"0{"sid":"abc","pid":"def"}"#);

    let connected = client.poll_output();
    assert!(matches!(connected, Some(Output::Connected { .. })));
    let event = client.poll_output();
    assert!(matches!(&event, Some(Output::Event { event, .. }) if event.name() == "missed"));
}

#[test]
fn a_server_that_answers_with_events_alone_is_left() {
    let mut client = client();
    client.connect(&MAIN, Bytes::new()).unwrap();
    texts(&mut client);

    for _ in 0..=10_000 {
        receive(&mut client, r#"2["missed"]"#);
    }

    assert_eq!(client.poll_output(), Some(Output::Close));
}

#[test]
fn a_refused_client_may_ask_again() {
    let mut client = client();
    client.connect(&MAIN, Bytes::new()).unwrap();
    texts(&mut client);

    receive(&mut client, r#"4{"message":"no","data":1}"#);

    let error = Bytes::from_static(br#"{"message":"no","data":1}"#);
    assert_eq!(
        client.poll_output(),
        Some(Output::ConnectError {
            namespace: MAIN,
            error
        })
    );
    assert_eq!(client.connect(&MAIN, Bytes::new()), Ok(()));
}

#[test]
fn a_server_of_another_protocol_or_a_broken_packet_ends_the_connection() {
    let mut client = client();
    client.connect(&MAIN, Bytes::new()).unwrap();
    texts(&mut client);
    receive(&mut client, "0");
    assert_eq!(client.poll_output(), Some(Output::Close));

    let mut client = joined();
    receive(&mut client, "2{}");
    let reason = DisconnectReason::ParseError;
    assert_eq!(
        client.poll_output(),
        Some(Output::Disconnected {
            namespace: MAIN,
            reason
        })
    );
    assert_eq!(client.poll_output(), Some(Output::Close));
    assert_eq!(client.connect(&MAIN, Bytes::new()), Err(CannotJoin));
}

#[test]
fn a_namespace_is_left_by_either_side() {
    let mut client = joined();
    receive(&mut client, "1");
    let reason = DisconnectReason::ServerDisconnect;
    assert_eq!(
        client.poll_output(),
        Some(Output::Disconnected {
            namespace: MAIN,
            reason
        })
    );

    let mut client = joined();
    client.disconnect(&MAIN);
    receive(&mut client, r#"2["under way"]"#);
    assert_eq!(texts(&mut client), ["1"], "and the event is ignored");
}

#[test]
fn the_end_of_the_transport_leaves_all_namespaces() {
    let mut client = joined();

    client.handle_close();

    let reason = DisconnectReason::TransportClose;
    assert_eq!(
        client.poll_output(),
        Some(Output::Disconnected {
            namespace: MAIN,
            reason
        })
    );
    assert_eq!(client.poll_output(), None);
}

#[test]
fn acknowledgements_arrive_or_time_out() {
    let mut client = joined();
    let deadline = start() + Duration::from_millis(100);
    client.expect_ack(&MAIN, 1, None);
    client.expect_ack(&MAIN, 2, Some(deadline));

    receive(&mut client, "31[7]");
    let args = ArrayBuilder::new().value(&7).unwrap().build();
    assert_eq!(
        client.poll_output(),
        Some(Output::Ack {
            namespace: MAIN,
            id: 1,
            args
        })
    );
    assert_eq!(client.poll_timeout(), Some(deadline));
    client.handle_timeout(deadline);

    assert_eq!(
        client.poll_output(),
        Some(Output::AckTimeout {
            namespace: MAIN,
            id: 2
        })
    );
}

#[test]
fn client_and_server_understand_each_other_in_both_parsers() {
    for (parser, rule) in [Parser::Default, Parser::MessagePack]
        .into_iter()
        .flat_map(|parser| {
            [
                (parser, ParserRule::Only(parser)),
                (parser, ParserRule::AsClient),
            ]
        })
    {
        let mut config = Config::default();
        config.parser = rule;
        let mut server = server::Connection::new(start(), Arc::new(config), Protocol::V5);
        let mut client = Connection::new(parser, Limits::default());
        let chat = Namespace::new("/chat");

        client
            .connect(&chat, Bytes::from_static(br#"{"name":"ann"}"#))
            .unwrap();
        to_server(&mut client, &mut server);
        let Some(server::Output::Connect { auth, .. }) = server.poll_output() else {
            panic!()
        };
        assert_eq!(auth, r#"{"name":"ann"}"#);
        server.accept(&chat, "the-id", None).unwrap();
        to_client(&mut server, &mut client);
        assert!(matches!(
            client.poll_output(),
            Some(Output::Connected { .. })
        ));

        client.expect_ack(&chat, 5, None);
        let args = br#""hi",{"_placeholder":true,"num":0}"#;
        let file = [Bytes::from_static(&[1, 2])];
        client.send(encode::event(parser, &chat, Some(5), "file", args, &file));
        to_server(&mut client, &mut server);
        let Some(server::Output::Event {
            id: Some(5), event, ..
        }) = server.poll_output()
        else {
            panic!()
        };
        assert_eq!(
            (&event.name()[..], &event.args_json()[..]),
            ("file", &args[..])
        );
        assert_eq!(event.payload().attachments(), file);
        let args = ArrayBuilder::new().binary(vec![3]).build();
        server.send(encode::ack(parser, &chat, 5, &args));
        to_client(&mut server, &mut client);
        assert_eq!(
            client.poll_output(),
            Some(Output::Ack {
                namespace: chat,
                id: 5,
                args
            })
        );
    }
}

fn client() -> Connection {
    Connection::new(Parser::Default, Limits::default())
}

fn joined() -> Connection {
    let mut client = client();
    client
        .connect(&MAIN, Bytes::new())
        .expect("nothing was asked yet");
    receive(&mut client, r#"0{"sid":"abc"}"#);
    while client.poll_output().is_some() {}
    client
}

fn receive(client: &mut Connection, text: &str) {
    client.handle_text(start(), Bytes::copy_from_slice(text.as_bytes()));
}

fn texts(client: &mut Connection) -> Vec<String> {
    sent(client)
        .iter()
        .filter(|output| matches!(output.head(), Frame::Text(_)))
        .map(wire)
        .collect()
}

fn sent(client: &mut Connection) -> Vec<Encoded> {
    std::iter::from_fn(|| client.poll_output())
        .filter_map(|output| match output {
            Output::Send(encoded) => Some(encoded),
            Output::Connected { .. }
            | Output::ConnectError { .. }
            | Output::Event { .. }
            | Output::Ack { .. }
            | Output::AckTimeout { .. }
            | Output::Disconnected { .. }
            | Output::Close => None,
        })
        .collect()
}

fn to_server(client: &mut Connection, server: &mut server::Connection) {
    for frame in sent(client).into_iter().flat_map(Encoded::into_frames) {
        match frame {
            Frame::Text(text) => server.handle_text(start(), text.slice(1..)),
            Frame::Binary(bytes) => server.handle_binary(bytes),
        }
    }
}

fn to_client(server: &mut server::Connection, client: &mut Connection) {
    while let Some(server::Output::Send(encoded)) = server.poll_output() {
        for frame in encoded.into_frames() {
            match frame {
                Frame::Text(text) => client.handle_text(start(), text.slice(1..)),
                Frame::Binary(bytes) => client.handle_binary(bytes),
            }
        }
    }
}
