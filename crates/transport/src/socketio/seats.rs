//! The places of one connection's client: one for each namespace that it is in, or asks to join.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use nuncio_engineio::Transport;
use nuncio_hub::{EncoderId, Notice};
use nuncio_model::{CloseCode, Grants, Namespace, Now, Outcome, Refusal, Request};
use nuncio_socketio::server::DisconnectReason;
use smallvec::{SmallVec, smallvec};

use crate::app::{About, App, Client, Closed, ClosedBy};
use crate::driver::Shared;
use crate::sink::Outbox;
use crate::socketio::Form;

/// The clients that the server knows of this connection. As long as it lives there is one at least, so that a shutdown reaches it.
pub(super) struct Seats<A: App> {
    shared: Arc<Shared<A>>,
    outbox: Arc<Outbox>,
    seats: SmallVec<[Seat; 1]>,
    address: IpAddr,
    since: Instant,
    transport: Transport,
    /// With what the client closed, once it has.
    closed: Option<CloseCode>,
}

struct Seat {
    /// The session's number for it; 0 while it is nobody's.
    member: u32,
    /// With what the server ended it, once it has.
    ended: Option<CloseCode>,
    client: Client,
}

impl<A: App> Seats<A> {
    pub(super) fn new(
        shared: Arc<Shared<A>>,
        outbox: Arc<Outbox>,
        address: IpAddr,
        transport: Transport,
        now: Now,
    ) -> Self {
        let mut seats = Self {
            shared,
            outbox,
            seats: SmallVec::new(),
            address,
            since: now.instant,
            transport,
            closed: None,
        };
        seats.keep_one();
        seats
    }

    /// Keeps a place for a client that is in no namespace.
    pub(super) fn keep_one(&mut self) {
        if self.seats.is_empty() {
            self.add(0, Namespace::default(), Form::DEFAULT.encoder());
        }
    }

    /// Gives the client a place in a namespace, where it is written to by this encoder.
    pub(super) fn arrive(&mut self, member: u32, namespace: Namespace, encoder: EncoderId) {
        match self.seats.iter_mut().find(|seat| seat.member == 0) {
            Some(seat) => {
                seat.member = member;
                seat.client.namespace = namespace;
                seat.client.encoder = encoder;
            }
            None => self.add(member, namespace, encoder),
        }
    }

    /// The client has moved to a WebSocket, with all its places.
    pub(super) fn upgraded(&mut self) {
        self.transport = Transport::WebSocket;
        for Seat { client, .. } in &mut self.seats {
            client.about.transport = Transport::WebSocket;
            self.shared.app.upgraded(client);
        }
    }

    /// Writes to the client in another way from here on.
    pub(super) fn reencode(&mut self, encoder: EncoderId) {
        for Seat { client, .. } in &mut self.seats {
            client.encoder = encoder;
            if let Some(socket) = &client.socket {
                self.shared.rooms.reencode(socket, encoder);
            }
        }
    }

    fn add(&mut self, member: u32, namespace: Namespace, encoder: EncoderId) {
        let client = Client {
            id: crate::random::socket_id(),
            outbox: self.outbox.clone(),
            socket: None,
            namespace,
            encoder,
            about: Box::new(About {
                standing: None,
                address: self.address,
                since: self.since,
                transport: self.transport,
            }),
        };
        self.shared.app.opened(&client, None);
        self.seats.push(Seat {
            member,
            ended: None,
            client,
        });
    }

    /// Has the server do what the client in this place asks.
    pub(super) fn call(
        &mut self,
        member: u32,
        number: u32,
        request: Request,
        now: Now,
    ) -> Option<Result<Outcome, Refusal>> {
        let mut seats = self.seats.iter_mut();
        let seat = seats.find(|seat| seat.member == member)?;
        self.shared.app.call(&mut seat.client, number, request, now)
    }

    /// Takes what a notice says of the clients themselves, and returns what their session is to be told.
    pub(super) fn handle_notice(&mut self, notice: Notice) -> SmallVec<[Notice; 1]> {
        match &notice {
            Notice::Regranted { namespace, grants } => self.regrant(namespace, grants),
            Notice::Disconnect {
                namespace, code, ..
            } => self.note_end(namespace, *code),
            Notice::Recheck => return self.revoked(),
            Notice::Completed { .. }
            | Notice::Retry { .. }
            | Notice::Close { .. }
            | Notice::Drain { .. }
            | Notice::TakenOver
            | Notice::Overflow
            | Notice::Removed { .. } => {}
        }
        smallvec![notice]
    }

