//! All clients of an endpoint.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use nuncio_hub::Flushers;
use nuncio_model::SocketId;
use parking_lot::Mutex;

use super::client::Client;
use super::message::{Frames, Message};
use crate::sink::{Outbox, Rooms, Wire};

/// The clients that are connected to an endpoint. Clones are the same clients.
#[derive(Clone)]
pub struct Clients(Arc<Inner>);

struct Inner {
    clients: Mutex<HashMap<SocketId, Client>>,
    rooms: Arc<Rooms>,
    deflate_threshold: usize,
}

impl Clients {
    /// Nobody yet. What they are sent is written by the flushers of `rooms`.
    pub(super) fn new(rooms: Arc<Rooms>, deflate_threshold: usize) -> Self {
        Self(Arc::new(Inner {
            clients: Mutex::default(),
            rooms,
            deflate_threshold,
        }))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.clients.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are connected now, in no order. O(clients).
    pub fn iter(&self) -> impl Iterator<Item = Client> + use<> {
        let clients = self.0.clients.lock();
        clients.values().cloned().collect::<Vec<_>>().into_iter()
    }

    /// The client with an id.
    pub fn find(&self, id: SocketId) -> Option<Client> {
        self.0.clients.lock().get(&id).cloned()
    }

    /// Sends a message to everybody, and says to how many. It is framed, and perhaps compressed, once for all; everybody gets the broadcasts in the same
    /// order.
    pub fn broadcast(&self, message: impl Into<Message>) -> usize {
        self.broadcast_to(&message.into(), |_| true)
    }

    /// The same to everybody but one.
    pub fn broadcast_except(&self, except: &Client, message: impl Into<Message>) -> usize {
        self.broadcast_to(&message.into(), |client| client != except)
    }

    fn broadcast_to(&self, message: &Message, is_meant: impl Fn(&Client) -> bool) -> usize {
        let mut frames = Frames::new(message, self.0.deflate_threshold);
        let mut due = Vec::new();
        let clients = self.0.clients.lock();
        let meant = clients.values().filter(|client| is_meant(client));
        let sent = meant.filter(|client| client.push_frames(&mut frames, &mut due).is_ok());
        let sent = sent.count();
        drop(clients);
        self.flush(due);
        sent
    }

    fn flush(&self, due: Vec<Arc<Outbox>>) {
        let flushers = self.flushers();
        let mut homes = vec![Vec::new(); flushers.len()];
        for outbox in due {
            homes[outbox.home(flushers.len())].push(outbox);
        }
        for (home, outboxes) in homes.iter_mut().enumerate() {
            flushers.add_all(home, outboxes);
        }
    }

    /// The ways to all of them.
    pub fn outboxes(&self) -> Vec<Arc<Outbox>> {
        let clients = self.0.clients.lock();
        clients.values().filter_map(Client::outbox).collect()
    }

    pub(super) fn insert(&self, client: Client) {
        self.0.clients.lock().insert(client.id(), client);
    }

    pub(super) fn remove(&self, client: &Client) {
        self.0.clients.lock().remove(&client.id());
    }

    pub(super) fn flushers(&self) -> &Flushers<Wire> {
        self.0.rooms.flushers()
    }

    pub(super) fn deflate_threshold(&self) -> usize {
        self.0.deflate_threshold
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
