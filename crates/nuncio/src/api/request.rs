//! What came with a request: its body or its query, as the JSON of a command.

use std::time::Duration;

use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use nuncio_model::{IdempotencyKey, quote};
use nuncio_transport::RequestBody;
use serde_json::{Map, Value};

use super::failure::{Code, Failure};
use super::route::{Kind, Route};
use super::value::Intention;
use crate::config::Config;

/// What a command is read from.
#[derive(Debug)]
pub(super) struct Input {
    /// The JSON of its fields.
    pub(super) text: String,
    /// The `Idempotency-Key` header.
    pub(super) intention: Option<Intention>,
}

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

impl Input {
    /// Reads the body.
    pub(super) async fn of_body(
        request: Request<RequestBody>,
        config: &Config,
    ) -> Result<Self, Failure> {
        let (head, body) = request.into_parts();
        check_media_type(&head.headers)?;
        let intention = intention(&head.headers)?;
        let max = config.api.body_bytes.0;
        let too_large = || {
            let message = format!("the body is larger than api.body_bytes = {max} bytes");
            Failure::new(Code::TooLarge, message)
        };
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, max).collect());
        let bytes = match read.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
            Ok(Err(_)) => return Err(Failure::invalid("the body ended early")),
            Err(_) => return Err(Failure::new(Code::Timeout, "the body took too long")),
        };
        let text = String::from_utf8(bytes.into());
        let text = text.map_err(|_| Failure::new(Code::ParseError, "the body is not UTF-8"))?;
        Ok(Self { text, intention })
    }

    /// Reads the query and the last part of the path, as a command's fields.
    pub(super) fn of_query(
        query: Option<&str>,
        tail: Option<&str>,
        route: &Route,
    ) -> Result<Self, Failure> {
        let mut fields = Map::new();
        if let (Some(name), Some(value)) = (route.tail(), tail) {
            fields.insert(name.to_owned(), Value::String(value.to_owned()));
        }
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = match route.parameter(&name) {
                Some(Kind::List) => {
                    add(&mut fields, &name, &value);
                    continue;
                }
                Some(kind) => kind.value(&value),
                None => Value::String(value.into_owned()),
            };
            if fields.insert(name.clone().into_owned(), value).is_some() {
                let message = format!("{} is given twice", quote(&name));
                return Err(Failure::invalid(message));
            }
        }
        Ok(Self {
            text: Value::Object(fields).to_string(),
            intention: None,
        })
    }
}

/// One more entry of a list.
fn add(fields: &mut Map<String, Value>, name: &str, value: &str) {
    let list = fields
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.push(Value::String(value.to_owned()));
    }
}

/// JSON only: a page of another origin cannot send it without asking first.
fn check_media_type(headers: &HeaderMap) -> Result<(), Failure> {
    let sent = headers.get(header::CONTENT_TYPE);
    let sent = sent.and_then(|sent| sent.to_str().ok()).unwrap_or_default();
    let (kind, _) = sent.split_once(';').unwrap_or((sent, ""));
    if kind.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "send the header Content-Type: application/json, and JSON";
    Err(Failure::new(Code::UnsupportedMediaType, message))
}

fn intention(headers: &HeaderMap) -> Result<Option<Intention>, Failure> {
    let Some(sent) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = str::from_utf8(sent.as_bytes())
        .map_err(|_| Failure::invalid("the header Idempotency-Key is not UTF-8"))?;
    Ok(Some(Intention(IdempotencyKey::parse(text)?)))
}
