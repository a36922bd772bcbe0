//! Which server is meant, and with which key: what the command line says, or what the configuration does that `serve` would read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nuncio::config::{CheckedConfig, Scope};
use nuncio_model::Secret;

use super::demo;
use super::error::ApiError;
use crate::settings::SettingsArgs;

/// Where the server API is, and who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "The server")]
pub(crate) struct ApiArgs {
    /// Its address, such as https://chat.example.org; without it that of the configuration.
    #[arg(long, value_name = "URL", env = "NUNCIO_API")]
    api: Option<String>,
    /// A key of its section api. Others on this machine may see it here: the variable and --key-file are better.
    #[arg(long, value_name = "KEY", env = "NUNCIO_API_KEY", hide_env_values = true, value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Secret::from(text)))]
    key: Option<Secret>,
    /// A file that holds the key alone; without a key one of the configuration is taken.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Certificates (PEM) to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
}

/// Where a server is, and a key for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// Without a slash at its end: what follows begins with `/api/v1`.
    pub(super) base: String,
    pub(super) key: Secret,
}

/// Where a server listens unless told otherwise.
const DEFAULT_BASE: &str = "http://127.0.0.1:8080";

impl ApiArgs {
    /// Finds out for a command that needs this scope.
    ///
    /// # Errors
    /// [`ApiError::NoKey`]; a key's file that cannot be read; what is wrong with the configuration, when the key is to come from there.
    pub(super) fn access(&self, scope: Scope, settings: &SettingsArgs) -> Result<Access> {
        let given = self.given_key()?;
        let base = self.api.as_deref().map(base_of).transpose()?;
        let (base, key) = match (base, given) {
            (Some(base), Some(key)) => (base, key),
            (base, Some(key)) => {
                // The key does not come from the configuration, so nothing has to be right there.
                let configured = settings
                    .load()
                    .ok()
                    .and_then(|(config, _)| address_of(&config));
                (base.or(configured).unwrap_or_else(default_base), key)
            }
            (base, None) => {
                let (config, _) = settings.load()?;
                let key = key_of(&config, scope)?;
                let configured = || address_of(&config).unwrap_or_else(default_base);
                (base.unwrap_or_else(configured), key)
            }
        };
        Ok(Access { base, key })
    }

    fn given_key(&self) -> Result<Option<Secret>> {
        let Some(path) = &self.key_file else {
            return Ok(self.key.clone());
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the key's file {} cannot be read", path.display()))?;
        let key = text.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            bail!(
                "{}: write the key alone into the file, without quotes or names",
                path.display()
            );
        }
        Ok(Some(key.into()))
    }
}

fn default_base() -> String {
    DEFAULT_BASE.to_owned()
}

/// The address that was written, checked.
fn base_of(text: &str) -> Result<String> {
    let wrong = || format!("--api {text}: write a URL such as {DEFAULT_BASE}");
    let uri: http::Uri = text.parse().with_context(wrong)?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || uri.authority().is_none() || uri.query().is_some() {
        bail!(wrong());
    }
    let base = text.trim_end_matches('/');
    Ok(base.strip_suffix("/api/v1").unwrap_or(base).to_owned())
}

/// Where the API of a configuration is; `None` when the system chooses the port.
fn address_of(config: &CheckedConfig) -> Option<String> {
    let address = config.config.api.listen;
    let mut address = address.unwrap_or(config.config.server.listen);
    if address.port() == 0 {
        return None;
    }
    if address.ip().is_unspecified() {
        address = SocketAddr::new(loopback(address.ip()), address.port());
    }
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Some(format!("{scheme}://{address}"))
}

const fn loopback(unspecified: IpAddr) -> IpAddr {
    match unspecified {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// The key of a configuration that may do most of what is asked for: one that is bound to nothing before one that is.
fn key_of(config: &CheckedConfig, scope: Scope) -> Result<Secret> {
    let suits = |key: &&nuncio::config::ApiKey| {
        key.scopes.contains(&scope) || key.scopes.contains(&Scope::Admin)
    };
    let suited = config.api_keys.iter().filter(suits);
    let key = suited.min_by_key(|key| (key.rooms.is_some(), key.namespaces.is_some()));
    // One without the scope is better than none: the server says what it lacks.
    if let Some(key) = key.or(config.api_keys.first()) {
        let text = str::from_utf8(key.key.as_bytes()).context("the key is not ASCII")?;
        return Ok(text.into());
    }
    Ok(demo::key(config)?.ok_or(ApiError::NoKey)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nuncio::config::Config;

    use super::*;

    const AUTH: &str = "[auth]\nsecrets = [\"a secret of at least thirty-two bytes\"]\n";

    fn config(more: &str) -> CheckedConfig {
        let text = format!("{AUTH}{more}");
        Config::from_toml(&text, Path::new("t"))
            .unwrap()
            .check()
            .unwrap()
    }

    #[test]
    fn the_address_is_where_the_api_is() {
        for (more, address) in [
            ("", Some("http://127.0.0.1:8080")),
            (
                "[server]\nlisten = \"0.0.0.0:9000\"",
                Some("http://127.0.0.1:9000"),
            ),
            (
                "[server]\nlisten = \"[::]:9000\"",
                Some("http://[::1]:9000"),
            ),
            ("[server]\nlisten = \"127.0.0.1:0\"", None),
            (
                "[api]\nlisten = \"10.0.0.7:81\"",
                Some("http://10.0.0.7:81"),
            ),
        ] {
            assert_eq!(address_of(&config(more)).as_deref(), address, "{more}");
        }
    }

    #[test]
    fn the_key_is_one_that_may_and_that_is_bound_to_nothing() {
        let config = config(
            "[api]\nkeys = [\
            { name = \"a\", key = \"publishes-with-thirty-two-bytes-or-more\", scopes = [\"publish\"] },\
            { name = \"b\", key = \"bound-with-thirty-two-bytes-or-more----\", scopes = [\"read\"], rooms = [\"a*\"] },\
            { name = \"c\", key = \"admin-with-thirty-two-bytes-or-more----\", scopes = [\"admin\"] }]",
        );

        let key = |scope| key_of(&config, scope).unwrap().reveal()[..5].to_owned();

        assert_eq!(key(Scope::Publish), "publi");
        assert_eq!(key(Scope::Read), "admin");
        assert_eq!(key(Scope::Sessions), "admin");
    }

    #[test]
    fn without_a_key_it_is_told_how_to_make_one() {
        let error = key_of(&config(""), Scope::Read).unwrap_err().to_string();

        assert!(error.contains("openssl rand -hex 24"), "{error}");
    }

    #[test]
    fn an_address_is_a_url_with_or_without_the_path_of_the_api() {
        for (text, base) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            (
                "https://chat.example.org/",
                Some("https://chat.example.org"),
            ),
            ("https://e.org/nuncio/api/v1", Some("https://e.org/nuncio")),
            ("127.0.0.1:8080", None),
            ("ws://127.0.0.1:8080", None),
            ("http://e.org/?a=b", None),
        ] {
            assert_eq!(base_of(text).ok().as_deref(), base, "{text}");
        }
    }
}
