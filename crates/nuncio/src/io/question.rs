//! Events that clients are to acknowledge.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nuncio_model::{EventName, Push, SocketId, Vocabulary};
use nuncio_transport::clock;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::args::Args;
use super::broadcast::event_name;
use super::core::Core;
use super::{AskError, AskManyError, Broadcast, EmitError, Unanswered, outgoing};

/// How long an answer is waited for. The reference waits for ever.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A question to one client: emitted and answered when it is awaited.
#[must_use = "nothing is emitted before it is awaited"]
pub struct Question<T>(Inquiry, PhantomData<fn() -> T>);

/// A question to several clients: emitted when it is awaited, which gives all answers, or one by one with [`answers`](Self::answers).
#[must_use = "nothing is emitted before it is awaited"]
pub struct Questions<T>(Inquiry, PhantomData<fn() -> T>);

struct Inquiry {
    to: Broadcast,
    what: Result<(EventName, Args), EmitError>,
    timeout: Duration,
}

impl Inquiry {
    fn new(to: Broadcast, event: &str, data: &(impl Serialize + ?Sized)) -> Self {
        let what = event_name(event).and_then(|name| Ok((name, Args::encode(data)?)));
        let timeout = to.patience().unwrap_or(TIMEOUT);
        Self { to, what, timeout }
    }

    /// Emits it to all that can answer: clients of namespaces with handlers.
    fn ask<T>(self) -> Result<Answers<T>, EmitError> {
        let (name, args) = self.what?;
        let core = self.to.io().core.clone();
        let mut places = self.to.places()?;
        places.retain(|place| core.vocabulary_of(&place.namespace) == Vocabulary::Application);
        let asked: HashSet<SocketId> = places.iter().map(|place| place.id).collect();
        let (ack, said) = core.questions.open(&asked);
        let answers = Answers {
            core,
            ack,
            said,
            missing: asked,
            until: Instant::now() + self.timeout,
            answer: PhantomData,
        };
        if let Some(hub) = answers.core.hub() {
            if answers.core.is_overheard() {
                outgoing::tell(&answers.core, &places, &name, &args);
            }
            let push = Push::Question {
                name,
                data: args.data,
                attachments: args.attachments,
                ts: clock::now().unix_ms,
                ack,
                compression: self.to.compression(),
            };
            hub.node
                .push_to(&places, &push)
                .map_err(EmitError::Refused)?;
            // Who went between the choice and the question is told of by nobody.
            for id in &answers.missing {
                if hub.node.socket(id).is_none() {
                    answers.core.questions.gone(id);
                }
            }
        }
        Ok(answers)
    }
}

impl<T> Question<T> {
    pub(super) fn new(to: Broadcast, event: &str, data: &(impl Serialize + ?Sized)) -> Self {
        Self(Inquiry::new(to, event, data), PhantomData)
    }

    /// Waits this long. Default 30 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for Question<T> {
    type Output = Result<T, AskError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut answers = self.0.ask::<T>()?;
            match answers.next().await {
                Some((_, answer)) => answer,
                None if answers.missing.is_empty() => Err(AskError::Disconnected),
                None => Err(AskError::Timeout),
            }
        })
    }
}

impl<T> Questions<T> {
    pub(super) fn new(to: Broadcast, event: &str, data: &(impl Serialize + ?Sized)) -> Self {
        Self(Inquiry::new(to, event, data), PhantomData)
    }

    /// Collects answers for this long. Default 30 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Emits the question, and gives the answers as they come.
    ///
    /// # Errors
    /// [`EmitError`].
    pub fn answers(self) -> Result<Answers<T>, EmitError> {
        self.0.ask()
    }
}

impl<T: DeserializeOwned + fmt::Debug + Send + 'static> IntoFuture for Questions<T> {
    type Output = Result<Vec<T>, AskManyError<T>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut coming = self.answers()?;
            let (mut answers, mut missing) = (Vec::new(), Vec::new());
            while let Some((socket, answer)) = coming.next().await {
                match answer {
                    Ok(answer) => answers.push(answer),
                    Err(_) => missing.push(socket),
                }
            }
            missing.extend(coming.missing());
            if missing.is_empty() {
                return Ok(answers);
            }
            Err(AskManyError::Unanswered(Unanswered { answers, missing }))
        })
    }
}

/// The answers of several clients, as they come.
pub struct Answers<T> {
    core: Arc<Core>,
    ack: u64,
    said: mpsc::UnboundedReceiver<Said>,
    missing: HashSet<SocketId>,
    until: Instant,
    answer: PhantomData<fn() -> T>,
}

/// What became of one client's answer; `None` when it went.
type Said = (SocketId, Option<Args>);

