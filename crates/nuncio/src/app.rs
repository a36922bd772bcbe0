//! The server behind the transports: who may connect, what happens when a connection ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, Uri, header};
use nuncio_hub::{EncoderId, End, Role};
use nuncio_model::{
    CloseCode, ErrorCode, Head, Namespace, Now, Outcome, Refusal, Request, ResumeToken, SocketId,
};
use nuncio_transport::{
    Admission, AllowedOrigin, App, Body, Client, Closed, ClosedBy, Credentials, FeedAdmission,
    Form, Node, Outbox, POLLING, RequestBody, RequestError, SSE, Shared, Visitor, raw, text,
};
use parking_lot::Mutex;

use crate::auth::{Authenticator, CookieRule, RevocationFile, Token, find_token};
use crate::config::{CheckedConfig, client_address};
use crate::hooks::{Hooks, Recorder};
use crate::io::Io;
use crate::metrics::{self, Present};
use crate::origin::{Caller, redact};
use crate::parking::{Parked, Parking};
use crate::{api, assets, routes};

/// Everything that sessions and requests are answered from.
pub(crate) struct Nuncio {
    pub(crate) config: CheckedConfig,
    pub(crate) node: Arc<Node>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) parking: Parking,
    pub(crate) metrics: metrics::Shared,
    pub(crate) is_ready: AtomicBool,
    pub(crate) store_is_healthy: Box<dyn Fn() -> bool + Send + Sync>,
    /// Connections that nobody is behind yet, so that a shutdown reaches them too.
    pub(crate) anonymous: Mutex<HashMap<SocketId, Weak<Outbox>>>,
    pub(crate) assets: assets::Assets,
    pub(crate) io: Io,
    /// The clients of the program's own WebSockets, by endpoint.
    pub(crate) raw: Mutex<Vec<raw::Clients>>,
    /// Who may use the server API; `None` where there is none.
    pub(crate) api_keys: Option<api::Keyring>,
    /// Where revocations are kept over a restart, if they are.
    pub(crate) revocation_file: Option<RevocationFile>,
    pub(crate) began: Instant,
    /// Itself among what all drivers share, for the streams of the API.
    pub(crate) shared: OnceLock<Weak<Shared<Self>>>,
    /// The backends that decide.
    pub(crate) hooks: Option<Arc<Hooks>>,
    /// What backends are told.
    pub(crate) recorder: Option<Arc<Recorder>>,
}

impl App for Nuncio {
    async fn admit(
        self: &Arc<Self>,
        request: &Parts,
        peer: IpAddr,
    ) -> Result<Admission, Response<Body>> {
        let admission = self.admission(request, peer);
        match admission.map_err(|refused| self.turn_away(refused, &request.uri))? {
            (admission, None) => Ok(admission),
            (admission, Some(arriving)) => self
                .admit_arriving(admission, arriving)
                .await
                .map_err(|refusal| self.refuse_handshake(&refusal, &request.uri)),
        }
    }

