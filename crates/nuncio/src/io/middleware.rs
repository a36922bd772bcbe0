//! What looks at clients before they are in, and at their events before handlers do.

use super::handler::AnyMiddleware;
use super::task::{self, Caught};
use super::{Event, Refused};

/// Runs each middleware after the other; the first that refuses is the last.
pub(super) async fn pass(event: &Event, middleware: &[AnyMiddleware]) -> Result<(), Refused> {
    for check in middleware {
        let checking = task::make("middleware", || check(event));
        let checked = match checking {
            Some(Ok(checking)) => Caught(checking).await,
            Some(Err(mismatch)) => return Err(Refused::new(mismatch.to_string())),
            None => return Err(Refused::new("Internal error")),
        };
        match checked {
            Ok(result) => result?,
            Err(panic) => {
                task::log_panic(panic, "middleware");
                return Err(Refused::new("Internal error"));
            }
        }
    }
    Ok(())
}
