//! How a connection begins.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use nuncio_model::CloseCode;
use nuncio_websocket::handshake::{Accepted, Offer};
use nuncio_websocket::{Connection, ConnectionConfig, Role};
use tokio::net::TcpStream;

use super::client::{Agreed, Client, State};
use super::heartbeat::Heartbeat;
use super::link::{Link, Phase, Task, Told};
use super::options::{Beats, WebSocketOptions};
use super::request::{Rejection, Request};
use super::{Endpoint, WebSocket};
use crate::app::{App, Body, Closed, ClosedBy, RequestBody};
use crate::clock;
use crate::driver::Shared;
use crate::io::{Direct, Io, Woken};
use crate::service::{Service, Taken, accept_with, refused, reregister, switching};
use crate::sink::{Outbox, Wire};

impl<A: App> Service<A> {
    /// Answers a request for an endpoint of the program.
    pub(crate) async fn upgrade_raw(
        self,
        endpoint: Arc<Endpoint>,
        mut request: http::Request<RequestBody>,
    ) -> Response<Body> {
        let app = &self.shared.app;
        let options = &endpoint.options;
        let deflate = options.deflate.map(|deflate| deflate.config);
        let choose = |offer: &Offer<'_>| options.choose(offer.subprotocols());
        let accepted = match accept_with(&request, choose, deflate.as_ref()) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                app.handshake_refused(refusal.status());
                return refused(&refusal);
            }
        };
        let on_upgrade = hyper::upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let address = match app.admit_raw(&parts.uri, &parts.headers, self.peer) {
            Ok(address) => address,
            Err(response) => return *response,
        };
        let request = Request::new(parts, address);
        let request = match options.verified(request).await {
            Ok(request) => request,
            Err(rejection) => {
                app.handshake_refused(rejection.status().as_u16());
                return rejection.into_response();
            }
        };
        let response = switching(&accepted);
        let opening = Opening::new(self.shared, endpoint, accepted, request);
        tokio::spawn(opening.begin(on_upgrade));
        response
    }
}

/// How long a program may think about a client.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);

impl WebSocketOptions {
    fn choose(&self, offered: &[&str]) -> Option<String> {
        let chosen = match &self.subprotocols {
            None => offered.first(),
            Some(spoken) => offered
                .iter()
                .find(|name| spoken.iter().any(|spoken| spoken == *name)),
        };
        chosen.map(|name| (*name).to_owned())
    }

    async fn verified(&self, request: Request) -> Result<Request, Rejection> {
        let Some(verify) = &self.verify else {
            return Ok(request);
        };
        let late = || Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "The check took too long");
        tokio::time::timeout(VERIFY_TIMEOUT, verify(request))
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}

/// A client that is let in. It is one of the endpoint's clients before it hears so: a broadcast after that reaches it.
struct Opening<A: App> {
    shared: Arc<Shared<A>>,
    endpoint: Arc<Endpoint>,
    request: Request,
    client: Client,
    outbox: Arc<Outbox>,
    connection: Connection,
    since: Instant,
}

impl<A: App> Opening<A> {
    fn new(
        shared: Arc<Shared<A>>,
        endpoint: Arc<Endpoint>,
        accepted: Accepted,
        request: Request,
    ) -> Self {
        let limits = &shared.settings.connection;
        let options = &endpoint.options;
        let message_bytes_max = options
            .message_bytes_max
            .unwrap_or(limits.message_bytes_max);
        let outbox_bytes_max = options
            .outbox_bytes_max
            .unwrap_or(limits.outbox_bytes_max.max(message_bytes_max));
        let outbox = Arc::new(Outbox::new(Wire::Late(OnceLock::new()), outbox_bytes_max));
        let agreed = Agreed {
            id: crate::random::socket_id(),
            address: request.address(),
            subprotocol: accepted.subprotocol,
            window: accepted.deflate.map(|deflate| deflate.server_window),
            outbox_bytes_max,
        };
        let client = Client::new(agreed, &outbox, endpoint.clients.clone());
        endpoint.clients.insert(client.clone());
        shared.app.raw_opened(&client);
        let config = ConnectionConfig {
            message_bytes_max: message_bytes_max as u64,
            deflate: accepted.deflate,
        };
        Self {
            shared,
            endpoint,
            request,
            client,
            outbox,
            connection: Connection::new(Role::Server, config),
            since: clock::now().instant,
        }
    }

    async fn begin(self, on_upgrade: OnUpgrade) {
        let upgraded = match on_upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return self.abandon(&error),
        };
        match Taken::from(upgraded) {
            Taken::Plain(stream, early) => match reregister(stream) {
                Ok(stream) => self.spawn_direct(stream, &early),
                Err(error) => self.abandon(&error),
            },
            Taken::Tls(stream, early) => self.spawn(Woken::new(stream), &early),
            Taken::Other(stream) => self.spawn(Woken::new(stream), &Bytes::new()),
        }
    }

    /// The client was gone before it heard that it is let in.
    fn abandon(self, error: &dyn std::error::Error) {
        let Self {
            shared,
            endpoint,
            client,
            outbox,
            since,
            ..
        } = self;
        client.advance(State::Closed);
        endpoint.clients.remove(&client);
        outbox.close();
        let closed = Closed {
            code: CloseCode::ABNORMAL,
            reason: error.to_string().into(),
            by: ClosedBy::Nobody,
            after: clock::now().instant.saturating_duration_since(since),
        };
        shared.app.raw_closed(&client, &closed);
    }

    fn spawn_direct(self, stream: TcpStream, early: &Bytes) {
        let outbox = self.outbox.clone();
        if let Wire::Late(late) = outbox.sink() {
            let _ = late.set(Box::new(stream));
        }
        self.spawn(Direct, early);
        // What was sent to it meanwhile.
        outbox.flush();
    }

    /// Starts the task that lives as long as the connection and its handler; it holds nothing of the handshake.
    fn spawn<I: Io>(self, io: I, early: &Bytes) {
        let Self {
            shared,
            endpoint,
            request,
            client,
            outbox,
            connection,
            since,
        } = self;
        let handling = (endpoint.handler)(WebSocket::new(client.clone()), request);
        let beats = endpoint.options.heartbeat;
        let link = Link {
            heartbeat: heartbeat(beats, &shared.settings.connection, since),
            shared,
            endpoint,
            client,
            io,
            outbox,
            connection,
            since,
            phase: Phase::Open,
            ending: None,
            told: Told::NotYet,
            armed: None,
            stash: early.to_vec(),
        };
        tokio::spawn(Task {
            link: Some(link),
            handling: Some(handling),
        });
    }
}

fn heartbeat(
    beats: Beats,
    limits: &nuncio_model::ConnectionLimits,
    now: Instant,
) -> Option<Heartbeat> {
    let (interval, timeout) = match beats {
        Beats::AsServer => (limits.heartbeat_interval, limits.heartbeat_timeout),
        Beats::Every(interval, timeout) => (interval, timeout),
        Beats::Never => return None,
    };
    Some(Heartbeat::new(interval, timeout, now))
}
