//! How a session without a WebSocket begins: by `POST /poll`.

use std::sync::Arc;

use nuncio_engineio::Transport;
use nuncio_session::Session;
use tokio::sync::oneshot;

use super::Streams;
use super::driver::{Carrier, Driver, Opening, Phase, Sending};
use super::kept::Kept;
use super::mailbox::{Mailbox, Presence};
use super::reply::Reply;
use crate::app::{About, Admission, App, Client};
use crate::clock;
use crate::driver::Shared;
use crate::encoders::POLLING;
use crate::sink::{Outbox, Wire};

/// Opens a session with its first message, if it has one. What comes of it is told to the receiver, as long as the presence is held.
pub(super) fn session<A: App>(
    shared: Arc<Shared<A>>,
    endpoint: Arc<Streams>,
    admission: Admission,
    first: Option<Box<str>>,
) -> (Presence, oneshot::Receiver<Reply>) {
    let now = clock::now();
    let Admission {
        namespace,
        identity,
        resume,
        address,
        opening,
    } = admission;
    let bytes_max = shared.settings.connection.outbox_bytes_max;
    let outbox = Arc::new(Outbox::new(Wire::Woken, bytes_max));
    let mailbox = Arc::new(Mailbox::new(outbox.clone()));
    let client = Client {
        id: crate::random::socket_id(),
        outbox: outbox.clone(),
        socket: None,
        namespace,
        encoder: POLLING,
        about: Box::new(About {
            standing: None,
            address,
            since: now.instant,
            transport: Transport::Polling,
        }),
    };
    shared.app.opened(&client, opening);
    let presence = Presence::of(mailbox.clone());
    let (answer, answered) = oneshot::channel();
    let mut session = Session::new(shared.settings.clone(), now, client.id.as_bytes()[0]);
    let mut outputs = Vec::new();
    session.open(client.id, &mut outputs);
    if let Some(identity) = identity {
        session.enter(identity, &mut outputs);
    }
    if let Some(token) = resume {
        session.resume(token, &mut outputs);
    }
    let mut driver = Driver {
        shared,
        endpoint,
        outbox,
        mailbox,
        session,
        client: Some(client),
        carrier: Carrier::Opening(Box::new(Opening {
            answer,
            id: presence.id,
            refused: None,
        })),
        kept: Kept::default(),
        taken: 0,
        sending: first.map(|message| {
            Box::new(Sending {
                number: 0,
                messages: vec![message].into_iter(),
                close: None,
                answer: None,
            })
        }),
        token: None,
        armed: None,
        phase: Phase::Open,
    };
    driver.apply(&mut outputs, now);
    tokio::spawn(driver);
    (presence, answered)
}
