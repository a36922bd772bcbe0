//! What backends answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nuncio_model::{Body, ErrorCode, Json, Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Yes or no, with what a no says. Unknown fields are passed over, so that a backend may say more than an older server understands.
#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    pub(super) allow: bool,
    code: Option<String>,
    message: Option<String>,
    data: Option<Box<RawValue>>,
    #[serde(rename = "retryAfter")]
    retry_after: Option<u64>,
}

impl Verdict {
    /// The refusal of a no. `code` is for a backend that names none.
    pub(super) fn refusal(&self, code: ErrorCode) -> Refusal {
        let code = self
            .code
            .as_deref()
            .map_or(code, |named| known(named, code));
        let message = self.message.as_deref().unwrap_or("Refused by the backend");
        let told_to_wait = self.retry_after.map(Duration::from_millis);
        Refusal {
            code,
            message: bounded(message).to_owned(),
            // A client that is slowed down is told for how long.
            retry_after: told_to_wait.or((code == ErrorCode::RateLimited).then_some(PAUSE)),
            data: self.data.as_deref().map(Json::from),
        }
    }
}

/// As much of a message as a client is told.
fn bounded(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

/// Bytes of a message: a sentence for people. What programs are to know is data.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What a client is told to wait that was refused for its rate, where the backend does not say.
const PAUSE: Duration = Duration::from_secs(1);

fn known(named: &str, default: ErrorCode) -> ErrorCode {
    let mut codes = ErrorCode::ALL.into_iter();
    codes.find(|code| code.as_str() == named).unwrap_or_else(|| {
        tracing::warn!(code = named, told = default.as_str(), "a backend refused with a code that clients do not know: data is for the application's own");
        default
    })
}

/// The answer about a message: publish it, as it is or as something else, refuse it, or answer it without publishing.
#[derive(Debug, Deserialize)]
pub(super) struct PublishAnswer {
    allow: Option<bool>,
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "retryAfter")]
    retry_after: Option<u64>,
    content: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
    #[serde(default)]
    attachments: Vec<String>,
    /// `null` is an answer too.
    #[serde(default, deserialize_with = "present")]
    answer: Option<Box<RawValue>>,
}

fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// Publish it, or this in its place.
    Publish(Option<Body>),
    /// Answer it with this.
    Answer(Json),
    /// Say no.
    Refuse(Refusal),
}

impl PublishAnswer {
    /// What the answer means for a message that says `body`.
    ///
    /// # Errors
    /// Why it means nothing.
    pub(super) fn decide(self, body: &Body) -> Result<Decided, String> {
        if let (None | Some(true), Some(answer)) = (self.allow, &self.answer) {
            return Ok(Decided::Answer(Json::from(&**answer)));
        }
        match self.allow {
            None => Err("it says neither allow nor answer".to_owned()),
            Some(true) => self.rewritten(body).map(Decided::Publish),
            Some(false) => {
                let verdict = Verdict {
                    allow: false,
                    code: self.code,
                    message: self.message,
                    data: self.data,
                    retry_after: self.retry_after,
                };
                Ok(Decided::Refuse(verdict.refusal(ErrorCode::Forbidden)))
            }
        }
    }

