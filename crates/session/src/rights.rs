//! Which right each command needs.

use nuncio_model::{Command, Grants, JoinRequest, Refusal, Right};

/// Checks everything but joins, each of whose rooms is checked by itself.
pub(crate) fn check(grants: &Grants, command: &Command) -> Result<(), Refusal> {
    match command {
        Command::Publish(request) => grants.check(&request.room, Right::Publish),
        Command::Private { to, .. } => grants.check_private(to),
        Command::Typing { room, .. } => grants.check(room, Right::Typing),
        Command::Presence { room, .. } => grants.check(room, Right::Presence),
        Command::History(query) => grants.check(&query.room, Right::History),
        Command::Leave(_) | Command::Call { .. } | Command::Join(_) | Command::Refresh { .. } => {
            Ok(())
        }
    }
}

/// A member receives what is said from now on; what was said before is history.
pub(crate) fn check_join(grants: &Grants, request: &JoinRequest) -> Result<(), Refusal> {
    grants.check(&request.room, Right::Join)?;
    if request.since.is_some() || request.history.is_some() {
        grants.check(&request.room, Right::History)?;
    }
    Ok(())
}
