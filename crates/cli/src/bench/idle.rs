//! `nuncio bench idle`: the private memory of a silent session, as a slope.
//!
//! A slope between two numbers of connections leaves out what the server has anyway. Each run has a fresh server; every
//! session is authenticated, in one room, and answers pings; a poll waits without an answer. All tokens are fetched before the first reading, because the
//! HTTP connection that brings them would count too.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::call::Dialect;
use super::process::{private_bytes, raise_open_files};
use super::report::{self, Format, Machine};
use super::server::{History, QUIET, Server, ServerArgs, Subject, Terms};
use super::silent::{SilentClients, Wait};
use super::statistics::Quartiles;
use super::swarm::{Entry, Swarm};
use super::token::Tokens;

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Connections at the first reading.
    #[arg(long, default_value_t = 1_000)]
    from: usize,
    /// Connections at the second reading.
    #[arg(long, default_value_t = 19_000)]
    to: usize,
    /// What the sessions speak.
    #[arg(long, value_enum, default_value_t = Transport::Native)]
    dialect: Transport,
    /// Rooms that the sessions are spread over; each is in one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rooms: u32,
    /// Seconds of silence before each reading.
    #[arg(long, default_value_t = 30)]
    quiet: u64,
    /// Runs, each with a fresh server; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Measures all runs and prints the slope.
pub(crate) fn run(args: &IdleArgs, format: Format) -> Result<()> {
    ensure!(
        args.from < args.to,
        "a slope from {} to {} connections",
        args.from,
        args.to
    );
    raise_open_files(args.to)?;
    let subject = args.server.subject()?;
    let steps = 2 * args.to as u64 + 2 * args.quiet;
    let bar = report::progress(u64::from(args.runs) * steps)?;
    let mut runs = Vec::new();
    for number in 1..=args.runs {
        let step = Step {
            bar: &bar,
            run: number,
            runs: args.runs,
        };
        runs.push(measure(&subject, args, &step).with_context(|| format!("run {number}"))?);
    }
    bar.finish_and_clear();

    let slope =
        Quartiles::of(runs.iter().map(|run| run.bytes_per_connection)).context("no runs")?;
    let report = Report {
        machine: Machine::here()?,
        from: args.from,
        to: args.to,
        rooms: args.rooms,
        quiet_seconds: args.quiet,
        bytes_per_connection: slope.median,
        runs,
    };
    report::print(format, &report, || report.table())
}

fn measure(subject: &Subject, args: &IdleArgs, step: &Step<'_>) -> Result<Run> {
    let folder = std::env::temp_dir();
    let server = subject.start(&Terms {
        history: History::Memory,
        folder: &folder,
        core: None,
    })?;
    measure_server(&server, args, step).map_err(|failure| server.explain(failure))
}

fn measure_server(server: &Server, args: &IdleArgs, step: &Step<'_>) -> Result<Run> {
    step.say("tokens");
    let tokens = Tokens::obtain(
        args.server.token.as_deref(),
        server.address,
        args.to,
        || step.bar.inc(1),
    )?;
    let rooms: Vec<String> = (0..args.rooms)
        .map(|room| format!("{}-{room}", args.dialect.rooms()))
        .collect();
    let entries = |clients: std::ops::Range<usize>| {
        clients.map(|client| Entry {
            token: tokens.of(client),
            room: &rooms[client % rooms.len()],
        })
    };

    let mut clients = Clients::of(args.dialect, server.address)?;
    step.say("opening");
    clients.open(entries(0..args.from), || step.bar.inc(1))?;
    let bytes_from = quiet_reading(server, &mut clients, args, step)?;
    step.say("opening");
    clients.open(entries(args.from..args.to), || step.bar.inc(1))?;
    let bytes_to = quiet_reading(server, &mut clients, args, step)?;

    let bytes_per_connection = (bytes_to as f64 - bytes_from as f64) / (args.to - args.from) as f64;
    Ok(Run {
        bytes_from,
        bytes_to,
        bytes_per_connection,
    })
}

