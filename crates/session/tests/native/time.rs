//! Heartbeats and the end of a token.

use std::time::Duration;

use nuncio_model::{CloseCode, Outcome};
use nuncio_session::{Session, Settings};
use serde_json::json;

use crate::client::{Client, Seen, closed, ending_in, identity, sent, start};

#[test]
fn the_client_is_warned_60_seconds_before_its_token_ends_and_then_closed_with_4003() {
    let mut client = Client::connected().authenticate(ending_in(70));

    assert_eq!(client.wait(Duration::from_millis(9_999)), []);
    let warning = json!({"type": "auth:expiring", "exp": 1_000_070});
    assert_eq!(client.wait(Duration::from_millis(1)), [sent(warning)]);
    client.wait(Duration::from_secs(59));
    client.drive(|session, _| session.handle_frame());
    assert_eq!(client.wait(Duration::from_millis(999)), []);
    assert_eq!(
        client.wait(Duration::from_millis(1)),
        [closed(CloseCode::TOKEN_EXPIRED, "Token expired")]
    );
}

#[test]
fn a_refresh_after_the_warning_keeps_the_connection() {
    let mut client = Client::connected().authenticate(ending_in(65));
    client.wait(Duration::from_secs(5));
    client.asks(r#"{"type":"auth:refresh","token":"d.e.f"}"#);
    client.answer(Ok(Outcome::Refreshed(Box::new(ending_in(1000)))));

    assert_eq!(client.wait(Duration::from_secs(60)), [Seen::Pinged]);
    assert!(client.session.is_open());
}

#[test]
fn grants_of_the_backend_also_bring_their_own_end() {
    let mut client = Client::authenticated();
    let now = client.now;
    client.drive(|session, _| session.regrant(ending_in(61), now));

    let warning = json!({"type": "auth:expiring", "exp": 1_000_061});
    assert_eq!(client.wait(Duration::from_secs(1)), [sent(warning)]);
}

#[test]
fn a_silent_client_is_pinged_after_30_seconds_and_dropped_after_50() {
    let mut client = Client::authenticated();

    assert_eq!(client.wait(Duration::from_millis(29_999)), []);
    assert_eq!(client.wait(Duration::from_millis(1)), [Seen::Pinged]);
    assert_eq!(client.wait(Duration::from_millis(19_999)), []);
    assert_eq!(client.wait(Duration::from_millis(1)), [Seen::Terminated]);
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let mut client = Client::authenticated();

    for _ in 0..10 {
        assert_eq!(client.wait(Duration::from_secs(30)), [Seen::Pinged]);
        client.drive(|session, _| session.handle_frame());
    }
}

#[test]
fn the_first_pings_of_clients_that_connect_together_are_spread_over_an_interval() {
    let settings = std::sync::Arc::new(Settings::default());
    let first = |spread| {
        let mut session = Session::new(settings.clone(), start(), spread);
        session.regrant(identity(), start());
        session.poll_timeout().unwrap() - start().instant
    };

    assert!(first(0) < Duration::from_millis(120));
    assert!(first(10) < first(11));
    assert_eq!(
        first(255),
        Duration::from_secs(10),
        "the deadline is earlier"
    );
}

#[test]
fn the_session_wakes_for_whatever_comes_first() {
    let mut client = Client::connected();
    let wakes = |client: &Client| client.session.poll_timeout().unwrap() - start().instant;
    assert_eq!(wakes(&client), Duration::from_secs(10), "authentication");

    client = client.authenticate(ending_in(80));
    assert_eq!(wakes(&client), Duration::from_secs(20), "the warning");

    client.wait(Duration::from_secs(20));
    assert_eq!(wakes(&client), Duration::from_secs(30), "the ping");
}