    fn regrant(&mut self, namespace: &Namespace, grants: &Arc<Grants>) {
        for seat in self.seats_in(namespace) {
            if let Some(standing) = &mut seat.client.about.standing {
                standing.grants = grants.clone();
            }
        }
    }

    fn note_end(&mut self, namespace: &Namespace, code: CloseCode) {
        for seat in self.seats_in(namespace) {
            seat.ended = Some(code);
        }
    }

    fn seats_in<'a>(&'a mut self, namespace: &'a Namespace) -> impl Iterator<Item = &'a mut Seat> {
        let seats = self.seats.iter_mut();
        seats.filter(|seat| seat.client.namespace == *namespace)
    }

    /// A disconnect for each client whose token was revoked.
    fn revoked(&mut self) -> SmallVec<[Notice; 1]> {
        let mut notices = SmallVec::new();
        for seat in &mut self.seats {
            if self.shared.app.is_revoked(&seat.client) {
                seat.ended = Some(CloseCode::REVOKED);
                notices.push(Notice::Disconnect {
                    namespace: seat.client.namespace.clone(),
                    code: CloseCode::REVOKED,
                    reason: "Revoked".into(),
                });
            }
        }
        notices
    }

    /// The client left a place.
    pub(super) fn leave(&mut self, member: u32, reason: DisconnectReason, now: Now) {
        let left = self.seats.iter().position(|seat| seat.member == member);
        if let Some(index) = left {
            let seat = self.seats.remove(index);
            self.tell(seat, reason, now);
        }
    }

    /// Everybody leaves.
    pub(super) fn leave_all(&mut self, reason: DisconnectReason, now: Now) {
        for seat in std::mem::take(&mut self.seats) {
            self.tell(seat, reason, now);
        }
    }

    /// The client has closed: it meant to go.
    pub(super) fn note_close(&mut self, code: Option<nuncio_websocket::CloseCode>) {
        let code = code.map_or(CloseCode::NO_STATUS, |code| CloseCode(code.as_u16()));
        self.closed.get_or_insert(code);
    }

    fn tell(&self, seat: Seat, reason: DisconnectReason, now: Now) {
        let (by, code) = match seat.ended {
            Some(code) => (ClosedBy::Server, code),
            None => self.closed_by(reason),
        };
        let since = seat.client.about.since;
        let closed = Closed {
            code,
            reason: reason.as_str().into(),
            by,
            after: now.instant.saturating_duration_since(since),
        };
        self.shared.app.closed(seat.client, &closed, now);
    }

    /// The end of a TCP connection without a close frame is `transport close` too: nobody has closed.
    const fn closed_by(&self, reason: DisconnectReason) -> (ClosedBy, CloseCode) {
        match (reason, self.closed) {
            (DisconnectReason::ClientNamespaceDisconnect, _) => {
                (ClosedBy::Client, CloseCode::NORMAL)
            }
            (DisconnectReason::TransportClose, Some(code)) => (ClosedBy::Client, code),
            (
                DisconnectReason::ServerNamespaceDisconnect
                | DisconnectReason::ForcedServerClose
                | DisconnectReason::ForcedClose,
                _,
            ) => (ClosedBy::Server, CloseCode::POLICY),
            (DisconnectReason::ServerShuttingDown, _) => (ClosedBy::Server, CloseCode::RESTART),
            (DisconnectReason::ParseError, _) => (ClosedBy::Server, CloseCode::PROTOCOL),
            (
                DisconnectReason::TransportClose
                | DisconnectReason::TransportError
                | DisconnectReason::PingTimeout,
                _,
            ) => (ClosedBy::Nobody, CloseCode::ABNORMAL),
        }
    }
}

impl<A: App> Drop for Seats<A> {
    /// The server hears of every end.
    fn drop(&mut self) {
        self.leave_all(DisconnectReason::TransportClose, crate::clock::now());
    }
}
