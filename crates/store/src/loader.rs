//! A reader: loads rooms that are not in memory, away from whoever asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nuncio_hub::{Deliver, RoomKey};
use nuncio_model::Refusal;

use crate::cache::{Entry, Kept, Op};
use crate::fault::Fault;
use crate::load::{Loaded, load};
use crate::queue::Write;
use crate::shared::Shared;

/// Loads rooms until the store is closed.
pub(crate) fn run<D: Deliver>(shared: &Arc<Shared<D>>) {
    while let Some((key, now_ms)) = shared.loads.pop() {
        match read(shared, &key, now_ms) {
            Ok(loaded) => install(shared, &key, loaded),
            Err(fault) => {
                tracing::warn!(room = %key.room, namespace = %key.namespace, %fault, "a room cannot be read from the message store");
                refuse(shared, &key, &fault.refusal_of_reading());
            }
        }
        shared.evict();
    }
}

/// Reads a room; where the database fails, again on the one that replaces it.
fn read<D: Deliver>(shared: &Shared<D>, key: &RoomKey, now_ms: u64) -> Result<Loaded, Fault> {
    shared.totals.loads.fetch_add(1, Ordering::Relaxed);
    let mut attempts = 1;
    loop {
        let (generation, result) = attempt(shared, key, now_ms);
        match result {
            Err(fault) if fault.is_passing() && attempts < ATTEMPTS_MAX => {
                // The queue takes nothing more only while the store is being closed: then no other database comes.
                if shared.queue.push(Write::Reopen { generation }).is_err() {
                    return Err(fault);
                }
                shared.databases.wait_beyond(generation, PATIENCE);
                attempts += 1;
            }
            result => return result,
        }
    }
}

fn attempt<D: Deliver>(
    shared: &Shared<D>,
    key: &RoomKey,
    now_ms: u64,
) -> (u64, Result<Loaded, Fault>) {
    let (generation, database) = shared.databases.present();
    let result = database
        .ok_or(Fault::Closed)
        .and_then(|database| load(&database, shared.salt, key, shared.limits(key), now_ms));
    (generation, result)
}

/// Puts a room into the cache and does what waited for it, in order.
fn install<D: Deliver>(shared: &Shared<D>, key: &RoomKey, loaded: Loaded) {
    let mut shard = shared.shards.of(key).lock();
    let mut kept = Box::new(Kept::new(loaded));
    for op in waiting(shard.remove(key)) {
        match op {
            // They keep their place until the writer is done with them, or never had one.
            Op::Publish(_) | Op::Clear(_) | Op::Detach { .. } => {}
            Op::Attach { .. } | Op::History { .. } => shared.queue.release(1, 0),
        }
        shared.apply(key, &mut kept, op);
    }
    shared.charge(&mut kept);
    shard.insert(key.clone(), Entry::Kept(kept));
}

fn refuse<D: Deliver>(shared: &Shared<D>, key: &RoomKey, refusal: &Refusal) {
    let mut shard = shared.shards.of(key).lock();
    for op in waiting(shard.remove(key)) {
        shared.refuse(op, refusal);
    }
}

fn waiting(entry: Option<Entry>) -> Vec<Op> {
    match entry {
        Some(Entry::Loading(waiting)) => waiting,
        Some(Entry::Kept(_)) | None => {
            unreachable!("a room that is asked for stays in loading until it is loaded")
        }
    }
}

/// How long a reader waits for the database to be opened again before it gives up on a room.
const PATIENCE: Duration = Duration::from_secs(5);

/// While the disk is full, the writer opens the database anew now and then: a reader may meet that more than once.
const ATTEMPTS_MAX: usize = 4;
