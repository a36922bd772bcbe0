//! Requests for Socket.IO: what is checked before the connection's task hears of them, and what is answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::upgrade::OnUpgrade;
use nuncio_engineio::payload::Content;
use nuncio_engineio::server::RequestId;
use nuncio_engineio::{Query, RequestError, RequestKind, Response as Answered, Route, Transport};
use nuncio_model::SocketId;
use nuncio_websocket::DeflateParams;
use nuncio_websocket::handshake::Accepted;
use tokio::sync::oneshot;

use super::SocketIo;
use super::compress::Shrink;
use super::link::{Opened, Stream};
use super::mailbox::{Letter, Mailbox};
use super::open;
use crate::app::{App, Body, RequestBody, Visitor};
use crate::service::{Service, Taken, accept, refused, reregister, switching, text};

/// The connection of a request is to be cut without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is cut without an answer")]
pub struct Cut;

impl<A: App> Service<A> {
    /// Answers a request for the endpoint.
    pub(crate) async fn serve_socketio(
        self,
        endpoint: Arc<SocketIo>,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Cut> {
        let app = &self.shared.app;
        let origin = match app.allow_origin(request.uri(), request.headers()) {
            Ok(origin) => origin,
            Err(response) => return Ok(*response),
        };
        let mut response = if request.method() == Method::OPTIONS {
            endpoint.cors.preflight(request.headers())
        } else {
            self.route_socketio(&endpoint, request).await?
        };
        if let Some(origin) = origin {
            endpoint.cors.allow(origin, response.headers_mut());
        }
        Ok(response)
    }

    async fn route_socketio(
        self,
        endpoint: &Arc<SocketIo>,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Cut> {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let kind = kind_of(request.headers());
        let found = query
            .sid
            .as_deref()
            .and_then(|sid| endpoint.table.find(sid));
        let session = found.as_ref().map(|(_, session)| *session);
        let route = query.check(&endpoint.engine, method_of(&request), kind, session);
        match (route, found) {
            (Err(error), _) => {
                let (uri, headers) = (request.uri(), request.headers());
                let app = &self.shared.app;
                app.request_refused(error, uri, headers, self.peer);
                Ok(match kind {
                    RequestKind::Http => response(error.response(), None),
                    RequestKind::Upgrade => closing(response(error.upgrade_response(), None)),
                })
            }
            (Ok(Route::Session), Some((mailbox, _))) => {
                self.place.give_up();
                poll(endpoint, mailbox, request).await
            }
            (Ok(Route::SessionWebSocket), Some((mailbox, _))) => {
                Ok(self.upgrade_session(endpoint, request, mailbox))
            }
            (Ok(Route::OpenPolling), _) => {
                let visitor = match self.admit(&request) {
                    Ok(visitor) => visitor,
                    Err(response) => return Ok(*response),
                };
                let shrink = endpoint.shrink(request.headers());
                let (sid, mailbox, mut pending) =
                    open::polling(self.shared, endpoint, &query, visitor);
                pending.shrink = shrink;
                let mut response = pending.answered(mailbox).await?;
                endpoint.set_cookie(&sid, response.headers_mut());
                Ok(response)
            }
            (Ok(Route::OpenWebSocket), _) => Ok(self.open_websocket(endpoint, request, query)),
            (Ok(Route::Session | Route::SessionWebSocket), None) => {
                Ok(response(RequestError::UnknownSid.response(), None))
            }
        }
    }

    fn admit(&self, request: &Request<RequestBody>) -> Result<Visitor, Box<Response<Body>>> {
        let app = &self.shared.app;
        app.admit_visitor(request.uri(), request.headers(), self.peer)
    }

    /// Socket.IO has no subprotocols, and Engine.IO compresses only when told to.
    fn accept_websocket(
        &self,
        endpoint: &SocketIo,
        request: &Request<RequestBody>,
    ) -> Result<Accepted, Box<Response<Body>>> {
        accept(request, &[], endpoint.deflate.as_ref()).map_err(|refusal| {
            self.shared.app.handshake_refused(refusal.status());
            Box::new(refused(&refusal))
        })
    }

    fn open_websocket(
        self,
        endpoint: &Arc<SocketIo>,
        mut request: Request<RequestBody>,
        query: Query,
    ) -> Response<Body> {
        let accepted = match self.accept_websocket(endpoint, &request) {
            Ok(accepted) => accepted,
            Err(response) => return *response,
        };
        let visitor = match self.admit(&request) {
            Ok(visitor) => visitor,
            Err(response) => return *response,
        };
        let on_upgrade = hyper::upgrade::on(&mut request);
        let (shared, endpoint) = (self.shared, endpoint.clone());
        let deflate = accepted.deflate;
        tokio::spawn(async move {
            if let Some(opened) = upgraded(on_upgrade, deflate).await {
                open::websocket(shared, &endpoint, &query, visitor, opened);
            }
        });
        switching(&accepted)
    }

    fn upgrade_session(
        self,
        endpoint: &SocketIo,
        mut request: Request<RequestBody>,
        mailbox: Arc<Mailbox>,
    ) -> Response<Body> {
        let accepted = match self.accept_websocket(endpoint, &request) {
            Ok(accepted) => accepted,
            Err(response) => return *response,
        };
        let on_upgrade = hyper::upgrade::on(&mut request);
        let deflate = accepted.deflate;
        tokio::spawn(async move {
            let Some(opened) = upgraded(on_upgrade, deflate).await else {
                return;
            };
            if let Err(Letter::WebSocket(opened)) = mailbox.push(Letter::WebSocket(opened)) {
                let last = nuncio_websocket::encode_close(None, "", nuncio_websocket::Mask::None);
                opened.stream.farewell(last);
            }
        });
        switching(&accepted)
    }
}

/// What an upgrade left, and the bytes that came behind the request.
async fn upgraded(on_upgrade: OnUpgrade, deflate: Option<DeflateParams>) -> Option<Opened> {
    let (stream, early) = match Taken::from(on_upgrade.await.ok()?) {
        Taken::Plain(stream, early) => match reregister(stream) {
            Ok(stream) => (Stream::Plain(stream), early),
            Err(error) => {
                tracing::warn!(%error, "a socket could not be registered anew after its upgrade");
                return None;
            }
        },
        Taken::Tls(stream, early) => (Stream::Other(stream), early),
        Taken::Other(stream) => (Stream::Other(Box::new(stream)), Bytes::new()),
    };
    Some(Opened {
        stream,
        early,
        deflate,
    })
}

/// A GET, POST or other request of a session that polls.
async fn poll(
    endpoint: &SocketIo,
    mailbox: Arc<Mailbox>,
    request: Request<RequestBody>,
) -> Result<Response<Body>, Cut> {
    let number = mailbox.number();
    let (answer, answered) = oneshot::channel();
    let content = content_of(request.headers());
    let letter = match *request.method() {
        Method::GET => Letter::Get(number, answer),
        Method::POST => Letter::Post(number, content, answer),
        _ => Letter::Other(number, answer),
    };
    if mailbox.push(letter).is_err() {
        return Ok(response(RequestError::UnknownSid.response(), None));
    }
    let mut pending = Pending {
        number,
        answered,
        abort: Some(mailbox.clone()),
        shrink: endpoint.shrink(request.headers()),
    };
    if request.method() == Method::POST {
        let body = Limited::new(request.into_body(), endpoint.engine.payload_bytes_max).collect();
        tokio::select! {
            biased;
            answer = &mut pending.answered => return pending.finish(answer),
            body = body => {
                let body = match body {
                    Ok(body) => Some(body.to_bytes()),
                    Err(error) if error.is::<LengthLimitError>() => None,
                    // The client is gone in the middle of its request; the guard says so.
                    Err(_) => return Err(Cut),
                };
                let _ = mailbox.push(Letter::Body(number, content, body));
            }
        }
    }
    pending.answered(mailbox).await
}

/// A request that waits for its answer. Dropped before, it was cut off by the client, and the connection's task hears of it.
pub(super) struct Pending {
    pub(super) number: RequestId,
    pub(super) answered: oneshot::Receiver<Answered>,
    pub(super) abort: Option<Arc<Mailbox>>,
    /// How a large answer is made smaller.
    pub(super) shrink: Option<Shrink>,
}

impl Pending {
    async fn answered(mut self, mailbox: Arc<Mailbox>) -> Result<Response<Body>, Cut> {
        self.abort = Some(mailbox);
        let answer = (&mut self.answered).await;
        self.finish(answer)
    }

    fn finish(
        &mut self,
        answer: Result<Answered, oneshot::error::RecvError>,
    ) -> Result<Response<Body>, Cut> {
        self.abort = None;
        match answer {
            Ok(answered) => Ok(response(answered, self.shrink)),
            Err(_) => Err(Cut),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(mailbox) = &self.abort {
            let _ = mailbox.push(Letter::Aborted(self.number));
        }
    }
}

fn response(answered: Answered, shrink: Option<Shrink>) -> Response<Body> {
    let Answered {
        status,
        content_type,
        body,
    } = answered;
    let (body, coding) = match shrink {
        Some(shrink) if status == 200 => shrink.apply(body),
        Some(_) | None => (body, None),
    };
    let mut response = Response::new(text(body));
    *response.status_mut() =
        StatusCode::from_u16(status).expect("Engine.IO answers with statuses that exist");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

impl SocketIo {
    /// How large answers to this request are made smaller.
    fn shrink(&self, headers: &HeaderMap) -> Option<Shrink> {
        Shrink::accepted(headers, self.compression?)
    }

    /// Tells a client the session it has opened, for the load balancer on the way.
    fn set_cookie(&self, sid: &SocketId, headers: &mut HeaderMap) {
        let cookie = self
            .cookie
            .as_ref()
            .map(|cookie| cookie.header(&sid.to_string()));
        // What is no header was refused by the cookie's own check, by whoever configures the endpoint.
        if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn kind_of(headers: &HeaderMap) -> RequestKind {
    let upgrade = headers.get(header::UPGRADE);
    let is_websocket = upgrade.is_some_and(|name| {
        name.as_bytes()
            .eq_ignore_ascii_case(Transport::WebSocket.as_str().as_bytes())
    });
    if is_websocket {
        RequestKind::Upgrade
    } else {
        RequestKind::Http
    }
}

fn method_of(request: &Request<RequestBody>) -> nuncio_engineio::Method {
    match *request.method() {
        Method::GET => nuncio_engineio::Method::Get,
        Method::POST => nuncio_engineio::Method::Post,
        _ => nuncio_engineio::Method::Other,
    }
}

fn content_of(headers: &HeaderMap) -> Content {
    let content_type = headers.get(header::CONTENT_TYPE);
    Content::from_header(content_type.and_then(|value| value.to_str().ok()))
}
