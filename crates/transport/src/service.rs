//! HTTP in front: WebSocket requests are checked and upgraded here, everything else is the server's.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use nuncio_engineio::Transport;
use nuncio_websocket::handshake::{Accepted, DeflateConfig, HttpVersion, Offer, Refusal};
use nuncio_websocket::{Connection, ConnectionConfig, Role};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use crate::app::{About, Admission, App, Body, BodyError, Client, RequestBody};
use crate::clock;
use crate::driver::{Driver, Shared};
use crate::echo::{self, EchoMode};
use crate::encoders::encoder_of;
use crate::io::{Direct, Woken};
use crate::long::{Carried, Resumed};
use crate::place::Place;
use crate::raw;
use crate::sink::{Outbox, Wire};
use crate::socketio::{Cut, SocketIo};
use crate::stream::Streams;

/// The paths and options of the WebSocket endpoints.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Where native clients connect; `None` where they do not.
    pub websocket: Option<String>,
    /// Where the guide's echo answers; `None` turns it off.
    pub echo: Option<String>,
    /// What is agreed to when a client offers compression; `None` declines.
    pub deflate: Option<DeflateConfig>,
    /// Where Socket.IO clients connect.
    pub socketio: Vec<Arc<SocketIo>>,
    /// Where the program itself answers, before all others.
    pub raw: Vec<Arc<raw::Endpoint>>,
    /// Where native clients without a WebSocket connect; `None` where they do not.
    pub streams: Option<Arc<Streams>>,
    /// What the server's name for subprotocols is.
    pub subprotocols: &'static [&'static str],
}

/// Answers the requests of one connection.
pub struct Service<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) drain: watch::Receiver<bool>,
    pub(crate) peer: IpAddr,
    pub(crate) place: Place,
}

impl<A> Clone for Service<A> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            endpoints: self.endpoints.clone(),
            drain: self.drain.clone(),
            peer: self.peer,
            place: self.place.clone(),
        }
    }
}

impl<A: App> Service<A> {
    /// Answers one request of a connection of this server, or has it answered by what came of one before.
    pub(crate) async fn carry(
        self,
        first: Option<Response<Body>>,
        request: Request<Incoming>,
    ) -> Result<Response<Carried>, Cut> {
        let place = self.place.clone();
        let response = match first {
            Some(response) => response,
            None => self.respond(request.map(boxed)).await?,
        };
        Ok(Carried::by(&place, response))
    }

    /// Answers one request.
    ///
    /// # Errors
    /// [`Cut`]: the connection of the request ends without an answer.
    pub async fn respond(self, request: Request<RequestBody>) -> Result<Response<Body>, Cut> {
        // Each on the heap: a connection that waits with one request has no room for all the others.
        let path = request.uri().path();
        let mut raw = self.endpoints.raw.iter();
        if let Some(endpoint) = raw.find(|endpoint| endpoint.path() == path).cloned() {
            return Ok(Box::pin(self.upgrade_raw(endpoint, request)).await);
        }
        let mut endpoints = self.endpoints.socketio.iter();
        if let Some(endpoint) = endpoints.find(|endpoint| endpoint.is_path(path)).cloned() {
            return Box::pin(self.serve_socketio(endpoint, request)).await;
        }
        let streams = self.endpoints.streams.as_ref();
        let streams = streams.and_then(|streams| Some((streams.clone(), streams.route(path)?)));
        if let Some((streams, route)) = streams {
            return Ok(Box::pin(self.serve_stream(streams, route, request)).await);
        }
        let response = if self.endpoints.websocket.as_deref() == Some(path) {
            Box::pin(self.upgrade(request, Purpose::Session)).await
        } else if self.endpoints.echo.as_deref() == Some(path) {
            let mode = if request.uri().query().is_some_and(is_plain) {
                EchoMode::Plain
            } else {
                EchoMode::Guide
            };
            Box::pin(self.upgrade(request, Purpose::Echo(mode))).await
        } else {
            let mut request = request;
            // For an answer that goes on for long, which keeps no handshake waiting.
            request.extensions_mut().insert(self.place.clone());
            Box::pin(self.shared.app.respond(request, self.peer)).await
        };
        Ok(response)
    }

