//! The command line of `nuncio connect`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nuncio::config::parse_duration;

use super::course::Stay;

/// The arguments of `nuncio connect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConnectArgs {
    /// Where to connect: ws://, wss://, http:// or https://; without a scheme it is ws://.
    pub(super) url: String,

    /// What is spoken: auto is Socket.IO for http:// and https://, else raw.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Dialect")]
    pub(super) dialect: DialectArg,
    /// Speak nuncio's own protocol; short for --dialect native. A URL without a path means /ws.
    #[arg(long, conflicts_with_all = ["dialect", "socketio"], help_heading = "Dialect")]
    pub(super) native: bool,
    /// Speak Socket.IO; short for --dialect socketio. The URL's path is the namespace, as in JavaScript.
    #[arg(long, conflicts_with = "dialect", help_heading = "Dialect")]
    pub(super) socketio: bool,

    /// Add a line to the request; may be repeated.
    #[arg(long, short = 'H', value_name = "NAME:VALUE", help_heading = "Request")]
    pub(super) header: Vec<String>,
    /// The Origin of the request, as a browser would send it.
    #[arg(long, short, help_heading = "Request")]
    pub(super) origin: Option<String>,
    /// Offer a subprotocol; may be repeated, best first.
    #[arg(long, short, value_name = "NAME", help_heading = "Request")]
    pub(super) subprotocol: Vec<String>,
    /// The token: an Authorization header (raw), the first message (native), auth.token (Socket.IO). Others on this machine may see it
    /// in the list of processes: the variable and --token-file are better.
    #[arg(
        long,
        env = "NUNCIO_TOKEN",
        hide_env_values = true,
        help_heading = "Request"
    )]
    pub(super) token: Option<String>,
    /// A file with the token.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "token",
        help_heading = "Request"
    )]
    pub(super) token_file: Option<PathBuf>,
    /// User and password for HTTP's basic authentication.
    #[arg(long, value_name = "USER:PASSWORD", help_heading = "Request")]
    pub(super) basic: Option<String>,
    /// Offer compression (permessage-deflate).
    #[arg(long, help_heading = "Request")]
    pub(super) compress: bool,
    /// Give up when the connection is not open by then.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Request")]
    pub(super) connect_timeout: Duration,
    /// Ping so often; a server that sends nothing until the next ping is gone.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Request")]
    pub(super) ping_interval: Option<Duration>,
    /// The proxy's URL, or none; without it what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say.
    #[arg(long, value_name = "URL", help_heading = "Request")]
    pub(super) proxy: Option<String>,

    /// Trust the authorities of this PEM file, and no others.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(super) ca: Option<PathBuf>,
    /// Trust every certificate: whoever stands in between reads all, the token too.
    #[arg(
        long,
        short = 'n',
        visible_alias = "no-check",
        conflicts_with = "ca",
        help_heading = "TLS"
    )]
    pub(super) insecure: bool,
    /// The client's own certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    pub(super) cert: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    pub(super) key: Option<PathBuf>,

    /// The namespace to begin with.
    #[arg(long, value_name = "NAME", help_heading = "Socket.IO")]
    pub(super) namespace: Option<String>,
    /// What is shown to the namespace's middleware.
    #[arg(long, value_name = "JSON", help_heading = "Socket.IO")]
    pub(super) auth: Option<String>,
    /// Where the server listens for Socket.IO.
    #[arg(long, default_value = "/socket.io/", help_heading = "Socket.IO")]
    pub(super) path: String,
    /// Transports, in the order in which they are tried.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "polling,websocket",
        help_heading = "Socket.IO"
    )]
    pub(super) transport: Vec<TransportArg>,
    /// How packets are encoded; the server must use the same.
    #[arg(
        long,
        value_enum,
        default_value = "default",
        help_heading = "Socket.IO"
    )]
    pub(super) parser: ParserArg,

    /// Send this line, or do what it says, and end; may be repeated.
    #[arg(
        long,
        short = 'x',
        value_name = "LINE",
        help_heading = "Without a terminal"
    )]
    pub(super) execute: Vec<String>,
    /// The lines of a file, - for standard input, with commands; after those of --execute.
    #[arg(long, value_name = "FILE", help_heading = "Without a terminal")]
    pub(super) script: Option<PathBuf>,
    /// Send all of standard input as one binary message.
    #[arg(long, short, conflicts_with_all = ["execute", "script"], help_heading = "Without a terminal")]
    pub(super) binary: bool,
    /// How long to stay after the last line: a time, or forever. Default: 2s, and no time at all for scripts that expect something.
    #[arg(long, short, value_name = "TIME", value_parser = stay, allow_hyphen_values = true, help_heading = "Without a terminal")]
    pub(super) wait: Option<Stay>,
    /// End after so many messages.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Without a terminal")]
    pub(super) count: Option<u64>,
    /// How long /expect and answers are waited for.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, help_heading = "Without a terminal")]
    pub(super) timeout: Duration,

    /// Connect again when the connection is lost.
    #[arg(long, short, help_heading = "Reconnection")]
    pub(super) reconnect: bool,
    /// Attempts in a row after which it gives up.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "10",
        requires = "reconnect",
        help_heading = "Reconnection"
    )]
    pub(super) attempts: u32,

    /// How messages are written: auto is pretty on a terminal and plain in a pipe.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Output")]
    pub(super) format: FormatArg,
    /// Everything that happens as a JSON object on a line; short for --format json.
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    pub(super) json: bool,
    /// Begin each line with the time (UTC).
    #[arg(long, short, help_heading = "Output")]
    pub(super) timestamps: bool,
    /// Colours; auto has them on a terminal, unless NO_COLOR is set.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Output")]
    pub(super) color: ColorArg,
    /// Write the bytes of binary messages there: into a folder one file each, else one after the other into a file.
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub(super) binary_out: Option<PathBuf>,
    /// Show pings and pongs.
    #[arg(long, short = 'P', help_heading = "Output")]
    pub(super) show_ping_pong: bool,
    /// Show pings, pongs, and what is sent.
    #[arg(long, short, help_heading = "Output")]
    pub(super) verbose: bool,
    /// Keep no history of what is typed. Lines with secrets, and those that begin with a space, are never kept.
    #[arg(long, help_heading = "Output")]
    pub(super) no_history: bool,

    /// The server's settings mean nothing here. They are named so that none of them takes a letter of wscat's.
    #[arg(id = "config", long = "config", hide = true)]
    _config: Option<PathBuf>,
    #[arg(id = "listen", long = "listen", hide = true)]
    _listen: Option<String>,
    #[arg(id = "set", long = "set", hide = true)]
    _set: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DialectArg {
    Auto,
    Raw,
    Native,
    #[value(name = "socketio")]
    SocketIo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TransportArg {
    Polling,
    #[value(name = "websocket")]
    WebSocket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ParserArg {
    Default,
    #[value(name = "msgpack")]
    MessagePack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArg {
    Auto,
    /// Marks, colours, JSON set out, bytes as a dump.
    Pretty,
    /// A line for each message, as it came; bytes as hex.
    Plain,
    /// A JSON object for everything that happens.
    Json,
    /// The bytes of each message and nothing else.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorArg {
    Auto,
    Always,
    Never,
}

const EXAMPLES: &str = "\
Examples:
  nuncio connect ws://127.0.0.1:8080/ws/echo                by hand; /help lists what can be typed
  nuncio connect --native 127.0.0.1:8080 --token \"$TOKEN\"   rooms: /join lobby, then talk
  nuncio connect https://chat.example.com --auth '{\"token\":\"…\"}'
                                                            Socket.IO: /emit, /ask, /ns
  nuncio connect wss://a.example/feed --json --count 3 | jq .json
                                                            the next three messages
  echo hello | nuncio connect ws://127.0.0.1:8080/ws/echo   a line is a message
  nuncio connect URL -x hello -x '/expect hello' -x '/close 4000 bye'
                                                            a check of a server, for scripts

Exit status: 0 done; 1 not reachable, or lost; 2 the command line is wrong; 3 refused; 4 what was expected did not come;
5 closed by the server with an error. More: docs/command-line.md";

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// wscat writes -1 for what never ends.
fn stay(text: &str) -> Result<Stay, String> {
    match text {
        "forever" | "-1" => Ok(Stay::Forever),
        text => duration(text).map(Stay::For),
    }
}
