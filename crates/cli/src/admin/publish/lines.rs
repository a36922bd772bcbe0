//! `nuncio publish --lines`: a publication for each line of standard input, in their order, many in a request.

use std::fmt;
use std::io::{BufRead as _, IsTerminal as _, stderr, stdin};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use http::StatusCode;
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::message::{Message, raw_json, text_json};
use super::{Format, Refusal};
use crate::admin::api::Api;
use crate::admin::error::ApiError;
use crate::admin::output::grouped;
use crate::print;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// Lines read ahead of what the server has taken.
const AHEAD_MAX: usize = 1024;
/// Publications of one request: few enough for any `api.batch_max` above the smallest.
const BATCH_MAX: usize = 200;
/// Bytes of one request, but for its last line.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// How long one request is tried again.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The pause before it is tried again, doubled up to the larger.
const PAUSE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// One result for each command of a batch.
#[derive(Deserialize)]
struct Batched {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Ok(Box<RawValue>),
    Error(Refusal),
}

/// What a broadcast tells of each room; nothing of it is there for one room.
#[derive(Deserialize)]
struct InRooms {
    #[serde(default)]
    rooms: Vec<InRoom>,
}

#[derive(Deserialize)]
struct InRoom {
    error: Option<Refusal>,
}

/// A line as a command.
struct Line {
    /// Its place in standard input, from 1 on.
    number: u64,
    text: String,
}

/// What became of the lines so far.
#[derive(Debug, Default)]
struct Tally {
    published: u64,
    refused: u64,
}

/// Publishes the lines until their end.
///
/// # Errors
/// When a line was refused (the others are published all the same), or the server cannot be reached for a minute.
pub(super) async fn publish(
    api: &Api,
    message: &Message,
    form: Form,
    key: Option<&str>,
    format: Format,
) -> Result<()> {
    let (sender, mut lines) = mpsc::channel(AHEAD_MAX);
    let reader = std::thread::spawn(move || read(&sender));
    let prefix = match key {
        Some(key) => key.to_owned(),
        None => random_key()?,
    };
    let progress = progress();
    let mut tally = Tally::default();
    let mut first = 1;
    while let Some(batch) = take(&mut lines).await {
        let mut commands = Vec::with_capacity(batch.len());
        for (number, line) in (first..).zip(&batch) {
            let said = match form {
                Form::Text => text_json(line),
                Form::Json => raw_json(line),
            };
            match said {
                Ok(said) => {
                    let key = format!("{prefix}-{number}");
                    let body = message.body(Some(&said), Some(&key))?;
                    let text = format!("{{\"{}\":{body}}}", message.name());
                    commands.push(Line { number, text });
                }
                Err(error) => refuse(&mut tally, &progress, number, &format!("{error:#}")),
            }
        }
        send(api, &commands, &mut tally, &progress).await?;
        first += batch.len() as u64;
    }
    progress.finish_and_clear();
    // The channel is closed, so the thread has ended or is about to.
    reader.join().expect("reading does not panic")?;
    finish(&tally, format)
}

fn read(sender: &Sender<String>) -> Result<()> {
    for line in stdin().lock().lines() {
        let line = line.context("standard input is no text")?;
        // Nobody takes them once the server is given up.
        if sender.blocking_send(line).is_err() {
            break;
        }
    }
    Ok(())
}

/// The lines that are there, at least one: whoever writes slowly is not kept waiting for more.
async fn take(lines: &mut Receiver<String>) -> Option<Vec<String>> {
    let mut bytes = 0;
    let mut batch = Vec::new();
    let mut next = lines.recv().await;
    while let Some(line) = next {
        bytes += line.len();
        batch.push(line);
        let has_room = batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX;
        next = if has_room {
            lines.try_recv().ok()
        } else {
            None
        };
    }
    (!batch.is_empty()).then_some(batch)
}

