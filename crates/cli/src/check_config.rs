//! `nuncio check-config`: what is wrong with the configuration, or what holds.

use anyhow::Result;
use clap::Args;
use nuncio::config::{Mode, reference};

use crate::print;
use crate::settings::SettingsArgs;

/// The arguments of `nuncio check-config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// Print the reference of all keys (docs/configuration.md) instead.
    #[arg(long)]
    reference: bool,
}

/// Prints what holds as a configuration file, with the secrets hidden.
///
/// # Errors
/// [`Problems`](nuncio::config::Problems), all at once.
pub(crate) fn run(args: &CheckConfigArgs, settings: &SettingsArgs) -> Result<()> {
    if args.reference {
        return print(&reference());
    }
    let (checked, file) = settings.load()?;
    let source = match (checked.config.mode(), file) {
        (_, Some(file)) => file.display().to_string(),
        (Mode::Demo, None) => "the demo: there is no configuration file, and no secret".to_owned(),
        (Mode::Configured | Mode::Embedded, None) => {
            "no configuration file, only variables and flags".to_owned()
        }
    };
    print(&format!(
        "# OK ({source}). This holds:\n\n{}",
        checked.config.to_toml()
    ))
}
