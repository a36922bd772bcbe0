//! `nuncio rooms`: which rooms have members.

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

/// The arguments of `nuncio rooms`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RoomsArgs {
    /// Only rooms that fit, where * stands for any run of characters.
    pattern: Option<String>,
    /// Show no more than this many.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// The namespace.
    #[arg(long, value_name = "NAMESPACE")]
    ns: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    api: ApiArgs,
}

const EXAMPLES: &str = "\
Examples:
  nuncio rooms
  nuncio rooms 'chat:*' --limit 20
  nuncio rooms | jq -r 'select(.users > 100) | .roomId'";

/// A room with members.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Room {
    room_id: String,
    sessions: u64,
    users: u64,
    epoch: String,
    seq: u64,
}

impl list::Entry for Room {
    const PATH: &'static str = "/rooms";
    const NAME: &'static str = "rooms";
    const COLUMNS: &'static [Column] = &[
        Column::left("ROOM"),
        Column::right("USERS"),
        Column::right("SESSIONS"),
        Column::right("MESSAGES"),
        Column::left("EPOCH"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.room_id.clone(),
            grouped(self.users),
            grouped(self.sessions),
            grouped(self.seq),
            self.epoch.clone(),
        ]
    }
}

/// Lists rooms.
///
/// # Errors
/// What the API says, and how to go on.
pub(crate) fn rooms(args: &RoomsArgs, settings: &SettingsArgs) -> Result<()> {
    let api = Api::of(&args.api, Scope::Read, settings)?;
    let mut query = Vec::new();
    query.extend(args.pattern.clone().map(|pattern| ("pattern", pattern)));
    query.extend(args.ns.clone().map(|ns| ("ns", ns)));
    block_on(list::write::<Room>(
        &api,
        query,
        args.limit,
        args.output.format(),
    ))
}
