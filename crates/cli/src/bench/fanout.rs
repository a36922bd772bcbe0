//! `nuncio bench fanout`: the server's processor time per delivery, as a ratio to a floor in the same round.
//!
//! The machine is never quiet, so single figures mean little. Each round measures floor and server one after the other,
//! in turns first; what counts is the median of the ratios within the rounds. See [`rounds_that_count`] for those that do not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::call::Dialect;
use super::load::{Admission, LoadPlan, Sample};
use super::process::{cores, pin, raise_open_files};
use super::report::{self, Format, Machine};
use super::server::{History, ServerArgs, Subject, Terms};
use super::statistics::{Quartiles, rounds_that_count};

#[derive(Debug, Args)]
pub(crate) struct FanoutArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// What the members of the server's room speak.
    #[arg(long, value_enum, default_value_t = Dialect::Native)]
    dialect: Dialect,
    /// Command line of another server to compare with instead of the floors, with `{port}` filled in; it runs under the same settings.
    #[arg(long, value_name = "COMMAND")]
    beside: Option<String>,
    /// What its members speak.
    #[arg(long, value_enum, default_value_t = Dialect::Native, requires = "beside")]
    beside_dialect: Dialect,
    /// It asks for no token.
    #[arg(long, requires = "beside")]
    beside_open: bool,
    /// Members of the room.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    members: u32,
    /// Bytes of each message's content.
    #[arg(long, default_value_t = 100)]
    content_bytes: usize,
    /// Publishes in flight; one is, until every member received it. 1 is compared with the plain floor, more with the coalesced.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16], value_parser = clap::value_parser!(u32).range(1..=1_000))]
    in_flight: Vec<u32>,
    /// Members that publish, in turns.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    publishers: u32,
    /// Interleaved rounds.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load per server and round; a fifth more goes before, to warm up.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Program of the plain floor. Default: `floor_plain` beside this program.
    #[arg(long, value_name = "PROGRAM")]
    floor_plain: Option<PathBuf>,
    /// Program of the coalesced floor. Default: `floor_coalesced` beside this program.
    #[arg(long, value_name = "PROGRAM")]
    floor_coalesced: Option<PathBuf>,
}

/// Runs all rounds and prints the ratios.
pub(crate) fn run(args: &FanoutArgs, format: Format) -> Result<()> {
    let machine = Machine::here()?;
    ensure!(
        args.publishers <= args.members,
        "{} publishers in a room of {}",
        args.publishers,
        args.members
    );
    raise_open_files(args.members as usize)?;
    let comparisons = args
        .in_flight
        .iter()
        .map(|&window| Comparison::new(args, window))
        .collect::<Result<Vec<_>>>()?;
    let cores = Cores::divide()?;

    let bar = report::progress(u64::from(args.rounds) * 2 * comparisons.len() as u64)?;
    let mut rounds = vec![Vec::new(); comparisons.len()];
    for number in 0..args.rounds {
        for (comparison, rounds) in comparisons.iter().zip(&mut rounds) {
            rounds.push(comparison.round(args, number, cores, &bar)?);
        }
    }
    bar.finish_and_clear();

    let windows = comparisons
        .iter()
        .zip(&rounds)
        .map(|(comparison, rounds)| comparison.judge(rounds))
        .collect::<Result<_>>()?;
    let report = Report {
        machine,
        members: args.members,
        content_bytes: args.content_bytes,
        publishers: args.publishers,
        rounds: args.rounds,
        windows,
    };
    report::print(format, &report, || report.table())
}

/// The server beside its floor, or beside another server, with one number of publishes in flight.
#[derive(Debug)]
struct Comparison {
    window: u32,
    floor_name: &'static str,
    floor: Subject,
    floor_dialect: Dialect,
    floor_has_tokens: bool,
    server: Subject,
}

impl Comparison {
    fn new(args: &FanoutArgs, window: u32) -> Result<Self> {
        let server = args.server.subject()?;
        if let Some(line) = &args.beside {
            return Ok(Self {
                window,
                floor_name: "beside",
                floor: Subject::command(line),
                floor_dialect: args.beside_dialect,
                floor_has_tokens: !args.beside_open,
                server,
            });
        }
        let (floor_name, program) = match window {
            1 => ("floor_plain", &args.floor_plain),
            _ => ("floor_coalesced", &args.floor_coalesced),
        };
        let program = program
            .clone()
            .map_or_else(|| beside_this_program(floor_name), Ok)?;
        Ok(Self {
            window,
            floor_name,
            floor: Subject::floor(&program)?,
            floor_dialect: Dialect::Native,
            floor_has_tokens: false,
            server,
        })
    }

