//! Log lines on standard error.

use std::io::{IsTerminal as _, stderr};

use anyhow::{Result, anyhow};
use nuncio::config::{LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

/// Begins to write what is logged, as the configuration says.
///
/// # Errors
/// When something in the process logs already.
pub(crate) fn start(config: &LogConfig) -> Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.level)?)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow!(error))
}
