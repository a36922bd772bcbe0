//! The outbox: the only way to a client.
//!
//! Replies, pongs, close frames and pushes are all items of one queue, so they never interleave. Whoever finds something in it may write it:
//! the flush that follows a publication, or the connection's own task.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::Waker;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::notice::Notice;
use crate::queue::Queue;

/// Where an outbox writes to.
pub trait Sink: Send + Sync + 'static {
    /// Who writes to it.
    fn writer(&self) -> Writer;

    /// Writes as much as goes at once; only called when [`writer`](Self::writer) is [`Writer::Anyone`].
    ///
    /// # Errors
    /// `WouldBlock` when nothing can be written now; anything else means that the connection is broken.
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// Who may write to a [`Sink`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A plain socket: whoever has something for it.
    Anyone,
    /// TLS, a poll, a stream in somebody's HTTP server: the connection's task, once it is woken.
    Task,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits, and nobody was going to write: the caller must see to a flush.
    Due,
    /// It waits for a flush that is coming anyway.
    Waits,
    /// The connection is ending; the item is gone.
    Dropped,
}

/// Queue, bound and socket of one client.
///
/// Idle, it owns no heap: the queue is in line for one item and allocated only while more wait.
pub struct Outbox<S> {
    sink: S,
    state: Mutex<State>,
}

struct State {
    queue: Queue,
    /// What most connections never have.
    aside: Option<Box<Aside>>,
    task: Option<Waker>,
    /// Bytes in `queue` and held aside.
    bytes: u32,
    bytes_max: u32,
    /// Whether the first item is what is left of one that is partly written.
    partial: bool,
    holds: u8,
    phase: Phase,
    /// Whether the client itself asked for some of what waits.
    asked: bool,
}

/// Allocated only while there is something in it.
#[derive(Default)]
struct Aside {
    /// Fan-out that waits until the reply of a join is in the queue.
    held: VecDeque<Bytes>,
    inbox: Vec<Notice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing waits.
    Idle,
    /// Something waits, and a flush is coming.
    Due,
    /// The socket is full; its task waits until it can be written to.
    Blocked,
    /// Everything up to the close frame is to be written, nothing more is taken.
    Finishing,
    /// Nothing is written any more.
    Closed,
}

/// How much higher the bound is while something waits that the client asked for.
const ASKED_FACTOR: u32 = 8;

impl<S: Sink> Outbox<S> {
    /// An empty outbox; `bytes_max` is the bound for a slow reader.
    pub fn new(sink: S, bytes_max: usize) -> Self {
        let state = State {
            queue: Queue::EMPTY,
            aside: None,
            task: None,
            bytes: 0,
            bytes_max: u32::try_from(bytes_max).unwrap_or(u32::MAX),
            partial: false,
            holds: 0,
            phase: Phase::Idle,
            asked: false,
        };
        Self {
            sink,
            state: Mutex::new(state),
        }
    }

    /// The socket behind it.
    pub const fn sink(&self) -> &S {
        &self.sink
    }

    /// Which of so many flushers writes it: always the same. Its address decides, which costs no memory.
    pub fn home(&self, flushers: usize) -> usize {
        (std::ptr::from_ref(self).addr() >> 7) % flushers
    }

    /// Queues a message that others caused. It waits behind the reply of a join that is under way.
    ///
    /// A reader so slow that the bound is passed is disconnected: what waits is dropped, and the task is told [`Notice::Overflow`].
    pub fn push(&self, item: Bytes) -> Pushed {
        let mut state = self.state.lock();
        if state.holds == 0 {
            return state.push(item);
        }
        if state.takes_none() {
            return Pushed::Dropped;
        }
        state.bytes += item.len() as u32;
        state.aside.get_or_insert_default().held.push_back(item);
        if state.is_over() {
            state.overflow();
        }
        Pushed::Waits
    }

    /// Queues a message that may be skipped: only when nothing waits.
    pub fn push_volatile(&self, item: Bytes) -> Pushed {
        let mut state = self.state.lock();
        if state.phase == Phase::Idle && state.holds == 0 {
            state.push(item)
        } else {
            Pushed::Dropped
        }
    }

