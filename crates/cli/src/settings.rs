//! Where this process reads its configuration: the file, the environment, the flags.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use nuncio::config::{CheckedConfig, Config, Sources};

/// The flags that say what the configuration is.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// The configuration file; without it nuncio.toml of this folder, if there is one.
    #[arg(long, short, value_name = "FILE", env = "NUNCIO_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Address and port; short for --set server.listen=…
    #[arg(long, short, value_name = "ADDRESS:PORT", global = true)]
    listen: Option<String>,
    /// Set any key, over the file and the environment; may be repeated.
    #[arg(
        long = "set",
        short = 's',
        value_name = "SECTION.KEY=VALUE",
        global = true
    )]
    set: Vec<String>,
}

/// Read where no other is named.
const DEFAULT_FILE: &str = "nuncio.toml";

impl SettingsArgs {
    /// Reads everything and checks it, and says which file was read.
    pub(crate) fn load(&self) -> Result<(CheckedConfig, Option<PathBuf>)> {
        let default = || {
            Path::new(DEFAULT_FILE)
                .exists()
                .then(|| DEFAULT_FILE.into())
        };
        let file = self.config.clone().or_else(default);
        let sources = Sources {
            file: file.clone(),
            variables: variables()?,
            flags: self.flags(),
        };
        Ok((Config::load_checked(&sources)?, file))
    }

    /// What the flags assign, in rising precedence.
    pub(crate) fn flags(&self) -> Vec<String> {
        let listen = self
            .listen
            .iter()
            .map(|address| format!("server.listen={address}"));
        self.set.iter().cloned().chain(listen).collect()
    }
}

fn variables() -> Result<Vec<(String, String)>> {
    let ours =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCIO_"));
    let texts = ours.map(|(name, value)| {
        let name = name.to_string_lossy().into_owned();
        let value = value.into_string().ok();
        let value = value.with_context(|| format!("{name}: its value is not UTF-8"))?;
        Ok((name, value))
    });
    texts.collect()
}
