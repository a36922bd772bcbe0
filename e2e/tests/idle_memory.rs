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

/// The tests share one heap.
static HEAP: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_in_one_room_costs_less_than_1300_bytes() {
    let bytes = cost(connect_one).await;

    assert!(bytes <= BYTES_MAX, "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_socketio_client_in_one_room_costs_less_than_2_kib() {
    let bytes = cost(connect_socketio).await;

    assert!(bytes <= SOCKETIO_BYTES_MAX, "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socketio_client_that_has_upgraded_costs_the_same() {
    let bytes = cost(upgrade_socketio).await;

    assert!(bytes <= SOCKETIO_BYTES_MAX, "{bytes}");
}

/// Bytes of heap for each client that was connected in this way and is silent.
async fn cost(connect_one: Connect) -> usize {
    let _alone = HEAP.lock().await;
    // The sockets below answer no pings.
    let config = "[log]\nlevel = \"error\"\n[socketio]\nping_interval = \"1h\"";
    let server = TestServer::start(config).await;
    let mut clients = connect(&server, connect_one, 0..500).await;
    let before = live_bytes().await;

    clients.extend(connect(&server, connect_one, 500..2500).await);
    let after = live_bytes().await;

    let bytes = (after - before) / 2000;
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
    let mut stream = TcpStream::connect(address).unwrap();
    let len = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
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

/// Bytes that live on the heap once nothing moves any more: two readings that agree.
async fn live_bytes() -> usize {
    let mut last = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        epoch::advance().unwrap();
        let now = stats::allocated::read().unwrap();
        if now.abs_diff(last) < 2048 {
            return now;
        }
        last = now;
    }
    last
}
