//! The table of all commands: requests are dispatched by it, and the document is made of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::Method;
use nuncio_model::{Json, quote};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::PREFIX;
use super::command::{
    Begun, Broadcast, ClearHistory, Command, Disconnect, Emit, Health, History, Join, Leave,
    OneSession, Presence, Private, Publish, Regrant, Revoke, Rooms, Server, Sessions, Stats, Work,
};
use super::failure::Failure;
use super::json::parse_command;
use super::openapi;
use super::request::Input;
use super::tail::Tail;
use crate::config::Scope;

/// A method and a path, and what is done there.
pub(super) struct Route {
    pub(super) method: Method,
    /// Under [`PREFIX`]; one `{name}` at its end stands for a field.
    pub(super) path: &'static str,
    /// What the document and a batch call it.
    pub(super) name: &'static str,
    /// In a line.
    pub(super) summary: &'static str,
    pub(super) entry: Entry,
    /// The parameters of a query, by name.
    parameters: BTreeMap<String, Kind>,
}

pub(super) enum Entry {
    Command {
        scope: Scope,
        begin: fn(&Input, &Work) -> Result<Begun<Json>, Failure>,
        request: fn(&mut SchemaGenerator) -> Schema,
        answer: fn(&mut SchemaGenerator) -> Schema,
    },
    /// An answer that goes on.
    Stream {
        scope: Scope,
        request: fn(&mut SchemaGenerator) -> Schema,
    },
    /// Many of the others; each has its own scope.
    Batch,
}

/// What a parameter of a query is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// Each time that it is given is an entry.
    List,
}

impl Kind {
    /// A number that is none stays a text: reading the command tells what is wrong with it.
    pub(super) fn value(self, text: &str) -> Value {
        match (self, text.parse::<u64>()) {
            (Self::Number, Ok(number)) => number.into(),
            (Self::Number | Self::Text | Self::List, _) => Value::String(text.to_owned()),
        }
    }
}

impl Route {
    fn get<C: Command>(
        path: &'static str,
        name: &'static str,
        scope: Scope,
        summary: &'static str,
    ) -> Self {
        let parameters = openapi::parameter_kinds::<C>();
        Self {
            parameters,
            ..Self::of::<C>(Method::GET, path, name, scope, summary)
        }
    }

    fn post<C: Command>(
        path: &'static str,
        name: &'static str,
        scope: Scope,
        summary: &'static str,
    ) -> Self {
        Self::of::<C>(Method::POST, path, name, scope, summary)
    }