    /// The answer to an event without a room.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub(super) fn answer(self) -> Result<Result<Json, Refusal>, String> {
        let none = Body::Chat {
            content: Json::null(),
        };
        match self.decide(&none)? {
            Decided::Answer(answer) => Ok(Ok(answer)),
            Decided::Publish(_) => Ok(Ok(Json::null())),
            Decided::Refuse(refusal) => Ok(Err(refusal)),
        }
    }

    fn rewritten(&self, body: &Body) -> Result<Option<Body>, String> {
        match (body, &self.content, &self.data) {
            (_, None, None) => Ok(None),
            (Body::Chat { .. }, Some(content), None) => Ok(Some(Body::Chat {
                content: Json::from(&**content),
            })),
            (Body::Event { name, .. }, None, Some(data)) => Ok(Some(Body::Event {
                name: name.clone(),
                attachments: self.binary(data)?,
                data: Json::from(&**data),
            })),
            (Body::Chat { .. }, _, _) => Err("a message is rewritten by content".to_owned()),
            (Body::Event { .. }, _, _) => Err("an event is rewritten by data".to_owned()),
        }
    }

    /// The binary parts of rewritten data: as many as it refers to, or no Socket.IO client could read it.
    fn binary(&self, data: &RawValue) -> Result<Box<[Bytes]>, String> {
        let placeholders = data.get().matches("\"_placeholder\"").count();
        if placeholders != self.attachments.len() {
            let given = self.attachments.len();
            return Err(format!(
                "data refers to {placeholders} attachments, and {given} are given"
            ));
        }
        let decoded = self.attachments.iter().map(|text| BASE64.decode(text));
        decoded
            .map(|bytes| bytes.map(Bytes::from).map_err(|error| error.to_string()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nuncio_model::EventName;

    #[test]
    fn a_message_is_published_rewritten_answered_or_refused() {
        for (answer, decided) in [
            (r#"{"allow":true}"#, Decided::Publish(None)),
            (
                r#"{"allow":true,"content":{"a":1}}"#,
                Decided::Publish(Some(chat(r#"{"a":1}"#))),
            ),
            (r#"{"answer":null}"#, Decided::Answer(Json::null())),
            (
                r#"{"allow":true,"answer":[1]}"#,
                Decided::Answer(Json::parse("[1]").unwrap()),
            ),
            (
                r#"{"allow":false}"#,
                Decided::Refuse(Refusal::new(ErrorCode::Forbidden, "Refused by the backend")),
            ),
        ] {
            assert_eq!(read(answer).decide(&chat("1")), Ok(decided), "{answer}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_backend_says() {
        let answer = r#"{"allow":false,"code":"RATE_LIMITED","message":"slow down","data":{"a":1},"retryAfter":1500}"#;

        let Ok(Decided::Refuse(refusal)) = read(answer).decide(&chat("1")) else {
            panic!("no refusal");
        };

        assert_eq!(refusal.code, ErrorCode::RateLimited);
        assert_eq!(refusal.message, "slow down");
        assert_eq!(refusal.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(refusal.data, Some(Json::parse(r#"{"a":1}"#).unwrap()));
    }

    #[test]
    fn a_code_of_the_backends_own_becomes_one_that_clients_know() {
        let verdict: Verdict =
            serde_json::from_str(r#"{"allow":false,"code":"BANNED","message":"banned"}"#).unwrap();

        let refusal = verdict.refusal(ErrorCode::Forbidden);

        assert_eq!(refusal, Refusal::new(ErrorCode::Forbidden, "banned"));
    }

    #[test]
    fn an_answer_that_says_nothing_or_fits_nothing_is_none() {
        for answer in [
            "{}",
            r#"{"content":1}"#,
            r#"{"allow":true,"data":1}"#,
            r#"{"allow":true,"content":1,"data":1}"#,
        ] {
            assert!(read(answer).decide(&chat("1")).is_err(), "{answer}");
        }
    }

    #[test]
    fn rewritten_data_brings_the_binary_parts_that_it_refers_to() {
        let event = Body::Event {
            name: EventName::parse("file").unwrap(),
            data: Json::null(),
            attachments: Box::default(),
        };
        let data = r#"{"_placeholder":true,"num":0}"#;
        let with = format!(r#"{{"allow":true,"data":{data},"attachments":["AQI="]}}"#);
        let without = format!(r#"{{"allow":true,"data":{data}}}"#);

        let Ok(Decided::Publish(Some(Body::Event { attachments, .. }))) =
            read(&with).decide(&event)
        else {
            panic!("not rewritten");
        };

        assert_eq!(*attachments, [Bytes::from_static(&[1, 2])]);
        assert!(read(&without).decide(&event).is_err());
    }

    fn read(answer: &str) -> PublishAnswer {
        serde_json::from_str(answer).unwrap()
    }

    fn chat(content: &str) -> Body {
        Body::Chat {
            content: Json::parse(content).unwrap(),
        }
    }
}
