//! Requests for streams and polls: what is checked before anybody else hears of them, and what is answered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use nuncio_model::{ErrorCode, Refusal, ResumeToken};
use nuncio_protocol::stream;
use tokio::sync::oneshot;

use super::feed::FeedBody;
use super::mailbox::{Letter, Mailbox, Presence};
use super::pipe::{Pipe, PipeBody};
use super::reply::{Reply, status_of};
use super::{Route, Streams, open};
use crate::app::{AllowedOrigin, App, Body, FeedAdmission, RequestBody};
use crate::driver::Shared;
use crate::service::{Service, text};

mod answer;
mod query;

pub use answer::refuse;

use answer::{Coding, batch, come_back, event_stream, no_content, not_allowed, reply, taken};
use query::{cursor, cursor_of_poll, is_event_source, last_event_id, session_token};

/// A feed for whoever was admitted elsewhere: the response goes on as long as it is read. `retry` is how long the client is to wait before it comes back after a loss.
pub fn feed<A: App>(
    shared: Arc<Shared<A>>,
    retry: Duration,
    admission: FeedAdmission,
) -> Response<Body> {
    let body = FeedBody::open(shared, retry, admission);
    event_stream(body.boxed_unsync())
}

impl<A: App> Service<A> {
    /// Answers a request for a stream, a poll or a message.
    pub(crate) async fn serve_stream(
        self,
        endpoint: Arc<Streams>,
        route: Route,
        request: Request<RequestBody>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let origin = match self.shared.app.allow_origin(&parts.uri, &parts.headers) {
            Ok(origin) => origin,
            Err(response) => return *response,
        };
        let mut response = match (route, parts.method.clone()) {
            (_, Method::OPTIONS) => endpoint.cors.preflight(&parts.headers),
            (Route::Sse, Method::GET) => self.stream(&endpoint, &parts).await,
            (Route::Sse, Method::HEAD) => event_stream(text("")),
            (Route::Poll, Method::GET) => match self.poll(&endpoint, &parts) {
                Ok(waiting) => {
                    let place = self.place.clone();
                    // What waits long keeps nothing of its request.
                    drop((self, parts, body));
                    let page = WaitingPage {
                        waiting,
                        endpoint,
                        origin,
                    };
                    return place.wait(page).await;
                }
                Err(refused) => reply(refused),
            },
            (Route::Poll, Method::POST) => Box::pin(self.open(endpoint.clone(), parts, body)).await,
            (Route::Send, Method::POST) => Box::pin(self.send(&endpoint, &parts, body)).await,
            (Route::Sse, _) => not_allowed("GET, HEAD, OPTIONS"),
            (Route::Poll, _) => not_allowed("GET, POST, OPTIONS"),
            (Route::Send, _) => not_allowed("POST, OPTIONS"),
        };
        if let Some(origin) = origin {
            endpoint.cors.allow(origin, response.headers_mut());
        }
        response
    }

    /// `GET /sse`: of a session, or of rooms.
    async fn stream(self, endpoint: &Streams, parts: &Parts) -> Response<Body> {
        let Some(token) = session_token(parts) else {
            return self.feed(endpoint, parts).await;
        };
        let gone = || {
            if last_event_id(parts).is_some() {
                // An `EventSource` that comes back by itself: this tells it to stop.
                no_content()
            } else {
                reply(Reply::gone())
            }
        };
        let Some(mailbox) = find(endpoint, &token) else {
            return gone();
        };
        let cursor = match cursor(parts) {
            Ok(cursor) => cursor,
            Err(refusal) => return reply(Reply::refused(&refusal)),
        };
        self.place.give_up();
        let (answer, answered) = oneshot::channel();
        let presence = Presence::of(mailbox.clone());
        if !mailbox.push(Letter::Stream(presence.id, cursor, answer)) {
            return gone();
        }
        let opened: Result<Result<Arc<Pipe>, Reply>, _> = answered.await;
        match opened {
            Ok(Ok(pipe)) => event_stream(
                PipeBody {
                    pipe,
                    _presence: presence,
                }
                .boxed_unsync(),
            ),
            Ok(Err(refused)) => reply(refused),
            Err(_) => gone(),
        }
    }

    /// A stream of rooms, to which nothing is said.
    async fn feed(self, endpoint: &Streams, parts: &Parts) -> Response<Body> {
        match self.shared.app.admit_feed(parts, self.peer).await {
            Ok(admission) => {
                self.place.give_up();
                feed(self.shared, endpoint.options.retry, admission)
            }
            Err(response)
                if response.status() == StatusCode::SERVICE_UNAVAILABLE
                    && is_event_source(parts) =>
            {
                come_back(&response)
            }
            Err(response) => response,
        }
    }

    /// `POST /poll`: opens a session with its first message.
    async fn open(self, endpoint: Arc<Streams>, parts: Parts, body: RequestBody) -> Response<Body> {
        let bytes_max = self.shared.settings.connection.message_bytes_max;
        let first = match self.body(body, bytes_max).await {
            Ok(first) => first,
            Err(refused) => return reply(refused),
        };
        let mut admission = match self.shared.app.admit_poll(&parts, self.peer).await {
            Ok(admission) => admission,
            Err(response) => return response,
        };
        if let Some(token) = session_token(&parts) {
            admission.resume = Some(token);
        }
        let first = (!first.trim().is_empty()).then(|| first.into());
        let (presence, answered) = open::session(self.shared, endpoint, admission, first);
        Waiting::new(presence, answered, Coding::of(&parts.headers)).await
    }

