//! Events: what happened, for backends that are told.

mod deliver;
mod happened;
mod recorder;
mod session;
mod write;

use std::sync::Arc;
use std::time::Duration;

use nuncio_store::{EventLog, EventLogError, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use recorder::Recorder;
pub(crate) use session::Beginning;

use super::http::Http;
use super::metrics::HookMetrics;
use crate::config::{CheckedConfig, EventRule};
use deliver::Destination;
use happened::lost;
use write::Writer;

/// The log of events, and who is told of it.
pub(crate) struct Events {
    pub(crate) recorder: Arc<Recorder>,
    log: Arc<EventLog>,
    /// Each with the number of the event that it is told next.
    destinations: Vec<(EventRule, u64)>,
    http: Arc<Http>,
    metrics: HookMetrics,
    patience: Duration,
}

/// The tasks of [`Events`] at work.
pub(crate) struct Telling {
    recorder: Arc<Recorder>,
    writer: JoinSet<()>,
    tellers: JoinSet<()>,
    ending: watch::Sender<bool>,
    patience: Duration,
}

/// Why events cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// The log cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// Backends could not be known.
    #[error("the certificates that backends are known by cannot be used: {0}")]
    Http(#[from] std::io::Error),
}

impl Events {
    /// What the configuration says is told; `None` where it tells nobody. What a process before this one left connected is ended in the log here.
    ///
    /// # Errors
    /// [`EventsError`].
    pub(crate) fn from_config(
        config: &CheckedConfig,
        metrics: &HookMetrics,
    ) -> Result<Option<Self>, EventsError> {
        let hooks = &config.config.hooks;
        let Some(secret) = config
            .hook_secret
            .as_ref()
            .filter(|_| !hooks.events.is_empty())
        else {
            return Ok(None);
        };
        let bytes_max = hooks.events_bytes.0;
        let store = &config.config.store;
        let log = if store.enabled {
            EventLog::open(&store.path, bytes_max, lost)?
        } else {
            EventLog::in_memory(bytes_max, lost)
        };
        let names: Vec<_> = hooks
            .events
            .iter()
            .map(|rule| rule.url.uri().to_string())
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let positions = log.set_readers(&names)?;
        Ok(Some(Self {
            recorder: Arc::new(Recorder::new(hooks.events.clone())),
            log: Arc::new(log),
            destinations: hooks.events.iter().cloned().zip(positions).collect(),
            http: Arc::new(Http::new(secret, hooks)?),
            metrics: metrics.clone(),
            patience: hooks.timeout,
        }))
    }

    /// Begins to write and to tell.
    pub(crate) fn start(self) -> Telling {
        let Self {
            recorder,
            log,
            destinations,
            http,
            metrics,
            patience,
        } = self;
        let (ending, ends) = watch::channel(false);
        let (written, writes) = watch::channel(());
        let mut writer = JoinSet::new();
        let writing = Writer {
            recorder: recorder.clone(),
            log: log.clone(),
            metrics: metrics.clone(),
            written,
        };
        writer.spawn(writing.run());
        let mut tellers = JoinSet::new();
        for (rule, position) in destinations {
            let destination = Destination {
                rule,
                position,
                log: log.clone(),
                http: http.clone(),
                metrics: metrics.clone(),
                writes: writes.clone(),
                ends: ends.clone(),
            };
            tellers.spawn(destination.run());
        }
        Telling {
            recorder,
            writer,
            tellers,
            ending,
            patience,
        }
    }
}

impl Telling {
    /// Writes what is left to the log, and gives backends a while to take it; what they do not take stays in the log for the next start.
    pub(crate) async fn end(mut self) {
        self.recorder.end();
        while self.writer.join_next().await.is_some() {}
        let _ = self.ending.send(true);
        let telling = async { while self.tellers.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience, telling).await.is_err() {
            tracing::warn!("not all events are told yet: the rest waits for the next start");
        }
        self.tellers.shutdown().await;
    }
}
