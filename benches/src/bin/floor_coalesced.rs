//! The coalesced floor: the publications of a loop turn in one send per subscriber.
//!
//! Usage: `floor_coalesced PORT`; it listens on 127.0.0.1 and ends with whoever started it.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use nuncio_benches::floor::{Floor, Sends};
use rustix::process::{Signal, set_parent_process_death_signal};

fn main() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let port = std::env::args()
        .nth(1)
        .context("usage: floor_coalesced PORT")?;
    let port = port
        .parse()
        .with_context(|| format!("{port} is not a port"))?;
    Floor::new(
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))?,
        Sends::OncePerTurn,
    )?
    .serve()
}
