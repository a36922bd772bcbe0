//! A broker in front of another that keeps joins waiting, as a disk or a network does.

use std::sync::{Arc, Mutex};

use nuncio_hub::{Attached, Broker, Done, Page, RoomKey, Since, Submission};
use nuncio_model::{HistoryQuery, Now, Position, Published};

/// Open at first.
pub(crate) struct Door<B> {
    inner: Arc<B>,
    waiting: Mutex<Option<Vec<Waiting>>>,
}

type Waiting = (RoomKey, Since, Now, Done<Attached>);

impl<B: Broker> Door<B> {
    pub(crate) const fn to(inner: Arc<B>) -> Self {
        Self {
            inner,
            waiting: Mutex::new(None),
        }
    }

    /// Joins wait from now on.
    pub(crate) fn close(&self) {
        *self.waiting.lock().unwrap() = Some(Vec::new());
    }

    /// Lets in who waits.
    pub(crate) fn open(&self) {
        let waiting = self.waiting.lock().unwrap().take();
        for (room, since, now, done) in waiting.into_iter().flatten() {
            self.inner.attach(&room, since, now, done);
        }
    }
}

impl<B: Broker> Broker for Door<B> {
    fn publish(&self, submission: Submission, done: Done<Published>) {
        self.inner.publish(submission, done);
    }

    fn attach(&self, room: &RoomKey, since: Since, now: Now, done: Done<Attached>) {
        let mut waiting = self.waiting.lock().unwrap();
        if let Some(waiting) = &mut *waiting {
            waiting.push((room.clone(), since, now, done));
            return;
        }
        drop(waiting);
        self.inner.attach(room, since, now, done);
    }

    fn detach(&self, room: &RoomKey, now: Now) {
        self.inner.detach(room, now);
    }

    fn history(&self, room: &RoomKey, query: &HistoryQuery, now: Now, done: Done<Page>) {
        self.inner.history(room, query, now, done);
    }

    fn clear(&self, room: &RoomKey, done: Done<Position>) {
        self.inner.clear(room, done);
    }

    fn handle_timeout(&self, now: Now) {
        self.inner.handle_timeout(now);
    }
}
