//! `nuncio bench`: what a server costs, measured from outside.
//!
//! The server is another process, started fresh for each measurement, and the load comes from one thread of this one. The
//! figures are the server's own memory and processor time as the kernel counts them, never the generator's.

use anyhow::Result;
use clap::{Args, Subcommand};

use report::Format;

mod api;
mod arrival;
mod backend;
mod call;
mod durable;
mod fanout;
mod flight;
mod idle;
mod load;
mod process;
mod report;
mod server;
mod silent;
mod statistics;
mod swarm;
mod token;

/// Measures a server's memory, processor time and durable rate.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    measurement: Measurement,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Private memory of an idle connection: the slope between two numbers of silent sessions.
    Idle(idle::IdleArgs),
    /// Processor time of a delivery in a large room, beside the floor programs of the same machine.
    Fanout(fanout::FanoutArgs),
    /// Durable messages acknowledged a second, and how long a publisher waits at half that rate.
    Durable(durable::DurableArgs),
    /// How long clients wait while a backend publishes in batches, beside how long without it.
    Api(api::ApiArgs),
}

/// Runs one measurement and prints its result.
///
/// # Errors
/// When the server cannot be started, refuses a call, closes a connection or falls silent; and when the machine does not
/// allow the load: too few files, too few cores.
pub(crate) fn run(args: BenchArgs) -> Result<()> {
    let format = if args.json {
        Format::Json
    } else {
        Format::Table
    };
    match args.measurement {
        Measurement::Idle(args) => idle::run(&args, format),
        Measurement::Fanout(args) => fanout::run(&args, format),
        Measurement::Durable(args) => durable::run(&args, format),
        Measurement::Api(args) => api::run(&args, format),
    }
}
