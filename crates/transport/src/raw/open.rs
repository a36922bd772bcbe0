//! How a connection begins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use nuncio_websocket::handshake::{Accepted, Offer};
use nuncio_websocket::{Connection, ConnectionConfig, Role};

use super::client::{Agreed, Client};
use super::heartbeat::Heartbeat;
use super::link::{Link, Phase, Task, Told};
use super::options::{Beats, WebSocketOptions};
use super::request::{Rejection, Request};
use super::{Endpoint, WebSocket};
use crate::app::{App, Body, RequestBody};
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
        tokio::spawn(begin(self.shared, endpoint, on_upgrade, accepted, request));
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

async fn begin<A: App>(
    shared: Arc<Shared<A>>,
    endpoint: Arc<Endpoint>,
    on_upgrade: OnUpgrade,
    accepted: Accepted,
    request: Request,
) {
    let Ok(upgraded) = on_upgrade.await else {
        return;
    };
    let opening = Opening {
        shared,
        endpoint,
        accepted,
        request,
    };
    match Taken::from(upgraded) {
        Taken::Plain(stream, early) => match reregister(stream) {
            Ok(stream) => opening.spawn(Wire::Direct(stream), Direct, &early),
            Err(error) => {
                tracing::warn!(%error, "a socket could not be registered anew after its upgrade");
            }
        },
        Taken::Tls(stream, early) => opening.spawn(Wire::Woken, Woken::new(stream), &early),
        Taken::Other(stream) => opening.spawn(Wire::Woken, Woken::new(stream), &Bytes::new()),
    }
}

struct Opening<A> {
    shared: Arc<Shared<A>>,
    endpoint: Arc<Endpoint>,
    accepted: Accepted,
    request: Request,
}

impl<A: App> Opening<A> {
    /// Starts the task that lives as long as the connection and its handler; it holds nothing of the handshake.
    fn spawn<I: Io>(self, wire: Wire, io: I, early: &Bytes) {
        let Self {
            shared,
            endpoint,
            accepted,
            request,
        } = self;
        let limits = &shared.settings.connection;
        let options = &endpoint.options;
        let message_bytes_max = options
            .message_bytes_max
            .unwrap_or(limits.message_bytes_max);
        let outbox_bytes_max = options
            .outbox_bytes_max
            .unwrap_or(limits.outbox_bytes_max.max(message_bytes_max));
        let since = clock::now().instant;
        let outbox = Arc::new(Outbox::new(wire, outbox_bytes_max));
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
        let handling = (endpoint.handler)(WebSocket::new(client.clone()), request);
        let link = Link {
            heartbeat: heartbeat(options.heartbeat, limits, since),
            shared,
            endpoint,
            client,
            io,
            outbox,
            connection: Connection::new(Role::Server, config),
            since,
            phase: Phase::Open,
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
