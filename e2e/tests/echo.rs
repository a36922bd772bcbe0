//! The basic server to try a client with.

use nuncio_e2e::raw::Frame;
use nuncio_e2e::{Raw, TestServer, http, raw};

#[tokio::test]
async fn it_greets_and_sends_back_what_it_is_told() {
    let server = TestServer::start("").await;
    let mut client = Raw::connect(server.address, "/ws/echo", &[]).await;

    let welcome = client.message().await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["id"].as_str().unwrap().len(), 20);

    client.send(raw::TEXT, "Hello! ✓".as_bytes()).await;
    assert_eq!(
        client.frame().await,
        frame(raw::TEXT, "Server echo: Hello! ✓".as_bytes())
    );
    client.send(0x82, &[0, 255, 1]).await;
    assert_eq!(client.frame().await, frame(0x82, &[0, 255, 1]));
    client.send(raw::PING, b"p").await;
    assert_eq!(client.frame().await, frame(raw::PONG, b"p"));
    client.send(raw::CLOSE, &[3, 232]).await;
    assert_eq!(client.closed().await.0, 1000);
    assert_eq!(
        client.frame().await,
        None,
        "nothing follows the close frame"
    );
}

#[tokio::test]
async fn plain_it_says_nothing_of_its_own() {
    let server = TestServer::start("").await;
    let mut client = Raw::connect(server.address, "/ws/echo?plain", &[]).await;

    client.send(raw::TEXT, b"as it is").await;
    assert_eq!(client.frame().await, frame(raw::TEXT, b"as it is"));
    client.send(0x01, b"in ").await;
    client.send(0x80, b"pieces").await;
    assert_eq!(client.frame().await, frame(raw::TEXT, b"in pieces"));
}

#[tokio::test]
async fn a_large_message_comes_back_whole() {
    let server = TestServer::start("").await;
    let mut client = Raw::connect(server.address, "/ws/echo?plain", &[]).await;
    let large = vec![b'x'; 1 << 20];

    client.send(0x82, &large).await;

    assert_eq!(client.frame().await, frame(0x82, &large));
}

#[tokio::test]
async fn it_is_off_unless_it_is_written_and_on_in_the_demo() {
    let off = TestServer::set(&["server.echo=false"]).await;
    assert_eq!(
        http::upgrade(off.address, "/ws/echo", &[]).await.status,
        404
    );

    let demo = TestServer::demo(&[]).await;
    assert_eq!(
        http::upgrade(demo.address, "/ws/echo", &[]).await.status,
        101
    );
}

fn frame(first: u8, payload: &[u8]) -> Option<Frame> {
    Some(Frame {
        first,
        payload: payload.to_vec(),
    })
}