    /// Queues an item of the conversation itself: a reply, a replayed message, a pong.
    ///
    /// While something waits that the client asked for, the bound is eight times as high: a history as large as the outbox is no sign of a slow reader.
    pub fn push_own(&self, item: Bytes) -> Pushed {
        let mut state = self.state.lock();
        state.asked = true;
        state.push(item)
    }

    /// Puts an item before all that waits, and leaves it to the caller to flush: what a task must say before it lets others write. It is not for sinks that
    /// others write to already, where the first item may be partly written.
    pub fn push_first(&self, item: Bytes) {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed || item.is_empty() {
            return;
        }
        state.bytes += item.len() as u32;
        state.queue.push_first(item);
        if state.phase == Phase::Idle {
            state.phase = Phase::Due;
        }
    }

    /// Makes what others cause wait, until [`release`](Self::release), behind what the conversation itself is about to say.
    pub fn hold(&self) {
        self.state.lock().holds += 1;
    }

    /// Takes one [`hold`](Self::hold) back; after the last, what was held is due.
    pub fn release(&self) -> Pushed {
        let mut state = self.state.lock();
        state.holds = state.holds.saturating_sub(1);
        if state.holds > 0 {
            return Pushed::Waits;
        }
        let held = state.take_held();
        if state.takes_none() {
            return Pushed::Dropped;
        }
        let mut pushed = Pushed::Waits;
        for item in held {
            state.bytes -= item.len() as u32;
            match state.push(item) {
                Pushed::Due => pushed = Pushed::Due,
                Pushed::Waits => {}
                Pushed::Dropped => return Pushed::Dropped,
            }
        }
        pushed
    }

    /// Queues the last item, a close frame or the like; what waits before it is still written, nothing more is taken.
    pub fn finish(&self, last: Bytes) {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return;
        }
        state.phase = Phase::Finishing;
        state.take_held();
        state.bytes = state.queue.bytes() + last.len() as u32;
        state.queue.push(last);
    }

    /// Drops what waits and takes nothing more.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        state.clear();
        state.aside = None;
        state.task = None;
    }

    /// Whether everything that was queued is written, or never will be.
    pub fn is_drained(&self) -> bool {
        self.state.lock().queue.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes as usize
    }

    /// Writes what waits, as far as the socket takes it. With [`Writer::Task`] it only wakes the task.
    pub fn flush(&self) -> Flushed {
        let mut state = self.state.lock();
        match self.sink.writer() {
            Writer::Anyone if state.phase == Phase::Blocked => Flushed::Blocked,
            Writer::Anyone => self.write(&mut state),
            Writer::Task => {
                state.wake();
                Flushed::Woken
            }
        }
    }

    /// Writes what waits after the socket became writable; for the connection's task.
    pub fn flush_blocked(&self) -> Flushed {
        self.write(&mut self.state.lock())
    }

    /// Whether the connection's task must write once the socket can be written to: it was full, or the end is to be written.
    pub fn is_waiting_for_socket(&self) -> bool {
        let state = self.state.lock();
        match state.phase {
            Phase::Blocked => true,
            Phase::Finishing => !state.queue.is_empty(),
            Phase::Idle | Phase::Due | Phase::Closed => false,
        }
    }

    /// Moves up to about `bytes_max` bytes of what waits to a task that writes itself. Returns how many bytes were taken.
    pub fn take(&self, items: &mut VecDeque<Bytes>, bytes_max: usize) -> usize {
        let mut state = self.state.lock();
        let mut taken = 0;
        while taken < bytes_max {
            let Some(item) = state.queue.pop() else {
                if state.phase == Phase::Due {
                    state.phase = Phase::Idle;
                }
                break;
            };
            taken += item.len();
            items.push_back(item);
        }
        state.bytes -= taken as u32;
        state.asked &= state.bytes > 0;
        taken
    }

    /// Tells the connection's task something and wakes it.
    pub fn notify(&self, notice: Notice) {
        let mut state = self.state.lock();
        if state.phase != Phase::Closed {
            state.aside.get_or_insert_default().inbox.push(notice);
            state.wake();
        }
    }

    /// Wakes the connection's task.
    pub fn wake(&self) {
        self.state.lock().wake();
    }

    /// Takes what the task was told, and leaves the waker for the next time.
    pub fn poll_inbox(&self, waker: &Waker) -> Vec<Notice> {
        let mut state = self.state.lock();
        match &mut state.task {
            Some(task) => task.clone_from(waker),
            None => state.task = Some(waker.clone()),
        }
        state.take_inbox()
    }

    fn write(&self, state: &mut State) -> Flushed {
        if state.phase == Phase::Closed {
            return Flushed::Broken;
        }
        loop {
            let mut buffers = SmallVec::<[IoSlice<'_>; 4]>::new();
            state.queue.buffers(&mut buffers);
            if buffers.is_empty() {
                if state.phase != Phase::Finishing {
                    state.phase = Phase::Idle;
                }
                return Flushed::Drained;
            }
            match self.sink.write(&buffers) {
                Ok(written) => {
                    drop(buffers);
                    state.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if state.phase != Phase::Finishing {
                        state.phase = Phase::Blocked;
                    }
                    state.wake();
                    return Flushed::Blocked;
                }
                Err(_) => {
                    drop(buffers);
                    state.phase = Phase::Closed;
                    state.clear();
                    state.wake();
                    return Flushed::Broken;
                }
            }
        }
    }
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing waits any more.
    Drained,
    /// The socket is full; its task goes on when it can.
    Blocked,
    /// The connection's task will write.
    Woken,
    /// The connection is broken or closed.
    Broken,
}

