//! The answer to a call that may come at once or later, from any thread.

use std::sync::Arc;

use nuncio_hub::Notice;
use nuncio_model::{Outcome, Refusal};
use nuncio_transport::Outbox;
use parking_lot::Mutex;

/// Either `early`, when the answer came before the call returned, or a notice to the outbox.
struct Answer {
    state: Mutex<State>,
    outbox: Arc<Outbox>,
    call: u32,
}

enum State {
    Asking,
    Early(Result<Outcome, Refusal>),
    Late,
}

/// Runs `ask` with a function that takes its answer, whenever that comes.
///
/// `None` when it comes later: then it goes to the session's inbox.
pub(crate) fn now_or_later<F>(
    outbox: &Arc<Outbox>,
    call: u32,
    ask: F,
) -> Option<Result<Outcome, Refusal>>
where
    F: FnOnce(Box<dyn FnOnce(Result<Outcome, Refusal>) + Send>),
{
    let answer = Arc::new(Answer {
        state: Mutex::new(State::Asking),
        outbox: outbox.clone(),
        call,
    });
    let answered = answer.clone();
    ask(Box::new(move |result| answered.take(result)));
    let mut state = answer.state.lock();
    match std::mem::replace(&mut *state, State::Late) {
        State::Early(result) => Some(result),
        State::Asking | State::Late => None,
    }
}

impl Answer {
    fn take(&self, result: Result<Outcome, Refusal>) {
        let mut state = self.state.lock();
        match *state {
            State::Asking => *state = State::Early(result),
            State::Early(_) | State::Late => {
                drop(state);
                self.outbox.notify(Notice::Completed {
                    call: self.call,
                    result,
                });
            }
        }
    }
}