    fn of<C: Command>(
        method: Method,
        path: &'static str,
        name: &'static str,
        scope: Scope,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            name,
            summary,
            entry: Entry::Command {
                scope,
                begin: begin::<C>,
                request: schema_of::<C>,
                answer: schema_of::<C::Answer>,
            },
            parameters: BTreeMap::new(),
        }
    }

    fn stream<R: JsonSchema>(
        path: &'static str,
        name: &'static str,
        scope: Scope,
        summary: &'static str,
    ) -> Self {
        let request = schema_of::<R>;
        Self {
            method: Method::GET,
            path,
            name,
            summary,
            entry: Entry::Stream { scope, request },
            parameters: openapi::parameter_kinds::<R>(),
        }
    }

    fn batch() -> Self {
        Self {
            method: Method::POST,
            path: "/batch",
            name: "batch",
            summary: "Many commands, each with its own result",
            entry: Entry::Batch,
            parameters: BTreeMap::new(),
        }
    }

    /// The field that the end of the path stands for.
    pub(super) fn tail(&self) -> Option<&'static str> {
        let (_, tail) = self.path.rsplit_once("/{")?;
        tail.strip_suffix('}')
    }

    /// What a parameter of the query is read as; `None` for one that is not known.
    pub(super) fn parameter(&self, name: &str) -> Option<Kind> {
        self.parameters.get(name).copied()
    }

    /// Whether the path is this route's; if so, with its end.
    fn matches(&self, path: &str) -> Option<Option<String>> {
        let Some((stem, _)) = self.path.rsplit_once('{') else {
            return (path == self.path).then_some(None);
        };
        let tail = path.strip_prefix(stem)?;
        let is_one = !tail.is_empty() && !tail.contains('/');
        // Decoded like a query, but for the plus sign, which is a space only there.
        let decoded = || {
            let tail = tail.replace('+', "%2B");
            let mut pairs = form_urlencoded::parse(tail.as_bytes());
            pairs.next().map(|(name, _)| name.into_owned())
        };
        is_one.then(decoded)
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Reads a command and begins it.
fn begin<C: Command>(input: &Input, work: &Work) -> Result<Begun<Json>, Failure> {
    work.key.charge(work.now.instant)?;
    let mut command: C = parse_command(&input.text)?;
    if let Some(sent) = &input.intention {
        let Some(field) = command.intention() else {
            return Err(Failure::invalid(
                "the header Idempotency-Key is for publish and broadcast only",
            ));
        };
        if field.as_ref().is_some_and(|written| written != sent) {
            let message = format!("idempotencyKey is not the header's {}", quote(sent));
            return Err(Failure::invalid(message));
        }
        *field = Some(sent.clone());
    }
    let answer = command.begin(work)?;
    Ok(Box::pin(async move { Ok(Json::of(&answer.await?)) }))
}

/// All routes, in the order of the document.
pub(super) fn routes() -> &'static [Route] {
    static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
        use Scope::{Admin, Publish as Say, Read, Sessions as Manage};
        vec![
            Route::post::<Publish>("/publish", "publish", Say, "Publish to one room"),
            Route::post::<Broadcast>(
                "/broadcast",
                "broadcast",
                Say,
                "Publish the same to many rooms",
            ),
            Route::post::<Emit>(
                "/emit",
                "emit",
                Say,
                "Send an event to whoever is connected",
            ),
            Route::post::<Private>("/private", "private", Say, "Send a private message"),
            Route::batch(),
            Route::get::<History>("/history", "history", Read, "Read a room's history"),
            Route::stream::<Tail>("/tail", "tail", Read, "Follow what is said in rooms"),
            Route::post::<ClearHistory>("/history/clear", "clear", Admin, "Clear a room's history"),
            Route::get::<Presence>("/presence", "presence", Read, "Who is in a room"),
            Route::get::<Rooms>(
                "/rooms",
                "rooms",
                Read,
                "The rooms, with members and positions",
            ),
            Route::get::<Sessions>("/sessions", "sessions", Manage, "The sessions"),
            Route::get::<OneSession>("/sessions/{sessionId}", "session", Manage, "One session"),
            Route::post::<Join>("/join", "join", Manage, "Put sessions into a room"),
            Route::post::<Leave>("/leave", "leave", Manage, "Take sessions out of a room"),
            Route::post::<Regrant>("/grants", "grants", Manage, "Change what sessions may do"),
            Route::post::<Disconnect>("/disconnect", "disconnect", Manage, "End sessions"),
            Route::post::<Revoke>("/revoke", "revoke", Manage, "Revoke a token or a user"),
            Route::get::<Server>("/server", "server", Read, "Version and counts"),
            Route::get::<Stats>("/stats", "stats", Read, "What the server counts"),
            Route::get::<Health>("/health", "health", Read, "Whether the server is ready"),
        ]
    });
    &ROUTES
}

/// What a path and a method lead to.
pub(super) enum Found {
    Route(&'static Route, Option<String>),
    /// The path is known; these are its methods.
    OtherMethods(Vec<&'static str>),
    Nothing,
}

pub(super) fn find(method: &Method, path: &str) -> Found {
    let Some(path) = path.strip_prefix(PREFIX) else {
        return Found::Nothing;
    };
    let wanted = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut others = Vec::new();
    for route in routes() {
        match route.matches(path) {
            Some(tail) if route.method == *wanted => return Found::Route(route, tail),
            Some(_) => others.push(route.method.as_str()),
            None => {}
        }
    }
    if others.is_empty() {
        Found::Nothing
    } else {
        Found::OtherMethods(others)
    }
}

/// The command of a batch by its name: whatever is posted.
pub(super) fn posted(name: &str) -> Option<&'static Route> {
    let mut routes = routes().iter();
    routes.find(|route| route.name == name && may_be_in_batch(route))
}

pub(super) fn may_be_in_batch(route: &Route) -> bool {
    match route.entry {
        Entry::Command { .. } => route.method == Method::POST,
        Entry::Stream { .. } | Entry::Batch => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_there_once() {
        for (index, route) in routes().iter().enumerate() {
            for other in &routes()[..index] {
                assert_ne!(route.name, other.name);
                assert!((&route.method, route.path) != (&other.method, other.path));
            }
        }
    }

    #[test]
    fn the_end_of_a_path_is_a_field() {
        let Found::Route(route, tail) = find(&Method::GET, "/api/v1/sessions/a%2Bb+c") else {
            panic!("it is a route");
        };

        assert_eq!((route.name, route.tail()), ("session", Some("sessionId")));
        assert_eq!(tail.as_deref(), Some("a+b+c"));
        for path in [
            "/api/v1/sessions/",
            "/api/v1/sessions/a/b",
            "/api/v2/rooms",
            "/api/v1",
        ] {
            assert!(matches!(find(&Method::GET, path), Found::Nothing), "{path}");
        }
    }

    #[test]
    fn another_method_is_told_which_there_are() {
        assert!(matches!(
            find(&Method::HEAD, "/api/v1/rooms"),
            Found::Route(..)
        ));
        let Found::OtherMethods(methods) = find(&Method::GET, "/api/v1/publish") else {
            panic!("it is posted");
        };
        assert_eq!(methods, ["POST"]);
    }
}
