//! The key of the demo that runs in this folder.

use anyhow::Result;
use nuncio::config::CheckedConfig;
use nuncio_model::Secret;

/// `None` where the configuration is no demo's, or no demo ever ran with its data.
pub(super) fn key(config: &CheckedConfig) -> Result<Option<Secret>> {
    let key = nuncio::auth::demo_api_key(config)?;
    let text = key.as_ref().map(|key| str::from_utf8(key.as_bytes()));
    Ok(text.transpose()?.map(Secret::from))
}