impl State {
    fn push(&mut self, item: Bytes) -> Pushed {
        if self.takes_none() {
            return Pushed::Dropped;
        }
        self.bytes += item.len() as u32;
        // One item larger than the bound still goes to a reader that keeps up.
        if self.is_over() && !self.queue.is_empty() {
            self.overflow();
            return Pushed::Dropped;
        }
        self.queue.push(item);
        if self.phase == Phase::Idle {
            self.phase = Phase::Due;
            return Pushed::Due;
        }
        Pushed::Waits
    }

    const fn is_over(&self) -> bool {
        let factor = if self.asked { ASKED_FACTOR } else { 1 };
        self.bytes > self.bytes_max.saturating_mul(factor)
    }

    const fn takes_none(&self) -> bool {
        matches!(self.phase, Phase::Finishing | Phase::Closed)
    }

    fn overflow(&mut self) {
        self.phase = Phase::Finishing;
        self.take_held();
        // The rest of an item that is half written must follow, or the close frame behind it would be read as its payload.
        let rest = if self.partial { self.queue.pop() } else { None };
        self.queue = rest.map_or(Queue::EMPTY, Queue::One);
        self.bytes = self.queue.bytes();
        self.aside
            .get_or_insert_default()
            .inbox
            .push(Notice::Overflow);
        self.wake();
    }

    fn clear(&mut self) {
        self.queue = Queue::EMPTY;
        self.take_held();
        self.bytes = 0;
        self.partial = false;
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written as u32;
        while let Some(first) = self.queue.first_mut() {
            if written < first.len() {
                first.advance(written);
                self.partial |= written > 0;
                return;
            }
            written -= first.len();
            self.partial = false;
            self.queue.pop();
        }
        self.asked &= self.bytes > 0;
    }

    fn take_held(&mut self) -> VecDeque<Bytes> {
        let held = self
            .aside
            .as_mut()
            .map(|aside| std::mem::take(&mut aside.held));
        self.forget_aside();
        held.unwrap_or_default()
    }

    fn take_inbox(&mut self) -> Vec<Notice> {
        let inbox = self
            .aside
            .as_mut()
            .map(|aside| std::mem::take(&mut aside.inbox));
        self.forget_aside();
        inbox.unwrap_or_default()
    }