/// Sends lines until all of them are taken or refused, in their order. Each has a key, so none is published twice.
async fn send(api: &Api, lines: &[Line], tally: &mut Tally, progress: &ProgressBar) -> Result<()> {
    let (mut left, mut pause, mut since) = (lines, PAUSE[0], Instant::now());
    while let Some(line) = left.first() {
        let told = || format!("stopped before line {}", line.number);
        let (taken, trouble) = match post(api, left).await {
            Ok(outcomes) => take_outcomes(left, outcomes, tally, progress),
            Err(error) if error.is_passing() => (0, Some(error)),
            Err(error) => return Err(error).with_context(told),
        };
        left = &left[taken..];
        progress.set_position(tally.published);
        let Some(trouble) = trouble else {
            continue;
        };
        if taken > 0 {
            (pause, since) = (PAUSE[0], Instant::now());
        } else if since.elapsed() > RETRY_MAX {
            return Err(trouble).with_context(told);
        }
        tokio::time::sleep(trouble.retry_after().unwrap_or(pause)).await;
        pause = (pause * 2).min(PAUSE[1]);
    }
    Ok(())
}

async fn post(api: &Api, lines: &[Line]) -> Result<Vec<Outcome>, ApiError> {
    let commands: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
    let commands = commands.join(",");
    let body = format!("{{\"commands\":[{commands}],\"stopAtError\":true}}");
    let text = api.post("/batch", body).await?;
    let batched: Result<Batched, _> = serde_json::from_str(&text);
    batched
        .map(|batched| batched.results)
        .map_err(|error| ApiError::Broken {
            base: api.base().to_owned(),
            cause: format!("the answer has no results: {error}"),
        })
}

/// Counts what was done, up to the first line that may be taken a little later. Returns how many lines are settled, and why the next is not.
fn take_outcomes(
    lines: &[Line],
    outcomes: Vec<Outcome>,
    tally: &mut Tally,
    progress: &ProgressBar,
) -> (usize, Option<ApiError>) {
    for (index, (line, outcome)) in lines.iter().zip(outcomes).enumerate() {
        match outcome.refusal() {
            None => tally.published += 1,
            Some(refusal) if refusal.is_passing() => return (index, Some(refusal.into())),
            Some(refusal) => {
                let told = format!("{}: {}", refusal.code, refusal.message);
                refuse(tally, progress, line.number, &told);
            }
        }
    }
    (lines.len(), None)
}

impl Outcome {
    /// What was refused of it.
    fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Error(refusal) => Some(refusal),
            Self::Ok(answer) => {
                let rooms: Option<InRooms> = serde_json::from_str(answer.get()).ok();
                rooms?.rooms.into_iter().find_map(|room| room.error)
            }
        }
    }
}

impl Refusal {
    /// Whether it may be taken a little later.
    fn is_passing(&self) -> bool {
        matches!(&*self.code, "RATE_LIMITED" | "UNAVAILABLE")
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: refusal.code,
            message: refusal.message,
            retry_after_ms: refusal.retry_after,
        }
    }
}

fn refuse(tally: &mut Tally, progress: &ProgressBar, number: u64, why: &str) {
    tally.refused += 1;
    progress.suspend(|| eprintln!("nuncio: line {number}: {why}"));
}

fn finish(tally: &Tally, format: Format) -> Result<()> {
    let Tally { published, refused } = tally;
    match format {
        Format::Json => print(&format!(
            "{{\"published\":{published},\"refused\":{refused}}}\n"
        ))?,
        Format::Table => print(&format!("published {} lines\n", HumanCount(*published)))?,
    }
    if *refused > 0 {
        bail!("{refused} lines were refused");
    }
    Ok(())
}

/// Hidden where nobody looks.
fn progress() -> ProgressBar {
    if !stderr().is_terminal() || stdin().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{human_pos} published, {rate}/s");
    let style = style.expect("the template is valid");
    let style = style.with_key(
        "rate",
        |state: &ProgressState, text: &mut dyn fmt::Write| {
            // Writing to a text does not fail.
            let _ = text.write_str(&grouped(state.per_sec().round() as u64));
        },
    );
    let progress = ProgressBar::new_spinner().with_style(style);
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}

fn random_key() -> Result<String> {
    let bytes = getrandom::u64().context("no random numbers")?;
    Ok(format!("{bytes:016x}"))
}
