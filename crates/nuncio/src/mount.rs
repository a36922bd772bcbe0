//! The server inside another one: a service for axum, or anything that speaks tower.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Extensions, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use nuncio_transport::{Body, Cut, Front, boxed};
use tokio::task::AbortHandle;

use crate::app::Nuncio;
use crate::handle::Handle;
use crate::server::Server;

/// The server as a [`tower_service::Service`]: WebSockets, Socket.IO and everything else it serves, at the paths it was given. Clones are the same server, which
/// ends at once when the last is gone; [`drain`](Self::drain) ends it gracefully.
///
/// ```no_run
/// # async fn serve(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// let nuncio = nuncio::Server::builder().build()?.into_service();
/// let app = axum::Router::new().fallback_service(nuncio.clone());
/// let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
/// let shutdown = async move {
///     let _ = tokio::signal::ctrl_c().await;
///     nuncio.drain().await;
/// };
/// Ok(axum::serve(listener, app).with_graceful_shutdown(shutdown).await?)
/// # }
/// ```
///
/// A WebSocket is taken back from the HTTP server as a plain socket, where that is what it serves, and costs what it costs in a server that runs alone.
#[derive(Clone)]
pub struct Mount {
    front: Arc<Front<Nuncio>>,
    peer: PeerOf,
    handle: Handle,
    _background: Arc<Background>,
}

type PeerOf = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;

/// Ends the background tasks with the last clone.
struct Background(AbortHandle);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    /// Makes it a service for another HTTP server, and starts its background tasks. It does not listen by itself.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn into_service(mut self) -> Mount {
        self.listeners = None;
        let (running, front) = self.start();
        let handle = running.handle.clone();
        let task = tokio::spawn(running.until(std::future::pending()));
        Mount {
            front,
            peer: Arc::new(peer),
            handle,
            _background: Arc::new(Background(task.abort_handle())),
        }
    }
}

impl Mount {
    /// Says where the other server puts the address of the client: without it, a [`SocketAddr`] or [`IpAddr`] among the extensions of the request is taken, and with
    /// the feature `axum` its `ConnectInfo<SocketAddr>`. An address that nobody tells is `0.0.0.0`, and no trusted proxy.
    #[must_use]
    pub fn peer_from(
        mut self,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.peer = Arc::new(peer);
        self
    }

    /// Ends it gracefully: nobody new is let in, clients are told when to come back and closed, the store is flushed. To be awaited where the other server
    /// shuts down, before it stops: connections that were upgraded are not its business any more.
    pub async fn drain(&self) {
        self.handle.shutdown();
        self.handle.stopped().await;
    }

    /// What stops it from elsewhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

fn peer(extensions: &Extensions) -> Option<IpAddr> {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(address)) = extensions.get() {
        let address: &SocketAddr = address;
        return Some(address.ip());
    }
    let address = extensions.get::<SocketAddr>().map(SocketAddr::ip);
    address.or_else(|| extensions.get::<IpAddr>().copied())
}

impl<B> tower_service::Service<Request<B>> for Mount
where
    B: HttpBody + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<MountBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let peer = (self.peer)(request.extensions());
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into()).to_canonical();
        let service = self.front.service(peer);
        let request = request.map(|body| boxed(body.map_frame(bytes_of)));
        Box::pin(async move {
            Ok(match service.respond(request).await {
                Ok(response) => response.map(|body| MountBody(Some(body))),
                Err(Cut) => Response::new(MountBody(None)),
            })
        })
    }
}

fn bytes_of<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

/// The body of a [`Mount`]'s response. Its only error ends the connection without an answer, which tells some clients of Socket.IO that they may come back.
#[derive(Debug)]
pub struct MountBody(Option<Body>);

impl HttpBody for MountBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(Some(Err(Cut)));
        };
        Pin::new(body)
            .poll_frame(cx)
            .map_err(|never| match never {})
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(SizeHint::new, HttpBody::size_hint)
    }
}
