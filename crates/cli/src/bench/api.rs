//! `nuncio bench api`: what a backend that publishes in batches costs the clients that talk meanwhile.
//!
//! Sockets publish on a fixed timetable, each in a room of its own, and each wait counts from the moment its message was due.
//! First they are alone; then a backend publishes in batches to rooms of one member each.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use super::arrival::Arrival;
use super::backend::Backend;
use super::call::{self, Dialect};
use super::process::raise_open_files;
use super::report::{self, Format, Machine};
use super::server::{History, Server, ServerArgs, Terms};
use super::statistics::quantile;
use super::swarm::{Entry, STALL_MAX, Swarm};
use super::token::Tokens;

#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Sockets that publish.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    publishers: u32,
    /// Messages a second of all of them together.
    #[arg(long, default_value_t = 5_000.0)]
    rate: f64,
    /// Rooms that the backend publishes in, each with one member.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rooms: u32,
    /// Publications a second of the backend.
    #[arg(long, default_value_t = 20_000.0)]
    api_rate: f64,
    /// Publications of one batch.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch: u32,
    /// Requests of the backend under way at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    requests: u32,
    /// Seconds of each of the two loads; one second more goes before, to warm up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Measures both loads and prints them.
pub(crate) fn run(args: &ApiArgs, format: Format) -> Result<()> {
    raise_open_files((args.publishers + args.rooms) as usize)?;
    let folder = std::env::temp_dir();
    let terms = Terms {
        history: History::Memory,
        folder: &folder,
        core: None,
    };
    let server = args.server.subject()?.start(&terms)?;
    let (alone, beside, api) = measure(&server, args).map_err(|error| server.explain(error))?;
    let report = Report {
        machine: Machine::here()?,
        publishers: args.publishers,
        messages_per_second: args.rate,
        batch: args.batch,
        p99_ratio: beside.wait_p99_ms / alone.wait_p99_ms,
        alone,
        beside,
        api,
    };
    report::print(format, &report, || report.table())
}

fn measure(server: &Server, args: &ApiArgs) -> Result<(Waits, Waits, ApiFigures)> {
    let (publishers, rooms) = (args.publishers as usize, args.rooms as usize);
    let token = args.server.token.as_deref();
    let tokens = Tokens::obtain(token, server.address, publishers + rooms, || {})?;
    let names: Vec<String> = (0..publishers)
        .map(|publisher| format!("bench-{publisher}"))
        .chain((0..rooms).map(api_room))
        .collect();
    let mut swarm = Swarm::new(server.address, Dialect::Native)?;
    let entries = names.iter().enumerate().map(|(index, room)| Entry {
        token: tokens.of(index),
        room,
    });
    swarm.open(entries, || {})?;
    let span = Duration::try_from_secs_f64(args.seconds).context("--seconds")?;
    let mut load = Load {
        swarm,
        publishers,
        due: Vec::new(),
        acknowledged: 0,
        api_delivered: 0,
    };
    let alone = load.run(args.rate, span)?;
    let backend = Backend::start(
        server.address,
        args.api_rate,
        args.batch,
        args.requests,
        rooms,
    );
    let before = load.api_delivered;
    let start = Instant::now();
    let beside = load.run(args.rate, span)?;
    let elapsed = start.elapsed().as_secs_f64();
    let delivered = load.api_delivered - before;
    let published = backend.stop()?;
    let api = ApiFigures {
        publications_per_second: published.publications as f64 / published.seconds,
        deliveries_per_second: delivered as f64 / elapsed,
        request_p50_ms: published.wait(0.5),
        request_p99_ms: published.wait(0.99),
    };
    Ok((alone, beside, api))
}

/// The name of a room that the backend publishes in.
pub(super) fn api_room(room: usize) -> String {
    format!("api-{room}")
}

/// Sockets that publish on a timetable, and others that listen to the backend.
struct Load {
    swarm: Swarm,
    /// The first of the swarm.
    publishers: usize,
    /// When each message was due; its place here is its number.
    due: Vec<Instant>,
    acknowledged: usize,
    api_delivered: u64,
}

