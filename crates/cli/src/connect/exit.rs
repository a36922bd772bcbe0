//! What scripts see of the end of a run.

use std::process::ExitCode;

use super::happening::Ending;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All that was asked for was done, and the end was clean.
    Done,
    /// The server could not be reached, or the connection was lost.
    Lost,
    /// The command line, or a script, is wrong.
    Usage,
    /// The server refused: an HTTP status from 400 to 499, a `connect_error`, close code 1008 or 4003.
    Refused,
    /// What was expected did not come in time, or not before the end.
    Unmet,
    /// The server closed with a code that is no clean end, or made a Socket.IO client leave.
    ClosedBadly,
    /// A signal ended it.
    Signal(u8),
}

impl Exit {
    /// The number that the shell sees.
    pub(super) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Lost => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unmet => 4,
            Self::ClosedBadly => 5,
            // As shells report a program that a signal ended.
            Self::Signal(number) => 128 + number,
        })
    }

    /// What an end means that nobody waited for.
    pub(super) const fn of(ending: &Ending) -> Self {
        match ending {
            Ending::ByUs => Self::Done,
            Ending::ByServer {
                code: 1000 | 1001 | 1005,
            } => Self::Done,
            Ending::ByServer { code: 1006 } | Ending::Lost => Self::Lost,
            Ending::ByServer { code: 1008 | 4003 } | Ending::Refused => Self::Refused,
            Ending::ByServer { .. } | Ending::PutOut => Self::ClosedBadly,
        }
    }
}
