//! Accepts connections: plain or TLS, bounded in number and in time, until the server drains.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::driver::Shared;
use crate::place::Place;
use crate::service::{Endpoints, Service, boxed};

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
                    Ok(permit) => drop(tokio::spawn(self.clone().serve(stream, peer, permit))),
                    Err(_) => refuse(stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted; is the limit of open files too low?");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let _ = stream.set_nodelay(true);
        // Whoever reads a stream of events answers no pings: the system notices for us that nothing arrives, or that nothing is taken.
        let limits = &self.shared.settings.connection;
        let patience = limits.heartbeat_interval + limits.heartbeat_timeout;
        let patience = patience.max(PATIENCE_MIN);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, patience.as_millis() as u32);
        match &self.tls {
            // On the heap, or a plain connection would have room for an encrypted one.
            None => Box::pin(self.serve_http(TokioIo::new(stream), peer, permit)).await,
            Some(tls) => {
                match tokio::time::timeout(self.limits.head_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        Box::pin(self.serve_http(TokioIo::new(stream), peer, permit)).await
                    }
                    Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
                }
            }
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

    async fn serve_http<T>(&self, io: T, peer: SocketAddr, permit: OwnedSemaphorePermit)
    where
        T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut service = self.service(peer.ip().to_canonical());
        service.place = Place::taken(permit);
        let mut drain = self.drain.clone();
        let drains = *drain.borrow();
        let connection = http1::Builder::new()
            .keep_alive(!drains)
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes_max.max(8192))
            .serve_connection(
                io,
                service_fn(move |request: Request<Incoming>| {
                    service.clone().respond(request.map(boxed))
                }),
            )
            .with_upgrades();
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            _ = drained(&mut drain), if !drains => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, %peer, "an HTTP connection ended");
        }
    }
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
