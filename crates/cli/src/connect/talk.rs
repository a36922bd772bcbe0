//! One conversation with a server, in one of the dialects.

mod native;
mod pings;
mod raw;
mod socketio;

use anyhow::Result;

use super::args::ConnectArgs;
use super::happening::{Ending, Happening};
use super::input::{Dialect, Input};
use super::plan::Plan;
use native::Native;
use raw::Raw;
use socketio::SocketIo;

/// A conversation.
pub(super) enum Talk {
    Raw(Box<Raw>),
    Native(Box<Native>),
    SocketIo(Box<SocketIo>),
}

/// What a conversation tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Something happened.
    Happening(Happening),
    /// Nothing to show, but something may be possible that was not before.
    Progress,
    /// A line could not be done, for this reason.
    Failed(String),
    /// It is over.
    End(Ending),
}

impl Talk {
    /// Begins to connect.
    ///
    /// # Errors
    /// What cannot work with this URL or these flags.
    pub(super) fn start(args: &ConnectArgs, plan: &Plan) -> Result<Self> {
        Ok(match plan.dialect {
            Dialect::Raw => Self::Raw(Box::new(Raw::start(args, plan))),
            Dialect::Native => Self::Native(Box::new(Native::start(args, plan))),
            Dialect::SocketIo => Self::SocketIo(Box::new(SocketIo::start(args, plan)?)),
        })
    }

    /// Whether something can be sent at once.
    pub(super) fn takes(&self) -> bool {
        match self {
            Self::Raw(raw) => raw.takes(),
            Self::Native(native) => native.takes(),
            Self::SocketIo(socketio) => socketio.takes(),
        }
    }

    /// Answers that are on their way.
    pub(super) fn unanswered(&self) -> usize {
        match self {
            Self::Raw(raw) => raw.unanswered(),
            Self::Native(native) => native.unanswered(),
            Self::SocketIo(socketio) => socketio.unanswered(),
        }
    }

    /// Does what a line asks for.
    ///
    /// # Errors
    /// Why it cannot be done, in words.
    pub(super) fn perform(&mut self, input: Input) -> Result<(), String> {
        match self {
            Self::Raw(raw) => raw.perform(input),
            Self::Native(native) => native.perform(input),
            Self::SocketIo(socketio) => socketio.perform(input),
        }
    }

    /// Closes, once what was sent before has gone out.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        match self {
            Self::Raw(raw) => raw.close(code, reason),
            Self::Native(native) => native.close(code, reason),
            Self::SocketIo(socketio) => socketio.close(),
        }
    }

    /// The next thing that happens; dropped half-way it has done nothing. After the end it waits forever.
    pub(super) async fn next(&mut self) -> Told {
        match self {
            Self::Raw(raw) => raw.next().await,
            Self::Native(native) => native.next().await,
            Self::SocketIo(socketio) => socketio.next().await,
        }
    }
}

/// Without the query and whatever stands before the host: tokens and passwords stand there.
fn without_secrets(url: &str) -> String {
    let place = url.split(['?', '#']).next().unwrap_or_default();
    match place.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        assert_eq!(without_secrets("ws://a:1/ws?token=x"), "ws://a:1/ws");
        assert_eq!(without_secrets("wss://u:p@a/b@c"), "wss://a/b@c");
    }
}
