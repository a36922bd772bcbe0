//! Connection state recovery: Socket.IO clients that come back to their session with what they missed.

use std::sync::Arc;

use nuncio_hub::{Domain, DomainConfig, Notice, Recovered, Restored, Role, TokenMark};
use nuncio_model::{
    Admitted, Epoch, Now, Offset, Opening, Outcome, Recovery, Refusal, Request, ResumeToken, Right,
    RoomName, Secret, Vocabulary,
};
use nuncio_store::{Store, StoreError};
use nuncio_transport::{Client, Form, Socket, Standing, clock};
use tokio::sync::oneshot;

use crate::app::{Nuncio, TAKEOVER_TIMEOUT};
use crate::calls::{Answered, socket_of, standing_of};
use crate::config::CheckedConfig;
use crate::hooks::Beginning;
use crate::io::{Arrival, Entering};
use crate::parking::Waiter;

/// The order of the namespaces whose clients recover, as configured: it goes on where the store ended, or begins anew. `None` where it is off.
pub(crate) fn domain(
    config: &CheckedConfig,
    store: Option<&Store>,
    seed: u64,
) -> Result<Option<Domain>, StoreError> {
    let section = &config.config.socketio;
    if !section.enabled || section.recovery.is_zero() {
        // Nobody is to come back to a session some day whose messages were not kept meanwhile.
        store.map(Store::forget_sessions).transpose()?;
        return Ok(None);
    }
    let config = DomainConfig {
        namespaces: section.recovery_namespaces.clone(),
        lost_ttl: section.recovery,
        silence_max: section.ping_interval + section.ping_timeout,
        log_bytes_max: section.recovery_log.0,
        lost_max: config.config.server.parked_max,
    };
    let restored = match store {
        Some(store) => store.restore(|namespace| config.covers(namespace))?,
        None => Restored {
            epoch: Epoch::from_random(seed),
            last: 0,
            dropped: None,
            entries: Vec::new(),
            records: Vec::new(),
        },
    };
    Ok(Some(Domain::new(config, restored, clock::now())))
}

/// What the CONNECT of a client says of its session before.
#[derive(Debug)]
struct Ticket {
    pid: ResumeToken,
    offset: Option<Offset>,
}

impl Ticket {
    /// Reads `pid` and `offset`. The reference's clients take the last text of any event for an offset: one that is none is no fault of theirs.
    fn of(auth: &Secret) -> Option<Self> {
        let auth: serde_json::Value = serde_json::from_str(auth.reveal()).ok()?;
        let pid = auth.get("pid")?.as_str()?.parse().ok()?;
        let offset = auth.get("offset").and_then(|offset| offset.as_str());
        let offset = offset.and_then(|offset| offset.parse().ok());
        Some(Self { pid, offset })
    }
}

impl Nuncio {
    /// What a client that is let in is told of its state: only those of protocol 5 can recover it.
    pub(crate) fn recovery_of(&self, client: &Client) -> Option<Recovery> {
        let form = Form::of(client.encoder)?;
        let recovers = form.recovers() && self.node.recovers(&client.namespace);
        recovers.then_some(Recovery::New)
    }

    /// Lets a client in that may have been here before: back into its session, or else as a new one.
    pub(crate) fn welcome_back(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        arrival: Arrival,
        now: Now,
    ) -> Answered {
        let auth = arrival.auth.as_ref();
        let ticket = self
            .recovery_of(client)
            .and_then(|_| auth.and_then(Ticket::of));
        match ticket {
            Some(ticket) => self.enter_again(client, call, ticket, arrival, now),
            None => self.welcome(client, call, arrival, now),
        }
    }