    async fn upgrade(self, mut request: Request<RequestBody>, purpose: Purpose) -> Response<Body> {
        let always = DeflateConfig::default();
        let deflate = match purpose {
            Purpose::Session => self.endpoints.deflate.as_ref(),
            Purpose::Echo(_) => Some(&always),
        };
        let accepted = match accept(&request, self.endpoints.subprotocols, deflate) {
            Ok(accepted) => accepted,
            Err(refusal) => return refused(&refusal),
        };
        let on_upgrade = hyper::upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let admission = match self.shared.app.admit(&parts, self.peer).await {
            Ok(admission) => admission,
            Err(response) => return response,
        };
        let response = switching(&accepted);
        match purpose {
            Purpose::Session => tokio::spawn(self.begin_session(on_upgrade, accepted, admission)),
            Purpose::Echo(mode) => tokio::spawn(self.begin_echo(on_upgrade, accepted, mode)),
        };
        response
    }

    async fn begin_session(self, on_upgrade: OnUpgrade, accepted: Accepted, admission: Admission) {
        let Ok(upgraded) = on_upgrade.await else {
            return;
        };
        match Taken::from(upgraded) {
            Taken::Plain(stream, early) => match reregister(stream) {
                Ok(stream) => {
                    self.spawn_session(Wire::Direct(stream), Direct, &accepted, admission, early)
                }
                Err(error) => {
                    tracing::warn!(%error, "a socket could not be registered anew after its upgrade")
                }
            },
            Taken::Tls(stream, early) => {
                self.spawn_session(Wire::Woken, Woken::new(stream), &accepted, admission, early)
            }
            Taken::Other(stream) => self.spawn_session(
                Wire::Woken,
                Woken::new(stream),
                &accepted,
                admission,
                Bytes::new(),
            ),
        }
    }

    /// Starts the task that lives as long as the connection; it holds nothing of the handshake.
    fn spawn_session<I: crate::io::Io>(
        self,
        wire: Wire,
        io: I,
        accepted: &Accepted,
        admission: Admission,
        early: Bytes,
    ) {
        let now = clock::now();
        let Self { shared, .. } = self;
        let limits = &shared.settings.connection;
        let id = crate::random::socket_id();
        let outbox = Arc::new(Outbox::new(wire, limits.outbox_bytes_max));
        let config = ConnectionConfig {
            message_bytes_max: limits.message_bytes_max as u64,
            deflate: accepted.deflate,
        };
        let Admission {
            namespace,
            identity,
            resume,
            opening,
            address,
        } = admission;
        let encoder = encoder_of(accepted.deflate);
        let about = Box::new(About {
            standing: None,
            address,
            since: now.instant,
            transport: Transport::WebSocket,
        });
        let client = Client {
            id,
            outbox,
            socket: None,
            namespace,
            encoder,
            about,
        };
        shared.app.opened(&client, opening);
        let mut driver = Driver::new(
            shared,
            io,
            Connection::new(Role::Server, config),
            client,
            now,
        );
        driver.start(identity, resume, &mut early.to_vec(), now);
        tokio::spawn(driver);
    }

    async fn begin_echo(self, on_upgrade: OnUpgrade, accepted: Accepted, mode: EchoMode) {
        let Ok(upgraded) = on_upgrade.await else {
            return;
        };
        let config = ConnectionConfig {
            message_bytes_max: echo::MESSAGE_BYTES_MAX,
            deflate: accepted.deflate,
        };
        let (connection, id) = (
            Connection::new(Role::Server, config),
            crate::random::socket_id(),
        );
        let ended = match Taken::from(upgraded) {
            Taken::Plain(stream, early) => {
                echo::run(stream, connection, id, mode, early, self.drain).await
            }
            Taken::Tls(stream, early) => {
                echo::run(stream, connection, id, mode, early, self.drain).await
            }
            Taken::Other(stream) => {
                echo::run(stream, connection, id, mode, Bytes::new(), self.drain).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an echo ended");
        }
    }
}

#[derive(Clone, Copy)]
enum Purpose {
    Session,
    Echo(EchoMode),
}

fn is_plain(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair == "plain" || pair.starts_with("plain="))
}

/// What is left of an upgraded connection once hyper's part is taken off.
pub(crate) enum Taken {
    Plain(TcpStream, Bytes),
    Tls(Box<TlsStream<TcpStream>>, Bytes),
    Other(TokioIo<Upgraded>),
}

