//! The server that the conformance suites of Engine.IO and Socket.IO want to meet.
//!
//! `cargo run -p nuncio-transport --example conformance -- 127.0.0.1:3000`, then run the suites of <https://github.com/socketio/socket.io>,
//! `docs/engine.io-protocol/v4-test-suite` and `docs/socket.io-protocol/v5-test-suite`. With `eio3` behind the address it also lets in clients of
//! Engine.IO 3, as `docs/engine.io-protocol/v3-test-suite` wants it and the one for v4 does not.
//!
//! The suite for v3 needs the `createWebSocket` and `waitFor` of the one for v4: its own listen for a message only after the handshake, and lose what came with
//! it. All three count on requests arriving in the order in which they were sent, within a few milliseconds: on a busy machine they fail with any server.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use nuncio_hub::{Durability, Encode, EncoderId, Message, Policies, Pushed, RoomPolicy};
use nuncio_model::{
    Admitted, Command, Compression, ErrorCode, EventName, Grants, Head, Identity, Json, Now,
    Opening, Outcome, Push, RateLimits, Refusal, Reply, ResumeToken, RoomLimits, UserId,
    Vocabulary,
};
use nuncio_session::Settings;
use nuncio_transport::{
    Admission, AllowedOrigin, App, Body, Client, Closed, Encoders, Endpoints, FeedAdmission, Front,
    FrontLimits, Protocols, Purpose, RequestBody, RequestError, Rooms, Shared, SocketIo,
    SocketIoOptions, Timers, Visitor, flusher, raw, text,
};
use tokio::net::TcpListener;

/// Who is in `/` or `/custom` hears its own words.
struct Conformance {
    encoders: Arc<Encoders>,
    rooms: Arc<Rooms>,
}

/// One thread, as the reference has: the suites send related requests on several connections and count on their order.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let protocols = match std::env::args().nth(2).as_deref() {
        Some("eio3") => Protocols::V3AndV4,
        Some(_) | None => Protocols::V4,
    };
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    let encoders = Arc::new(Encoders {
        deflate_threshold: 0,
        socketio_deflate_threshold: 0,
    });
    let policies = Policies::new(Vec::new(), RoomPolicy::new(Durability::Memory));
    let rooms = Rooms::new(
        encoders.clone(),
        Arc::new(policies),
        RoomLimits::default(),
        1,
        0,
    );
    let rooms = Arc::new(rooms);
    let timers = Arc::new(Timers::new(Instant::now()));
    tokio::spawn(flusher::run(rooms.clone(), 0));
    let due = timers.clone();
    tokio::spawn(async move { due.run().await });
    let app = Conformance {
        encoders: encoders.clone(),
        rooms: rooms.clone(),
    };
    let settings = Settings {
        rate: RateLimits {
            per_second: 0,
            ..RateLimits::default()
        },
        ..Settings::default()
    };
    let (_drain, drained) = tokio::sync::watch::channel(false);
    let front = Front {
        shared: Arc::new(Shared {
            app: Arc::new(app),
            rooms,
            timers,
            settings: Arc::new(settings),
            encoders,
        }),
        endpoints: Arc::new(Endpoints {
            websocket: None,
            echo: None,
            deflate: None,
            socketio: vec![
                endpoint("/engine.io/", Purpose::Echo, protocols),
                endpoint("/socket.io/", Purpose::Sessions, protocols),
            ],
            raw: Vec::new(),
            streams: None,
            subprotocols: &[],
        }),
        limits: FrontLimits::default(),
        tls: None,
        drain: drained,
    };
    Arc::new(front).run(listener).await;
    Ok(())
}

fn endpoint(path: &str, purpose: Purpose, protocols: Protocols) -> Arc<SocketIo> {
    Arc::new(SocketIo::new(SocketIoOptions {
        path: path.to_owned(),
        purpose,
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_secs(1),
        protocols,
        ..SocketIoOptions::default()
    }))
}

impl App for Conformance {
    async fn admit(self: &Arc<Self>, _: &Parts, _: IpAddr) -> Result<Admission, Response<Body>> {
        Err(not_found())
    }

    fn allow_origin(
        &self,
        _: &Uri,
        _: &HeaderMap,
    ) -> Result<Option<AllowedOrigin>, Box<Response<Body>>> {
        Ok(None)
    }