impl<T: DeserializeOwned> Answers<T> {
    /// The next answer, or that a client went without one. `None` when all have answered, or the time is over.
    pub async fn next(&mut self) -> Option<(SocketId, Result<T, AskError>)> {
        if self.missing.is_empty() {
            return None;
        }
        let said = tokio::time::timeout_at(self.until, self.said.recv()).await;
        let (socket, args) = said.ok()??;
        self.missing.remove(&socket);
        let answer = match args {
            Some(args) => args.decode().map_err(AskError::Answer),
            None => Err(AskError::Disconnected),
        };
        Some((socket, answer))
    }

    /// Who has not answered yet.
    pub fn missing(&self) -> impl Iterator<Item = SocketId> + '_ {
        self.missing.iter().copied()
    }
}

impl<T> Drop for Answers<T> {
    fn drop(&mut self) {
        self.core.questions.close(self.ack, &self.missing);
    }
}

/// The questions that wait for answers: bounded by those who wait, each until its time is over.
#[derive(Default)]
pub(super) struct OpenQuestions {
    last: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Open>,
    of: HashMap<SocketId, Vec<u64>>,
}

struct Open {
    waiting: HashSet<SocketId>,
    tell: mpsc::UnboundedSender<Said>,
}

impl OpenQuestions {
    fn open(&self, asked: &HashSet<SocketId>) -> (u64, mpsc::UnboundedReceiver<Said>) {
        let ack = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (tell, said) = mpsc::unbounded_channel();
        let mut state = self.state.lock();
        for socket in asked {
            state.of.entry(*socket).or_default().push(ack);
        }
        let waiting = asked.clone();
        state.open.insert(ack, Open { waiting, tell });
        (ack, said)
    }

    /// Takes an answer. One that nobody waits for is ignored.
    pub(super) fn answered(&self, socket: &SocketId, ack: u64, args: Args) {
        let mut state = self.state.lock();
        if state.forget(ack, socket)
            && let Some(open) = state.open.get(&ack)
        {
            let _ = open.tell.send((*socket, Some(args)));
        }
    }

    /// A client went: it answers nothing any more.
    pub(super) fn gone(&self, socket: &SocketId) {
        let mut state = self.state.lock();
        for ack in state.of.remove(socket).unwrap_or_default() {
            if let Some(open) = state.open.get_mut(&ack)
                && open.waiting.remove(socket)
            {
                let _ = open.tell.send((*socket, None));
            }
        }
    }

    fn close(&self, ack: u64, missing: &HashSet<SocketId>) {
        let mut state = self.state.lock();
        for socket in missing {
            state.forget(ack, socket);
        }
        state.open.remove(&ack);
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.open.is_empty() && state.of.is_empty()
    }
}

impl State {
    /// Whether the socket was still to answer; it is not any more.
    fn forget(&mut self, ack: u64, socket: &SocketId) -> bool {
        let open = self.open.get_mut(&ack);
        let was_waiting = open.is_some_and(|open| open.waiting.remove(socket));
        if let Some(acks) = self.of.get_mut(socket) {
            acks.retain(|known| *known != ack);
            if acks.is_empty() {
                self.of.remove(socket);
            }
        }
        was_waiting
    }
}

#[cfg(test)]
mod tests {
    use nuncio_model::Json;

    use super::*;

    #[test]
    fn an_answer_is_taken_once_from_who_was_asked_and_nothing_is_left() {
        let (ann, bob) = (
            SocketId::from_random([1; 15]),
            SocketId::from_random([2; 15]),
        );
        let questions = OpenQuestions::default();
        let asked = HashSet::from([ann]);
        let (ack, mut said) = questions.open(&asked);

        questions.answered(&bob, ack, args());
        questions.answered(&ann, ack + 1, args());
        assert!(said.try_recv().is_err());
        questions.answered(&ann, ack, args());
        assert!(matches!(said.try_recv(), Ok((id, Some(_))) if id == ann));
        questions.answered(&ann, ack, args());
        assert!(said.try_recv().is_err());

        questions.close(ack, &HashSet::new());
        assert!(questions.is_empty());
    }

    #[test]
    fn who_goes_answers_nothing_and_leaves_nothing() {
        let ann = SocketId::from_random([1; 15]);
        let questions = OpenQuestions::default();
        let asked = HashSet::from([ann]);
        let (ack, mut said) = questions.open(&asked);
        let (unheard, _) = questions.open(&asked);

        questions.gone(&ann);

        assert!(matches!(said.try_recv(), Ok((id, None)) if id == ann));
        questions.close(ack, &HashSet::new());
        questions.close(unheard, &asked);
        assert!(questions.is_empty());
    }

    fn args() -> Args {
        Args {
            data: Json::null(),
            attachments: Box::default(),
        }
    }
}