    /// `GET /poll`: asks for messages.
    fn poll(&self, endpoint: &Streams, parts: &Parts) -> Result<Waiting, Reply> {
        let mailbox = session_token(parts).and_then(|token| find(endpoint, &token));
        let mailbox = mailbox.ok_or_else(Reply::gone)?;
        let cursor = cursor_of_poll(parts).map_err(|refusal| Reply::refused(&refusal))?;
        self.place.give_up();
        let (answer, answered) = oneshot::channel();
        let presence = Presence::of(mailbox.clone());
        if !mailbox.push(Letter::Poll(presence.id, cursor, answer)) {
            return Err(Reply::gone());
        }
        let coding = Coding::of(&parts.headers);
        Ok(Waiting::new(presence, answered, coding))
    }

    /// `POST /send`: what the client says.
    async fn send(self, endpoint: &Streams, parts: &Parts, body: RequestBody) -> Response<Body> {
        let Some(mailbox) = session_token(parts).and_then(|token| find(endpoint, &token)) else {
            return reply(Reply::gone());
        };
        let message_bytes_max = self.shared.settings.connection.message_bytes_max;
        let bytes_max = endpoint.options.body_bytes_max.max(message_bytes_max + 64);
        let posting = match self.body(body, bytes_max).await {
            Ok(text) => stream::posting(&text).map_err(|refusal| Reply::refused(&refusal)),
            Err(refused) => Err(refused),
        };
        let posting = match posting {
            Ok(posting) => posting,
            Err(refused) => return reply(refused),
        };
        if let Some(large) = posting
            .messages
            .iter()
            .find(|message| message.len() > message_bytes_max)
        {
            return reply(too_large(large.len(), message_bytes_max));
        }
        let (answer, answered) = oneshot::channel();
        if !mailbox.push(Letter::Send(posting, answer)) {
            return reply(Reply::gone());
        }
        match answered.await {
            Ok(Reply::Taken(number)) => taken(number),
            Ok(other) => reply(other),
            Err(_) => reply(Reply::gone()),
        }
    }

    /// The whole body as text.
    async fn body(&self, body: RequestBody, bytes_max: usize) -> Result<String, Reply> {
        let timeout = self.shared.settings.connection.auth_timeout;
        let body = Box::pin(Limited::new(body, bytes_max).collect());
        let body = match tokio::time::timeout(timeout, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(too_large(bytes_max + 1, bytes_max));
            }
            Ok(Err(_)) | Err(_) => {
                let cut = Refusal::invalid("the body did not come whole, or not in time");
                return Err(Reply::refused(&cut));
            }
        };
        String::from_utf8(body.into()).map_err(|_| {
            let not_text = Refusal::new(ErrorCode::ParseError, "Invalid JSON");
            Reply::refused(&not_text)
        })
    }
}

fn find(endpoint: &Streams, token: &nuncio_model::Secret) -> Option<Arc<Mailbox>> {
    let token: ResumeToken = token.reveal().parse().ok()?;
    endpoint.table.find(&token)
}

/// A request that waits for its batch.
struct Waiting {
    presence: Option<Presence>,
    answered: oneshot::Receiver<Reply>,
    coding: Coding,
}

impl Waiting {
    const fn new(presence: Presence, answered: oneshot::Receiver<Reply>, coding: Coding) -> Self {
        Self {
            presence: Some(presence),
            answered,
            coding,
        }
    }
}

/// Written out, not `async`: an idle poll keeps it, and that would keep everything twice.
impl Future for Waiting {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let answered = std::task::ready!(Pin::new(&mut self.answered).poll(cx));
        if let Some(presence) = self.presence.take() {
            presence.answered();
        }
        Poll::Ready(match answered {
            Ok(Reply::Batch(cursor, texts)) => batch(cursor, &texts, self.coding),
            Ok(other) => reply(other),
            Err(_) => reply(Reply::gone()),
        })
    }
}

/// The same for a page, which may read the answer where its origin may.
struct WaitingPage {
    waiting: Waiting,
    endpoint: Arc<Streams>,
    origin: Option<AllowedOrigin>,
}

impl Future for WaitingPage {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let mut response = std::task::ready!(Pin::new(&mut self.waiting).poll(cx));
        if let Some(origin) = self.origin.take() {
            self.endpoint.cors.allow(origin, response.headers_mut());
        }
        Poll::Ready(response)
    }
}

fn too_large(len: usize, max: usize) -> Reply {
    let message = format!("{len} bytes or more, at most {max} are allowed");
    let refusal = Refusal::new(ErrorCode::TooLarge, message);
    Reply::Refused(status_of(refusal.code), stream::error_body(&refusal))
}

/// The body of a stream that says one thing and ends.
fn once(parts: impl IntoIterator<Item = Bytes>) -> Body {
    let whole: Vec<u8> = parts.into_iter().flatten().collect();
    text(whole)
}
