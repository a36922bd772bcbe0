//! The server API: what backends do over HTTP, with a key.
//!
//! One table, [`route::routes`], says which commands there are: requests are dispatched by it, and the OpenAPI document is made of it, so neither
//! knows anything that the other does not.

mod answer;
mod batch;
mod command;
mod failure;
mod json;
mod keyring;
mod listen;
mod openapi;
mod page;
mod request;
mod route;
mod tail;
mod value;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, header};
use nuncio_model::quote;
use nuncio_transport::{Body, RequestBody, clock};

pub(crate) use keyring::Keyring;
pub(crate) use listen::serve;

use self::command::Work;
use self::failure::{Code, Failure};
use self::keyring::Key;
use self::request::Input;
use self::route::{Entry, Found, Route};
use crate::app::Nuncio;

/// Where the commands are.
const PREFIX: &str = "/api/v1";
/// Where the document of the commands is.
const DOCUMENT: &str = "/api/v1/openapi.json";

/// Whether a path of the main address is the API's.
pub(crate) fn is_served(app: &Nuncio, path: &str) -> bool {
    app.api_keys.is_some()
        && app.config.config.api.listen.is_none()
        && (path == "/api" || path.starts_with("/api/"))
}

/// Answers a request to a path of the API.
pub(crate) async fn respond(
    app: &Arc<Nuncio>,
    request: Request<RequestBody>,
    peer: IpAddr,
) -> Response<Body> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        DOCUMENT if is_read => openapi::response(request.headers()),
        path if is_read && page::has(path) => page::response(path, request.headers()),
        path if path == DOCUMENT || page::has(path) => answer::failed(&not_allowed(&["GET"])),
        _ => match execute(app, request, peer).await {
            Ok(response) => response,
            Err(failure) => {
                app.metrics.api_refused(failure.code.as_str());
                answer::failed(&failure)
            }
        },
    }
}

async fn execute(
    app: &Arc<Nuncio>,
    request: Request<RequestBody>,
    peer: IpAddr,
) -> Result<Response<Body>, Failure> {
    let (route, tail) = find(request.method(), request.uri().path())?;
    let key = authorized(app, request.headers(), route)?;
    // Holds one of the key's places until the answer is there; a stream, until it ends.
    let place = key.enter()?;
    let work = Work {
        app: app.clone(),
        key,
        now: clock::now(),
    };
    let answered = match route.entry {
        Entry::Stream { .. } => {
            let query = Input::of_query(request.uri().query(), tail.as_deref(), route)?;
            let address = app.address_of(request.headers(), peer);
            tail::Opening::of(&request, &query, address)?.open(&work, place)
        }
        Entry::Command { begin, .. } => {
            let input = input(request, tail.as_deref(), route, app).await?;
            begin(&input, &work)?.await.map(answer::done)
        }
        Entry::Batch => {
            let input = input(request, tail.as_deref(), route, app).await?;
            batch::run(&input, &work).await.map(answer::done)
        }
    };
    app.metrics.api_answered(route.name);
    answered
}

/// What came with a request.
async fn input(
    request: Request<RequestBody>,
    tail: Option<&str>,
    route: &Route,
    app: &Nuncio,
) -> Result<Input, Failure> {
    match route.method {
        Method::GET => Input::of_query(request.uri().query(), tail, route),
        _ => Input::of_body(request, &app.config.config).await,
    }
}

fn find(method: &Method, path: &str) -> Result<(&'static Route, Option<String>), Failure> {
    match route::find(method, path) {
        Found::Route(route, tail) => Ok((route, tail)),
        Found::OtherMethods(methods) => Err(not_allowed(&methods)),
        Found::Nothing => {
            let message = format!("nothing is at {}: see {DOCUMENT}", quote(path));
            Err(Failure::new(Code::NotFound, message))
        }
    }
}

fn not_allowed(methods: &[&'static str]) -> Failure {
    Failure::not_allowed(methods.join(", "))
}

/// The key of a request, if it may use the route.
fn authorized(app: &Nuncio, headers: &HeaderMap, route: &Route) -> Result<Arc<Key>, Failure> {
    let keyring = app.api_keys.as_ref();
    let sent = headers.get(header::AUTHORIZATION);
    let key = keyring.and_then(|keyring| keyring.find(sent?.as_bytes()));
    let key = key.ok_or_else(|| {
        Failure::new(
            Code::Unauthorized,
            "send a key of the configuration's section api: Authorization: Bearer <key>",
        )
    })?;
    match route.entry {
        Entry::Command { scope, .. } | Entry::Stream { scope, .. } => key.check_scope(scope)?,
        Entry::Batch => {}
    }
    Ok(key)
}
