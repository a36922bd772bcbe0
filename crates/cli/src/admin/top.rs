//! `nuncio top`: a live view of a server.

mod keys;
mod rates;
mod screen;
mod snapshot;
mod terminal;
mod view;

use std::io::{IsTerminal as _, stdin, stdout};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Args;
use nuncio::config::{Scope, parse_duration};
use tokio::signal::unix::{SignalKind, signal};

use super::access::ApiArgs;
use super::api::Api;
use super::block_on;
use super::error::ApiError;
use crate::print;
use crate::settings::SettingsArgs;
use keys::Key;
use rates::Rates;
use snapshot::Snapshot;
use terminal::Terminal;
use view::{Order, View};

/// The arguments of `nuncio top`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopArgs {
    /// How often it asks the server.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// What the rooms are ordered by at first.
    #[arg(long, value_name = "ORDER", default_value = "rate")]
    sort: Order,
    /// Print one snapshot as JSON and end; so it does where there is no terminal.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    api: ApiArgs,
}

const EXAMPLES: &str = "\
Keys:
  q  end            s  sort by the next column      p  pause
  /  filter rooms   Esc  no filter                  + -  ask more or less often

Examples:
  nuncio top
  nuncio top --once | jq '.nodes[0].counters'";

/// Rooms that are looked at: the most busy ones are found among the largest.
const ROOMS: u32 = 1000;
/// Below this the asking would be what is seen.
const INTERVAL_MIN: Duration = Duration::from_millis(200);
/// Rarer than this nobody would call it live.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

fn interval(text: &str) -> Result<Duration> {
    let interval = parse_duration(text).map_err(|error| anyhow!(error))?;
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        return Ok(interval);
    }
    Err(anyhow!("use 200ms to 60s"))
}

/// Shows the server until a key ends it.
///
/// # Errors
/// What the API says when it is asked first, and how to go on.
pub(crate) fn top(args: &TopArgs, settings: &SettingsArgs) -> Result<()> {
    let api = Api::of(&args.api, Scope::Read, settings)?;
    if args.once || !stdin().is_terminal() || !stdout().is_terminal() {
        return block_on(once(&api));
    }
    block_on(live(args, &api))
}

async fn once(api: &Api) -> Result<()> {
    let query = vec![("rooms", ROOMS.to_string())];
    print(&format!("{}\n", api.get("/stats", &query).await?))
}

async fn ask(api: &Api) -> Result<Snapshot, ApiError> {
    let query = vec![("rooms", ROOMS.to_string())];
    let text = api.get("/stats", &query).await?;
    serde_json::from_str(&text).map_err(|error| ApiError::Broken {
        base: api.base().to_owned(),
        cause: format!("what it says is no statistics: {error}"),
    })
}

async fn live(args: &TopArgs, api: &Api) -> Result<()> {
    let mut rates = Rates::default();
    // Before the screen is taken: what is wrong now is told as everywhere.
    rates.observe(ask(api).await?, Instant::now());
    let mut view = View::new(api.base().to_owned(), args.sort, args.interval);
    let mut terminal = Terminal::take()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut next = tokio::time::Instant::now() + view.interval();
    loop {
        terminal.draw(&screen::lines(&view, &rates, terminal.size()))?;
        tokio::select! {
            key = terminal.key() => match key {
                // The terminal is gone.
                None => return Ok(()),
                Some(Key::Interrupt) => return Ok(()),
                Some(key) => {
                    if view.handle(key) == view::Wish::End {
                        return Ok(());
                    }
                    next = next.min(tokio::time::Instant::now() + view.interval());
                }
            },
            () = tokio::time::sleep_until(next) => {
                match ask(api).await {
                    Ok(_) if view.is_paused() => {}
                    Ok(snapshot) => {
                        rates.observe(snapshot, Instant::now());
                        view.set_trouble(None);
                    }
                    Err(error) if error.is_passing() => view.set_trouble(Some(error.to_string())),
                    Err(error) => return Err(error.into()),
                }
                next = tokio::time::Instant::now() + view.interval();
            }
            _ = terminate.recv() => return Ok(()),
            _ = resized.recv() => {}
        }
    }
}
