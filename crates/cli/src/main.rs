//! The `nuncio` binary: the server, and what belongs to running one.

mod admin;
mod bench;
mod check_config;
mod completions;
mod connect;
mod date;
mod file_limit;
mod log;
mod man;
mod serve;
mod settings;
mod token;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use nuncio::config::Problems;

// The platform's allocator costs half as much again per delivery, and keeps more memory.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A real-time messaging server: rooms over WebSocket, with order and replay.
///
/// Without a command it serves. Without a configuration file and without secrets that is a demo on this machine: open the address that it
/// prints in two tabs of a browser, and chat.
#[derive(Debug, Parser)]
#[command(name = "nuncio", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    settings: settings::SettingsArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until a signal ends it (the default).
    Serve,
    /// Say what is wrong with the configuration, or what holds.
    CheckConfig(check_config::CheckConfigArgs),
    /// Mint a token for development.
    Token(token::TokenArgs),
    /// Talk to a server by hand or by script: any WebSocket, the native protocol, Socket.IO.
    Connect(Box<connect::ConnectArgs>),
    /// Publish to a room.
    Publish(admin::PublishArgs),
    /// Follow what is said in rooms: the history first, then live.
    Tail(admin::TailArgs),
    /// Show the rooms, with members and positions.
    Rooms(admin::RoomsArgs),
    /// Show the sessions, or one.
    Sessions(admin::SessionsArgs),
    /// Show who is in a room.
    Presence(admin::PresenceArgs),
    /// End sessions.
    Disconnect(admin::DisconnectArgs),
    /// Watch the server live: connections, rooms, rates.
    Top(admin::TopArgs),
    /// Measure what a server costs.
    Bench(bench::BenchArgs),
    /// Print what lets a shell complete this program's commands.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write all of them.
    Man(man::ManArgs),
}

const EXAMPLES: &str = "\
Examples:
  nuncio                                    the demo, at http://127.0.0.1:8080
  nuncio --config nuncio.toml               serve with this configuration
  nuncio --set limits.message_bytes=1MiB    change one key
  NUNCIO_LIMITS_MESSAGE_BYTES=1MiB nuncio   the same by a variable
  nuncio check-config                       what holds, with the secrets hidden
  nuncio token --user ann --room 'chat:*'   a token for one hour, for scripts
  nuncio connect ws://127.0.0.1:8080/ws     talk to a server by hand

All keys: docs/configuration.md, or nuncio check-config --reference";

fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let ended = match cli.command {
        None | Some(Command::Serve) => serve::run(&cli.settings),
        Some(Command::CheckConfig(args)) => check_config::run(&args, &cli.settings),
        Some(Command::Token(args)) => token::run(&args, &cli.settings),
        Some(Command::Connect(args)) => return connect::run(&args),
        Some(Command::Publish(args)) => admin::publish(&args, &cli.settings),
        Some(Command::Tail(args)) => admin::tail(&args, &cli.settings),
        Some(Command::Rooms(args)) => admin::rooms(&args, &cli.settings),
        Some(Command::Sessions(args)) => admin::sessions(&args, &cli.settings),
        Some(Command::Presence(args)) => admin::presence(&args, &cli.settings),
        Some(Command::Disconnect(args)) => admin::disconnect(&args, &cli.settings),
        Some(Command::Top(args)) => admin::top(&args, &cli.settings),
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Man(args)) => man::run(&args),
    };
    ended.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

/// The commands to which all of the server's settings mean something.
const SERVING: [&str; 3] = ["serve", "check-config", "token"];
/// The commands that find address and key in the server's configuration.
const ASKING: [&str; 7] = [
    "publish",
    "tail",
    "rooms",
    "sessions",
    "presence",
    "disconnect",
    "top",
];

/// The whole command line. The server's settings may be given everywhere, but are shown only where they matter.
fn command() -> clap::Command {
    let mut command = Cli::command();
    // Hands the global settings down, so that they can be hidden there.
    command.build();
    command.mut_subcommands(|subcommand| {
        let shown: &[&str] = match subcommand.get_name() {
            name if SERVING.contains(&name) => &["config", "listen", "set"],
            name if ASKING.contains(&name) => &["config"],
            _ => &[],
        };
        subcommand.mut_args(|arg| match arg.get_id().as_str() {
            "config" | "listen" | "set" => {
                let is_shown = shown.contains(&arg.get_id().as_str());
                arg.hide(!is_shown)
            }
            _ => arg,
        })
    })
}

/// Says what went wrong. 2 means that the configuration or the command line is at fault, as with clap's own errors; 1 anything else.
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("nuncio: {error:#}");
    let is_usage = matches!(error.downcast_ref(), Some(admin::ApiError::NoKey));
    if error.is::<Problems>() || is_usage {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// Writes to standard output. A reader that has gone away, as `head` does, is no error.
fn print(text: &str) -> Result<()> {
    use std::io::{ErrorKind, Write as _};

    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves_with_the_flags_given() {
        let cli = Cli::parse_from([
            "nuncio",
            "--listen",
            "127.0.0.1:9",
            "--set",
            "server.echo=true",
        ]);

        assert!(cli.command.is_none());
        assert_eq!(
            cli.settings.flags(),
            ["server.echo=true", "server.listen=127.0.0.1:9"]
        );
    }

    #[test]
    fn settings_may_stand_before_the_command_or_after_it() {
        for line in [
            "nuncio --listen 127.0.0.1:9 serve",
            "nuncio serve --listen 127.0.0.1:9",
            "nuncio -l 127.0.0.1:9 check-config",
            "nuncio token --user ann -l 127.0.0.1:9",
        ] {
            let cli = Cli::parse_from(line.split(' '));

            assert!(cli.command.is_some(), "{line}");
            assert_eq!(
                cli.settings.flags(),
                ["server.listen=127.0.0.1:9"],
                "{line}"
            );
        }
    }
}
