//! What a transport needs of the server it belongs to.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use nuncio_engineio::{RequestError, Transport};
use nuncio_hub::EncoderId;
use nuncio_model::{
    CloseCode, ErrorCode, Grants, Head, Identity, Namespace, Now, Opening, Outcome, Refusal,
    Secret, SocketId, Watch,
};
use nuncio_socketio::server::DisconnectReason;

use crate::raw;
use crate::sink::{Outbox, Socket};

/// The body of every response.
pub type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// The body of a request, whichever HTTP server read its head.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// A request's body ended early.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request ended early: {0}")]
pub struct BodyError(pub Box<dyn std::error::Error + Send + Sync>);

/// The server behind the transports.
pub trait App: Send + Sync + 'static {
    /// Decides about a request for a WebSocket connection whose handshake is in order.
    ///
    /// The error is the response: 401, 403, 400, 503.
    fn admit(
        self: &Arc<Self>,
        request: &Parts,
        peer: IpAddr,
    ) -> impl Future<Output = Result<Admission, Response<Body>>> + Send;

    /// Says whose page a request for Socket.IO comes from, when it comes from one.
    ///
    /// # Errors
    /// The response, 403, to a page that may not connect.
    fn allow_origin(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Option<AllowedOrigin>, Box<Response<Body>>>;

    /// Decides about a request that opens a Socket.IO connection; who the client is comes later.
    ///
    /// # Errors
    /// The response: 400, 503.
    fn admit_visitor(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Visitor, Box<Response<Body>>>;

    /// Decides about a request for a WebSocket of the program itself, and says whose address it comes from; the program decides after that.
    ///
    /// # Errors
    /// The response: 403, 503.
    fn admit_raw(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<IpAddr, Box<Response<Body>>>;

    /// A request for Socket.IO is none of Engine.IO's, and is refused for that.
    fn request_refused(&self, error: RequestError, uri: &Uri, headers: &HeaderMap, peer: IpAddr);

    /// A connection to an endpoint of the program was upgraded.
    fn raw_opened(&self, client: &raw::Client);

    /// Such a connection is over.
    fn raw_closed(&self, client: &raw::Client, closed: &Closed);

    /// Decides about a request that opens a session without a WebSocket, before its first message is read.
    ///
    /// The error is the response: 401, 403, 400, 503.
    fn admit_poll(
        self: &Arc<Self>,
        request: &Parts,
        peer: IpAddr,
    ) -> impl Future<Output = Result<Admission, Response<Body>>> + Send;

    /// Decides about a request to watch rooms.
    ///
    /// The error is the response: as for a poll.
    fn admit_feed(
        self: &Arc<Self>,
        request: &Parts,
        peer: IpAddr,
    ) -> impl Future<Output = Result<FeedAdmission, Response<Body>>> + Send;

    /// Answers any other request.
    fn respond(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        peer: IpAddr,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// A connection was upgraded; nobody is behind it yet. `opening` is the request that opened it, where that is asked for later.
    fn opened(&self, client: &Client, opening: Option<Arc<Head>>);

    /// Does what a session asks; `None` when the outcome comes later, by a [`Notice`](nuncio_hub::Notice) to the client's outbox.
    fn call(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        request: nuncio_model::Request,
        now: Now,
    ) -> Option<Result<Outcome, Refusal>>;

    /// A client's connection is over, or is about to be: the last thing that is said of it.
    fn closed(self: &Arc<Self>, client: Client, closed: &Closed, now: Now);

    /// Whether the token or the user behind a client was revoked; asked after [`Notice::Recheck`](nuncio_hub::Notice::Recheck).
    fn is_revoked(&self, client: &Client) -> bool;

    /// A session is carried by another transport from now on, as the encoder says: the client's is to be that.
    fn moved(&self, client: &mut Client, encoder: EncoderId);

    /// A Socket.IO client has moved from polls to a WebSocket.
    fn upgraded(&self, client: &Client);

    /// A message came in.
    fn received(&self, bytes: usize);

    /// A message went out that was no fan-out: a reply, a replayed message, a greeting.
    fn sent(&self, bytes: usize);

    /// A handshake broke a rule of RFC 6455 and was refused with this status.
    fn handshake_refused(&self, status: u16);

    /// A message was refused.
    fn refused(&self, code: ErrorCode);

    /// A client read too slowly.
    fn overflowed(&self);
}

/// A client that may connect.
#[derive(Debug)]
pub struct Admission {
    /// The namespace it asked for.
    pub namespace: Namespace,
    /// Who it is, when its request said so.
    pub identity: Option<Identity>,
    /// The session it wants to have back.
    pub resume: Option<Secret>,
    /// Its request, where that is asked for later.
    pub opening: Option<Arc<Head>>,
    /// Its address, as a trusted proxy tells it.
    pub address: IpAddr,
}

/// A client that may watch rooms.
#[derive(Debug)]
pub struct FeedAdmission {
    /// The namespace it asked for.
    pub namespace: Namespace,
    /// Who it is, and which rooms it may watch.
    pub watch: Watch,
    /// Its address, as a trusted proxy tells it.
    pub address: IpAddr,
    /// What somebody without an identity may do, where that is not what visitors may.
    pub standing: Option<Standing>,
}

/// A page that may read the responses.
#[derive(Debug, Clone)]
pub struct AllowedOrigin {
    /// Its origin.
    pub origin: HeaderValue,
    /// Whether its requests may carry cookies.
    pub credentials: Credentials,
}

/// Whether requests of a page may carry cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// The page is trusted.
    Allowed,
    /// Every page is let in.
    Refused,
}

/// A Socket.IO connection that may be opened.
#[derive(Debug)]
pub struct Visitor {
    /// Its request, whose token counts where a CONNECT has none.
    pub opening: Opening,
    /// Its address, as a trusted proxy tells it.
    pub address: IpAddr,
}

/// One connected client, as its driver and the server share it.
pub struct Client {
    /// Its public id; that of the session before when it resumed one.
    pub id: SocketId,
    /// The way to it.
    pub outbox: Arc<Outbox>,
    /// Its place in the hub, once it is authenticated.
    pub socket: Option<Arc<Socket>>,
    /// Where its rooms are.
    pub namespace: Namespace,
    /// How it is written to.
    pub encoder: EncoderId,
    /// What is looked at now and then.
    pub about: Box<About>,
}

/// What a connection's task keeps on the side: in line it would make every task the next size larger.
pub struct About {
    /// What the client's token allows, once it is authenticated.
    pub standing: Option<Standing>,
    /// Its address, as a trusted proxy tells it.
    pub address: IpAddr,
    /// When it connected.
    pub since: Instant,
    /// How its messages travel: polls and streams are HTTP.
    pub transport: Transport,
}

/// What is remembered of a client's token.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What it may do.
    pub grants: Arc<Grants>,
    /// When the token ends, in seconds since the Unix epoch.
    pub exp: Option<u64>,
    /// When it was issued.
    pub iat: Option<u64>,
    /// Its id.
    pub token_id: Option<Box<str>>,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close code: the one sent by whoever closed first, or 1006.
    pub code: CloseCode,
    /// Its reason.
    pub reason: Cow<'static, str>,
    /// Who closed.
    pub by: ClosedBy,
    /// How long the connection lasted.
    pub after: Duration,
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client, by a close frame.
    Client,
    /// The server, by a close frame.
    Server,
    /// Nobody: the network broke, or the client went silent.
    Nobody,
}

impl Closed {
    /// Whether a Socket.IO client may have its connection state recovered: not when one of the sides wanted it gone.
    pub fn is_recoverable(&self) -> bool {
        DisconnectReason::parse(&self.reason).is_none_or(DisconnectReason::is_recoverable)
    }

    /// Whether the client may want its session back.
    pub const fn is_resumable(&self) -> bool {
        match self.by {
            ClosedBy::Client => false,
            ClosedBy::Server | ClosedBy::Nobody => self.code.resumable(),
        }
    }
}
