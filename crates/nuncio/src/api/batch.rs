//! Many commands in one request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use nuncio_model::{Json, quote};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::command::{Begun, Work};
use super::failure::{Code, ErrorObject, Failure};
use super::json::parse;
use super::request::Input;
use super::route::{self, Entry, Route};
use super::value::AnyJson;
use crate::config::suggest;

/// Commands, done in their order. Publications and broadcasts that follow each other go together: in durable rooms they share a commit. Any other command
/// waits until those before it are done. One that is refused stops none of the others, unless `stopAtError` is true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "BatchRequest")]
pub(super) struct Batch {
    /// At most `api.batch_max`.
    #[schemars(with = "Vec<OneCommand>", extend("minItems" = 1))]
    commands: Vec<Box<RawValue>>,
    /// Begins none of the commands that come after one that is refused; they are told `UNAVAILABLE`. Whoever tries again goes on with the first of these, and keeps the order.
    #[serde(default)]
    stop_at_error: bool,
}

/// One command under its name.
struct OneCommand;

impl JsonSchema for OneCommand {
    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut forms = Vec::new();
        for route in route::routes()
            .iter()
            .filter(|route| route::may_be_in_batch(route))
        {
            if let Entry::Command { request, .. } = route.entry {
                let mut properties = serde_json::Map::new();
                properties.insert(route.name.to_owned(), request(generator).into());
                forms.push(json_schema!({
                    "type": "object", "properties": properties, "required": [route.name], "additionalProperties": false
                }));
            }
        }
        json_schema!({ "description": "One command: its fields under its name.", "oneOf": forms })
    }
}

/// One result for each command, in their order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Batched")]
pub(super) struct Batched {
    results: Vec<Outcome>,
}

/// The result of one command.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Result")]
enum Outcome {
    /// The answer, as the command gives it alone.
    #[schemars(with = "AnyJson")]
    Ok(Json),
    /// Why it was not done.
    Error(ErrorObject),
}

impl From<Result<Json, Failure>> for Outcome {
    fn from(result: Result<Json, Failure>) -> Self {
        match result {
            Ok(json) => Self::Ok(json),
            Err(failure) => Self::Error(failure.told()),
        }
    }
}

/// Commands after which other tasks of the thread have their turn: what a socket of the same thread waits for a batch.
const SLICE: usize = 16;

pub(super) async fn run(input: &Input, work: &Work) -> Result<Json, Failure> {
    if input.intention.is_some() {
        return Err(Failure::invalid(
            "the header Idempotency-Key is for one command: write an idempotencyKey into each of the batch",
        ));
    }
    let Batch {
        commands,
        stop_at_error,
    } = parse(&input.text)?;
    let max = work.app.config.config.api.batch_max;
    if commands.is_empty() || commands.len() > max {
        let count = commands.len();
        let message = format!("commands has {count} entries: it must have 1 to {max}");
        return Err(Failure::invalid(message));
    }
    let mut results = Vec::with_capacity(commands.len());
    let mut under_way = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        if index % SLICE == SLICE - 1 {
            tokio::task::yield_now().await;
        }
        let read = read(command.get());
        let goes_alone = read.as_ref().is_ok_and(|(route, _)| !goes_together(route));
        if goes_alone {
            finish(&mut under_way, &mut results).await;
        }
        let begun = read.and_then(|(route, input)| begin(route, &input, work));
        if begun.is_err() && stop_at_error {
            under_way.push(begun.unwrap_or_else(failed));
            let left = commands[index + 1..].iter();
            under_way.extend(left.map(|_| failed(not_begun())));
            break;
        }
        under_way.push(begun.unwrap_or_else(failed));
        if goes_alone {
            finish(&mut under_way, &mut results).await;
        }
    }
    finish(&mut under_way, &mut results).await;
    Ok(Json::of(&Batched { results }))
}

fn goes_together(route: &Route) -> bool {
    matches!(route.name, "publish" | "broadcast")
}

async fn finish(under_way: &mut Vec<Begun<Json>>, results: &mut Vec<Outcome>) {
    for begun in under_way.drain(..) {
        results.push(begun.await.into());
    }
}

fn failed(failure: Failure) -> Begun<Json> {
    Box::pin(std::future::ready(Err(failure)))
}

fn not_begun() -> Failure {
    let message = "not begun: one before it was refused, and stopAtError is true";
    Failure::new(Code::Unavailable, message)
}

/// The route and the fields of a command.
fn read(command: &str) -> Result<(&'static Route, Input), Failure> {
    let named: BTreeMap<String, Box<RawValue>> = parse(command)?;
    let mut named = named.into_iter();
    let (Some((name, fields)), None) = (named.next(), named.next()) else {
        return Err(Failure::invalid(
            r#"a command is its fields under its name: {"publish":{"roomId":"lobby","content":"Hello"}}"#,
        ));
    };
    let route = route::posted(&name).ok_or_else(|| unknown(&name))?;
    let input = Input {
        text: fields.get().to_owned(),
        intention: None,
    };
    Ok((route, input))
}

fn begin(route: &Route, input: &Input, work: &Work) -> Result<Begun<Json>, Failure> {
    let Entry::Command { scope, begin, .. } = route.entry else {
        return Err(unknown(route.name));
    };
    work.key.check_scope(scope)?;
    begin(input, work)
}

fn unknown(name: &str) -> Failure {
    let names = route::routes()
        .iter()
        .filter(|route| route::may_be_in_batch(route));
    let names: Vec<_> = names.map(|route| route.name.to_owned()).collect();
    let meant = suggest(name, names.iter().cloned());
    let meant = meant.map_or_else(String::new, |name| format!("; did you mean {name}?"));
    let message = format!(
        "there is no command {}, only {}{meant}",
        quote(name),
        names.join(", ")
    );
    Failure::new(Code::InvalidMessage, message)
}
