//! `nuncio sessions`: who is connected, and how.

use anyhow::{Context as _, Result};
use clap::Args;
use nuncio::config::Scope;
use serde::Deserialize;

use super::access::ApiArgs;
use super::api::{Api, Query, segment};
use super::block_on;
use super::list::{self, Entry as _};
use super::output::{Format, OutputArgs, Paint, terminal_width};
use super::table::{Column, Table};
use crate::print;
use crate::settings::SettingsArgs;

/// The arguments of `nuncio sessions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SessionsArgs {
    /// One session by its id, also one whose connection was lost and that may return.
    #[arg(conflicts_with_all = ["user", "room", "limit"])]
    session: Option<String>,
    /// Only those of this user.
    #[arg(long, short)]
    user: Option<String>,
    /// Only those in this room.
    #[arg(long, short)]
    room: Option<String>,
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
  nuncio sessions
  nuncio sessions --user ann
  nuncio sessions --room lobby | jq -r .userId | sort -u
  nuncio sessions wq0c9cXH0dJ5cqkeXWzM";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    session_id: String,
    user_id: String,
    transport: Option<String>,
    room_ids: Vec<String>,
}

impl list::Entry for Session {
    const PATH: &'static str = "/sessions";
    const NAME: &'static str = "sessions";
    const COLUMNS: &'static [Column] = &[
        Column::left("SESSION"),
        Column::left("USER"),
        Column::left("TRANSPORT"),
        Column::left("ROOMS"),
    ];

    fn cells(&self) -> Vec<String> {
        let transport = self.transport.as_deref().unwrap_or("(lost)");
        vec![
            self.session_id.clone(),
            self.user_id.clone(),
            transport.to_owned(),
            self.room_ids.join(", "),
        ]
    }
}

/// Lists sessions, or shows one.
///
/// # Errors
/// What the API says, and how to go on.
pub(crate) fn sessions(args: &SessionsArgs, settings: &SettingsArgs) -> Result<()> {
    let api = Api::of(&args.api, Scope::Sessions, settings)?;
    let format = args.output.format();
    let mut query = Vec::new();
    query.extend(args.ns.clone().map(|ns| ("ns", ns)));
    if let Some(session) = &args.session {
        return block_on(one(&api, session, query, format));
    }
    query.extend(args.user.clone().map(|user| ("userId", user)));
    query.extend(args.room.clone().map(|room| ("roomId", room)));
    block_on(list::write::<Session>(&api, query, args.limit, format))
}

async fn one(api: &Api, session: &str, query: Query<'_>, format: Format) -> Result<()> {
    let path = format!("{}/{}", Session::PATH, segment(session));
    let text = api.get(&path, &query).await?;
    if format == Format::Json {
        return print(&format!("{text}\n"));
    }
    let session: Session = serde_json::from_str(&text).context("the answer is no session")?;
    let mut table = Table::new(Session::COLUMNS);
    table.push(session.cells());
    print(&table.render(terminal_width(), Paint::of_stdout()))
}
