//! Socket.IO.

mod work;

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;

use anyhow::{Context as _, Result, ensure};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use nuncio_client::socketio::{
    AckId, Args, Client, Config, DisconnectReason, Event, Parser, Reconnection, Transport,
};
use nuncio_client::websocket::DeflateConfig;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::args::{ConnectArgs, ParserArg, TransportArg};
use super::super::happening::{Content, Ending, Happening};
use super::super::input::{Argument, Input, SocketIoOrder};
use super::super::plan::Plan;
use super::{Told, without_secrets};
use work::{Done, Kind, Namespaces, Work};

/// A conversation in Socket.IO.
pub(in crate::connect) struct SocketIo {
    client: Client,
    url: String,
    namespaces: Namespaces,
    events: mpsc::Receiver<(String, Event)>,
    told: VecDeque<Told>,
    work: FuturesUnordered<Work>,
    /// Events that are on their way out: the next line waits for them, so that all keep their order.
    sending: usize,
    /// Emitted events whose acknowledgement is waited for.
    asked: usize,
    /// Events of the server that ask for an answer, by the number that is shown.
    acks: BTreeMap<u64, (String, AckId)>,
    ack_last: u64,
    is_reconnecting: bool,
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    timeout: std::time::Duration,
}

impl SocketIo {
    /// # Errors
    /// What is wrong with the URL, the namespace or the auth payload.
    pub(super) fn start(args: &ConnectArgs, plan: &Plan) -> Result<Self> {
        let (server, namespace) = split(&plan.url);
        ensure!(
            namespace == "/" || args.namespace.is_none(),
            "the URL's path {namespace:?} is a namespace, and --namespace is another"
        );
        let namespace = args.namespace.clone().unwrap_or(namespace);
        let client = Client::start(config(args, plan, server)?)?;
        let (tell, events) = mpsc::channel(64);
        let mut namespaces = Namespaces::new(tell);
        let work = FuturesUnordered::new();
        work.push(namespaces.open(&client, &normal(&namespace)));
        Ok(Self {
            client,
            url: without_secrets(&plan.url),
            namespaces,
            events,
            told: VecDeque::new(),
            work,
            sending: 0,
            asked: 0,
            acks: BTreeMap::new(),
            ack_last: 0,
            is_reconnecting: args.reconnect,
            closing: None,
            timeout: args.timeout,
        })
    }

    pub(super) fn takes(&self) -> bool {
        self.closing.is_none() && self.sending == 0 && self.namespaces.is_connected()
    }

    pub(super) const fn unanswered(&self) -> usize {
        self.sending + self.asked
    }

    pub(super) fn perform(&mut self, input: Input) -> Result<(), String> {
        match input {
            Input::Text(text) => {
                let text = Argument::Json(Value::from(text).to_string());
                self.prepare(Kind::Emit("message".to_owned()), vec![text]);
            }
            Input::Binary(source) => {
                let bytes = Argument::Binary(source);
                self.prepare(Kind::Emit("message".to_owned()), vec![bytes]);
            }
            Input::SocketIo(order) => return self.order(order),
            Input::Close { code: 1000, .. } => self.close(),
            Input::Close { .. } => return Err("Socket.IO has no close codes: /close".to_owned()),
            Input::Quit | Input::Help | Input::Native(_) | Input::Ping(_) => {}
        }
        Ok(())
    }

    pub(super) fn close(&mut self) {
        if self.closing.is_none() {
            let client = self.client.clone();
            self.closing = Some(Box::pin(async move { client.close().await }));
        }
    }

    pub(super) async fn next(&mut self) -> Told {
        if let Some(told) = self.told.pop_front() {
            return told;
        }
        tokio::select! {
            Some(done) = self.work.next() => self.handle_done(done),
            Some((namespace, event)) = self.events.recv() => self.handle_event(namespace, event),
            () = finished(&mut self.closing) => {
                self.told.push_back(Told::End(Ending::ByUs));
            }
        }
        self.told.pop_front().unwrap_or(Told::Progress)
    }

