//! What is counted of hooks. The labels are the backends of the configuration, and the kinds of hooks.

use std::sync::atomic::{AtomicU64, Ordering};

use nuncio_store::EventTotals;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::breaker::Standing;
use crate::config::{BackendUrl, HookKind};

type Kind = [(&'static str, &'static str); 1];
type Failure = [(&'static str, &'static str); 2];
type Backend = [(&'static str, String); 1];

/// Counters of questions and events.
#[derive(Debug, Clone)]
pub(crate) struct HookMetrics {
    seconds: Family<Kind, Histogram, fn() -> Histogram>,
    failures: Family<Failure, Counter>,
    breakers: Family<Backend, Gauge>,
    pub(crate) in_flight: Gauge,
    pub(crate) recorded: Counter,
    pub(crate) dropped: Counter,
    pub(crate) delivered: Family<Backend, Counter>,
    pub(crate) undelivered: Family<Backend, Counter>,
    pub(crate) waiting: Gauge,
    pub(crate) waiting_bytes: Gauge<i64>,
}

impl Default for HookMetrics {
    fn default() -> Self {
        Self {
            seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            failures: Family::default(),
            breakers: Family::default(),
            in_flight: Gauge::default(),
            recorded: Counter::default(),
            dropped: Counter::default(),
            delivered: Family::default(),
            undelivered: Family::default(),
            waiting: Gauge::default(),
            waiting_bytes: Gauge::default(),
        }
    }
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

impl HookMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "hook",
            "From a question to the backend's answer, by kind",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "hook_failures",
            "Questions that a backend did not answer, by kind and reason",
            self.failures.clone(),
        );
        registry.register(
            "hook_breaker",
            "Whether a backend is asked: 0 yes, 1 it is tried out, 2 no",
            self.breakers.clone(),
        );
        registry.register(
            "hooks_in_flight",
            "Questions under way",
            self.in_flight.clone(),
        );
        self.register_events(registry);
    }

    fn register_events(&self, registry: &mut Registry) {
        registry.register(
            "events_recorded",
            "Events taken into the log for backends",
            self.recorded.clone(),
        );
        registry.register(
            "events_dropped",
            "Events not taken into the log because it was full",
            self.dropped.clone(),
        );
        registry.register(
            "events_delivered",
            "Events that a backend accepted",
            self.delivered.clone(),
        );
        registry.register(
            "events_attempts_failed",
            "Batches of events that a backend did not accept at this attempt",
            self.undelivered.clone(),
        );
        registry.register(
            "events_waiting",
            "Events in the log that the slowest backend has not accepted yet",
            self.waiting.clone(),
        );
        registry.register_with_unit(
            "events_waiting",
            "Bytes of events in the log",
            Unit::Bytes,
            self.waiting_bytes.clone(),
        );
    }

    pub(crate) fn answered(&self, kind: HookKind, seconds: f64) {
        self.seconds
            .get_or_create(&[("hook", kind.as_str())])
            .observe(seconds);
    }

    pub(crate) fn failed(&self, kind: HookKind, reason: &'static str) {
        self.failures
            .get_or_create(&[("hook", kind.as_str()), ("reason", reason)])
            .inc();
    }

    /// What the log holds.
    pub(crate) fn hold(&self, totals: &EventTotals) {
        let gauge = |total: &AtomicU64| i64::try_from(total.load(Ordering::Relaxed));
        self.waiting.set(gauge(&totals.waiting).unwrap_or(i64::MAX));
        self.waiting_bytes
            .set(gauge(&totals.bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn breaker(&self, url: &BackendUrl, standing: Standing) {
        self.breakers
            .get_or_create(&backend(url))
            .set(standing as i64);
    }
}

/// The label of a backend: its URL without the query.
pub(crate) fn backend(url: &BackendUrl) -> Backend {
    [("backend", url.to_string())]
}

/// Brings a counter to what a total says.
pub(crate) fn raise(counter: &Counter, total: &AtomicU64) {
    let total = total.load(Ordering::Relaxed);
    counter.inc_by(total.saturating_sub(counter.get()));
}