fn quiet_reading(
    server: &Server,
    clients: &mut Clients,
    args: &IdleArgs,
    step: &Step<'_>,
) -> Result<u64> {
    step.say("quiet");
    let before = step.bar.position();
    clients.rest(Duration::from_secs(args.quiet), |elapsed| {
        step.bar.set_position(before + elapsed.as_secs())
    })?;
    private_bytes(server.pid)
}

/// How the sessions are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Transport {
    /// The native protocol over a WebSocket.
    Native,
    /// Socket.IO over a WebSocket from the start.
    Socketio,
    /// A feed of the room over server-sent events.
    Feed,
    /// A session over server-sent events.
    Sse,
    /// A session that polls.
    Poll,
}

impl Transport {
    /// What the rooms' names begin with. Polls would be answered with those who come, so theirs announce nobody.
    const fn rooms(self) -> &'static str {
        match self {
            Self::Native | Self::Socketio => "bench",
            Self::Feed | Self::Sse | Self::Poll => QUIET,
        }
    }
}

/// The connections of one run.
enum Clients {
    WebSockets(Swarm),
    Silent(SilentClients),
}

impl Clients {
    fn of(transport: Transport, server: SocketAddr) -> Result<Self> {
        let wait = match transport {
            Transport::Native => return Ok(Self::WebSockets(Swarm::new(server, Dialect::Native)?)),
            Transport::Socketio => {
                return Ok(Self::WebSockets(Swarm::new(server, Dialect::Socketio)?));
            }
            Transport::Feed => Wait::Feed,
            Transport::Sse => Wait::Stream,
            Transport::Poll => Wait::Poll,
        };
        Ok(Self::Silent(SilentClients::new(server, wait)))
    }

    fn open<'a>(
        &mut self,
        entries: impl Iterator<Item = Entry<'a>>,
        progress: impl FnMut(),
    ) -> Result<()> {
        match self {
            Self::WebSockets(swarm) => swarm.open(entries, progress),
            Self::Silent(clients) => clients.open(entries, progress),
        }
    }

    fn rest(&mut self, span: Duration, progress: impl FnMut(Duration)) -> Result<()> {
        match self {
            Self::WebSockets(swarm) => swarm.rest(span, progress),
            Self::Silent(clients) => clients.rest(span, progress),
        }
    }
}

/// Where the measurement is, for the progress bar.
#[derive(Debug)]
struct Step<'a> {
    bar: &'a ProgressBar,
    run: u32,
    runs: u32,
}

impl Step<'_> {
    fn say(&self, what: &'static str) {
        self.bar
            .set_message(format!("run {} of {}: {what}", self.run, self.runs));
    }
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    from: usize,
    to: usize,
    rooms: u32,
    quiet_seconds: u64,
    /// The median of the runs.
    bytes_per_connection: f64,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Run {
    bytes_from: u64,
    bytes_to: u64,
    bytes_per_connection: f64,
}

impl Report {
    fn table(&self) -> String {
        let heading =
            |connections: usize| format!("bytes at {}", report::thousands(connections as f64));
        let mut rows = vec![vec![
            "run".to_owned(),
            heading(self.from),
            heading(self.to),
            "bytes per connection".to_owned(),
        ]];
        for (number, run) in (1..).zip(&self.runs) {
            rows.push(vec![
                number.to_string(),
                report::thousands(run.bytes_from as f64),
                report::thousands(run.bytes_to as f64),
                report::thousands(run.bytes_per_connection),
            ]);
        }
        rows.push(vec![
            "median".to_owned(),
            String::new(),
            String::new(),
            report::thousands(self.bytes_per_connection),
        ]);
        format!(
            "Private memory of idle sessions, each authenticated and in one of {} rooms, after {} s of silence\n{}\n\n{}",
            self.rooms,
            self.quiet_seconds,
            self.machine.line(),
            report::columns(&rows)
        )
    }
}
