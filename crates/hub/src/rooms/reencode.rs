//! A socket that is written to in another way.

use super::Rooms;
use crate::encode::EncoderId;
use crate::outbox::Sink;
use crate::socket::Socket;

impl<S: Sink> Rooms<S> {
    /// Writes to a socket in another way from here on, in all its rooms. What was written before stays as it is, and what waits is written in the new way:
    /// the client must be ready to read both. O(rooms of the socket).
    ///
    /// A room that it joins at the same moment may go on in the old way.
    pub fn reencode(&self, socket: &Socket<S>, encoder: EncoderId) {
        socket.encoder.set(encoder);
        for name in socket.rooms() {
            let key = socket.key_of(name);
            let (_, mut shard) = self.lock(&key);
            if let (Some(slot), Some(room)) =
                (socket.rooms.slot(&key.room), shard.rooms.get_mut(&key))
            {
                room.reencode(slot, encoder);
            }
        }
    }
}
