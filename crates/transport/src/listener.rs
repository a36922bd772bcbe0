//! Accepts connections: plain or TLS, bounded in number and in time, until the server drains.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::app::{App, Body};
use crate::driver::Shared;
use crate::long::{Asked, Conversation, Left, Resumed, Stream};
use crate::place::{Long, Place};
use crate::service::{Endpoints, Service};

/// Bounds of connections before their upgrade.
#[derive(Debug, Clone)]
pub struct FrontLimits {
    /// Connections that may be in a handshake, or waiting with a request, at once. Default 1,024; beyond it the answer is 503.
    pub handshakes_max: usize,
    /// Bytes of a request's head. Default 16 KiB, at least 8 KiB.
    pub head_bytes_max: usize,
    /// How long a head, or a TLS handshake, may take. Default 10 s.
    pub head_timeout: Duration,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            handshakes_max: 1024,
            head_bytes_max: 16 * 1024,
            head_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves connections as they come in.
pub struct Front<A> {
    /// What drivers share.
    pub shared: Arc<Shared<A>>,
    /// Paths and options.
    pub endpoints: Arc<Endpoints>,
    /// Bounds.
    pub limits: FrontLimits,
    /// Certificate and key; `None` serves plain sockets.
    pub tls: Option<TlsAcceptor>,
    /// Turns true when the server shuts down.
    pub drain: watch::Receiver<bool>,
}

/// Said to a connection that is one too many, without reading its request.
const OVERLOADED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// The shortest time in which a peer may acknowledge nothing, however short the heartbeat: a network may be away for a moment.
const PATIENCE_MIN: Duration = Duration::from_secs(30);

/// Pause after an accept that failed because the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl<A: App> Front<A> {
    /// Accepts for ever. While the server drains, requests are still answered, one on a connection: a balancer must learn that it is not ready.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let handshakes = Arc::new(Semaphore::new(self.limits.handshakes_max));
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => match handshakes.clone().try_acquire_owned() {
                    Ok(permit) => self.clone().begin(stream, peer, permit),
                    Err(_) => refuse(stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted; is the limit of open files too low?");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Begins a connection's own task.
    fn begin(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let _ = stream.set_nodelay(true);
        // Whoever reads a stream of events answers no pings: the system notices for us that nothing arrives, or that nothing is taken.
        let limits = &self.shared.settings.connection;
        let patience = limits.heartbeat_interval + limits.heartbeat_timeout;
        let patience = patience.max(PATIENCE_MIN);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, patience.as_millis() as u32);
        match self.tls.clone() {
            None => drop(tokio::spawn(Conversation::new(self, stream, peer, permit))),
            Some(tls) => drop(tokio::spawn(self.encrypt(tls, stream, peer, permit))),
        }
    }

    async fn encrypt(
        self: Arc<Self>,
        tls: TlsAcceptor,
        stream: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        // On the heap, or the connection would have room for its handshake as long as it lives.
        let accepted = Box::pin(tokio::time::timeout(
            self.limits.head_timeout,
            tls.accept(stream),
        ));
        match accepted.await {
            Ok(Ok(stream)) => Conversation::new(self, stream, peer, permit).await,
            Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
        }
    }

    /// What answers the requests of one connection, from this address.
    pub fn service(&self, peer: IpAddr) -> Service<A> {
        Service {
            shared: self.shared.clone(),
            endpoints: self.endpoints.clone(),
            drain: self.drain.clone(),
            peer,
            place: Place::default(),
        }
    }

    /// Answers requests until the connection ends, or something takes long. `first` answers the first request, which came before.
    pub(crate) async fn serve_http<T: Stream>(
        self: Arc<Self>,
        stream: Resumed<T>,
        peer: SocketAddr,
        place: Place,
        first: Option<Response<Body>>,
    ) -> Option<Left<T>> {
        let mut service = self.service(peer.ip().to_canonical());
        service.place = place.clone();
        let mut drain = self.drain.clone();
        let drains = *drain.borrow();
        let first = Mutex::new(first);
        let mut connection = http1::Builder::new()
            .keep_alive(!drains)
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes_max.max(8192))
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request: Request<Incoming>| {
                    let (first, service) = (first.lock().take(), service.clone());
                    service.place.begin(&request);
                    service.carry(first, request)
                }),
            )
            .with_upgrades();
        let served = tokio::select! {
            // In this order: a connection that drains before its first turn would end without an answer.
            biased;
            served = until_long(&mut connection, &place) => served,
            _ = drained(&mut drain), if !drains => {
                Pin::new(&mut connection).graceful_shutdown();
                until_long(&mut connection, &place).await
            }
        };
        match served {
            Ok(None) => None,
            Ok(Some((long, asked))) => {
                let parts = connection.into_parts()?;
                // A copy, or a byte of it would keep a whole buffer of HTTP.
                let read = Bytes::copy_from_slice(&parts.read_buf);
                let (stream, early) = parts.io.into_inner().into_parts(read);
                Some(Left {
                    long,
                    asked,
                    stream,
                    early,
                })
            }
            Err(error) => {
                tracing::debug!(%error, %peer, "an HTTP connection ended");
                None
            }
        }
    }
}

/// Serves until the connection ends, or something leaves it.
async fn until_long(
    connection: &mut (impl Future<Output = hyper::Result<()>> + Unpin),
    place: &Place,
) -> hyper::Result<Option<(Long, Asked)>> {
    std::future::poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| None)),
        Poll::Pending => match place.left() {
            Some(left) => Poll::Ready(Ok(Some(left))),
            None => Poll::Pending,
        },
    })
    .await
}

/// Waits until the server drains.
pub(crate) async fn drained(drain: &mut watch::Receiver<bool>) {
    // The sender lives as long as the server: without it there is nothing to wait for.
    let _ = drain.wait_for(|drain| *drain).await;
}

fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(OVERLOADED);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}
