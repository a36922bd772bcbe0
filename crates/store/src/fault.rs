//! What can go wrong with an open store, and what a client is told about it.

use std::io;

use nuncio_model::Refusal;

use crate::encoding::DecodeError;

/// What can go wrong with an open store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The database or the disk.
    #[error(transparent)]
    Database(redb::Error),
    /// A row that this crate cannot have written.
    #[error("room {room} at seq {first_seq}: {reason}")]
    Damaged {
        room: u64,
        first_seq: u64,
        reason: DecodeError,
    },
    /// The database is closed, or could not be opened again.
    #[error("the message store is not open")]
    Closed,
}

impl Fault {
    /// Whether another attempt with the database opened again may do better.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Database(_) | Self::Closed => true,
            Self::Damaged { .. } => false,
        }
    }

    /// What whoever wanted to write is told.
    pub(crate) fn refusal_of_writing(&self) -> Refusal {
        if self.is_full() {
            return Refusal::unavailable(
                "The disk of the message store is full: free some space, publishing then goes on by itself",
            );
        }
        Refusal::unavailable(format!(
            "The message store cannot be written ({self}); it is tried again every second"
        ))
    }

    /// What whoever wanted to read is told.
    pub(crate) fn refusal_of_reading(&self) -> Refusal {
        Refusal::unavailable(format!("The message store cannot be read ({self})"))
    }

    fn is_full(&self) -> bool {
        let Self::Database(redb::Error::Io(error)) = self else {
            return false;
        };
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}
