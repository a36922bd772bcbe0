//! `nuncio publish`: says something in rooms.

mod lines;
mod message;

use std::io::{Read as _, stdin};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nuncio::config::Scope;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::access::ApiArgs;
use super::api::Api;
use super::block_on;
use super::output::{Format, OutputArgs, Paint, grouped, harmless, terminal_width};
use super::table::{Column, Table};
use crate::print;
use crate::settings::SettingsArgs;
use message::{Message, raw_json, text_json};

/// The arguments of `nuncio publish`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PublishArgs {
    /// The room.
    room: String,
    /// What is said, as text; - reads it from standard input.
    #[arg(required_unless_present_any = ["event", "lines"], conflicts_with_all = ["event", "lines"])]
    content: Option<String>,
    /// One more room that it is published to, with a number of its own there; may be repeated.
    #[arg(long, value_name = "ROOM")]
    also: Vec<String>,
    /// The content is JSON instead of text.
    #[arg(long)]
    json: bool,
    /// An event of the application's own instead of a chat:message.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// The event's argument, or arguments as an array, as JSON; - reads it from standard input.
    #[arg(long, value_name = "JSON", requires = "event")]
    data: Option<String>,
    /// In whose name; without it clients see nobody's.
    #[arg(long, short)]
    user: Option<String>,
    /// The room's namespace.
    #[arg(long, value_name = "NAMESPACE")]
    ns: Option<String>,
    /// Names the intention: a repetition with the same key within 5 minutes is published once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Each line of standard input is one publication, in their order; with --json each is JSON.
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    api: ApiArgs,
}

const EXAMPLES: &str = "\
Examples:
  nuncio publish lobby 'Hello'
  nuncio publish lobby --json '{\"text\":\"Hello\"}' --user ann
  nuncio publish board --event draw --data '{\"x\":1}'
  nuncio publish lobby --also staff 'Closing in ten minutes'
  tail -f app.log | nuncio publish logs --lines";

/// Where a publication is.
#[derive(Debug, Deserialize)]
struct Published {
    id: String,
    epoch: String,
    seq: u64,
}

/// What became of a broadcast in one room.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InRoom {
    room_id: String,
    #[serde(flatten)]
    published: Option<Published>,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    code: String,
    message: String,
    /// In milliseconds.
    retry_after: Option<u64>,
}

/// Publishes what the arguments or standard input say.
///
/// # Errors
/// What the API says, and how to go on; when one of several rooms, or one of the lines, was refused.
pub(crate) fn publish(args: &PublishArgs, settings: &SettingsArgs) -> Result<()> {
    let api = Api::of(&args.api, Scope::Publish, settings)?;
    let message = Message {
        rooms: std::iter::once(&args.room)
            .chain(&args.also)
            .cloned()
            .collect(),
        event: args.event.clone(),
        user: args.user.clone(),
        ns: args.ns.clone(),
    };
    let format = args.output.format();
    if args.lines {
        let form = if args.json || args.event.is_some() {
            lines::Form::Json
        } else {
            lines::Form::Text
        };
        let key = args.idempotency_key.as_deref();
        return block_on(lines::publish(&api, &message, form, key, format));
    }
    let body = message.body(content(args)?.as_deref(), args.idempotency_key.as_deref())?;
    block_on(once(&api, &message, body, format))
}

/// What is said, as JSON; an event may have none.
fn content(args: &PublishArgs) -> Result<Option<Box<RawValue>>> {
    let (given, is_json) = match &args.event {
        Some(_) => (&args.data, true),
        None => (&args.content, args.json),
    };
    let Some(given) = given else {
        return Ok(None);
    };
    let text = if given == "-" {
        let mut text = String::new();
        stdin()
            .read_to_string(&mut text)
            .context("standard input is no text")?;
        text
    } else {
        given.clone()
    };
    let written = if is_json {
        raw_json(&text)?
    } else {
        text_json(&text)?
    };
    Ok(Some(written))
}

async fn once(api: &Api, message: &Message, body: String, format: Format) -> Result<()> {
    let text = api.post(message.path(), body).await?;
    if format == Format::Json {
        print(&format!("{text}\n"))?;
    }
    if message.rooms.len() == 1 {
        let published: Published =
            serde_json::from_str(&text).context("the answer has no position")?;
        return match format {
            Format::Json => Ok(()),
            Format::Table => print(&line(&message.rooms[0], &published)),
        };
    }
    let rooms: Rooms = serde_json::from_str(&text).context("the answer has no rooms")?;
    if format == Format::Table {
        print(&table(&rooms.rooms))?;
    }
    let refused = rooms.rooms.iter().filter(|room| room.error.is_some());
    match refused.count() {
        0 => Ok(()),
        refused => bail!("{refused} of {} rooms refused it", rooms.rooms.len()),
    }
}

#[derive(Deserialize)]
struct Rooms {
    rooms: Vec<InRoom>,
}

fn line(room: &str, published: &Published) -> String {
    let Published { id, epoch, seq } = published;
    let seq = grouped(*seq);
    format!("{} #{seq}  (epoch {epoch}, id {id})\n", harmless(room))
}

const COLUMNS: &[Column] = &[
    Column::left("ROOM"),
    Column::right("MESSAGE"),
    Column::left("EPOCH"),
    Column::left("ID OR ERROR"),
];

fn table(rooms: &[InRoom]) -> String {
    let mut table = Table::new(COLUMNS);
    for room in rooms {
        let cells = match (&room.published, &room.error) {
            (Some(published), _) => [
                grouped(published.seq),
                published.epoch.clone(),
                published.id.clone(),
            ],
            (None, Some(error)) => {
                let told = format!("{}: {}", error.code, error.message);
                [String::new(), String::new(), told]
            }
            (None, None) => Default::default(),
        };
        table.push(std::iter::once(room.room_id.clone()).chain(cells));
    }
    table.render(terminal_width(), Paint::of_stdout())
}