    fn order(&mut self, order: SocketIoOrder) -> Result<(), String> {
        match order {
            SocketIoOrder::Emit { name, args } => self.prepare(Kind::Emit(name), args),
            SocketIoOrder::Ask { name, args } => self.prepare(Kind::Ask(name), args),
            SocketIoOrder::Answer { number, args } => {
                let Some((namespace, ack)) = self.acks.remove(&number) else {
                    return Err(format!("no event waits for the answer {number}"));
                };
                self.prepare(Kind::Answer(namespace, ack), args);
            }
            SocketIoOrder::Namespace(name) => {
                if self.namespaces.turn_to(&name) {
                    self.tell(Happening::Notice(format!("Now in {name}")));
                } else {
                    let opening = self.namespaces.open(&self.client, &name);
                    self.work.push(opening);
                }
            }
        }
        Ok(())
    }

    /// Files are read first; then the event goes out.
    fn prepare(&mut self, kind: Kind, args: Vec<Argument>) {
        self.sending += 1;
        self.work.push(work::resolve(kind, args));
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Opened(name, socket) => self.namespaces.handle_opened(name, socket),
            Done::Resolved(kind, args) => self.go(kind, args),
            Done::Sent(outcome) => {
                self.sending -= 1;
                if let Err(problem) = outcome {
                    self.told.push_back(Told::Failed(problem));
                }
            }
            Done::Answered(to, outcome) => {
                self.asked -= 1;
                match outcome {
                    Ok(args) => self.tell(Happening::Answer {
                        to,
                        json: String::from_utf8_lossy(args.payload().json()).into_owned(),
                        attachments: args.payload().attachments().to_vec(),
                    }),
                    Err(_) if self.closing.is_some() => {}
                    Err(problem) => self
                        .told
                        .push_back(Told::Failed(format!("{to}: {problem}"))),
                }
            }
            Done::Failed(problem) => self.told.push_back(Told::Failed(problem)),
        }
    }

    fn go(&mut self, kind: Kind, args: Args) {
        let Some(socket) = self.namespaces.socket(&kind) else {
            self.sending -= 1;
            let problem = "not sent: there is no connection".to_owned();
            return self.told.push_back(Told::Failed(problem));
        };
        if let Kind::Emit(name) | Kind::Ask(name) = &kind {
            let sent = Content::Text(event_json(name, &args));
            self.tell(Happening::Sent(sent));
        }
        if let Kind::Ask(_) = kind {
            // It goes out at its first poll, before anything that is pushed behind it.
            self.sending -= 1;
            self.asked += 1;
        }
        self.work.push(work::send(socket, kind, args, self.timeout));
    }

    fn handle_event(&mut self, namespace: String, event: Event) {
        match event {
            Event::Connect { id, recovered } => {
                self.namespaces.handle_connected(&namespace);
                let recovered = if recovered { ", recovered" } else { "" };
                let detail = Some(format!("{namespace} as {id}{recovered}"));
                let url = self.url.clone();
                self.tell(Happening::Open { url, detail });
            }
            Event::Message { name, args, ack } => {
                let ack = ack.map(|ack| self.remember(&namespace, ack));
                self.tell(Happening::Event {
                    namespace: Some(namespace).filter(|name| name != "/"),
                    json: event_json(&name, &args),
                    attachments: args.payload().attachments().to_vec(),
                    ack,
                });
            }
            Event::ConnectError {
                message,
                data,
                active,
            } => {
                let data = if data.is_null() {
                    String::new()
                } else {
                    format!(" {data}")
                };
                self.tell(Happening::Problem(format!(
                    "connect_error: {message}{data}"
                )));
                self.handle_lost(&namespace, active, Ending::Refused);
            }
            Event::Disconnect { reason, active } => {
                if self.closing.is_none() {
                    self.tell(Happening::Problem(format!("disconnect: {reason}")));
                    let ending = match reason {
                        DisconnectReason::ServerDisconnect => Ending::PutOut,
                        _ => Ending::Lost,
                    };
                    self.handle_lost(&namespace, active, ending);
                }
            }
            Event::ReconnectAttempt { attempt } => {
                self.tell(Happening::Notice(format!(
                    "Attempt {attempt} to connect again"
                )));
            }
            Event::Reconnect { .. } => {}
            Event::ReconnectFailed => self.told.push_back(Told::End(Ending::Lost)),
        }
    }

    /// A namespace is lost. The conversation ends with the last one that does not come back.
    fn handle_lost(&mut self, namespace: &str, active: bool, ending: Ending) {
        self.namespaces.handle_lost(namespace);
        if active && self.is_reconnecting {
            return;
        }
        if self.namespaces.remove(namespace) {
            let ending = if active { Ending::Lost } else { ending };
            self.told.push_back(Told::End(ending));
        }
    }

    fn remember(&mut self, namespace: &str, ack: AckId) -> u64 {
        self.ack_last += 1;
        self.acks.insert(self.ack_last, (namespace.to_owned(), ack));
        if self.acks.len() > ACKS_MAX {
            self.acks.pop_first();
        }
        self.ack_last
    }

    fn tell(&mut self, happening: Happening) {
        self.told.push_back(Told::Happening(happening));
    }
}

