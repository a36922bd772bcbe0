//! No token of any kind is seen in what a driver might log.

use nuncio_model::{Outcome, Refusal};
use nuncio_session::{Output, Session};

use crate::client::{Client, admitted, identity, token};

#[test]
fn tokens_are_not_shown_by_debug() {
    for text in [
        r#"{"type":"auth","token":"SEEN","id":1}"#,
        r#"{"type":"resume","resume":"SEEN","id":1}"#,
    ] {
        log(&mut Client::connected(), |session, now, out| {
            session.handle_message(text, now, out);
        });
    }
    log(&mut Client::authenticated(), |session, now, out| {
        session.handle_message(r#"{"type":"auth:refresh","token":"SEEN","id":1}"#, now, out);
    });
    log(&mut Client::connected(), |session, _, out| {
        session.resume("SEEN".into(), out);
    });
}

#[test]
fn a_resume_token_is_not_shown_by_what_is_sent() {
    let mut client = Client::connected();
    client.says(r#"{"type":"auth","token":"SEEN","id":1}"#);
    let call = client.calls.remove(0);

    let outcome: Result<Outcome, Refusal> = Ok(admitted(identity()));
    assert!(!format!("{outcome:?}").contains(&token(1).reveal()));
    log(&mut client, |session, now, out| {
        session.complete(call, outcome, now, out);
    });
}

/// Gives an input and searches what a log would show.
fn log(client: &mut Client, input: impl FnOnce(&mut Session, nuncio_model::Now, &mut Vec<Output>)) {
    let mut out = Vec::new();
    input(&mut client.session, client.now, &mut out);

    let shown = format!("{out:?} {:?}", client.session);

    assert!(!out.is_empty());
    assert!(!shown.contains("SEEN"), "{shown}");
    assert!(!shown.contains(&token(1).reveal()), "{shown}");
    let bytes = format!("{:?}", token(1).reveal().as_bytes());
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}
