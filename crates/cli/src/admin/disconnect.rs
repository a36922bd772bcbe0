//! `nuncio disconnect`: ends sessions.

mod room;

use std::io::{BufRead as _, IsTerminal as _, stdin};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nuncio::config::Scope;
use serde::{Deserialize, Serialize};

use super::access::ApiArgs;
use super::api::Api;
use super::block_on;
use super::output::{Format, OutputArgs, grouped, harmless};
use crate::print;
use crate::settings::SettingsArgs;

/// The arguments of `nuncio disconnect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DisconnectArgs {
    #[command(flatten)]
    whom: Whom,
    /// The close code: 4100 to 4999 are the application's own; 1000 means that it was meant, 1001, 1011, 1012 and 1013 that the client comes back, 1008 that it needs a new token.
    #[arg(long, default_value_t = 1000)]
    code: u16,
    /// What the client is told, at most 123 bytes.
    #[arg(long)]
    reason: Option<String>,
    /// The namespace.
    #[arg(long, value_name = "NAMESPACE")]
    ns: Option<String>,
    /// Do not ask before everyone is disconnected.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    api: ApiArgs,
}

/// Whose sessions end.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// This session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// All sessions of this user.
    #[arg(long, short)]
    user: Option<String>,
    /// All sessions that are in this room now.
    #[arg(long, short)]
    room: Option<String>,
    /// All sessions of the namespace; needs a key with the scope admin.
    #[arg(long)]
    everyone: bool,
}

const EXAMPLES: &str = "\
Examples:
  nuncio disconnect --user eve --code 4100 --reason 'Account closed'
  nuncio disconnect --session wq0c9cXH0dJ5cqkeXWzM
  nuncio disconnect --room lobby --code 1012          # they come back
  nuncio disconnect --everyone --code 1012 --yes      # all come back";

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    everyone: bool,
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ns: Option<&'a str>,
}

#[derive(Deserialize, Serialize)]
struct Answer {
    sessions: u64,
}

/// Ends the sessions that are meant.
///
/// # Errors
/// What the API says, and how to go on; when nobody confirms that everyone is meant.
pub(crate) fn disconnect(args: &DisconnectArgs, settings: &SettingsArgs) -> Result<()> {
    let scope = if args.whom.everyone {
        Scope::Admin
    } else {
        Scope::Sessions
    };
    let api = Api::of(&args.api, scope, settings)?;
    if args.whom.everyone && !args.yes {
        confirm(args.ns.as_deref().unwrap_or("/"), api.base())?;
    }
    block_on(end(args, &api))
}

async fn end(args: &DisconnectArgs, api: &Api) -> Result<()> {
    let request = Request {
        session_id: args.whom.session.as_deref(),
        user_id: args.whom.user.as_deref(),
        everyone: args.whom.everyone,
        code: args.code,
        reason: args.reason.as_deref(),
        ns: args.ns.as_deref(),
    };
    let answer = match &args.whom.room {
        Some(room) => room::end(api, room, &request).await?,
        None => {
            let body = serde_json::to_string(&request)?;
            let text = api.post("/disconnect", body).await?;
            serde_json::from_str(&text).context("the answer has no sessions")?
        }
    };
    match args.output.format() {
        Format::Json => print(&format!("{}\n", serde_json::to_string(&answer)?)),
        Format::Table => print(&format!(
            "disconnected {} sessions\n",
            grouped(answer.sessions)
        )),
    }
}

/// Asks on the terminal.
fn confirm(namespace: &str, base: &str) -> Result<()> {
    if !stdin().is_terminal() {
        bail!("nobody is there to be asked whether everyone is meant: add --yes");
    }
    eprint!(
        "Disconnect everyone in the namespace {} of {base}? [y/N] ",
        harmless(namespace)
    );
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    bail!("nobody was disconnected")
}
