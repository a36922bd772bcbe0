//! `nuncio token`: a token for development, signed with the server's own secret.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use nuncio::auth::{Authenticator, Claims, NuncioClaim, RoomClaim};
use nuncio::config::parse_duration;
use nuncio_model::{Namespace, Right, RoomName, UserId};

use crate::print;
use crate::settings::SettingsArgs;

/// The arguments of `nuncio token`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenArgs {
    /// The user whom the token names.
    #[arg(long, short, value_parser = |text: &str| UserId::parse(text).map_err(|error| anyhow!(error)))]
    user: UserId,
    /// Rooms that it grants: a name, or a pattern with *; may be repeated. Without it the grants of the configuration hold.
    #[arg(long = "room", short, value_name = "PATTERN")]
    rooms: Vec<String>,
    /// What is allowed in these rooms.
    #[arg(long, value_delimiter = ',', value_parser = right, default_value = "join,publish,presence,history,typing", requires = "rooms")]
    allow: Vec<Right>,
    /// Rooms that are joined at once; may be repeated.
    #[arg(long, value_name = "ROOM", value_parser = |text: &str| RoomName::parse(text).map_err(|error| anyhow!(error)))]
    join: Vec<RoomName>,
    /// Users and sessions that private messages may be sent to: a name, or a pattern with *; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    private: Vec<String>,
    /// Namespaces that may be used; may be repeated.
    #[arg(long, value_parser = |text: &str| Namespace::parse(text).map_err(|error| anyhow!(error)))]
    namespace: Vec<Namespace>,
    /// How long it is good: 30s, 15m, 1h, 7d.
    #[arg(long, default_value = "1h", value_parser = |text: &str| parse_duration(text).map_err(|error| anyhow!(error)))]
    ttl: Duration,
    /// What others may see of the user, as JSON.
    #[arg(long, value_name = "JSON", value_parser = json)]
    info: Option<Info>,
}

const EXAMPLES: &str = "\
Examples:
  nuncio token --user ann
  nuncio token --user bot --room 'news:*' --allow publish --ttl 7d
  NUNCIO_TOKEN=$(nuncio token -u ann) nuncio connect --native 127.0.0.1:8080";

/// JSON of the command line.
#[derive(Debug, Clone)]
struct Info(Box<serde_json::value::RawValue>);

/// Mints the token and prints it, alone on a line.
///
/// # Errors
/// What is wrong with the configuration; or that the token would be refused.
pub(crate) fn run(args: &TokenArgs, settings: &SettingsArgs) -> Result<()> {
    let (config, _) = settings.load()?;
    if args.rooms.is_empty() && config.grants.rooms.is_empty() {
        eprintln!(
            "nuncio: this token grants no room: add --room, or grants.rooms to the configuration"
        );
    }
    let authenticator = Authenticator::from_config(&config)?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    let token = authenticator.mint(args.claims(now));
    // It may be too large, say: better told here than by the server.
    authenticator
        .verify(&token, now)
        .context("the server would refuse this token")?;
    print(&format!("{token}\n"))
}

impl TokenArgs {
    fn claims(&self, now: u64) -> Claims {
        let mut claims = Claims::new(&self.user, now + self.ttl.as_secs());
        claims.iat = Some(now);
        claims.nuncio = Some(NuncioClaim {
            ns: given(&self.namespace).map(|names| names.iter().map(ToString::to_string).collect()),
            grants: given(&self.rooms)
                .map(|rooms| rooms.iter().map(|rooms| self.grant(rooms)).collect()),
            private: given(&self.private).map(<[String]>::to_vec),
            join: self.join.iter().map(ToString::to_string).collect(),
            info: self.info.as_ref().map(|info| info.0.clone()),
        });
        claims
    }

    fn grant(&self, rooms: &str) -> RoomClaim {
        RoomClaim {
            rooms: rooms.to_owned(),
            allow: self.allow.clone(),
        }
    }
}

/// What was given at all: a list that was not leaves the matter to the configuration.
fn given<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

fn right(text: &str) -> Result<Right> {
    let every = [
        Right::Join,
        Right::Publish,
        Right::Presence,
        Right::History,
        Right::Typing,
    ];
    let found = every.into_iter().find(|right| right.as_str() == text);
    found.context("a right is join, publish, presence, history or typing")
}

fn json(text: &str) -> Result<Info> {
    Ok(Info(serde_json::from_str(text)?))
}
