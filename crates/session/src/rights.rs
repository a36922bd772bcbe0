//! Which right each command needs.

use nuncio_model::{Command, Grants, JoinRequest, Joined, Refusal, Right, RoomName};

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
fn check_join(grants: &Grants, request: &JoinRequest) -> Result<(), Refusal> {
    grants.check(&request.room, Right::Join)?;
    if request.since.is_some() || request.history.is_some() {
        grants.check(&request.room, Right::History)?;
    }
    Ok(())
}

/// Rooms that the grants forbid, with their places in the request.
pub(crate) type Refused = Vec<(usize, RoomName, Refusal)>;

/// Splits a join into what is granted, with no more history than is given at once, and what is not.
pub(crate) fn split_join(
    grants: &Grants,
    requests: Vec<JoinRequest>,
    history_max: u32,
) -> (Vec<JoinRequest>, Refused) {
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for (index, mut request) in requests.into_iter().enumerate() {
        match check_join(grants, &request) {
            Ok(()) => {
                request.history = request.history.map(|count| count.min(history_max));
                granted.push(request);
            }
            Err(refusal) => refused.push((index, request.room, refusal)),
        }
    }
    (granted, refused)
}

/// Puts what the grants forbid back in its place among the outcomes of the rest.
pub(crate) fn merge_join(rooms: &mut Vec<Result<Joined, (RoomName, Refusal)>>, refused: Refused) {
    for (index, room, refusal) in refused {
        rooms.insert(index, Err((room, refusal)));
    }
}
