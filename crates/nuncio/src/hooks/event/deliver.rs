//! Tells one destination everything, in order, until it is accepted.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use nuncio_store::{EventLog, EventLogError, Logged};
use nuncio_transport::random;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::happened::Kind;
use crate::config::EventRule;
use crate::hooks::backoff::Backoff;
use crate::hooks::http::{Http, Post};
use crate::hooks::metrics::{HookMetrics, backend};

/// The task of one destination. One batch is under way at a time, so that what is told is told in order.
pub(super) struct Destination {
    pub(super) rule: EventRule,
    /// The number of the next event.
    pub(super) position: u64,
    pub(super) log: Arc<EventLog>,
    pub(super) http: Arc<Http>,
    pub(super) metrics: HookMetrics,
    pub(super) writes: watch::Receiver<()>,
    pub(super) ends: watch::Receiver<bool>,
}

/// Events in one request.
const EVENTS_MAX: usize = 100;
/// Bytes of them; a larger event goes alone.
const BYTES_MAX: usize = 1024 * 1024;
/// How long the first event of a batch waits for others.
const LINGER: Duration = Duration::from_millis(100);

impl Destination {
    pub(super) async fn run(mut self) {
        loop {
            let page = match self.read().await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "events cannot be read: it is tried again");
                    self.pause(1).await;
                    continue;
                }
            };
            if page.is_empty() {
                if *self.ends.borrow() {
                    return;
                }
                self.wait().await;
                continue;
            }
            self.tell(&page).await;
            self.position = page.last().map_or(self.position, |event| event.number + 1);
            self.note().await;
        }
    }

    /// Waits for events, and then a little longer for others to share the request with.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.writes.changed() => {}
            _ = self.ends.wait_for(|ends| *ends) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            _ = self.ends.wait_for(|ends| *ends) => {}
        }
    }

    async fn read(&self) -> Result<Vec<Logged>, EventLogError> {
        let (log, position) = (self.log.clone(), self.position);
        spawn_blocking(move || log.read(position, EVENTS_MAX, BYTES_MAX))
            .await
            .unwrap_or_else(|_| Ok(Vec::new()))
    }

    /// Sends what this destination wants of a page, until it is accepted.
    async fn tell(&self, page: &[Logged]) {
        let wanted: Vec<_> = page.iter().filter(|event| self.wants(event)).collect();
        let Some(first) = wanted.first() else {
            return;
        };
        let id = id(self.log.salt(), first.number);
        let post = Post {
            url: &self.rule.url,
            hook: "events",
            id: &id,
            body: body(self.log.salt(), &wanted),
        };
        let mut failures = 0;
        while let Err(why) = self.http.post(&post).await {
            failures += 1;
            self.metrics
                .undelivered
                .get_or_create(&backend(&self.rule.url))
                .inc();
            if failures == 1 {
                tracing::warn!(backend = %self.rule.url, %why, "a backend does not take events: they are kept for it");
            }
            self.pause(failures).await;
        }
        if failures > 0 {
            tracing::info!(backend = %self.rule.url, failures, "a backend takes events again");
        }
        self.metrics
            .delivered
            .get_or_create(&backend(&self.rule.url))
            .inc_by(wanted.len() as u64);
    }

    fn wants(&self, event: &Logged) -> bool {
        let Ok(kind) = serde_json::from_slice::<Kind<'_>>(&event.event) else {
            return false;
        };
        let mut told = self.rule.events.iter();
        told.any(|told| told.as_str() == kind.r#type)
            && self.rule.namespace.matches(&kind.namespace)
            && kind.room.is_none_or(|room| self.rule.rooms.matches(&room))
    }

    /// Notes in the log how far this destination is. If that fails, some is told again after a restart, under the same ids.
    async fn note(&self) {
        let (log, next) = (self.log.clone(), self.position);
        let name = self.rule.url.uri().to_string();
        let noted = spawn_blocking(move || log.advance(&name, next)).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(%error, "it cannot be noted which events were told");
        }
        self.metrics.hold(self.log.totals());
    }

    async fn pause(&self, failures: u32) {
        let chance = u32::from_le_bytes(random::bytes());
        tokio::time::sleep(Backoff::EVENTS.pause(failures, chance)).await;
    }
}

/// The id of an event: the same whenever it is told, and no other event's.
fn id(salt: u64, number: u64) -> String {
    format!("{salt:016x}-{number}")
}

/// `{"events":[…]}`: each as it stands in the log, with its id and that of the connection that it begins or ends.
fn body(salt: u64, events: &[&Logged]) -> Bytes {
    let mut body = BytesMut::from(&br#"{"events":["#[..]);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(format!(r#"{{"id":"{}","#, id(salt, event.number)).as_bytes());
        if let Some(begun) = event.begun {
            body.put_slice(format!(r#""connection":"{}","#, id(salt, begun)).as_bytes());
        }
        body.put_slice(event.event.strip_prefix(b"{").unwrap_or(&event.event));
    }
    body.put_slice(b"]}");
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_json_with_the_ids_of_events_and_connections() {
        let event = |number, begun, text: &'static str| Logged {
            number,
            begun,
            event: Bytes::from_static(text.as_bytes()),
        };
        let events = [
            event(1, Some(1), r#"{"type":"connected"}"#),
            event(2, None, r#"{"type":"joined"}"#),
            event(3, Some(1), r#"{"type":"disconnected"}"#),
        ];

        let body = body(0xabc, &events.iter().collect::<Vec<_>>());

        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"events":[{"id":"0000000000000abc-1","connection":"0000000000000abc-1","type":"connected"},"#.to_owned()
                + r#"{"id":"0000000000000abc-2","type":"joined"},"#
                + r#"{"id":"0000000000000abc-3","connection":"0000000000000abc-1","type":"disconnected"}]}"#
        );
    }
}