    fn admit_visitor(
        &self,
        _: &Uri,
        _: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Visitor, Box<Response<Body>>> {
        Ok(Visitor {
            opening: Opening::token_only(None),
            address: peer,
        })
    }

    async fn admit_poll(
        self: &Arc<Self>,
        _: &Parts,
        _: IpAddr,
    ) -> Result<Admission, Response<Body>> {
        Err(not_found())
    }

    async fn admit_feed(
        self: &Arc<Self>,
        _: &Parts,
        _: IpAddr,
    ) -> Result<FeedAdmission, Response<Body>> {
        Err(not_found())
    }

    async fn respond(self: &Arc<Self>, _: Request<RequestBody>, _: IpAddr) -> Response<Body> {
        not_found()
    }

    fn admit_raw(&self, _: &Uri, _: &HeaderMap, _: IpAddr) -> Result<IpAddr, Box<Response<Body>>> {
        Err(Box::new(not_found()))
    }

    fn raw_opened(&self, _: &raw::Client) {}

    fn raw_closed(&self, _: &raw::Client, _: &Closed) {}

    fn opened(&self, _: &Client, _: Option<Arc<Head>>) {}

    fn call(
        self: &Arc<Self>,
        client: &mut Client,
        _: u32,
        request: nuncio_model::Request,
        now: Now,
    ) -> Option<Result<Outcome, Refusal>> {
        Some(match request {
            nuncio_model::Request::Connect { auth, .. } => self.connect(client, auth.reveal(), now),
            nuncio_model::Request::Command(Command::Call {
                event,
                data,
                attachments,
            }) => {
                if &*event == "message" {
                    self.emit(client, "message-back", data.clone(), &attachments, now);
                }
                Ok(Outcome::Reply(Reply::Answer { data, attachments }))
            }
            _ => Err(Refusal::new(ErrorCode::UnknownType, "nothing else is here")),
        })
    }

    fn closed(self: &Arc<Self>, _: Client, _: &Closed, _: Now) {}

    fn moved(&self, _: &mut Client, _: EncoderId) {}

    fn request_refused(&self, _: RequestError, _: &Uri, _: &HeaderMap, _: IpAddr) {}

    fn upgraded(&self, _: &Client) {}

    fn is_revoked(&self, _: &Client) -> bool {
        false
    }

    fn received(&self, _: usize) {}

    fn sent(&self, _: usize) {}

    fn handshake_refused(&self, _: u16) {}

    fn refused(&self, _: ErrorCode) {}

    fn overflowed(&self) {}
}

impl Conformance {
    /// Lets everybody into the two namespaces, and tells what the CONNECT said.
    fn connect(&self, client: &Client, auth: &str, now: Now) -> Result<Outcome, Refusal> {
        if !["/", "/custom"].contains(&client.namespace.as_str()) {
            return Err(Refusal::new(ErrorCode::NotFound, "no such namespace"));
        }
        // The reply goes first: what is held is released behind it.
        client.outbox.hold();
        let auth = Json::parse(auth).map_err(|error| Refusal::invalid(error.to_string()))?;
        self.emit(client, "auth", auth, &[], now);
        let identity = Identity {
            user: UserId::parse("anybody").map_err(|error| Refusal::invalid(error.to_string()))?,
            profile: None,
            exp: None,
            iat: None,
            token_id: None,
            grants: Arc::new(Grants::default()),
            join: Vec::new(),
        };
        let resume = ResumeToken {
            socket: client.id,
            secret: [0; 16],
        };
        Ok(Outcome::Admitted(Box::new(Admitted {
            identity,
            resume,
            joined: Vec::new(),
            recovery: None,
            vocabulary: Vocabulary::BuiltIn,
        })))
    }

    fn emit(&self, client: &Client, name: &str, data: Json, binary: &[bytes::Bytes], now: Now) {
        let push = Push::Event {
            name: EventName::parse(name).expect("a name without control characters"),
            data,
            attachments: binary.into(),
            room: None,
            author: None,
            ts: now.unix_ms,
            compression: Compression::AsAgreed,
        };
        let message = Message::Push(&client.namespace, &push);
        let item = self.encoders.encode(client.encoder, message);
        if client.outbox.push(item) == Pushed::Due {
            self.rooms.flushers().add(client.outbox.clone());
        }
    }
}

fn not_found() -> Response<Body> {
    let mut response = Response::new(text("only /engine.io/ and /socket.io/ are here\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
