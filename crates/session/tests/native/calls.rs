//! `docs/protocol.md`, "Messages, calls and replies": one reply to each call, whenever its outcome comes.

use nuncio_model::{
    Command, ConnectionLimits, ErrorCode, MessageId, Outcome, PresencePage, Published, Refusal,
    Reply, Request,
};
use nuncio_session::Settings;
use serde_json::json;

use crate::client::{Client, Seen, admitted, identity, position, resumed, room, sent};

#[test]
fn a_published_message_is_acknowledged_with_its_place() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"chat:message","roomId":"chat:a","content":"Hello","id":3}"#);

    let seen = client.reply(Reply::Published(Published {
        id: MessageId::from_u128(1),
        position: position(42),
        ts: 1_763_800_000_000,
    }));

    let data = json!({"status": "ok", "id": "00000000000000000000000001", "epoch": "AAAAAAAAAAE", "seq": 42,
        "ts": 1_763_800_000_000_u64});
    assert_eq!(seen, [sent(json!({"ack": 3, "data": data}))]);
}

#[test]
fn each_command_reaches_the_server() {
    let mut client = Client::authenticated();

    for (text, reply) in [
        (
            r#"{"type":"room:leave","roomId":"chat:a","id":1}"#,
            Reply::Done,
        ),
        (
            r#"{"type":"typing:start","roomId":"chat:a","id":1}"#,
            Reply::Done,
        ),
        (
            r#"{"type":"event","event":"order","data":[1],"id":1}"#,
            Reply::Done,
        ),
    ] {
        assert!(matches!(client.asks(text), Request::Command(_)), "{text}");
        let ok = sent(json!({"ack": 1, "data": {"status": "ok"}}));
        assert_eq!(client.reply(reply), [ok], "{text}");
    }
    let request = client.asks(r#"{"type":"presence:get","roomId":"chat:a","limit":0,"id":1}"#);
    let presence = Command::Presence {
        room: room("chat:a"),
        after: None,
        limit: 0,
    };
    assert_eq!(request, Request::Command(presence));
    let page = PresencePage {
        count: 3,
        members: None,
        next: None,
    };
    let reply = client.reply(Reply::Presence(page));
    assert_eq!(reply, [sent(json!({"ack": 1, "data": {"count": 3}}))]);
}

#[test]
fn success_without_an_id_is_silent() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"chat:message","roomId":"chat:a","content":1}"#);

    assert_eq!(client.reply(Reply::Done), []);
}

#[test]
fn a_refusal_of_the_server_is_passed_on_with_all_it_has() {
    let mut client = Client::authenticated();
    client.asks(r#"{"type":"event","event":"order","id":"o"}"#);
    let mut refusal = Refusal::new(ErrorCode::Forbidden, "no credit");
    refusal.data = Some(nuncio_model::Json::parse(r#"{"credit":0}"#).unwrap());

    let seen = client.answer(Err(refusal));

    let error = json!({"code": "FORBIDDEN", "message": "no credit", "data": {"credit": 0}});
    assert_eq!(seen, [sent(json!({"ack": "o", "error": error}))]);
}

#[test]
fn calls_that_wait_may_be_answered_out_of_order() {
    let mut client = Client::authenticated();
    let mut numbers = Vec::new();
    for id in 0..3 {
        client.asks(&message(id));
        numbers.push(pend(&mut client));
    }

    for (id, number) in [(2, numbers[2]), (0, numbers[0]), (1, numbers[1])] {
        let ok = sent(json!({"ack": id, "data": {"status": "ok"}}));
        assert_eq!(complete(&mut client, number), [ok]);
    }
    assert_eq!(
        complete(&mut client, numbers[0]),
        [],
        "a call is answered once"
    );
}

#[test]
fn a_client_with_64_calls_under_way_is_not_read_until_one_is_answered() {
    let limits = ConnectionLimits::default();
    let mut client = Client::of(Settings {
        rate: nuncio_model::RateLimits {
            per_second: 0,
            ..Default::default()
        },
        ..Settings::default()
    })
    .authenticate(identity());

    let mut first = None;
    for id in 0..limits.calls_max {
        assert!(!client.session.is_saturated(), "{id}");
        client.asks(&message(id));
        first = first.or(Some(pend(&mut client)));
    }

    assert!(client.session.is_saturated());
    complete(&mut client, first.unwrap());
    assert!(!client.session.is_saturated());
}

#[test]
fn a_client_whose_token_is_being_checked_is_not_read() {
    let mut client = Client::connected();
    client.asks(r#"{"type":"auth","token":"a.b.c"}"#);
    let number = pend(&mut client);
    assert!(client.session.is_saturated());

    let now = client.now;
    client
        .drive(|session, out| session.complete_pending(number, Ok(admitted(identity())), now, out));

    assert!(!client.session.is_saturated());
    client.asks(&message(1));
}

#[test]
fn a_client_that_resumes_is_not_read_until_that_is_decided() {
    for mut client in [Client::connected(), Client::authenticated()] {
        client.asks(r#"{"type":"resume","resume":"secret-token"}"#);
        let number = pend(&mut client);
        assert!(client.session.is_saturated());

        let now = client.now;
        client
            .drive(|session, out| session.complete_pending(number, Ok(resumed(vec![])), now, out));

        assert!(!client.session.is_saturated());
    }
}

#[test]
fn a_ping_with_an_id_also_gets_its_reply() {
    let seen = Client::authenticated().says(r#"{"type":"ping","id":0}"#);

    let ack = json!({"ack": 0, "data": {"status": "ok"}});
    assert_eq!(seen, [sent(json!({"type": "pong"})), sent(ack)]);
}

#[test]
fn a_binary_frame_is_answered_with_invalid_message_and_the_connection_stays_open() {
    let mut client = Client::authenticated();
    let now = client.now;

    let seen = client.drive(|session, out| session.handle_binary(5, now, out));

    let message = "binary frame: 5 bytes that are no JSON text; send a text frame";
    assert_eq!(
        seen,
        [sent(
            json!({"type": "error", "code": "INVALID_MESSAGE", "message": message})
        )]
    );
    assert!(client.session.is_open());
}

#[test]
fn an_undecodable_call_gets_its_refusal_under_its_id() {
    let seen = Client::authenticated().says(r#"{"type":"room:leave","roomId":7,"id":7}"#);

    let message = "roomId must be a string, not a number";
    assert_eq!(
        seen,
        [sent(
            json!({"ack": 7, "error": {"code": "INVALID_MESSAGE", "message": message}})
        )]
    );
}

fn message(id: usize) -> String {
    format!(r#"{{"type":"chat:message","roomId":"chat:a","content":1,"id":{id}}}"#)
}

/// Lets the newest call wait, and gives its number.
fn pend(client: &mut Client) -> u32 {
    let call = client.calls.pop().unwrap();
    let number = call.number;
    client.session.pend(call);
    number
}

fn complete(client: &mut Client, number: u32) -> Vec<Seen> {
    let now = client.now;
    let done = Ok(Outcome::Reply(Reply::Done));
    client.drive(|session, out| session.complete_pending(number, done, now, out))
}