impl Load {
    fn run(&mut self, rate: f64, span: Duration) -> Result<Waits> {
        let start = Instant::now();
        let counted = start + WARM_UP..start + WARM_UP + span;
        let (mut waits_ms, mut scheduled, mut last_progress) = (Vec::new(), 0u64, start);
        while Instant::now() < counted.end || self.acknowledged < self.due.len() {
            while Instant::now() < counted.end {
                let due = start + Duration::from_secs_f64(scheduled as f64 / rate);
                if due > Instant::now() {
                    break;
                }
                self.publish((scheduled % self.publishers as u64) as usize, due)?;
                scheduled += 1;
            }
            if self.read(&counted, &mut waits_ms)? > 0 {
                last_progress = Instant::now();
            }
            ensure!(
                last_progress.elapsed() < STALL_MAX,
                "the server fell silent with messages unacknowledged"
            );
        }
        Waits::of(waits_ms).context("nothing was acknowledged")
    }

    fn read(
        &mut self,
        counted: &std::ops::Range<Instant>,
        waits_ms: &mut Vec<f64>,
    ) -> Result<usize> {
        let (due, publishers) = (&self.due, self.publishers);
        let (mut acknowledged, mut delivered) = (0, 0);
        self.swarm
            .poll(Duration::from_millis(1), |client, arrival| match arrival {
                Arrival::Ack(id) => {
                    let now = Instant::now();
                    let due = due[(id - call::PUBLISH_ID_FIRST) as usize];
                    if counted.contains(&now) {
                        waits_ms.push(now.duration_since(due).as_secs_f64() * 1e3);
                    }
                    acknowledged += 1;
                }
                Arrival::Publication if client >= publishers => delivered += 1,
                _ => {}
            })?;
        self.acknowledged += acknowledged;
        self.api_delivered += delivered;
        Ok(acknowledged)
    }

    fn publish(&mut self, publisher: usize, due: Instant) -> Result<()> {
        let mut frame = Vec::new();
        let id = call::PUBLISH_ID_FIRST + self.due.len() as u64;
        let room = format!("bench-{publisher}");
        Dialect::Native.push_publish(&mut frame, &room, CONTENT, id);
        self.due.push(due);
        self.swarm.send(publisher, &frame)
    }
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    publishers: u32,
    messages_per_second: f64,
    batch: u32,
    /// The sockets without a backend.
    alone: Waits,
    /// The sockets beside it.
    beside: Waits,
    p99_ratio: f64,
    api: ApiFigures,
}

/// How long publishers wait for their acknowledgement.
#[derive(Debug, Serialize)]
struct Waits {
    wait_p50_ms: f64,
    wait_p99_ms: f64,
}

#[derive(Debug, Serialize)]
struct ApiFigures {
    publications_per_second: f64,
    deliveries_per_second: f64,
    request_p50_ms: f64,
    request_p99_ms: f64,
}

impl Waits {
    fn of(mut waits_ms: Vec<f64>) -> Option<Self> {
        waits_ms.sort_by(f64::total_cmp);
        Some(Self {
            wait_p50_ms: quantile(&waits_ms, 0.5)?,
            wait_p99_ms: quantile(&waits_ms, 0.99)?,
        })
    }

    fn row(&self, load: &str) -> Vec<String> {
        vec![
            load.to_owned(),
            format!("{:.2}", self.wait_p50_ms),
            format!("{:.2}", self.wait_p99_ms),
        ]
    }
}

impl Report {
    fn table(&self) -> String {
        let heading = ["load", "p50 ms", "p99 ms"].map(str::to_owned).to_vec();
        let rows = [
            heading,
            self.alone.row("sockets alone"),
            self.beside.row("sockets beside the backend"),
        ];
        format!(
            "{} messages/s from {} sockets, each wait to its acknowledgement\n{}\n\n{}\n\
             p99 beside / alone: {:.2}\n\
             backend: {} publications/s in batches of {}, {} deliveries/s; a request takes {:.2} ms (p50), {:.2} ms (p99)\n",
            report::thousands(self.messages_per_second),
            self.publishers,
            self.machine.line(),
            report::columns(&rows),
            self.p99_ratio,
            report::thousands(self.api.publications_per_second),
            self.batch,
            report::thousands(self.api.deliveries_per_second),
            self.api.request_p50_ms,
            self.api.request_p99_ms,
        )
    }
}

const WARM_UP: Duration = Duration::from_secs(1);
/// 64 bytes, as an echo has.
const CONTENT: &str = "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"";
