//! `nuncio bench durable`: acknowledged messages a second into the embedded store, and the wait for an acknowledgement.
//!
//! First every publisher sends its next message as soon as the last one was acknowledged: that gives the rate. Then
//! messages come at half that rate on a fixed timetable, and each wait counts from the moment its message was due, so that
//! a pause of the server delays no clock.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use super::arrival::Arrival;
use super::call::{self, Dialect};
use super::process::raise_open_files;
use super::report::{self, Format, Machine};
use super::server::{History, Server, ServerArgs, Terms};
use super::statistics::quantile;
use super::swarm::{Entry, STALL_MAX, Swarm};
use super::token::Tokens;

#[derive(Debug, Args)]
pub(crate) struct DurableArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Publishing sessions.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    publishers: u32,
    /// Rooms that they are spread over. Default: one for each, which spreads the store's writes the most.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rooms: Option<u32>,
    /// Bytes of each message's content.
    #[arg(long, default_value_t = 100)]
    content_bytes: usize,
    /// Seconds of each of the two loads; one second more goes before, to warm up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Folder for the store of a started server: on the disk that is to be measured, not in memory.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

/// Measures both loads and prints them.
pub(crate) fn run(args: &DurableArgs, format: Format) -> Result<()> {
    raise_open_files(args.publishers as usize)?;
    let terms = Terms {
        history: History::Durable,
        folder: &args.folder,
        core: None,
    };
    let server = args.server.subject()?.start(&terms)?;
    let (full, half) = measure(&server, args).map_err(|failure| server.explain(failure))?;
    let report = Report {
        machine: Machine::here()?,
        publishers: args.publishers,
        content_bytes: args.content_bytes,
        full,
        half,
    };
    report::print(format, &report, || report.table())
}

fn measure(server: &Server, args: &DurableArgs) -> Result<(Figures, Figures)> {
    let publishers = args.publishers as usize;
    let tokens = Tokens::obtain(
        args.server.token.as_deref(),
        server.address,
        publishers,
        || {},
    )?;
    let rooms: Vec<String> = (0..args.rooms.unwrap_or(args.publishers))
        .map(|room| format!("bench-{room}"))
        .collect();
    let room = |publisher: usize| rooms[publisher % rooms.len()].as_str();
    let mut swarm = Swarm::new(server.address, Dialect::Native)?;
    let entries = (0..publishers).map(|publisher| Entry {
        token: tokens.of(publisher),
        room: room(publisher),
    });
    swarm.open(entries, || {})?;

    let span = Duration::try_from_secs_f64(args.seconds).context("--seconds")?;
    let bar = report::progress(2)?;
    let mut load = Load {
        swarm,
        rooms: (0..publishers)
            .map(|publisher| room(publisher).to_owned())
            .collect(),
        content: format!("\"{}\"", "x".repeat(args.content_bytes)),
        due: Vec::new(),
        acknowledged: 0,
    };
    bar.set_message("as fast as acknowledged");
    let full = load.run(Pace::Acknowledged, span)?;
    bar.inc(1);
    bar.set_message("at half the rate");
    let half = load.run(Pace::PerSecond(full.acknowledged_per_second / 2.0), span)?;
    bar.finish_and_clear();
    Ok((full, half))
}

/// When the next message is due.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// At once for each publisher whose last message was acknowledged.
    Acknowledged,
    /// On a timetable, from each publisher in turn, whatever is still unanswered.
    PerSecond(f64),
}

struct Load {
    swarm: Swarm,
    /// By publisher.
    rooms: Vec<String>,
    content: String,
    /// When each message was due; its place here is its number.
    due: Vec<Instant>,
    acknowledged: usize,
}

