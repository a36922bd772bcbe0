//! One question to a backend: whether it may be asked, how often, and what its silence means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_model::{ErrorCode, Json, Refusal};
use nuncio_transport::random;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backoff::Backoff;
use super::http::{Post, PostError};
use super::{Hooks, Rule};
use crate::config::HookKind;

/// Whether a question may be asked twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The answer is all that it brings about.
    Safely,
    /// The backend may do something when it is asked: only if it got nothing of it.
    Unsent,
}

impl HookKind {
    const fn repeat(self) -> Repeat {
        match self {
            Self::Connect | Self::Join | Self::Refresh => Repeat::Safely,
            Self::Publish | Self::Call => Repeat::Unsent,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// As many questions as are allowed are under way.
    #[error("too many questions are under way")]
    Busy,
    /// The backend failed so often that it is left alone.
    #[error("it failed and is not asked for {0:?}")]
    Shut(Duration),
    /// It was asked.
    #[error(transparent)]
    Failed(#[from] PostError),
    /// What it answered is not what it should.
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl Unanswered {
    /// What the client is told: nothing about the backend but when to try again.
    pub(super) fn refusal(&self) -> Refusal {
        let (message, after) = match self {
            Self::Busy => ("Too many questions to the backend are under way", SOON),
            Self::Shut(pause) => ("The backend cannot be asked at present", *pause),
            Self::Failed(_) | Self::Unreadable(_) => ("The backend gave no usable answer", SOON),
        };
        Refusal {
            retry_after: Some(after),
            ..Refusal::new(ErrorCode::Unavailable, message)
        }
    }

    /// Whether the configuration may overrule it: a backend that is flooded is there.
    pub(super) const fn is_outage(&self) -> bool {
        match self {
            Self::Busy => false,
            Self::Shut(_) | Self::Failed(_) | Self::Unreadable(_) => true,
        }
    }

    const fn as_str(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Shut(_) => "breaker",
            Self::Failed(error) => error.as_str(),
            Self::Unreadable(_) => "answer",
        }
    }
}

/// When somebody may try again who was refused for want of an answer.
const SOON: Duration = Duration::from_secs(1);

impl Hooks {
    /// Asks a backend, repeatedly where that is safe, and reads its answer.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        rule: &Rule,
        kind: HookKind,
        question: &(impl Serialize + ?Sized),
    ) -> Result<A, Unanswered> {
        let id = random::socket_id().to_string();
        let body = body(kind, &id, question);
        let began = Instant::now();
        let answer = self.ask_repeatedly(rule, kind, &id, body).await;
        let answer = answer.and_then(|answer| read(&answer));
        match &answer {
            Ok(_) => self.metrics.answered(kind, began.elapsed().as_secs_f64()),
            Err(why) => {
                self.metrics.failed(kind, why.as_str());
                tracing::warn!(hook = kind.as_str(), backend = %rule.url, %why, "a backend did not answer");
            }
        }
        answer
    }

    async fn ask_repeatedly(
        &self,
        rule: &Rule,
        kind: HookKind,
        id: &str,
        body: Bytes,
    ) -> Result<Bytes, Unanswered> {
        let mut failures = 0;
        loop {
            let post = Post {
                url: &rule.url,
                hook: kind.as_str(),
                id,
                body: body.clone(),
            };
            let error = match self.ask_once(rule, &post).await {
                Err(Unanswered::Failed(error)) => error,
                done => return done,
            };
            failures += 1;
            let may_repeat = match kind.repeat() {
                Repeat::Safely => error.is_outage(),
                Repeat::Unsent => error.is_unsent(),
            };
            if !may_repeat || failures > self.retries {
                return Err(error.into());
            }
            let chance = u32::from_le_bytes(random::bytes());
            tokio::time::sleep(Backoff::QUESTION.pause(failures, chance)).await;
        }
    }

    async fn ask_once(&self, rule: &Rule, post: &Post<'_>) -> Result<Bytes, Unanswered> {
        let Ok(_place) = self.in_flight.try_acquire() else {
            return Err(Unanswered::Busy);
        };
        rule.breaker
            .lock()
            .admit(Instant::now())
            .map_err(Unanswered::Shut)?;
        self.metrics.in_flight.inc();
        let answer = self.http.post(post).await;
        self.metrics.in_flight.dec();
        let mut breaker = rule.breaker.lock();
        match &answer {
            Err(error) if error.is_outage() => breaker.failed(Instant::now()),
            Ok(_) | Err(_) => breaker.answered(),
        }
        self.metrics.breaker(&rule.url, breaker.standing());
        drop(breaker);
        Ok(answer?)
    }
}

/// A question as it is written: what all have in common, then its own fields.
fn body(kind: HookKind, id: &str, question: &(impl Serialize + ?Sized)) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a, Q: ?Sized> {
        r#type: &'static str,
        id: &'a str,
        time: u64,
        #[serde(flatten)]
        question: &'a Q,
    }
    let body = Body {
        r#type: kind.as_str(),
        id,
        time: nuncio_transport::clock::now().unix_ms,
        question,
    };
    Json::of(&body).as_bytes().clone()
}

fn read<A: DeserializeOwned>(answer: &[u8]) -> Result<A, Unanswered> {
    let unreadable = |why: String| Unanswered::Unreadable(why);
    let text = std::str::from_utf8(answer).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    // What clients get of it must burden no parser more than what clients send.
    let depth = Json::check_depth(text);
    depth.map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))
}

/// The rule of a backend, shared with the task that asks it.
pub(super) type SharedRule = Arc<Rule>;
