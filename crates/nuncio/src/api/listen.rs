//! The API on an address of its own.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nuncio_transport::boxed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::app::Nuncio;

/// Connections at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 1024;
/// Pause after an accept that failed because the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts for ever; with TLS where the main address has it.
pub(crate) async fn serve(app: Arc<Nuncio>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (app, tls) = (app.clone(), tls.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            serve_stream(&app, stream, peer.ip(), tls).await;
            drop(place);
        });
    }
}

async fn serve_stream(
    app: &Arc<Nuncio>,
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
) {
    let timeout = app.config.config.server.head_timeout;
    match tls {
        None => serve_http(app, TokioIo::new(stream), peer).await,
        Some(tls) => match tokio::time::timeout(timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve_http(app, TokioIo::new(stream), peer).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the API failed"),
            Err(_) => tracing::debug!("a TLS handshake with the API took too long"),
        },
    }
}

async fn serve_http<T>(app: &Arc<Nuncio>, io: T, peer: IpAddr)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let server = &app.config.config.server;
    let service = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(super::respond(app, request.map(boxed), peer).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.head_timeout)
        .max_buf_size(server.head_bytes_max.0.max(8192))
        .serve_connection(io, service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the API ended");
    }
}
