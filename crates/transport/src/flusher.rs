//! The tasks that write what publications made due.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use nuncio_hub::Slice;

use crate::sink::Rooms;

/// Hands over and writes what is due, for ever. One task for each flusher of `rooms`.
///
/// It yields once before it begins, so that all publishers that became ready in the same turn of the runtime share one write per socket.
pub async fn run(rooms: Arc<Rooms>, home: usize) {
    let mut slice = Vec::new();
    loop {
        poll_fn(|cx| {
            if rooms.flushers().poll_signal(home, cx.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        tokio::task::yield_now().await;
        rooms.settle(home);
        while rooms.flushers().flush_slice(home, &mut slice) == Slice::More {
            tokio::task::yield_now().await;
            rooms.settle(home);
        }
    }
}