    /// Has the connection that still has the session read what its client sent last, and go: it may have said goodbye. Then this one asks again.
    fn wait_for(&self, holder: &Socket, client: &Client, call: u32, arrival: Arrival, now: Now) {
        let request = Request::Return {
            auth: arrival.auth.unwrap_or_else(|| Secret::new("{}")),
            opening: arrival
                .head
                .map_or_else(|| Opening::token_only(None), Opening::Request),
            identity: Box::new(arrival.identity),
        };
        let waiter = Waiter {
            outbox: client.outbox.clone(),
            call,
            request,
            until: now.instant + TAKEOVER_TIMEOUT,
        };
        if let Some(earlier) = self.parking.wait(holder.id, waiter) {
            let message = "a newer connection of the client wants the session";
            earlier.refuse(Refusal::unavailable(message));
        }
        // It may have gone before anybody waited, and told nobody.
        if self.node.socket(&holder.id).is_none()
            && let Some(waiter) = self.parking.waiter(holder.id)
        {
            waiter.retry();
        }
        holder.outbox.notify(Notice::TakenOver);
    }

    /// The session is claimed for the user that the token names now, with the grants that it gives now; without tokens, for whoever has the private id.
    /// Middleware has looked at it before, and does not look again, as in the reference.
    fn enter_again(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        ticket: Ticket,
        arrival: Arrival,
        now: Now,
    ) -> Answered {
        let identity = self.named(arrival.identity.clone(), ticket.pid.socket);
        let revocations = self.authenticator.revocations();
        let stands = |token: &TokenMark| {
            !revocations.hit(&identity.user, token.issued_at, token.id.as_deref())
        };
        if let Err(refusal) = self.check_namespace(&client.namespace, &identity.grants) {
            return Some(Err(refusal));
        }
        let Ticket { pid, offset } = ticket;
        let namespace = client.namespace.clone();
        if let Some(holder) = self.node.holder(&namespace, &identity.user, &pid, now) {
            self.wait_for(&holder, client, call, arrival, now);
            return None;
        }
        let claimed = self
            .node
            .claim(&namespace, &identity.user, &pid, offset, stands, now);
        self.metrics.recovery(claimed.is_some());
        let Some(claimed) = claimed else {
            return self.welcome(client, call, arrival, now);
        };
        let standing = standing_of(&identity);
        let socket = socket_of(client, pid, &identity.user, Role::Session);
        self.seat(client, &socket, &standing, Beginning::Resumed);
        let arrival = Arrival {
            identity: identity.clone(),
            ..arrival
        };
        let entering = Entering::again(&self.io, client, arrival, now);
        let vocabulary = Entering::vocabulary_of(entering.as_ref(), &socket);
        let grants = identity.grants.clone();
        // A program's handlers let a socket into rooms that its token does not name.
        let allows = move |room: &RoomName| {
            vocabulary == Vocabulary::Application || grants.rights(room).has(Right::Join)
        };
        let (mark, (tell, told)) = (mark_of(&standing), oneshot::channel());
        let done = move |recovered| drop(tell.send(recovered));
        self.node.recover(&socket, claimed, mark, allows, now, done);
        let admit = move |recovered: Recovered| {
            if let Some(entering) = entering {
                entering.restore(recovered.data.clone());
            }
            Outcome::Admitted(Box::new(Admitted {
                identity,
                resume: pid,
                joined: Vec::new(),
                recovery: Some(Box::new(Recovery::Recovered {
                    data: recovered.data,
                    missed: recovered.missed,
                })),
                vocabulary,
            }))
        };
        admit_when_told(client, call, told, admit)
    }
}

/// The outcome at once, where the session is restored already; else it is a notice to the client. Its handlers have started before it knows that it is in.
fn admit_when_told(
    client: &Client,
    call: u32,
    mut told: oneshot::Receiver<Result<Recovered, Refusal>>,
    admit: impl FnOnce(Recovered) -> Outcome + Send + 'static,
) -> Answered {
    match told.try_recv() {
        Ok(recovered) => Some(recovered.map(admit)),
        Err(_) => {
            let outbox = client.outbox.clone();
            tokio::spawn(async move {
                let gone = |_| Err(Refusal::unavailable("the server ended before it was done"));
                let result = told.await.unwrap_or_else(gone).map(admit);
                outbox.notify(Notice::Completed { call, result });
            });
            None
        }
    }
}

/// What a revocation may name a client's token by.
pub(crate) fn mark_of(standing: &Standing) -> TokenMark {
    TokenMark {
        issued_at: standing.iat,
        id: standing.token_id.clone(),
    }
}
