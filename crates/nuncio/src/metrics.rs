//! What the server counts, for Prometheus. No label has as many values as there are rooms or users.

mod counted;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use nuncio_model::{CloseCode, ErrorCode};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::hooks::HookMetrics;

type Labels = [(&'static str, String); 1];

/// All counters of a server.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Gauge,
    pub(crate) sessions: Family<Labels, Gauge>,
    pub(crate) handshakes_refused: Family<Labels, Counter>,
    pub(crate) messages_in: Counter,
    pub(crate) bytes_in: Counter,
    /// Messages that were no fan-out, and their bytes; what went out is this and the fan-out.
    pub(crate) replies: AtomicU64,
    pub(crate) reply_bytes: AtomicU64,
    closes: Family<Labels, Counter>,
    errors: Family<Labels, Counter>,
    pub(crate) rate_limited: Counter,
    pub(crate) slow_consumers: Counter,
    recoveries: Family<Labels, Counter>,
    pub(crate) resumes: Family<Labels, Counter>,
    pub(crate) publish_seconds: Histogram,
    api_requests: Family<Labels, Counter>,
    api_refusals: Family<Labels, Counter>,
    commit_seconds: Histogram,
    pub(crate) committed: Counter,
    pub(crate) commits_failed: Counter,
    pub(crate) hooks: HookMetrics,
    scraped: Scraped,
}

/// Values that others keep, copied when somebody looks.
#[derive(Default)]
struct Scraped {
    publications: Counter,
    deliveries: Counter,
    messages_out: Counter,
    encodes: Counter,
    bytes_out: Counter,
    rooms: Gauge,
    users: Gauge,
    parked: Gauge,
    resident: Gauge,
    private: Gauge,
}

/// What [`Scraped`] is copied from.
pub(crate) struct Present<'a> {
    pub(crate) counters: &'a nuncio_hub::Counters,
    pub(crate) rooms: usize,
    pub(crate) users: usize,
    pub(crate) parked: usize,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_05, 2.0, 18));
        let mut metrics = Self {
            registry: Registry::with_prefix("nuncio"),
            connections: Gauge::default(),
            sessions: Family::default(),
            handshakes_refused: Family::default(),
            messages_in: Counter::default(),
            bytes_in: Counter::default(),
            replies: AtomicU64::new(0),
            reply_bytes: AtomicU64::new(0),
            closes: Family::default(),
            errors: Family::default(),
            rate_limited: Counter::default(),
            slow_consumers: Counter::default(),
            recoveries: Family::default(),
            resumes: Family::default(),
            publish_seconds: seconds(),
            api_requests: Family::default(),
            api_refusals: Family::default(),
            commit_seconds: seconds(),
            committed: Counter::default(),
            commits_failed: Counter::default(),
            hooks: HookMetrics::default(),
            scraped: Scraped::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        self.hooks.register(registry);
        registry.register("connections", "Connections open", self.connections.clone());
        registry.register(
            "sessions",
            "Sessions connected, by transport",
            self.sessions.clone(),
        );
        registry.register(
            "handshakes_refused",
            "Handshakes refused, by HTTP status",
            self.handshakes_refused.clone(),
        );
        registry.register(
            "messages_received",
            "Messages from clients",
            self.messages_in.clone(),
        );
        registry.register_with_unit(
            "received",
            "Bytes of messages from clients",
            Unit::Bytes,
            self.bytes_in.clone(),
        );
        registry.register(
            "closes",
            "Connections ended, by close code",
            self.closes.clone(),
        );
        registry.register(
            "errors",
            "Messages refused, by error code",
            self.errors.clone(),
        );
        registry.register(
            "rate_limited",
            "Messages refused because of the rate limit",
            self.rate_limited.clone(),
        );
        registry.register(
            "slow_consumers",
            "Clients disconnected because they read too slowly",
            self.slow_consumers.clone(),
        );
        registry.register(
            "recoveries",
            "Rooms joined with a position, by outcome",
            self.recoveries.clone(),
        );
        registry.register(
            "resumes",
            "Sessions asked for again, by outcome",
            self.resumes.clone(),
        );
        registry.register_with_unit(
            "publish",
            "From a publish to its acknowledgement",
            Unit::Seconds,
            self.publish_seconds.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the server API that were read, by command",
            self.api_requests.clone(),
        );
        registry.register(
            "api_refusals",
            "Requests to the server API that were refused, by error code",
            self.api_refusals.clone(),
        );
        registry.register_with_unit(
            "commit",
            "One commit of the store",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register(
            "committed",
            "Messages committed to the store",
            self.committed.clone(),
        );
        registry.register(
            "commits_failed",
            "Messages refused because a commit failed",
            self.commits_failed.clone(),
        );
        let scraped = &self.scraped;
        registry.register(
            "publications",
            "Publications delivered to rooms",
            scraped.publications.clone(),
        );
        registry.register(
            "messages_sent",
            "Messages handed to clients: fan-out, replies and replayed messages",
            scraped.messages_out.clone(),
        );
        registry.register(
            "deliveries",
            "Messages handed to clients by fan-out",
            scraped.deliveries.clone(),
        );
        registry.register(
            "encodes",
            "Messages encoded for fan-out: once per encoder",
            scraped.encodes.clone(),
        );
        registry.register_with_unit(
            "sent",
            "Bytes handed to clients: fan-out, replies and replayed messages",
            Unit::Bytes,
            scraped.bytes_out.clone(),
        );
        registry.register("rooms", "Rooms with members", scraped.rooms.clone());
        registry.register("users", "Users online", scraped.users.clone());
        registry.register(
            "sessions_parked",
            "Sessions that wait for their clients to return",
            scraped.parked.clone(),
        );
        registry.register_with_unit(
            "memory_resident",
            "Memory of the process in RAM",
            Unit::Bytes,
            scraped.resident.clone(),
        );
        registry.register_with_unit(
            "memory_private",
            "Memory of the process that it shares with none",
            Unit::Bytes,
            scraped.private.clone(),
        );
    }

    pub(crate) fn closed(&self, code: CloseCode) {
        self.closes
            .get_or_create(&[("code", code.to_string())])
            .inc();
    }

    pub(crate) fn refused(&self, code: ErrorCode) {
        self.errors
            .get_or_create(&[("code", code.as_str().to_owned())])
            .inc();
        if code == ErrorCode::RateLimited {
            self.rate_limited.inc();
        }
    }

    pub(crate) fn api_answered(&self, command: &'static str) {
        self.api_requests
            .get_or_create(&[("command", command.to_owned())])
            .inc();
    }

    pub(crate) fn api_refused(&self, code: &'static str) {
        self.api_refusals
            .get_or_create(&[("code", code.to_owned())])
            .inc();
    }

    pub(crate) fn recovery(&self, recovered: bool) {
        let outcome = if recovered { "recovered" } else { "lost" };
        self.recoveries
            .get_or_create(&[("outcome", outcome.to_owned())])
            .inc();
    }

    /// The text that Prometheus reads (OpenMetrics 1.0).
    pub(crate) fn scrape(&self, present: &Present<'_>) -> String {
        let scraped = &self.scraped;
        raise(&scraped.publications, &present.counters.publications);
        raise(&scraped.deliveries, &present.counters.deliveries);
        raise(&scraped.encodes, &present.counters.encodes);
        let deliveries = present.counters.deliveries.load(Ordering::Relaxed);
        raise_to(
            &scraped.messages_out,
            deliveries + self.replies.load(Ordering::Relaxed),
        );
        let bytes = present.counters.bytes.load(Ordering::Relaxed);
        raise_to(
            &scraped.bytes_out,
            bytes + self.reply_bytes.load(Ordering::Relaxed),
        );
        set(&scraped.rooms, present.rooms);
        set(&scraped.users, present.users);
        set(&scraped.parked, present.parked);
        let (resident, private) = memory();
        set(&scraped.resident, resident);
        set(&scraped.private, private);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }
}

impl nuncio_store::Observer for Metrics {
    fn committed(&self, messages: usize, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.committed.inc_by(messages as u64);
    }

    fn failed(&self, messages: usize) {
        self.commits_failed.inc_by(messages as u64);
        tracing::error!(
            messages,
            "the store could not commit: publishes are refused until it can; is the disk full?"
        );
    }

    fn recovered(&self) {
        tracing::info!("the store commits again");
    }
}

fn raise(counter: &Counter, to: &AtomicU64) {
    raise_to(counter, to.load(Ordering::Relaxed));
}

fn raise_to(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

fn set(gauge: &Gauge<i64, AtomicI64>, to: usize) {
    gauge.set(i64::try_from(to).unwrap_or(i64::MAX));
}

/// Resident and private bytes of this process; 0 where the system does not tell.
fn memory() -> (usize, usize) {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let kib = |name: &str| {
        let lines = rollup.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok())
            .sum::<usize>()
    };
    (kib("Rss:") * 1024, kib("Private_") * 1024)
}

/// The metrics of a server, shared with its store.
pub(crate) type Shared = Arc<Metrics>;
