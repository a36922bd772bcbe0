//! What an idle connection costs: counted in bytes that live on the heap, so that the number is the same on every machine.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nuncio_e2e::TestServer;
use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes of heap that an authenticated session in one room may cost while it is silent. Beside them stand what the allocator cannot give back and
/// what the maps' growth leaves unused.
const BYTES_MAX: usize = 1300;

/// What a Socket.IO client may cost in the same place, however it came to its WebSocket.
const SOCKETIO_BYTES_MAX: usize = 2048;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_in_one_room_costs_less_than_1300_bytes() {
    if alone("an_idle_session_in_one_room_costs_less_than_1300_bytes") {
        let bytes = cost(connect_one).await;

        assert!(bytes <= BYTES_MAX, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_socketio_client_in_one_room_costs_less_than_2_kib() {
    if alone("an_idle_socketio_client_in_one_room_costs_less_than_2_kib") {
        let bytes = cost(connect_socketio).await;

        assert!(bytes <= SOCKETIO_BYTES_MAX, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socketio_client_that_has_upgraded_costs_the_same() {
    if alone("a_socketio_client_that_has_upgraded_costs_the_same") {
        let bytes = cost(upgrade_socketio).await;

        assert!(bytes <= SOCKETIO_BYTES_MAX, "{bytes}");
    }
}

/// What a feed, a stream or a poll that waits may cost: 2 KiB of ours, and what the runtime keeps for its socket. Nothing of it is HTTP's.
const STREAM_BYTES_MAX: usize = 2048 + 256;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_costs_less_than_2304_bytes() {
    if alone("a_feed_costs_less_than_2304_bytes") {
        let bytes = cost(watch).await;

        assert!(bytes <= STREAM_BYTES_MAX, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_costs_less_than_2304_bytes() {
    if alone("a_stream_costs_less_than_2304_bytes") {
        let bytes = cost(stream).await;

        assert!(bytes <= STREAM_BYTES_MAX, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_waits_costs_less_than_2304_bytes() {
    if alone("a_poll_that_waits_costs_less_than_2304_bytes") {
        let bytes = cost(poll).await;

        assert!(bytes <= STREAM_BYTES_MAX, "{bytes}");
    }
}

/// Set in the process that measures one thing.
const ALONE: &str = "NUNCIO_IDLE_ALONE";

/// Whether this is the process of this test alone. If not, it is run as one: what other tests leave on a heap, or give back to it late, would be
/// counted.
fn alone(test: &str) -> bool {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let _turn = ONE_AT_A_TIME.lock();
    let measure = || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ALONE, "1")
            // Or what a thread keeps of freed memory would be counted as living.
            .env("_RJEM_MALLOC_CONF", "tcache:false")
            .status()
            .unwrap()
    };
    // On a busy machine something of a handshake may not be given back yet when it is read: noise only adds.
    let passed = (0..3).any(|_| measure().success());
    assert!(passed, "{test}: three times too much");
    false
}

/// Bytes of heap for each client that was connected in this way and is silent.
async fn cost(connect_one: Connect) -> usize {
    // The sockets below answer no pings.
    let server = TestServer::set(&[
        "log.level=error",
        "socketio.ping_interval=1h",
        "streams.poll_wait=1h",
        // Polls would be answered with those who come, and streams keep for a while what they were told.
        r#"rooms=[{ pattern = "quiet", presence = false }]"#,
    ])
    .await;
    let mut clients = connect(&server, connect_one, 0..500).await;
    let before = live_bytes().await;

    clients.extend(connect(&server, connect_one, 500..2500).await);
    let after = live_bytes().await;

    let bytes = after.saturating_sub(before) / 2000;
    eprintln!("{bytes} bytes of heap for each idle session");
    bytes
}

/// Connects one client with a token, and has it join a room.
type Connect = fn(std::net::SocketAddr, &str) -> TcpStream;

/// Connects raw sockets, which own nothing on this heap, each as a user of its own in one room.
async fn connect(
    server: &TestServer,
    connect_one: Connect,
    numbers: std::ops::Range<usize>,
) -> Vec<TcpStream> {
    let address = server.address;
    let users: Vec<_> = numbers
        .map(|number| server.token(&format!("user-{number}")))
        .collect();
    let connecting = tokio::task::spawn_blocking(move || {
        users
            .iter()
            .map(|token| connect_one(address, token))
            .collect()
    });
    connecting.await.unwrap()
}

fn connect_one(address: std::net::SocketAddr, token: &str) -> TcpStream {
    let mut stream = websocket(address, &format!("/ws?token={token}"));
    read_until(&mut stream, b"auth_ok");
    send(
        &mut stream,
        r#"{"type":"room:join","roomId":"lobby","id":1}"#,
    );
    read_until(&mut stream, br#""ack":1"#);
    stream
}

fn watch(address: std::net::SocketAddr, token: &str) -> TcpStream {
    let mut stream = get(address, &format!("/sse?room=quiet&token={token}"), "");
    read_until(&mut stream, b"room:position");
    stream
}

fn stream(address: std::net::SocketAddr, token: &str) -> TcpStream {
    let (session, cursor) = join_quiet(address, token);
    let mut stream = get(address, &format!("/sse?cursor={cursor}"), &session);
    read_until(&mut stream, b"retry");
    stream
}

fn poll(address: std::net::SocketAddr, token: &str) -> TcpStream {
    let (session, cursor) = join_quiet(address, token);
    get(address, &format!("/poll?cursor={cursor}"), &session)
}

/// A session in a room that has been told so.
fn join_quiet(address: std::net::SocketAddr, token: &str) -> (String, String) {
    let (session, cursor) = open_session(address, token);
    let body = r#"{"n":1,"messages":[{"type":"room:join","roomId":"quiet","id":1}]}"#;
    ask_as(address, "POST /send", &session, body);
    let batch = ask_as(address, &format!("GET /poll?cursor={cursor}"), &session, "");
    assert!(batch.contains(r#""ack":1"#), "{batch}");
    (session, cursor_of(&batch))
}

/// The header that names a new session, and its cursor.
fn open_session(address: std::net::SocketAddr, token: &str) -> (String, String) {
    let opened = ask(address, &format!("POST /poll?token={token}"), "");
    let (_, resume) = opened.split_once(r#""resume":""#).unwrap();
    let resume = resume.split('"').next().unwrap();
    let session = format!("Authorization: Nuncio-Session {resume}\r\n");
    (session, cursor_of(&opened))
}

fn cursor_of(batch: &str) -> String {
    let (_, cursor) = batch.split_once(r#""cursor":"#).unwrap();
    cursor.split(',').next().unwrap().to_owned()
}

/// A request whose response is not read yet.
fn get(address: std::net::SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n"
    )
    .unwrap();
    stream
}

fn connect_socketio(address: std::net::SocketAddr, token: &str) -> TcpStream {
    let mut stream = websocket(address, "/socket.io/?EIO=4&transport=websocket");
    send(&mut stream, &format!(r#"40{{"token":"{token}"}}"#));
    read_until(&mut stream, br#"40{"sid""#);
    join_socketio(stream)
}

fn upgrade_socketio(address: std::net::SocketAddr, token: &str) -> TcpStream {
    let path = "/socket.io/?EIO=4&transport=polling";
    let opened = ask(address, &format!("GET {path}"), "");
    let (_, sid) = opened.split_once(r#""sid":""#).expect("an OPEN packet");
    let sid = &sid[..20];
    let session = format!("{path}&sid={sid}");
    let connect = format!(r#"40{{"token":"{token}"}}"#);
    ask(address, &format!("POST {session}"), &connect);
    ask(address, &format!("GET {session}"), "");
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    let mut stream = websocket(address, &path);
    send(&mut stream, "2probe");
    read_until(&mut stream, b"3probe");
    send(&mut stream, "5");
    join_socketio(stream)
}

fn join_socketio(mut stream: TcpStream) -> TcpStream {
    send(&mut stream, r#"421["room:join","lobby"]"#);
    read_until(&mut stream, br#"431[{"status":"ok""#);
    stream
}

/// One request on a connection of its own, and its whole response.
fn ask(address: std::net::SocketAddr, request: &str, body: &str) -> String {
    ask_as(address, request, "", body)
}

fn ask_as(address: std::net::SocketAddr, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let len = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {len}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    response
}

fn websocket(address: std::net::SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Sends a text, masked with zeros.
fn send(stream: &mut TcpStream, text: &str) {
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    stream.write_all(&frame).unwrap();
}

fn read_until(stream: &mut TcpStream, wanted: &[u8]) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !read.windows(wanted.len()).any(|window| window == wanted) {
        let len = stream.read(&mut buffer).unwrap();
        assert!(
            len > 0,
            "the server closed: {}",
            String::from_utf8_lossy(&read)
        );
        read.extend_from_slice(&buffer[..len]);
    }
}

/// Bytes that live on the heap once nothing moves any more: readings of a second that agree.
async fn live_bytes() -> usize {
    let (mut last, mut agreed) = (0, 0);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        epoch::advance().unwrap();
        let now = stats::allocated::read().unwrap();
        agreed = if now.abs_diff(last) < 2048 {
            agreed + 1
        } else {
            0
        };
        if agreed == 5 {
            return now;
        }
        last = now;
    }
    last
}
