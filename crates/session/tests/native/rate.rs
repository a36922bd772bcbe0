//! `docs/protocol.md`, "Limits": how fast a session may send.

use std::time::Duration;

use nuncio_model::{CloseCode, Refusal, Reply};
use serde_json::{Value, json};

use crate::client::{Client, Seen, closed, identity, sent};

const MESSAGE: &str = r#"{"type":"chat:message","roomId":"chat:a","content":1,"id":1}"#;
const LEAVE: &str = r#"{"type":"room:leave","roomId":"chat:a","id":1}"#;

#[test]
fn a_burst_of_20_passes_and_then_10_a_second() {
    let mut client = rested();

    let passed = |client: &mut Client| {
        (0..40)
            .filter(|_| client.says(MESSAGE) == [Seen::Asked])
            .count()
    };
    assert_eq!(passed(&mut client), 20);
    client.wait(Duration::from_millis(500));
    assert_eq!(passed(&mut client), 5);
}

#[test]
fn who_is_too_fast_is_told_when_to_go_on() {
    let mut client = rested();
    for _ in 0..20 {
        client.says(MESSAGE);
    }

    assert_eq!(client.says(MESSAGE), [too_fast(100)]);
    client.wait(Duration::from_millis(40));
    assert_eq!(client.says(MESSAGE), [too_fast(60)]);
    client.wait(Duration::from_millis(60));
    assert_eq!(client.says(MESSAGE), [Seen::Asked]);
}

#[test]
fn joins_and_leaves_have_a_budget_of_their_own_5_times_as_large() {
    let mut client = rested();
    for _ in 0..20 {
        client.says(MESSAGE);
    }

    let passed = (0..200).take_while(|_| client.says(LEAVE) == [Seen::Asked]);
    assert_eq!(passed.count(), 100);
    assert_eq!(client.says(LEAVE), [too_fast(20)]);
}

#[test]
fn pings_are_free_at_any_speed() {
    let mut client = rested();
    for _ in 0..21 {
        client.says(MESSAGE);
    }

    for _ in 0..1000 {
        let seen = client.says(r#"{"type":"ping"}"#);
        assert_eq!(seen, [sent(json!({"type": "pong"}))]);
    }
}

#[test]
fn answers_count_as_control_messages() {
    let mut client = rested();

    for _ in 0..100 {
        let seen = client.says(r#"{"ack":1}"#);
        assert!(!matches!(seen[..], [Seen::Sent(_), ..]), "{seen:?}");
    }

    let Seen::Sent(error) = &client.says(r#"{"ack":1}"#)[0] else {
        panic!("refused")
    };
    assert_eq!(error["code"], "RATE_LIMITED");
}

#[test]
fn what_cannot_be_read_and_binary_frames_cost_like_messages() {
    let mut client = rested();
    let now = client.now;
    for _ in 0..10 {
        client.says("{");
        client.drive(|session, out| session.handle_binary(1, now, out));
    }

    assert_eq!(client.says(MESSAGE), [too_fast(100)]);
}

#[test]
fn who_goes_on_after_50_refusals_is_closed_with_1008() {
    let mut client = rested();
    for _ in 0..20 {
        client.says(MESSAGE);
    }
    for _ in 0..50 {
        assert_eq!(client.says(MESSAGE), [too_fast(100)]);
    }

    assert_eq!(
        client.says(MESSAGE),
        [closed(CloseCode::POLICY, "Rate limit exceeded")]
    );
}

#[test]
fn a_message_that_is_done_forgives_the_refusals_before_it() {
    let mut client = rested();
    for _ in 0..3 {
        for _ in 0..40 {
            client.says(MESSAGE);
        }
        while !client.calls.is_empty() {
            client.reply(Reply::Done);
        }
        client.wait(Duration::from_secs(2));
    }

    assert!(client.session.is_open());
}

#[test]
fn who_goes_on_after_50_refusals_for_the_rate_of_the_user_is_closed_too() {
    let mut client = rested();
    let refusal = || Refusal::rate_limited(Duration::from_millis(100));

    for _ in 0..50 {
        client.wait(Duration::from_millis(100));
        client.drive(|session, _| session.handle_frame());
        assert_eq!(client.says(MESSAGE), [Seen::Asked]);
        assert_eq!(client.answer(Err(refusal())), [too_fast(100)]);
    }

    client.wait(Duration::from_millis(100));
    client.says(MESSAGE);
    let seen = client.answer(Err(refusal()));
    let end = closed(CloseCode::POLICY, "Rate limit exceeded");
    assert_eq!(seen, [too_fast(100), end]);
}

/// A client whose budget is full.
fn rested() -> Client {
    let mut client = Client::connected().authenticate(identity());
    client.wait(Duration::from_secs(1));
    client
}

fn too_fast(retry_after: u64) -> Seen {
    let error: Value = json!({"code": "RATE_LIMITED", "message": "Rate limit exceeded", "retryAfter": retry_after});
    sent(json!({"ack": 1, "error": error}))
}