    /// Both are measured once. Who goes first changes with each round, so that neither gains by its place.
    fn round(
        &self,
        args: &FanoutArgs,
        number: u32,
        cores: Cores,
        bar: &ProgressBar,
    ) -> Result<Round> {
        let load = LoadPlan {
            members: args.members as usize,
            content_bytes: args.content_bytes,
            window: self.window,
            publishers: args.publishers as usize,
            dialect: args.dialect,
            span: Duration::try_from_secs_f64(args.seconds).context("--seconds")?,
        };
        let measure = |name: &str, subject: &Subject, dialect, admission| {
            let load = LoadPlan { dialect, ..load };
            bar.set_message(format!("{name}, {} in flight", self.window));
            let sample = measure(subject, admission, &load, cores)
                .with_context(|| format!("measuring the {name}"));
            bar.inc(1);
            sample
        };
        let with_token = Admission::Token(args.server.token.as_deref());
        let floor_admission = if self.floor_has_tokens {
            with_token
        } else {
            Admission::Free
        };
        let floor = || {
            measure(
                self.floor_name,
                &self.floor,
                self.floor_dialect,
                floor_admission,
            )
        };
        let server = || measure("server", &self.server, args.dialect, with_token);
        if number.is_multiple_of(2) {
            Ok(Round {
                floor: floor()?,
                server: server()?,
            })
        } else {
            let server = server()?;
            Ok(Round {
                floor: floor()?,
                server,
            })
        }
    }

    fn judge(&self, rounds: &[Round]) -> Result<Window> {
        let floors: Vec<f64> = rounds
            .iter()
            .map(|round| round.floor.us_per_delivery)
            .collect();
        let counted = rounds_that_count(&floors);
        let kept: Vec<Round> = rounds
            .iter()
            .zip(counted)
            .filter_map(|(round, counts)| counts.then_some(*round))
            .collect();
        let scattered = || {
            format!(
                "no round of {} counts: the floor scatters too much",
                rounds.len()
            )
        };
        let ratios = kept
            .iter()
            .map(|round| round.server.us_per_delivery / round.floor.us_per_delivery);
        Ok(Window {
            in_flight: self.window,
            ratio: Quartiles::of(ratios).with_context(scattered)?,
            rounds_dropped: rounds.len() - kept.len(),
            floor_name: self.floor_name,
            floor: Figures::of(kept.iter().map(|round| round.floor)).with_context(scattered)?,
            server: Figures::of(kept.iter().map(|round| round.server)).with_context(scattered)?,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Round {
    floor: Sample,
    server: Sample,
}

/// Starts a fresh server, or finds the running one, and measures it.
fn measure(
    subject: &Subject,
    admission: Admission<'_>,
    load: &LoadPlan,
    cores: Cores,
) -> Result<Sample> {
    let folder = std::env::temp_dir();
    let terms = Terms {
        history: History::Memory,
        folder: &folder,
        core: cores.server,
    };
    let server = subject.start(&terms)?;
    load.measure(&server, admission)
        .map_err(|failure| server.explain(failure))
}

/// The core of the server; the generator has another. `None` on a machine with one.
#[derive(Debug, Clone, Copy)]
struct Cores {
    server: Option<usize>,
}

impl Cores {
    fn divide() -> Result<Self> {
        if cores()? < 2 {
            return Ok(Self { server: None });
        }
        pin(1)?;
        Ok(Self { server: Some(0) })
    }
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    members: u32,
    content_bytes: usize,
    publishers: u32,
    rounds: u32,
    windows: Vec<Window>,
}

/// The verdict for one number of publishes in flight.
#[derive(Debug, Serialize)]
struct Window {
    in_flight: u32,
    /// Server to floor, within each round.
    ratio: Quartiles,
    rounds_dropped: usize,
    floor_name: &'static str,
    floor: Figures,
    server: Figures,
}

#[derive(Debug, Serialize)]
struct Figures {
    us_per_delivery: Quartiles,
    deliveries_per_second: Quartiles,
}

impl Figures {
    fn of(samples: impl Iterator<Item = Sample> + Clone) -> Option<Self> {
        Some(Self {
            us_per_delivery: Quartiles::of(samples.clone().map(|sample| sample.us_per_delivery))?,
            deliveries_per_second: Quartiles::of(
                samples.map(|sample| sample.deliveries_per_second),
            )?,
        })
    }
}

impl Report {
    fn table(&self) -> String {
        let heading = [
            "in flight",
            "server",
            "us per delivery",
            "quartiles",
            "x floor",
            "quartiles",
            "deliveries/s",
            "rounds dropped",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        for window in &self.windows {
            rows.push(row(
                window.in_flight,
                window.floor_name,
                &window.floor,
                None,
            ));
            rows.push(row(
                window.in_flight,
                "server",
                &window.server,
                Some(window),
            ));
        }
        format!(
            "Fan-out to {} members, {} B, {} publishers, {} interleaved rounds; processor time of the server\n{}\n\n{}",
            report::thousands(self.members.into()),
            self.content_bytes,
            self.publishers,
            self.rounds,
            self.machine.line(),
            report::columns(&rows)
        )
    }
}

fn row(in_flight: u32, name: &str, figures: &Figures, compared: Option<&Window>) -> Vec<String> {
    let us = figures.us_per_delivery;
    let mut row = vec![
        in_flight.to_string(),
        name.to_owned(),
        format!("{:.3}", us.median),
        format!("{:.3}-{:.3}", us.q1, us.q3),
    ];
    let ratio = compared.map(|window| window.ratio);
    row.push(ratio.map_or_else(|| "1".to_owned(), |ratio| format!("{:.2}", ratio.median)));
    row.push(ratio.map_or_else(String::new, |ratio| {
        format!("{:.2}-{:.2}", ratio.q1, ratio.q3)
    }));
    row.push(report::thousands(figures.deliveries_per_second.median));
    row.push(compared.map_or_else(String::new, |window| window.rounds_dropped.to_string()));
    row
}

fn beside_this_program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().unwrap_or(Path::new(".")).join(name))
}
