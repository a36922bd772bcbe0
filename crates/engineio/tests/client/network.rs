//! A client and a server with lossless links between them: a request, an answer, or one end of the WebSocket at a time,
//! in an order the test chooses.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nuncio_engineio::payload::Content;
use nuncio_engineio::server::{self, RequestId, SocketEnd, SocketId};
use nuncio_engineio::{BinarySupport, Config, Frame, Message, Packet, Protocol, Response, client};

pub(crate) struct Network {
    pub(crate) client: client::Connection,
    pub(crate) server: Option<server::Connection>,
    now: Instant,
    links: [VecDeque<Crossing>; 5],
    socket: Option<SocketId>,
    posts: Vec<RequestId>,
    request_next: u64,
    pub(crate) at_client: Vec<String>,
    pub(crate) at_server: Vec<String>,
    pub(crate) is_upgraded: bool,
}

/// What is on its way.
#[derive(Debug)]
enum Crossing {
    Get,
    Post(bytes::Bytes),
    GetAnswer(Response),
    PostAnswer(Response),
    OpenSocket,
    ToServer(Frame),
    Opened,
    ToClient(Frame),
}

impl Network {
    pub(crate) fn new(config: client::Config) -> Self {
        let now = start();
        let mut network = Self {
            client: client::Connection::new(now, config),
            server: None,
            now,
            links: std::array::from_fn(|_| VecDeque::new()),
            socket: None,
            posts: Vec::new(),
            request_next: 0,
            at_client: Vec::new(),
            at_server: Vec::new(),
            is_upgraded: false,
        };
        network.take_outputs();
        network
    }

    /// Lets one thing arrive: the oldest on the link `pick` points at, or on the next link that has any.
    pub(crate) fn step(&mut self, pick: usize) -> bool {
        let count = self.links.len();
        let busy = (0..count)
            .map(|n| (pick + n) % count)
            .find(|&n| !self.links[n].is_empty());
        let Some(crossing) = busy.and_then(|link| self.links[link].pop_front()) else {
            return false;
        };
        self.arrive(crossing);
        self.take_outputs();
        true
    }

    /// Lets everything arrive; time passes only while nothing is on its way, up to a second.
    pub(crate) fn settle(&mut self) {
        loop {
            while self.step(0) {}
            let Some(server) = &mut self.server else {
                return;
            };
            let second = self.now + Duration::from_secs(1);
            let Some(at) = server.poll_timeout().filter(|at| *at <= second) else {
                return;
            };
            self.now = at;
            server.handle_timeout(at);
            self.take_outputs();
        }
    }

    pub(crate) fn client_sends(&mut self, text: &str) {
        self.client.send(Packet::text(text.to_owned()).encode());
        self.take_outputs();
    }

    pub(crate) fn server_sends(&mut self, text: &str) {
        if let Some(server) = &mut self.server {
            server
                .send(Packet::text(text.to_owned()).encode())
                .expect("the server is open");
            self.take_outputs();
        }
    }

    fn arrive(&mut self, crossing: Crossing) {
        let now = self.now;
        match crossing {
            Crossing::Get => self.serve_get(),
            Crossing::Post(body) => {
                let request = self.request();
                self.posts.push(request);
                let server = self.server.as_mut().expect("a POST follows the handshake");
                if server.handle_post(now, request, Content::Text) {
                    server.handle_post_body(now, request, Content::Text, body);
                }
            }
            Crossing::GetAnswer(answer) => {
                self.client
                    .handle_get_response(now, answer.status, answer.body);
            }
            Crossing::PostAnswer(answer) => self.client.handle_post_response(answer.status),
            Crossing::OpenSocket => {
                self.serve_socket();
                self.links[4].push_front(Crossing::Opened);
            }
            Crossing::Opened => self.client.handle_socket_open(),
            Crossing::ToServer(frame) => {
                if let (Some(server), Some(socket)) = (&mut self.server, self.socket) {
                    server.handle_frame(now, socket, frame);
                }
            }
            Crossing::ToClient(frame) => self.client.handle_frame(now, frame),
        }
    }

    fn serve_get(&mut self) {
        let (now, request) = (self.now, self.request());
        match &mut self.server {
            Some(server) => server.handle_get(now, request),
            None => {
                let config = Arc::new(Config::default());
                let (protocol, binary) = (Protocol::V4, BinarySupport::Bytes);
                self.server = Some(server::Connection::polling(
                    now, config, "sid", protocol, binary, request,
                ));
            }
        }
    }

    fn serve_socket(&mut self) {
        if let Some(server) = &mut self.server {
            self.socket = server.handle_websocket(self.now);
            return;
        }
        let config = Arc::new(Config::default());
        let (server, socket) = server::Connection::websocket(
            self.now,
            config,
            "sid",
            Protocol::V4,
            BinarySupport::Bytes,
        );
        (self.server, self.socket) = (Some(server), Some(socket));
    }

    fn request(&mut self) -> RequestId {
        self.request_next += 1;
        RequestId(self.request_next)
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                client::Output::Get => self.links[0].push_back(Crossing::Get),
                client::Output::Post(body) => self.links[1].push_back(Crossing::Post(body)),
                client::Output::OpenSocket => self.links[3].push_back(Crossing::OpenSocket),
                client::Output::Send(frame) => self.links[3].push_back(Crossing::ToServer(frame)),
                client::Output::Message(message) => self.at_client.push(text(message)),
                client::Output::Upgraded => self.is_upgraded = true,
                client::Output::Opened(_) => {}
                client::Output::CloseSocket => {
                    if let (Some(server), Some(socket)) = (&mut self.server, self.socket) {
                        server.handle_socket_end(self.now, socket, SocketEnd::Closed);
                    }
                }
                client::Output::Closed(reason) => panic!("the client closed: {reason:?}"),
            }
        }
        while let Some(output) = self.server.as_mut().and_then(|server| server.poll_output()) {
            match output {
                server::Output::Message(message) => self.at_server.push(text(message)),
                server::Output::Respond { request, response } if self.posts.contains(&request) => {
                    self.links[2].push_back(Crossing::PostAnswer(response));
                }
                server::Output::Respond { response, .. } => {
                    self.links[0].push_back(Crossing::GetAnswer(response));
                }
                server::Output::Send { frame, .. } => {
                    self.links[4].push_back(Crossing::ToClient(frame));
                }
                server::Output::Upgraded { .. } => {}
                other @ (server::Output::CloseSocket { .. } | server::Output::Closed(_)) => {
                    panic!("the server ended: {other:?}")
                }
            }
        }
    }
}

/// Any instant will do.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made otherwise"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

fn text(message: Message) -> String {
    match message {
        Message::Text(bytes) | Message::Binary(bytes) => {
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }
}
