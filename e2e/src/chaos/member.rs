//! One member of a room: it publishes, loses its connection, comes back, and knows what it may expect.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::ledger::Ledger;
use super::{Phase, Plan};
use crate::Client;
use crate::luck::Luck;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What happened to a member, or to all of them.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Publications that came in.
    pub deliveries: u64,
    /// Sessions taken over after a loss.
    pub resumed: u64,
    /// Rooms joined again with `since`, the session being gone.
    pub rejoined: u64,
    /// Gaps that the server announced (`recovered: false`).
    pub announced_gaps: u64,
    /// Publications sent again with their key.
    pub repeated: u64,
    /// Attempts to connect or to come in that failed.
    pub failed_attempts: u64,
    /// Connections that the server closed with a close frame.
    pub closed_by_server: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.resumed += other.resumed;
        self.rejoined += other.rejoined;
        self.announced_gaps += other.announced_gaps;
        self.repeated += other.repeated;
        self.failed_attempts += other.failed_attempts;
        self.closed_by_server += other.closed_by_server;
    }
}

/// How far a member is, for others to see.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The newest publication it saw.
    pub(super) seq: AtomicU64,
    /// Whether it is not in the room, or a publication of its own is not acknowledged.
    pub(super) waits: AtomicBool,
}

pub(super) struct Member {
    name: String,
    room: usize,
    address: SocketAddr,
    publish_pause: Duration,
    ledger: Arc<Ledger>,
    luck: Luck,
    token: Option<String>,
    resume: Option<String>,
    position: Option<Position>,
    /// The content that is not acknowledged, which is its own idempotency key.
    unacknowledged: Option<String>,
    published: u64,
    publish_at: Instant,
    counts: Counts,
    progress: Arc<Progress>,
    cut: Arc<Notify>,
    phase: watch::Receiver<Phase>,
}

/// What a member has seen of its room.
#[derive(Debug, Clone)]
struct Position {
    epoch: String,
    seq: u64,
}

/// The connection is gone.
struct Gone;

/// The `id` of a publish; there is one in flight at most.
const PUBLISH: u64 = 1;
/// The `id` of a join.
const JOIN: u64 = 2;
/// Mean pause before another attempt to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long the server may take to let a member in.
const ENTER_MAX: Duration = Duration::from_secs(20);