fn config(args: &ConnectArgs, plan: &Plan, server: String) -> Result<Config> {
    let mut config = Config::new(server);
    config.path.clone_from(&args.path);
    config.headers.clone_from(&plan.headers);
    config.tls = plan.tls();
    config.proxy = plan.proxy.clone();
    config.deflate = args.compress.then(DeflateConfig::default);
    let rules = &mut config.conversation;
    rules.transports = args
        .transport
        .iter()
        .map(|transport| match transport {
            TransportArg::Polling => Transport::Polling,
            TransportArg::WebSocket => Transport::WebSocket,
        })
        .collect();
    rules.timeout = args.connect_timeout;
    rules.reconnection = if args.reconnect {
        Reconnection::On
    } else {
        Reconnection::Off
    };
    rules.backoff.attempts_max = Some(args.attempts);
    rules.parser = match args.parser {
        ParserArg::Default => Parser::Default,
        ParserArg::MessagePack => Parser::MessagePack,
    };
    Ok(match auth(args.auth.as_deref(), plan.token.as_deref())? {
        Some(auth) => config.auth(auth),
        None => config,
    })
}

/// The payload of `--auth` with the token in it.
fn auth(json: Option<&str>, token: Option<&str>) -> Result<Option<Value>> {
    let given = json.map(|json| serde_json::from_str::<Value>(json).context("--auth is not JSON"));
    let mut auth = match given.transpose()? {
        None if token.is_none() => return Ok(None),
        None => json!({}),
        Some(auth) => auth,
    };
    ensure!(auth.is_object(), "--auth is a JSON object");
    if let Some(token) = token {
        auth["token"] = token.into();
    }
    Ok(Some(auth))
}

/// The server's URL with its query, and the namespace, which is the path.
fn split(url: &str) -> (String, String) {
    let (place, query) = match url.find('?') {
        Some(at) => url.split_at(at),
        None => (url, ""),
    };
    let host = place.find("://").map_or(0, |at| at + 3);
    let end = place[host..].find('/').map_or(place.len(), |at| host + at);
    let (server, path) = place.split_at(end);
    (format!("{server}/{query}"), normal(path))
}

fn normal(namespace: &str) -> String {
    format!("/{}", namespace.trim_matches('/'))
}

/// `["name", arguments…]`.
fn event_json(name: &str, args: &Args) -> String {
    let list = String::from_utf8_lossy(args.payload().json()).into_owned();
    let inner = list.trim();
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    let inner = inner.strip_suffix(']').unwrap_or(inner);
    let comma = if inner.trim().is_empty() { "" } else { "," };
    format!("[{}{comma}{inner}]", Value::from(name))
}

async fn finished(closing: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match closing {
        Some(future) => {
            future.await;
            // The end is told once.
            *closing = Some(Box::pin(pending()));
        }
        None => pending().await,
    }
}

/// Events that ask for an answer and got none: the oldest are forgotten.
const ACKS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_url_is_the_namespace_as_in_javascript() {
        for (url, server, namespace) in [
            ("http://a:1", "http://a:1/", "/"),
            ("https://a/chat?token=x", "https://a/?token=x", "/chat"),
            ("ws://a/", "ws://a/", "/"),
        ] {
            assert_eq!(
                split(url),
                (server.to_owned(), namespace.to_owned()),
                "{url}"
            );
        }
    }

    #[test]
    fn an_event_is_an_array_that_begins_with_its_name() {
        let nested = Args::from(vec![json!([[1]]), json!(2)]);
        assert_eq!(event_json("a\"b", &nested), r#"["a\"b",[[1]],2]"#);
        assert_eq!(event_json("none", &Args::new()), r#"["none"]"#);
    }

    #[test]
    fn a_token_joins_the_auth_payload() {
        let both = auth(Some(r#"{"room":"x"}"#), Some("t")).unwrap();
        assert_eq!(both, Some(json!({"room": "x", "token": "t"})));
        assert_eq!(auth(None, None).unwrap(), None);
        assert!(auth(Some("7"), None).is_err());
    }
}
