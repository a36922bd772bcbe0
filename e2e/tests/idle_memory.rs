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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_in_one_room_costs_less_than_1300_bytes() {
    let server = TestServer::start("[log]\nlevel = \"error\"").await;
    let mut clients = connect(&server, 0..500).await;
    let before = live_bytes().await;

    clients.extend(connect(&server, 500..2500).await);
    let after = live_bytes().await;

    let bytes = (after - before) / 2000;
    println!("{bytes} bytes of heap for each idle session");
    assert!(bytes <= BYTES_MAX, "{bytes}");
    drop(clients);
}

/// Connects raw sockets, which own nothing on this heap, each as a user of its own in one room.
async fn connect(server: &TestServer, numbers: std::ops::Range<usize>) -> Vec<TcpStream> {
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
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let request = format!(
        "GET /ws?token={token} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    read_until(&mut stream, b"auth_ok");
    let join = br#"{"type":"room:join","roomId":"lobby","id":1}"#;
    let mut frame = vec![0x81, 0x80 | join.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(join);
    stream.write_all(&frame).unwrap();
    read_until(&mut stream, br#""ack":1"#);
    stream
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