impl Load {
    /// Publishes for a warm-up and `span`; acknowledgements that come within `span` count.
    fn run(&mut self, pace: Pace, span: Duration) -> Result<Figures> {
        let start = Instant::now();
        let counted = start + WARM_UP..start + WARM_UP + span;
        let mut waits_ms = Vec::new();
        let mut ready: Vec<usize> = match pace {
            Pace::Acknowledged => (0..self.rooms.len()).collect(),
            Pace::PerSecond(_) => Vec::new(),
        };
        let mut scheduled = 0;
        let mut last_progress = start;
        while Instant::now() < counted.end || self.acknowledged < self.due.len() {
            if Instant::now() < counted.end {
                match pace {
                    Pace::Acknowledged => self.publish_from(&ready)?,
                    Pace::PerSecond(rate) => self.publish_due(start, rate, &mut scheduled)?,
                }
            }
            ready.clear();
            if self.read(&counted, &mut waits_ms, &mut ready)? > 0 {
                last_progress = Instant::now();
            }
            ensure!(
                last_progress.elapsed() < STALL_MAX,
                "the server fell silent with messages unacknowledged"
            );
        }
        Figures::of(waits_ms, span).context("nothing was acknowledged")
    }

    /// Reads what came within a millisecond; returns the number of acknowledgements.
    fn read(
        &mut self,
        counted: &std::ops::Range<Instant>,
        waits_ms: &mut Vec<f64>,
        ready: &mut Vec<usize>,
    ) -> Result<usize> {
        let due = &self.due;
        let mut acknowledged = 0;
        self.swarm
            .poll(Duration::from_millis(1), |publisher, arrival| {
                if let Arrival::Ack(id) = arrival {
                    let now = Instant::now();
                    let number = (id - call::PUBLISH_ID_FIRST) as usize;
                    if counted.contains(&now) {
                        waits_ms.push(now.duration_since(due[number]).as_secs_f64() * 1e3);
                    }
                    ready.push(publisher);
                    acknowledged += 1;
                }
            })?;
        self.acknowledged += acknowledged;
        Ok(acknowledged)
    }

    fn publish_from(&mut self, publishers: &[usize]) -> Result<()> {
        publishers
            .iter()
            .try_for_each(|&publisher| self.publish(publisher, Instant::now()))
    }

    fn publish_due(&mut self, start: Instant, rate: f64, scheduled: &mut u64) -> Result<()> {
        loop {
            let due = start + Duration::from_secs_f64(*scheduled as f64 / rate);
            if due > Instant::now() {
                return Ok(());
            }
            self.publish((*scheduled % self.rooms.len() as u64) as usize, due)?;
            *scheduled += 1;
        }
    }

    fn publish(&mut self, publisher: usize, due: Instant) -> Result<()> {
        let mut frame = Vec::new();
        let id = call::PUBLISH_ID_FIRST + self.due.len() as u64;
        Dialect::Native.push_publish(&mut frame, &self.rooms[publisher], &self.content, id);
        self.due.push(due);
        self.swarm.send(publisher, &frame)
    }
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    publishers: u32,
    content_bytes: usize,
    /// Every publisher waits for its acknowledgement and sends the next.
    full: Figures,
    /// Half that rate on a timetable.
    half: Figures,
}

#[derive(Debug, Serialize)]
struct Figures {
    acknowledged_per_second: f64,
    wait_p50_ms: f64,
    wait_p99_ms: f64,
}

impl Figures {
    fn of(mut waits_ms: Vec<f64>, span: Duration) -> Option<Self> {
        waits_ms.sort_by(f64::total_cmp);
        Some(Self {
            acknowledged_per_second: waits_ms.len() as f64 / span.as_secs_f64(),
            wait_p50_ms: quantile(&waits_ms, 0.5)?,
            wait_p99_ms: quantile(&waits_ms, 0.99)?,
        })
    }

    fn row(&self, load: &str) -> Vec<String> {
        vec![
            load.to_owned(),
            report::thousands(self.acknowledged_per_second),
            format!("{:.2}", self.wait_p50_ms),
            format!("{:.2}", self.wait_p99_ms),
        ]
    }
}

impl Report {
    fn table(&self) -> String {
        let heading = ["load", "acknowledged/s", "p50 ms", "p99 ms"]
            .map(str::to_owned)
            .to_vec();
        let rows = [
            heading,
            self.full.row("as fast as acknowledged"),
            self.half.row("half of that, on a timetable"),
        ];
        format!(
            "Durable messages of {} B from {} publishers\n{}\n\n{}",
            self.content_bytes,
            self.publishers,
            self.machine.line(),
            report::columns(&rows)
        )
    }
}

const WARM_UP: Duration = Duration::from_secs(1);
