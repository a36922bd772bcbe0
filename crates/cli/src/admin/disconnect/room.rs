//! All sessions in a room, ended one by one: the API ends those of users.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Answer, Request};
use crate::admin::api::{Api, Query};

/// Sessions that are ended with one request: few enough for any `api.batch_max` above the smallest.
const TOGETHER: usize = 200;

#[derive(Deserialize)]
struct Page {
    sessions: Vec<Session>,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    session_id: String,
}

#[derive(Serialize)]
struct Command<'a> {
    disconnect: Request<'a>,
}

#[derive(Serialize)]
struct Batch<'a> {
    commands: Vec<Command<'a>>,
}

#[derive(Deserialize)]
struct Batched {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    /// Left out for a session that was gone already.
    ok: Option<Answer>,
}

/// Ends the sessions that are in a room now, each as `how` says, and returns how many there were.
///
/// # Errors
/// What the API says of the room, or of the whole of a request.
pub(super) async fn end(api: &Api, room: &str, how: &Request<'_>) -> Result<Answer> {
    let ids = ids(api, room, how.ns).await?;
    let mut sessions = 0;
    for ids in ids.chunks(TOGETHER) {
        let command = |id| Command {
            disconnect: Request {
                session_id: Some(id),
                ..how.clone()
            },
        };
        let commands = ids.iter().map(|id| command(&**id)).collect();
        let body = serde_json::to_string(&Batch { commands })?;
        let text = api.post("/batch", body).await?;
        let batched: Batched = serde_json::from_str(&text).context("the answer has no results")?;
        let ended = batched.results.into_iter().filter_map(|outcome| outcome.ok);
        sessions += ended.map(|answer| answer.sessions).sum::<u64>();
    }
    Ok(Answer { sessions })
}

async fn ids(api: &Api, room: &str, ns: Option<&str>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let mut query: Query<'_> = vec![("roomId", room.to_owned()), ("limit", "1000".to_owned())];
        query.extend(ns.map(|ns| ("ns", ns.to_owned())));
        query.extend(after.map(|after| ("after", after)));
        let text = api.get("/sessions", &query).await?;
        let page: Page = serde_json::from_str(&text).context("the answer has no sessions")?;
        ids.extend(page.sessions.into_iter().map(|session| session.session_id));
        after = page.next;
        if after.is_none() {
            return Ok(ids);
        }
    }
}