impl Member {
    pub(super) fn new(
        index: usize,
        plan: &Plan,
        address: SocketAddr,
        ledger: Arc<Ledger>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let mut luck = Luck::new(index as u64 + 2);
        Self {
            name: format!("user-{index}"),
            room: index % plan.rooms,
            address,
            publish_pause: plan.publish_pause,
            ledger,
            publish_at: Instant::now() + luck.around(plan.publish_pause),
            luck,
            token: None,
            resume: None,
            position: None,
            unacknowledged: None,
            published: 0,
            counts: Counts::default(),
            progress: Arc::new(Progress {
                seq: AtomicU64::new(0),
                waits: AtomicBool::new(true),
            }),
            cut: Arc::default(),
            phase,
        }
    }

    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Cuts the member's socket when it is notified.
    pub(super) fn cut(&self) -> Arc<Notify> {
        Arc::clone(&self.cut)
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Comes in, again and again, until all is over.
    pub(super) async fn run(mut self) -> Counts {
        while *self.phase.borrow() != Phase::Over {
            self.progress.waits.store(true, Ordering::Relaxed);
            if self.visit().await.is_err() {
                sleep(self.luck.around(RETRY_PAUSE)).await;
            }
        }
        self.counts
    }

    /// One connection, from its opening to its loss.
    async fn visit(&mut self) -> Result<(), Gone> {
        let opened = tokio::time::timeout(ENTER_MAX, self.open()).await;
        let Ok(Ok(mut socket)) = opened else {
            self.counts.failed_attempts += 1;
            return Err(Gone);
        };
        if let Some(content) = self.unacknowledged.clone() {
            self.counts.repeated += 1;
            self.send(&mut socket, self.publication(&content)).await?;
        }
        while *self.phase.borrow() != Phase::Over {
            self.note_progress();
            self.step(&mut socket).await?;
        }
        Ok(())
    }

    /// Takes one message in, or publishes one.
    async fn step(&mut self, socket: &mut Socket) -> Result<(), Gone> {
        let may_publish =
            self.unacknowledged.is_none() && *self.phase.borrow() == Phase::Publishing;
        let publish_at = self.publish_at;
        let mut phase = self.phase.clone();
        tokio::select! {
            message = self.next(socket) => self.take(&message?),
            () = sleep_until(publish_at), if may_publish => self.publish(socket).await?,
            _ = phase.changed() => {
                self.phase.borrow_and_update();
            }
        }
        Ok(())
    }

    async fn publish(&mut self, socket: &mut Socket) -> Result<(), Gone> {
        self.published += 1;
        let content = format!("{}.{}", self.name, self.published);
        self.unacknowledged = Some(content.clone());
        self.publish_at = Instant::now() + self.luck.around(self.publish_pause);
        self.send(socket, self.publication(&content)).await
    }

    fn publication(&self, content: &str) -> Value {
        json!({
            "type": "chat:message", "id": PUBLISH, "roomId": self.room_id(),
            "content": content, "idempotencyKey": content,
        })
    }

    fn room_id(&self) -> String {
        room_id(self.room)
    }

    fn note_progress(&self) {
        let seq = self.position.as_ref().map_or(0, |position| position.seq);
        self.progress.seq.store(seq, Ordering::Relaxed);
        self.progress
            .waits
            .store(self.unacknowledged.is_some(), Ordering::Relaxed);
    }

    /// Opens a connection and comes in: by resuming, or else with the token.
    async fn open(&mut self) -> Result<Socket, Gone> {
        let url = format!("ws://{}/ws", self.address);
        let (mut socket, _) = tokio_tungstenite::connect_async(url)
            .await
            .map_err(|_| Gone)?;
        if self.resume.is_some() && self.resumes(&mut socket).await? {
            self.counts.resumed += 1;
        } else {
            self.authenticate(&mut socket).await?;
            self.join(&mut socket).await?;
        }
        Ok(socket)
    }

    /// Takes the old session over. `false` when the server does not know it any more.
    async fn resumes(&mut self, socket: &mut Socket) -> Result<bool, Gone> {
        let position = self.position.as_ref();
        let rooms: Vec<Value> = position
            .map(|position| json!({"roomId": self.room_id(), "epoch": position.epoch, "seq": position.seq}))
            .into_iter()
            .collect();
        let resume = json!({"type": "resume", "resume": self.resume, "rooms": rooms});
        self.send(socket, resume).await?;
        loop {
            let message = self.next(socket).await?;
            match message["type"].as_str() {
                Some("resumed") => {
                    self.resume = message["resume"].as_str().map(str::to_owned);
                    // A session that was cut before its join is in no room.
                    let Some(room) = message["rooms"].get(0) else {
                        self.join(socket).await?;
                        return Ok(true);
                    };
                    self.entered(room);
                    return Ok(true);
                }
                Some("error") => {
                    self.resume = None;
                    if message["code"] != "NOT_FOUND" {
                        self.ledger
                            .found(format!("{}: resume answered {message}", self.name));
                    }
                    return Ok(false);
                }
                Some(_) | None => self.take(&message),
            }
        }
    }

    async fn authenticate(&mut self, socket: &mut Socket) -> Result<(), Gone> {
        if self.token.is_none() {
            self.token = Some(demo_token(self.address, &self.name).await.ok_or(Gone)?);
        }
        let auth = json!({"type": "auth", "token": self.token});
        self.send(socket, auth).await?;
        loop {
            let message = self.next(socket).await?;
            if message["type"] == "auth_ok" {
                self.resume = message["resume"].as_str().map(str::to_owned);
                return Ok(());
            }
        }
    }

    async fn join(&mut self, socket: &mut Socket) -> Result<(), Gone> {
        let mut join = json!({"type": "room:join", "id": JOIN, "roomId": self.room_id()});
        if let Some(position) = &self.position {
            self.counts.rejoined += 1;
            join["since"] = json!({"epoch": position.epoch, "seq": position.seq});
        }
        self.send(socket, join).await?;
        loop {
            let message = self.next(socket).await?;
            if message["ack"] != JOIN {
                self.take(&message);
                continue;
            }
            if !message["error"].is_null() {
                self.ledger
                    .found(format!("{}: join answered {message}", self.name));
                return Err(Gone);
            }
            self.entered(&message["data"]);
            return Ok(());
        }
    }

    /// The server said where the room is, and whether what was missed follows.
    fn entered(&mut self, room: &Value) {
        let epoch = room["epoch"].as_str().unwrap_or_default();
        self.ledger.heard_epoch(self.room, epoch);
        if self.position.is_some() {
            if room["recovered"] == true {
                return;
            }
            self.counts.announced_gaps += 1;
        }
        self.position = Some(Position {
            epoch: epoch.to_owned(),
            seq: room["seq"].as_u64().unwrap_or_default(),
        });
    }

    fn take(&mut self, message: &Value) {
        if message["ack"] == PUBLISH {
            return self.take_reply(message);
        }
        match message["type"].as_str() {
            Some("chat:message") => self.take_publication(message),
            Some("room:position") => self.entered(message),
            Some("error") => self.ledger.found(format!("{}: {message}", self.name)),
            Some(_) | None => {}
        }
    }

    fn take_reply(&mut self, message: &Value) {
        let Some(content) = self.unacknowledged.take() else {
            return self
                .ledger
                .found(format!("{}: a reply to nothing: {message}", self.name));
        };
        if message["error"].is_null() {
            self.ledger
                .acknowledged(self.room, &content, &message["data"]);
        } else {
            self.ledger
                .found(format!("{}: publish answered {message}", self.name));
        }
    }

    /// The next publication of the room must be the next one.
    fn take_publication(&mut self, message: &Value) {
        self.counts.deliveries += 1;
        self.ledger.saw(self.room, message);
        let seq = message["seq"].as_u64().unwrap_or_default();
        let Some(position) = &mut self.position else {
            return self.ledger.found(format!(
                "{}: seq {seq} before the join was answered",
                self.name
            ));
        };
        if seq != position.seq + 1 {
            let what = if seq > position.seq {
                "a silent gap"
            } else {
                "a repetition"
            };
            self.ledger.found(format!(
                "{}: {what}: seq {seq} after {}",
                self.name, position.seq
            ));
        }
        position.seq = position.seq.max(seq);
    }

    async fn send(&self, socket: &mut Socket, message: Value) -> Result<(), Gone> {
        socket
            .send(Message::text(message.to_string()))
            .await
            .map_err(|_| Gone)
    }

    /// The next message, unless the socket is cut first.
    async fn next(&mut self, socket: &mut Socket) -> Result<Value, Gone> {
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                () = self.cut.notified() => return Err(Gone),
            };
            match message {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).map_err(|error| {
                        self.ledger.found(format!("{}: {error}: {text}", self.name));
                        Gone
                    });
                }
                Some(Ok(Message::Close(_))) => {
                    self.counts.closed_by_server += 1;
                    return Err(Gone);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Gone),
            }
        }
    }
}

