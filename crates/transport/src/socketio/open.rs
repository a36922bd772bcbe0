//! How a connection begins: by a poll or by a WebSocket.

use std::sync::{Arc, OnceLock};

use nuncio_engineio::server::Connection;
use nuncio_engineio::{Query, Transport};
use nuncio_model::{Now, SocketId};
use nuncio_session::socketio::Session;
use tokio::sync::oneshot;

use super::driver::{Driver, End, Registered, Talk};
use super::http::Pending;
use super::link::{Link, Opened, Stream, server_side};
use super::mailbox::Mailbox;
use super::polling::Polling;
use super::seats::Seats;
use super::{Purpose, SocketIo};
use crate::app::{App, Visitor};
use crate::clock;
use crate::driver::Shared;
use crate::io::{Direct, Io, Woken};
use crate::sink::{Outbox, Wire};

/// Opens a connection whose client polls; the pending request is its first.
pub(super) fn polling<A: App>(
    shared: Arc<Shared<A>>,
    endpoint: &Arc<SocketIo>,
    query: &Query,
    visitor: Visitor,
) -> (SocketId, Arc<Mailbox>, Pending) {
    let now = clock::now();
    let sid = crate::random::socket_id();
    let wire = Wire::Late(OnceLock::new());
    let outbox = Arc::new(Outbox::new(wire, endpoint.outbox_bytes_max));
    let mailbox = Arc::new(Mailbox::new(outbox.clone(), query.protocol));
    let number = mailbox.number();
    let engine = Connection::polling(
        now.instant,
        endpoint.engine.clone(),
        &sid.to_string(),
        query.protocol,
        query.binary,
        number,
    );
    let (answer, answered) = oneshot::channel();
    let mut polling = Box::<Polling>::default();
    polling.expect(number, answer);
    endpoint.table.insert(sid, mailbox.clone());
    let transport = Transport::Polling;
    let mut driver = driver(shared, endpoint, outbox, engine, (visitor, transport), now);
    driver.polling = Some(polling);
    driver.mailbox = Some(Registered {
        sid,
        mailbox: mailbox.clone(),
    });
    tokio::spawn(driver);
    let pending = Pending {
        number,
        answered,
        abort: None,
        shrink: None,
    };
    (sid, mailbox, pending)
}

/// Opens a connection over a WebSocket whose handshake is done.
pub(super) fn websocket<A: App>(
    shared: Arc<Shared<A>>,
    endpoint: &Arc<SocketIo>,
    query: &Query,
    visitor: Visitor,
    opened: Opened,
) {
    let now = clock::now();
    let sid = crate::random::socket_id();
    let (wire, io): (Wire, Box<dyn Io>) = match opened.stream {
        Stream::Plain(stream) => (Wire::Direct(stream), Box::new(Direct)),
        Stream::Other(stream) => (Wire::Woken, Box::new(Woken::new(stream))),
    };
    let outbox = Arc::new(Outbox::new(wire, endpoint.outbox_bytes_max));
    let (engine, socket) = Connection::websocket(
        now.instant,
        endpoint.engine.clone(),
        &sid.to_string(),
        query.protocol,
        query.binary,
    );
    let connection = server_side(endpoint.engine.payload_bytes_max, opened.deflate);
    let mut link = Link::new(socket, io, connection);
    if !opened.early.is_empty() {
        link.stash = Some(Box::new(opened.early.to_vec()));
    }
    let transport = Transport::WebSocket;
    let mut driver = driver(shared, endpoint, outbox, engine, (visitor, transport), now);
    driver.link = Some(link);
    tokio::spawn(driver);
}

fn driver<A: App>(
    shared: Arc<Shared<A>>,
    endpoint: &Arc<SocketIo>,
    outbox: Arc<Outbox>,
    engine: Connection,
    (visitor, transport): (Visitor, Transport),
    now: Now,
) -> Driver<A> {
    let Visitor { opening, address } = visitor;
    let talk = match endpoint.purpose {
        Purpose::Sessions => Talk::Session(Session::new(
            shared.settings.clone(),
            endpoint.socket.clone(),
            match engine.protocol() {
                nuncio_engineio::Protocol::V3 => nuncio_socketio::Protocol::V4,
                nuncio_engineio::Protocol::V4 => nuncio_socketio::Protocol::V5,
            },
            opening,
            now,
        )),
        Purpose::Echo => Talk::Echo,
    };
    Driver {
        seats: Seats::new(shared.clone(), outbox.clone(), address, transport, now),
        shared,
        endpoint: endpoint.clone(),
        outbox,
        engine,
        talk,
        link: None,
        polling: None,
        mailbox: None,
        armed: None,
        end: End::Open,
    }
}
