//! Hooks: a backend decides what clients may do, or is told what happened (`docs/hooks.md`).
//!
//! ```text
//! command ──> Order ──> ask ──> perform          a question never blocks a session, a room or a thread:
//!                        │                       its task waits, and what the session asks of the same room waits behind it
//!              in flight, breaker, retries
//!
//! rooms, sessions ──> Recorder ──> EventLog (disk) ──> one task for each destination, in order, until it is accepted
//! ```

mod admit;
mod answer;
mod ask;
mod backoff;
mod breaker;
mod command;
mod connect;
mod event;
mod http;
mod metrics;
mod order;
mod signature;

use std::collections::HashMap;
use std::sync::Arc;

use nuncio_model::{Namespace, Pattern};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub(crate) use admit::status_of;
pub(crate) use command::Wish;
pub(crate) use connect::{Arriving, Headers};
pub use event::EventsError;
pub(crate) use event::{Beginning, Events, Recorder, Telling};
pub(crate) use metrics::HookMetrics;

use crate::config::{BackendUrl, CheckedConfig, HookKind, OnFailure};
use ask::SharedRule;
use breaker::Breaker;
use http::Http;
use order::Order;

/// The backends that decide, and the questions under way.
pub(crate) struct Hooks {
    rules: Vec<SharedRule>,
    /// Whether any rule is about commands.
    decide_commands: bool,
    http: Arc<Http>,
    retries: u32,
    in_flight: Semaphore,
    order: Order<command::Held>,
    metrics: HookMetrics,
}

/// One rule, and how its backend does.
pub(crate) struct Rule {
    on: Vec<HookKind>,
    url: BackendUrl,
    namespace: Pattern,
    rooms: Pattern,
    on_failure: OnFailure,
    /// Shared by all rules of a backend.
    breaker: Arc<Mutex<Breaker>>,
}

impl Hooks {
    /// The hooks of the configuration; `None` where it has none.
    ///
    /// # Errors
    /// The certificates of the system cannot be read.
    pub(crate) fn from_config(
        config: &CheckedConfig,
        metrics: &HookMetrics,
    ) -> std::io::Result<Option<Arc<Self>>> {
        let hooks = &config.config.hooks;
        let Some(secret) = config
            .hook_secret
            .as_ref()
            .filter(|_| !hooks.rules.is_empty())
        else {
            return Ok(None);
        };
        let mut breakers = HashMap::new();
        let rules = hooks.rules.iter().map(|rule| {
            let breaker = breakers
                .entry(rule.url.uri().to_string())
                .or_insert_with(|| {
                    let breaker = Breaker::new(hooks.breaker_failures, hooks.breaker_pause);
                    Arc::new(Mutex::new(breaker))
                });
            Arc::new(Rule {
                on: rule.on.clone(),
                url: rule.url.clone(),
                namespace: rule.namespace.clone(),
                rooms: rule.rooms.clone(),
                on_failure: rule.on_failure,
                breaker: breaker.clone(),
            })
        });
        let rules: Vec<_> = rules.collect();
        let about_commands =
            |kind: &HookKind| matches!(kind, HookKind::Join | HookKind::Publish | HookKind::Call);
        Ok(Some(Arc::new(Self {
            decide_commands: rules.iter().any(|rule| rule.on.iter().any(about_commands)),
            rules,
            http: Arc::new(Http::new(secret, hooks)?),
            retries: hooks.retries,
            in_flight: Semaphore::new(hooks.in_flight),
            order: Order::new(),
            metrics: metrics.clone(),
        })))
    }

    /// The rule that counts: the first that fits.
    fn rule(
        &self,
        kind: HookKind,
        namespace: &Namespace,
        room: Option<&str>,
    ) -> Option<&SharedRule> {
        let mut rules = self.rules.iter();
        rules.find(|rule| {
            rule.on.contains(&kind)
                && rule.namespace.matches(namespace)
                && room.is_none_or(|room| rule.rooms.matches(room))
        })
    }
}
