//! `nuncio serve`: the server itself.

use anyhow::{Context as _, Result};
use nuncio::Server;
use nuncio::config::{CheckedConfig, Mode};
use tracing::info;

use crate::settings::SettingsArgs;
use crate::{file_limit, log, print};

/// Serves until a signal ends it.
///
/// # Errors
/// What is wrong with the configuration, or why the server cannot start.
pub(crate) fn run(settings: &SettingsArgs) -> Result<()> {
    let (config, file) = settings.load()?;
    log::start(&config.config.log)?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = file.map(|file| file.display().to_string()),
        workers = config.workers,
        open_files_max = file_limit::raise(),
        "nuncio starts"
    );
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.workers)
        .enable_all()
        .build()
        .context("the runtime cannot start")?
        .block_on(serve(config))
}

async fn serve(config: CheckedConfig) -> Result<()> {
    let mode = config.config.mode();
    let path = config.config.server.path.clone();
    let (web, websocket) = match config.tls {
        Some(_) => ("https", "wss"),
        None => ("http", "ws"),
    };
    let server = Server::bind(config).await?;
    let address = server.address()?;
    info!("listening on {websocket}://{address}{path}");
    if mode == Mode::Demo {
        let key = server.demo_api_key()?;
        let key = key.as_ref().map(|key| str::from_utf8(key.as_bytes()));
        print(&demo_notice(
            &format!("{web}://{address}"),
            key.transpose()?,
        ))?;
    }
    Ok(server.run().await?)
}

fn demo_notice(url: &str, api_key: Option<&str>) -> String {
    let mut notice = format!(
        "nuncio is ready: open {url}/ in two tabs and chat.\n\
         \n\
         This is the demo: whoever reaches it gets a token for any name and may do everything, so it listens on this machine only.\n\
         For more than a demo, give it a secret and say what is granted: docs/configuration.md.\n\
         For scripts: nuncio token --user ann\n"
    );
    if let Some(key) = api_key {
        notice += &format!(
            "From another terminal in this folder: nuncio publish lobby Hello, nuncio tail lobby, nuncio rooms, nuncio top\n\
             From elsewhere: NUNCIO_API={url} NUNCIO_API_KEY={key} nuncio rooms\n"
        );
    }
    notice
}
