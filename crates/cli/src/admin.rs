//! What works through the server API: commands for whoever runs a server, or has its key.

mod access;
mod api;
mod demo;
mod disconnect;
mod error;
mod list;
mod output;
mod presence;
mod publish;
mod rooms;
mod sessions;
mod table;
mod tail;
mod top;

use anyhow::{Context as _, Result};

pub(crate) use disconnect::{DisconnectArgs, disconnect};
pub(crate) use error::ApiError;
pub(crate) use presence::{PresenceArgs, presence};
pub(crate) use publish::{PublishArgs, publish};
pub(crate) use rooms::{RoomsArgs, rooms};
pub(crate) use sessions::{SessionsArgs, sessions};
pub(crate) use tail::{TailArgs, tail};
pub(crate) use top::{TopArgs, top};

/// Runs what waits for a server, in this thread.
fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?
        .block_on(work)
}
