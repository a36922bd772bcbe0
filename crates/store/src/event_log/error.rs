//! Why an event log cannot be read or written at present.

use crate::fault::Fault;

/// The disk or the database fails. It is opened again at the next attempt.
#[derive(Debug, thiserror::Error)]
#[error("the event log cannot be used: {0}")]
pub struct EventLogError(#[source] pub(crate) Fault);
