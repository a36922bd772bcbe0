//! What a request says of the session and of the place from which it goes on.

use http::header;
use http::request::Parts;
use nuncio_model::{Refusal, Secret, quote};

/// The resume token of a session: `Authorization: Nuncio-Session <token>`, or `?session=` for an `EventSource`, which cannot set headers.
pub(super) fn session_token(parts: &Parts) -> Option<Secret> {
    let headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let in_header = headers
        .filter_map(|value| value.to_str().ok()?.split_once(' '))
        .find(|(scheme, _)| scheme.eq_ignore_ascii_case("nuncio-session"))
        .map(|(_, token)| token.trim().to_owned());
    in_header
        .or_else(|| pair(parts, "session").map(str::to_owned))
        .map(Secret::new)
}

/// What a client that comes back has seen last: the header, or `?lastEventId=` of those that cannot set it.
pub(super) fn last_event_id(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get("last-event-id");
    header
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty())
        .or_else(|| pair(parts, "lastEventId"))
}

/// From where a session's stream goes on: what was seen last counts before the URL, which does not change when an `EventSource` comes back.
pub(super) fn cursor(parts: &Parts) -> Result<Option<u64>, Refusal> {
    last_event_id(parts)
        .or_else(|| pair(parts, "cursor"))
        .map(number)
        .transpose()
}

/// From where a poll goes on.
pub(super) fn cursor_of_poll(parts: &Parts) -> Result<u64, Refusal> {
    pair(parts, "cursor").map_or_else(
        || {
            Err(Refusal::invalid(
                "cursor is missing: it must be that of the last batch",
            ))
        },
        number,
    )
}

fn number(text: &str) -> Result<u64, Refusal> {
    let wrong = || Refusal::invalid(format!("cursor {} is no number", quote(text)));
    text.parse().map_err(|_| wrong())
}

/// Whether the request comes from an `EventSource`, or from something that acts like one.
pub(super) fn is_event_source(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT);
    accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"))
}

/// A value of the query that needs no decoding: a number or base64url.
fn pair<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let pairs = parts.uri.query()?.split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}
