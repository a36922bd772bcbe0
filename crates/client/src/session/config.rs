//! What a session is told once.

use std::time::Duration;

use crate::BackoffConfig;

/// The rules of one [`Session`](super::Session).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SessionConfig {
    /// How the server learns who the client is.
    pub credential: Credential,
    /// Pauses between attempts.
    pub backoff: BackoffConfig,
    /// A connection that lasted so long counts as good: the pauses begin anew. Default 10 s.
    pub stable_after: Duration,
    /// From the open connection to `auth_ok` or `resumed`. Default 10 s, as long as the server waits.
    pub enter_timeout: Duration,
    /// From sending a call to its reply; then it is sent again if it may be. Default 5 s.
    pub call_timeout: Duration,
    /// How often one call is sent on one connection. Default 3.
    pub call_attempts_max: u32,
    /// Calls that wait or are without a reply; one more is an error. Default 1000.
    pub queue_max: usize,
    /// What the codes 4100 to 4999 mean, which the application chose.
    pub application_codes: ApplicationCodes,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            credential: Credential::Token,
            backoff: BackoffConfig::default(),
            stable_after: Duration::from_secs(10),
            enter_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(5),
            call_attempts_max: 3,
            queue_max: 1000,
            application_codes: ApplicationCodes::End,
        }
    }
}

/// How the server learns who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// By a token in the first message, asked for with [`Action::AskToken`](super::Action::AskToken).
    Token,
    /// By the request itself: its URL, a header, a cookie.
    Request,
}

/// What a client does after a close code from 4100 to 4999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplicationCodes {
    /// It ends. The default.
    End,
    /// It connects again with backoff.
    Reconnect,
}
