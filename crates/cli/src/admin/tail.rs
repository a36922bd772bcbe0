//! `nuncio tail`: what was said in rooms, then what is said, as long as it runs.

mod events;
mod follow;
mod line;

use std::io::{ErrorKind, Write as _, stdout};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use nuncio::config::Scope;

use super::access::ApiArgs;
use super::api::Api;
use super::block_on;
use super::error::ApiError;
use super::output::{Format, OutputArgs, Paint, harmless};
use crate::settings::SettingsArgs;
use events::Events;
use follow::{Follow, Told, Wish};
use line::Lines;

/// The arguments of `nuncio tail`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TailArgs {
    /// The rooms.
    #[arg(required = true, value_name = "ROOM")]
    rooms: Vec<String>,
    /// Messages of each room's history that come first.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 10)]
    history: u32,
    /// Begin behind this position instead: epoch.seq, such as q83vASNFZ4k.42; of several rooms one each, with commas between them.
    #[arg(long, value_name = "POSITION", conflicts_with = "history")]
    since: Option<String>,
    /// End after so many messages.
    #[arg(long, value_name = "COUNT")]
    max: Option<u64>,
    /// Show what is not kept too: presence, typing.
    #[arg(long)]
    all: bool,
    /// The rooms' namespace.
    #[arg(long, value_name = "NAMESPACE")]
    ns: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    api: ApiArgs,
}

const EXAMPLES: &str = "\
Examples:
  nuncio tail lobby
  nuncio tail lobby staff -n 100
  nuncio tail orders | jq -r .content.id
  nuncio tail orders --since q83vASNFZ4k.42     # what came after it, then what comes

It goes on when the server restarts: nothing is missed or shown twice, and what could not be filled is told.";

/// How long the server may be silent: it sends a comment more often, unless it is configured otherwise.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Follows the rooms until it is told to end.
///
/// # Errors
/// What the API says when it is asked first, or when it refuses later; then how to go on.
pub(crate) fn tail(args: &TailArgs, settings: &SettingsArgs) -> Result<()> {
    let api = Api::of(&args.api, Scope::Read, settings)?;
    let follow = Follow::new(
        Wish {
            rooms: args.rooms.clone(),
            ns: args.ns.clone(),
            history: args.history,
            all: args.all,
        },
        args.since.clone(),
    );
    let lines = Lines::new(args.output.format(), Paint::of_stdout());
    let mut tail = Tail {
        api,
        follow,
        lines,
        left: args.max,
    };
    block_on(tail.run())
}

struct Tail {
    api: Api,
    follow: Follow,
    lines: Lines,
    /// Messages that are still to be shown.
    left: Option<u64>,
}

/// Why a stream is over.
enum Over {
    /// Whoever reads has had enough, or got as much as was asked for.
    Reader,
    /// The connection, or the server: the tail goes on with another.
    Stream(String),
}

impl Tail {
    async fn run(&mut self) -> Result<()> {
        // Nothing is tried again before it went well once: whoever mistyped an address wants to know.
        let mut stream = Some(self.open().await?);
        let mut failures = 0_u32;
        loop {
            if let Some(stream) = stream.take() {
                let cause = match self.read(stream).await? {
                    Over::Reader => return Ok(()),
                    Over::Stream(cause) => cause,
                };
                failures = 0;
                tracing::debug!(cause, "the stream is over");
                tokio::time::sleep(self.follow.retry()).await;
            }
            match self.open().await {
                Ok(opened) => {
                    if failures > 0 {
                        eprintln!("nuncio: {} is back", self.api.base());
                    }
                    stream = Some(opened);
                }
                Err(error) if error.is_passing() => {
                    if failures == 0 {
                        eprintln!("nuncio: {error}");
                        eprintln!("nuncio: trying again until it is back");
                    }
                    failures += 1;
                    let pause = Duration::from_millis(200) * 2_u32.pow(failures.min(6));
                    tokio::time::sleep(error.retry_after().unwrap_or(pause).min(PAUSE_MAX)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn open(&mut self) -> Result<Incoming, ApiError> {
        let body = self.api.stream("/tail", &self.follow.query()).await?;
        self.follow.opened();
        Ok(body)
    }

    /// Shows what comes until nothing does.
    async fn read(&mut self, mut stream: Incoming) -> Result<Over> {
        let mut events = Events::default();
        loop {
            let frame = match tokio::time::timeout(SILENCE_MAX, stream.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Ok(Over::Stream(error.to_string())),
                Ok(None) => return Ok(Over::Stream("it ended".to_owned())),
                Err(_) => return Ok(Over::Stream("it was silent for too long".to_owned())),
            };
            let Some(bytes) = frame.data_ref() else {
                continue;
            };
            events.push(bytes);
            let mut text = String::new();
            while let Some(event) = events.next()? {
                let Some(told) = self.follow.handle(event)? else {
                    continue;
                };
                self.show(&told, &mut text);
                if self.left == Some(0) {
                    break;
                }
            }
            let reader_is_gone = !write(&text)?;
            if reader_is_gone || self.left == Some(0) {
                return Ok(Over::Reader);
            }
        }
    }

    fn show(&mut self, told: &Told, text: &mut String) {
        match told {
            Told::Message(message) => {
                *text += &self.lines.line(message);
                if let Some(left) = &mut self.left {
                    *left -= 1;
                }
            }
            Told::Gap(message) => {
                let room = harmless(message.room_id.as_deref().unwrap_or_default());
                eprintln!(
                    "nuncio: messages in {room} may be missing here: the server does not have all since the last one"
                );
                if self.lines.format == Format::Json {
                    *text += &self.lines.line(message);
                }
            }
            Told::Removed { room, code } => {
                eprintln!(
                    "nuncio: {} is not followed any more: {code}",
                    harmless(room)
                );
            }
        }
    }
}

/// Writes at once. `false` when nobody reads any more.
fn write(text: &str) -> Result<bool> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output cannot be written"),
    }
}