impl From<Upgraded> for Taken {
    fn from(upgraded: Upgraded) -> Self {
        let upgraded = match upgraded.downcast::<TokioIo<Resumed<TcpStream>>>() {
            Ok(parts) => {
                let (stream, early) = parts.io.into_inner().into_parts(parts.read_buf);
                return Self::Plain(stream, early);
            }
            Err(upgraded) => upgraded,
        };
        let upgraded = match upgraded.downcast::<TokioIo<Resumed<TlsStream<TcpStream>>>>() {
            Ok(parts) => {
                let (stream, early) = parts.io.into_inner().into_parts(parts.read_buf);
                return Self::Tls(Box::new(stream), early);
            }
            Err(upgraded) => upgraded,
        };
        // As axum serves: with a guess of the protocol between hyper and the socket.
        match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => {
                let stream = parts.io.into_inner();
                let _ = stream.set_nodelay(true);
                Self::Plain(stream, parts.read_buf)
            }
            Err(upgraded) => Self::Other(TokioIo::new(upgraded)),
        }
    }
}

/// Registers a socket anew: the registration that hyper used keeps the waker of its ended task, 1 KB, until the client says something.
pub(crate) fn reregister(stream: TcpStream) -> std::io::Result<TcpStream> {
    TcpStream::from_std(stream.into_std()?)
}

/// Checks the opening handshake of a WebSocket, and answers its offers.
pub(crate) fn accept(
    request: &Request<RequestBody>,
    subprotocols: &'static [&'static str],
    deflate: Option<&DeflateConfig>,
) -> Result<Accepted, Refusal> {
    let choose = |offer: &Offer<'_>| offer.choose_subprotocol(subprotocols).map(str::to_owned);
    accept_with(request, choose, deflate)
}

/// The same for who chooses among the subprotocols that are offered.
pub(crate) fn accept_with(
    request: &Request<RequestBody>,
    choose: impl FnOnce(&Offer<'_>) -> Option<String>,
    deflate: Option<&DeflateConfig>,
) -> Result<Accepted, Refusal> {
    let version = if request.version() == http::Version::HTTP_10 {
        HttpVersion::Http10
    } else {
        HttpVersion::Http11
    };
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let offer = Offer::read(nuncio_websocket::handshake::Request {
        method: request.method().as_str(),
        version,
        headers,
    })?;
    let subprotocol = choose(&offer);
    Ok(offer.accept(subprotocol.as_deref(), deflate))
}

pub(crate) fn switching(accepted: &Accepted) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in accepted.headers() {
        response = response.header(name, value);
    }
    response
        .body(text(""))
        .expect("the handshake's headers are valid")
}

pub(crate) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::builder()
        .status(refusal.status())
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    for (name, value) in refusal.headers() {
        response = response.header(*name, *value);
    }
    response
        .body(text(format!("{refusal}\n")))
        .expect("the refusal's headers are valid")
}

/// The body of a request as every part of the server takes it, whichever HTTP server reads it.
pub fn boxed<B>(body: B) -> RequestBody
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    body.map_err(|error| BodyError(error.into())).boxed_unsync()
}

/// A body of one piece.
pub fn text(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_taken_back_from_axum_as_it_is() {
        let (taken, mut taking) = mpsc::unbounded_channel();
        let switch = move |mut request: axum::extract::Request| {
            let (on_upgrade, taken) = (hyper::upgrade::on(&mut request), taken.clone());
            tokio::spawn(async move { taken.send(Taken::from(on_upgrade.await.unwrap())) });
            async {
                (
                    StatusCode::SWITCHING_PROTOCOLS,
                    [("connection", "upgrade"), ("upgrade", "x")],
                )
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(switch);
        tokio::spawn(async move { axum::serve(listener, app).await });

        let mut client = TcpStream::connect(address).await.unwrap();
        let request =
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly";
        client.write_all(request).await.unwrap();

        let Some(Taken::Plain(mut stream, early)) = taking.recv().await else {
            panic!("it is hidden behind something");
        };
        assert_eq!(early, "early");
        assert!(stream.nodelay().unwrap());
        stream.write_all(b"from the socket itself").await.unwrap();
        drop(stream);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("from the socket itself"), "{answer}");
    }
}