    fn allow_origin(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Option<AllowedOrigin>, Box<Response<Body>>> {
        let credentials = match self.caller(uri, headers) {
            Ok(Caller::Program) => return Ok(None),
            Ok(Caller::TrustedPage) => Credentials::Allowed,
            Ok(Caller::AnyPage) => Credentials::Refused,
            Err(refused) => return Err(Box::new(self.turn_away(refused, uri))),
        };
        let origin = headers.get(header::ORIGIN).cloned();
        Ok(origin.map(|origin| AllowedOrigin {
            origin,
            credentials,
        }))
    }

    fn admit_visitor(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Visitor, Box<Response<Body>>> {
        let token = self
            .check_room()
            .and_then(|()| self.token_of(uri, headers, self.caller(uri, headers)?))
            .map_err(|refused| Box::new(self.turn_away(refused, uri)))?;
        Ok(Visitor {
            opening: self.opening(token.as_ref(), uri, headers),
            address: self.address_of(headers, peer),
        })
    }

    fn admit_raw(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<IpAddr, Box<Response<Body>>> {
        self.caller(uri, headers)
            .and_then(|_| self.check_room())
            .map_err(|refused| Box::new(self.turn_away(refused, uri)))?;
        Ok(self.address_of(headers, peer))
    }

    fn request_refused(&self, error: RequestError, uri: &Uri, headers: &HeaderMap, peer: IpAddr) {
        let address = self.address_of(headers, peer);
        tracing::debug!(code = error.code(), %error, %address, "a request for Socket.IO was refused");
        self.io.tell_connection_error(error, uri, address);
    }

    fn raw_opened(&self, client: &raw::Client) {
        self.metrics.connections.inc();
        tracing::debug!(id = %client.id(), address = %client.address(), "a WebSocket of the program opened");
    }

    fn raw_closed(&self, client: &raw::Client, closed: &Closed) {
        self.metrics.connections.dec();
        self.metrics.closed(closed.code);
        let (id, address) = (client.id(), client.address());
        let (code, reason, by) = (closed.code.0, &*closed.reason, closed.by);
        tracing::debug!(%id, %address, code, reason, ?by, "a WebSocket of the program closed");
    }

    async fn admit_poll(
        self: &Arc<Self>,
        request: &Parts,
        peer: IpAddr,
    ) -> Result<Admission, Response<Body>> {
        let admission = self.admission(request, peer);
        match admission.map_err(|refused| self.turn_away_in_json(refused.into(), &request.uri))? {
            (admission, None) => Ok(admission),
            (admission, Some(arriving)) => self
                .admit_arriving(admission, arriving)
                .await
                .map_err(|refusal| self.turn_away_in_json(refusal.into(), &request.uri)),
        }
    }

    async fn admit_feed(
        self: &Arc<Self>,
        request: &Parts,
        peer: IpAddr,
    ) -> Result<FeedAdmission, Response<Body>> {
        self.feed_admission(request, peer)
            .await
            .map_err(|refused| self.turn_away_in_json(refused, &request.uri))
    }

    async fn respond(
        self: &Arc<Self>,
        request: http::Request<RequestBody>,
        peer: IpAddr,
    ) -> Response<Body> {
        routes::respond(self, request, peer).await
    }

    fn opened(&self, client: &Client, opening: Option<Arc<Head>>) {
        self.metrics.connections.inc();
        self.anonymous
            .lock()
            .insert(client.id, Arc::downgrade(&client.outbox));
        if let Some(head) = opening {
            self.io.note_head(client.id, head);
        }
    }

    fn upgraded(&self, client: &Client) {
        self.io.upgraded(&client.id);
    }

    fn call(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        request: Request,
        now: Now,
    ) -> Option<Result<Outcome, Refusal>> {
        self.answer(client, call, request, now)
    }

    fn closed(self: &Arc<Self>, client: Client, closed: &Closed, now: Now) {
        self.metrics.connections.dec();
        self.metrics.closed(closed.code);
        log_close(&client, closed);
        // Handlers hear of the end now, and once more when this is done.
        let _leaving = self.io.leaving(&client, closed);
        let presence = self.presence_of(&client);
        let Client {
            id,
            socket,
            about,
            namespace,
            encoder,
            ..
        } = client;
        let (Some(socket), Some(standing)) = (socket, about.standing) else {
            self.anonymous.lock().remove(&id);
            return;
        };
        self.metrics
            .sessions
            .get_or_create(&[("transport", transport(encoder).to_owned())])
            .dec();
        let waiter = self.parking.waiter(id);
        // Socket.IO clients and feeds know no resume token: nobody would come for their sessions.
        let may_come_back =
            closed.is_resumable() && Form::of(encoder).is_none() && socket.role == Role::Session;
        if Form::of(encoder).is_some() || (waiter.is_none() && !may_come_back) {
            // A page that is reloaded closes like one that is left: its user is still there for the grace, the session is not.
            let recovers = self.node.has_record(&id);
            let end = match closed.code {
                _ if recovers && closed.is_recoverable() => End::Lost,
                _ if recovers => End::Ended,
                CloseCode::GOING_AWAY => End::Lost,
                _ if closed.is_resumable() => End::Lost,
                _ => End::Ended,
            };
            self.node.disconnect(&socket, end, now);
            self.record_end(presence, closed);
            // A newer connection of its client waits to come back to the session, or to be told that there is none.
            if let Some(waiter) = waiter.or_else(|| self.parking.waiter(id)) {
                waiter.retry();
            }
            return;
        }
        let token = ResumeToken {
            socket: id,
            secret: socket.secret,
        };
        self.parking.expect(token);
        let rooms = self.node.disconnect(&socket, End::Lost, now);
        // Before it may be resumed: what is told of the next connection comes after this.
        self.record_end(presence, closed);
        let parked = Parked {
            token,
            user: socket.user.clone(),
            namespace,
            standing,
            rooms,
        };
        let later = self.parking.park(parked, now.instant);
        if let Some(waiter) = waiter.or(later) {
            waiter.retry();
        }
    }

    fn is_revoked(&self, client: &Client) -> bool {
        let Some((socket, standing)) = client.socket.as_ref().zip(client.about.standing.as_ref())
        else {
            return false;
        };
        if socket.role == Role::Visitor {
            return false;
        }
        let revocations = self.authenticator.revocations();
        revocations.hit(&socket.user, standing.iat, standing.token_id.as_deref())
    }

    fn moved(&self, client: &mut Client, encoder: EncoderId) {
        let sessions = |encoder| {
            let label = [("transport", transport(encoder).to_owned())];
            self.metrics.sessions.get_or_create_owned(&label)
        };
        if client.socket.is_some() {
            sessions(client.encoder).dec();
            sessions(encoder).inc();
        }
        client.encoder = encoder;
    }

    fn sent(&self, bytes: usize) {
        self.metrics.replies.fetch_add(1, Ordering::Relaxed);
        self.metrics
            .reply_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn handshake_refused(&self, status: u16) {
        self.metrics
            .handshakes_refused
            .get_or_create(&[("status", status.to_string())])
            .inc();
    }

    fn received(&self, bytes: usize) {
        self.metrics.messages_in.inc();
        self.metrics.bytes_in.inc_by(bytes as u64);
    }

    fn refused(&self, code: ErrorCode) {
        self.metrics.refused(code);
    }

    fn overflowed(&self) {
        self.metrics.slow_consumers.inc();
    }
}

/// A request that gets no connection: the status and what the client is told.
pub(crate) struct Refused(pub(crate) StatusCode, pub(crate) &'static str);

impl Refused {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder()
            .status(self.0)
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        match self.0 {
            StatusCode::UNAUTHORIZED => {
                response = response.header(header::WWW_AUTHENTICATE, "Bearer")
            }
            StatusCode::SERVICE_UNAVAILABLE => response = response.header(header::RETRY_AFTER, "1"),
            _ => {}
        }
        response
            .header(header::CONNECTION, "close")
            .body(text(self.1))
            .expect("the headers are valid")
    }
}

impl Nuncio {
    /// Whose page a request comes from.
    pub(crate) fn caller(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Refused> {
        self.config.origins.check(uri, headers).map_err(|error| {
            tracing::debug!(%error, "the origin of a request is not allowed");
            Refused(StatusCode::FORBIDDEN, "Origin not allowed")
        })
    }

    /// Whether one more session may begin.
    pub(crate) fn check_room(&self) -> Result<(), Refused> {
        let busy = |reason| Err(Refused(StatusCode::SERVICE_UNAVAILABLE, reason));
        if !self.is_ready.load(Ordering::Relaxed) {
            return busy("Server shutting down");
        }
        if self.sessions_len() >= self.config.config.server.sessions_max {
            return busy("Too many sessions");
        }
        Ok(())
    }

    pub(crate) fn token_of(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        caller: Caller,
    ) -> Result<Option<Token>, Refused> {
        let cookie = CookieRule {
            name: self.config.config.auth.cookie.as_deref(),
            caller,
        };
        find_token(uri, headers, cookie).map_err(|error| {
            tracing::debug!(%error, "the token of a request could not be told");
            Refused(
                StatusCode::BAD_REQUEST,
                "Several different tokens, or one that is not readable",
            )
        })
    }

    pub(crate) fn address_of(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        client_address(peer, headers, &self.config.config.server.trusted_proxies)
    }

    /// Counts a refused handshake.
    fn turn_away(&self, refused: Refused, uri: &Uri) -> Response<Body> {
        let status = refused.0.as_u16().to_string();
        self.metrics
            .handshakes_refused
            .get_or_create(&[("status", status)])
            .inc();
        let uri = redact(uri);
        tracing::debug!(status = refused.0.as_u16(), reason = refused.1, %uri, "a handshake was refused");
        refused.into_response()
    }

    /// Connections that are sessions, or may become one.
    pub(crate) fn sessions_len(&self) -> usize {
        let raw: usize = self.raw.lock().iter().map(raw::Clients::len).sum();
        self.node.sockets_len() + self.anonymous.lock().len() + raw
    }

    /// The text that Prometheus reads.
    pub(crate) fn scrape(&self) -> String {
        self.metrics.scrape(&Present {
            counters: self.node.rooms().counters(),
            rooms: self.node.rooms().len(),
            users: self.node.users_len(),
            parked: self.parking.len(),
        })
    }

    /// Does what is due. Called several times a second.
    pub(crate) fn handle_timeout(&self, now: Now) {
        self.node.handle_timeout(now);
        for waiter in self.parking.handle_timeout(now.instant) {
            let gone = Refusal::new(ErrorCode::NotFound, "the session was not given up in time");
            waiter.refuse(gone);
        }
    }
}

pub(crate) fn namespace(request: &Parts) -> Result<Namespace, Refused> {
    let Some(name) = query(request, "ns") else {
        return Ok(Namespace::default());
    };
    Namespace::parse(&name).map_err(|_| {
        Refused(
            StatusCode::BAD_REQUEST,
            "ns must be a namespace such as /chat",
        )
    })
}

/// A value of the query, decoded.
pub(crate) fn query(request: &Parts, name: &str) -> Option<String> {
    let query = request.uri.query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// How metrics call the transport of clients with this encoder.
pub(crate) fn transport(encoder: EncoderId) -> &'static str {
    match encoder {
        SSE => "sse",
        POLLING => "polling",
        _ if Form::of(encoder).is_some() => "socketio",
        _ => "websocket",
    }
}

/// Facts about an end: what broke is a warning, the rest is for who debugs.
fn log_close(client: &Client, closed: &Closed) {
    let user = client
        .socket
        .as_ref()
        .map_or("", |socket| socket.user.as_str());
    let (id, address) = (client.id, client.about.address);
    let Closed {
        code,
        reason,
        by,
        after,
    } = closed;
    let seconds = after.as_secs_f64();
    match by {
        ClosedBy::Nobody => {
            tracing::warn!(%id, user, %address, code = code.0, reason = &**reason, seconds, "abnormal closure: possible network issue");
        }
        ClosedBy::Client | ClosedBy::Server => {
            tracing::debug!(%id, user, %address, code = code.0, reason = &**reason, ?by, seconds, "connection closed");
        }
    }
}

/// How long a new connection waits for the older one to give its session up.
pub(crate) const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(5);