    fn forget_aside(&mut self) {
        self.aside = self
            .aside
            .take()
            .filter(|aside| !(aside.held.is_empty() && aside.inbox.is_empty()));
    }

    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_waits_is_written_in_one_vectored_write() {
        let outbox = Outbox::new(Pipe::open(), 1000);

        assert_eq!(outbox.push(item("a")), Pushed::Due);
        assert_eq!(outbox.push(item("b")), Pushed::Waits);
        assert_eq!(outbox.flush(), Flushed::Drained);

        assert_eq!(outbox.sink.text(), "ab");
        assert_eq!(outbox.sink.writes.load(Ordering::Relaxed), 1);
        assert_eq!(outbox.push(item("c")), Pushed::Due, "idle again");
    }

    #[test]
    fn a_partial_write_goes_on_where_it_stopped() {
        let outbox = Outbox::new(Pipe::open(), 1000);
        outbox.sink.room.store(4, Ordering::Relaxed);
        for text in ["abc", "def", "ghi"] {
            outbox.push(item(text));
        }

        assert_eq!(outbox.flush(), Flushed::Blocked);
        assert!(outbox.is_waiting_for_socket());
        assert_eq!(
            outbox.flush(),
            Flushed::Blocked,
            "only its task tries again"
        );
        outbox.sink.room.store(100, Ordering::Relaxed);
        assert_eq!(outbox.flush_blocked(), Flushed::Drained);

        assert_eq!(outbox.sink.text(), "abcdefghi");
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn what_a_task_says_first_goes_before_all_that_waits() {
        let outbox = Outbox::new(Pipe::open(), 1000);
        outbox.push_first(item("a"));
        outbox.push(item("c"));

        outbox.push_first(item("b"));
        outbox.push_first(item("a"));
        outbox.flush();

        assert_eq!(outbox.sink.text(), "abac");
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(outbox.push(item("d")), Pushed::Due, "idle again");
    }

    #[test]
    fn fan_out_waits_behind_the_reply_of_a_join() {
        let outbox = Outbox::new(Pipe::open(), 1000);

        outbox.hold();
        outbox.push(item("live"));
        outbox.push_own(item("reply "));
        outbox.push_own(item("replay "));
        outbox.release();
        outbox.flush();

        assert_eq!(outbox.sink.text(), "reply replay live");
    }

    #[test]
    fn two_joins_under_way_release_only_after_both() {
        let outbox = Outbox::new(Pipe::open(), 1000);

        outbox.hold();
        outbox.hold();
        outbox.push(item("live"));
        outbox.release();
        outbox.push_own(item("second "));
        assert_eq!(
            outbox.release(),
            Pushed::Waits,
            "the second reply already made it due"
        );
        outbox.flush();

        assert_eq!(outbox.sink.text(), "second live");
    }

    #[test]
    fn a_slow_reader_is_cut_off_but_a_half_written_item_is_completed() {
        let outbox = Outbox::new(Pipe::open(), 10);
        outbox.sink.room.store(2, Ordering::Relaxed);
        outbox.push(item("abcd"));
        outbox.flush();
        outbox.push(item("efgh"));

        outbox.push(item("ijklmn"));

        assert!(matches!(
            outbox.poll_inbox(Waker::noop())[..],
            [Notice::Overflow]
        ));
        outbox.finish(item("-close"));
        outbox.sink.room.store(100, Ordering::Relaxed);
        outbox.flush_blocked();
        assert_eq!(outbox.sink.text(), "abcd-close");
        assert_eq!(outbox.push(item("x")), Pushed::Dropped);
    }

    #[test]
    fn held_fan_out_counts_against_the_bound() {
        let outbox = Outbox::new(Pipe::open(), 10);
        outbox.hold();

        for _ in 0..3 {
            outbox.push(item("abcde"));
        }

        assert!(matches!(
            outbox.poll_inbox(Waker::noop())[..],
            [Notice::Overflow]
        ));
    }

    #[test]
    fn a_history_as_large_as_the_outbox_does_not_cut_a_fast_reader_off() {
        let outbox = Outbox::new(Pipe::open(), 10);

        outbox.hold();
        outbox.push_own(item("reply "));
        for _ in 0..10 {
            assert_eq!(outbox.push_own(item("abcdef ")), Pushed::Waits);
        }
        outbox.push(item("live"));
        outbox.release();

        assert_eq!(outbox.flush(), Flushed::Drained);
        assert!(outbox.sink.text().ends_with("abcdef live"));
        assert!(outbox.poll_inbox(Waker::noop()).is_empty());
    }

    #[test]
    fn who_asks_and_does_not_read_is_cut_off_all_the_same() {
        let outbox = Outbox::new(Pipe::open(), 10);

        for _ in 0..=16 {
            outbox.push_own(item("abcde"));
        }

        assert!(matches!(
            outbox.poll_inbox(Waker::noop())[..],
            [Notice::Overflow]
        ));
    }

    #[test]
    fn once_all_is_read_the_bound_is_as_low_as_before() {
        let outbox = Outbox::new(Pipe::open(), 10);
        outbox.push_own(item("reply"));
        outbox.flush();

        for _ in 0..3 {
            outbox.push(item("abcde"));
        }

        assert!(matches!(
            outbox.poll_inbox(Waker::noop())[..],
            [Notice::Overflow]
        ));
    }

    #[test]
    fn an_overflow_while_held_items_are_released_drops_the_rest_of_them() {
        let outbox = Outbox::new(Pipe::open(), 2);
        outbox.hold();
        outbox.push(item("a"));
        outbox.push(item("b"));
        outbox.push_own(item("a reply much larger than the bound"));

        assert_eq!(outbox.release(), Pushed::Dropped);

        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn one_item_larger_than_the_bound_reaches_a_reader_that_keeps_up() {
        let outbox = Outbox::new(Pipe::open(), 10);

        assert_eq!(outbox.push(item("abcdefghijklmnop")), Pushed::Due);
        assert_eq!(outbox.flush(), Flushed::Drained);
    }

    #[test]
    fn a_volatile_item_is_skipped_while_anything_waits() {
        let outbox = Outbox::new(Pipe::open(), 1000);

        assert_eq!(outbox.push_volatile(item("a")), Pushed::Due);
        assert_eq!(outbox.push_volatile(item("b")), Pushed::Dropped);
        outbox.flush();

        assert_eq!(outbox.sink.text(), "a");
    }

    #[test]
    fn nothing_is_taken_after_the_close_frame() {
        let outbox = Outbox::new(Pipe::open(), 1000);
        outbox.finish(item("close"));

        assert_eq!(outbox.push(item("late")), Pushed::Dropped);
        outbox.flush();
        assert_eq!(outbox.sink.text(), "close");
        assert!(outbox.is_drained());
    }

    #[test]
    fn an_outbox_costs_at_most_80_bytes_beside_its_sink() {
        let bytes = size_of::<Outbox<()>>();

        assert!(bytes <= 80, "{bytes}");
    }

    impl Sink for () {
        fn writer(&self) -> Writer {
            Writer::Task
        }
        fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            unreachable!("only its task writes")
        }
    }

    struct Pipe {
        written: Mutex<Vec<u8>>,
        room: AtomicUsize,
        writes: AtomicUsize,
    }

    impl Pipe {
        fn open() -> Self {
            Self {
                written: Mutex::default(),
                room: AtomicUsize::new(usize::MAX),
                writes: AtomicUsize::new(0),
            }
        }
        fn text(&self) -> String {
            String::from_utf8(self.written.lock().clone()).unwrap()
        }
    }

    impl Sink for Pipe {
        fn writer(&self) -> Writer {
            Writer::Anyone
        }
        fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
            self.writes.fetch_add(1, Ordering::Relaxed);
            let room = self.room.load(Ordering::Relaxed);
            let bytes: Vec<u8> = buffers
                .iter()
                .flat_map(|buffer| buffer.iter().copied())
                .take(room)
                .collect();
            if bytes.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room.store(room - bytes.len(), Ordering::Relaxed);
            self.written.lock().extend(&bytes);
            Ok(bytes.len())
        }
    }

    fn item(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }
}
