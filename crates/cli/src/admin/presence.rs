//! `nuncio presence`: who is in a room.

use anyhow::Result;
use clap::Args;
use nuncio::config::Scope;
use serde::Deserialize;

use super::access::ApiArgs;
use super::api::Api;
use super::output::{OutputArgs, grouped};
use super::table::Column;
use super::{block_on, list};
use crate::settings::SettingsArgs;

/// The arguments of `nuncio presence`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PresenceArgs {
    /// The room.
    room: String,
    /// Show no more than this many.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// The room's namespace.
    #[arg(long, value_name = "NAMESPACE")]
    ns: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    api: ApiArgs,
}

const EXAMPLES: &str = "\
Examples:
  nuncio presence lobby
  nuncio presence lobby | wc -l";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    user_id: String,
    sessions: u64,
}

impl list::Entry for User {
    const PATH: &'static str = "/presence";
    const NAME: &'static str = "users";
    const COLUMNS: &'static [Column] = &[Column::left("USER"), Column::right("SESSIONS")];

    fn cells(&self) -> Vec<String> {
        vec![self.user_id.clone(), grouped(self.sessions)]
    }
}

/// Lists the users of a room.
///
/// # Errors
/// What the API says, and how to go on.
pub(crate) fn presence(args: &PresenceArgs, settings: &SettingsArgs) -> Result<()> {
    let api = Api::of(&args.api, Scope::Read, settings)?;
    let mut query = vec![("roomId", args.room.clone())];
    query.extend(args.ns.clone().map(|ns| ("ns", ns)));
    block_on(list::write::<User>(
        &api,
        query,
        args.limit,
        args.output.format(),
    ))
}