/// Reads each room's history from its first message, as a newcomer, and compares.
pub(super) async fn check_histories(address: SocketAddr, ledger: &Ledger, rooms: usize) {
    let newest = ledger.newest();
    let token = demo_token(address, "newcomer")
        .await
        .expect("the server gives tokens");
    for (room, newest) in newest.into_iter().enumerate().take(rooms) {
        let (mut client, _) = Client::enter(&format!("ws://{address}/ws?token={token}")).await;
        let joined = client.join(&room_id(room)).await;
        ledger.heard_epoch(room, joined["epoch"].as_str().unwrap_or_default());
        let again = json!({
            "type": "room:join", "roomId": room_id(room), "since": {"epoch": joined["epoch"], "seq": 0},
        });
        let reply = client.call(again).await;
        if reply["data"]["recovered"] != true || reply["data"]["seq"] != newest {
            ledger.found(format!(
                "room {room}: its history answers {reply}, the newest seen is {newest}"
            ));
            continue;
        }
        let mut messages = Vec::new();
        for _ in 0..newest {
            messages.push(client.expect("chat:message").await);
        }
        ledger.check_history(room, &messages);
        client.close().await;
    }
}

fn room_id(room: usize) -> String {
    format!("room-{room}")
}

/// A token of the demo; `None` while the server is away.
async fn demo_token(address: SocketAddr, name: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let body = json!({"name": name}).to_string();
    let request = format!(
        "POST /demo/token HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    let (_, body) = response.split_once("\r\n\r\n")?;
    let answer: Value = serde_json::from_str(body).ok()?;
    answer["token"].as_str().map(str::to_owned)
}
