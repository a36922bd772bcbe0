//! What Socket.IO's HTTP answers say beside their packets: compression, the cookie, what pages of other origins may do.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};
use nuncio_e2e::http::{Answer, ask};
use nuncio_e2e::polling::{Poller, Version};
use nuncio_e2e::{Client, TestServer};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

#[tokio::test]
async fn a_large_answer_to_a_poll_is_compressed_as_the_client_likes_it() {
    let server = TestServer::start("").await;
    let bob = enter(&server).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    for (accepted, coding) in [
        ("gzip, deflate, br", Some("gzip")),
        ("deflate", Some("deflate")),
        ("br", None),
        ("gzip;q=0", None),
    ] {
        ann.publish("lobby", &"x".repeat(2_000)).await;
        let answer = poll(&server, &bob, accepted).await;
        assert_eq!(answer.header("content-encoding"), coding);
        let text = decoded(&answer);
        assert!(text.contains(&"x".repeat(2_000)), "{text}");
        assert_eq!(coding.is_some(), answer.body.len() < 500);
    }

    ann.publish("lobby", "small").await;
    let answer = poll(&server, &bob, "gzip").await;
    assert_eq!(answer.header("content-encoding"), None);
    server.stop().await;
}

#[tokio::test]
async fn compression_may_be_off_or_begin_elsewhere() {
    for (setting, coding) in [
        ("socketio.http_compression=false", None),
        ("socketio.http_compression_threshold=100", Some("gzip")),
    ] {
        let server = TestServer::set(&[setting]).await;
        let bob = enter(&server).await;
        let (mut ann, _) = Client::enter(&server.url("ann")).await;
        ann.publish("lobby", &"x".repeat(500)).await;
        let answer = poll(&server, &bob, "gzip").await;
        assert_eq!(answer.header("content-encoding"), coding);
        server.stop().await;
    }
}

#[tokio::test]
async fn the_cookie_comes_with_the_answer_that_opens_a_session_when_it_has_a_name() {
    let server = TestServer::start("").await;
    let opened = ask(server.address, "GET", POLLING, &[], "").await;
    assert_eq!(opened.header("set-cookie"), None);
    server.stop().await;

    let server = TestServer::set(&["socketio.cookie.name=io"]).await;
    let bob = Poller::open(server.address, Version::V4, "").await;
    let sid = bob.path.rsplit('=').next().unwrap();
    let expected = format!("io={sid}; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(bob.opened.header("set-cookie"), Some(&*expected));
    bob.post("40{}").await;
    assert_eq!(bob.get().await.header("set-cookie"), None);
    server.stop().await;

    let server = TestServer::set(&[
        "socketio.cookie.name=route",
        "socketio.cookie.path=/socket.io/",
        "socketio.cookie.http_only=false",
        "socketio.cookie.same_site=none",
        "socketio.cookie.secure=true",
        "socketio.cookie.max_age=1h",
    ])
    .await;
    let bob = Poller::open(server.address, Version::V4, "").await;
    let cookie = bob.opened.header("set-cookie").unwrap();
    let rest = "; Max-Age=3600; Path=/socket.io/; Secure; SameSite=None";
    assert!(
        cookie.starts_with("route=") && cookie.ends_with(rest),
        "{cookie}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_page_is_told_before_it_asks_what_it_may_send() {
    let origins = r#"server.origins=["https://app.example.com"]"#;
    let server = TestServer::set(&[origins]).await;
    let asked = [
        ("Origin", "https://app.example.com"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type, x-trace"),
    ];

    let answer = ask(server.address, "OPTIONS", POLLING, &asked, "").await;

    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET,POST"),
        ("access-control-allow-headers", "content-type, x-trace"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let head = answer.head.to_ascii_lowercase();
    assert!(head.contains("vary: origin"), "{head}");
    assert!(
        head.contains("vary: access-control-request-headers"),
        "{head}"
    );
    let other = [("Origin", "https://bad.example.com"), asked[1]];
    let refused = ask(server.address, "OPTIONS", POLLING, &other, "").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("access-control-allow-origin"), None);
    server.stop().await;
}

#[tokio::test]
async fn headers_that_pages_may_send_and_read_are_settings() {
    let server = TestServer::set(&[
        r#"server.origins=["https://app.example.com"]"#,
        "socketio.allowed_headers=content-type,x-app",
        "socketio.exposed_headers=x-node,x-version",
    ])
    .await;
    let origin = ("Origin", "https://app.example.com");
    let asked = [origin, ("Access-Control-Request-Headers", "x-evil")];

    let preflight = ask(server.address, "OPTIONS", POLLING, &asked, "").await;
    let opened = ask(server.address, "GET", POLLING, &[origin], "").await;

    let allowed = preflight.header("access-control-allow-headers");
    assert_eq!(allowed, Some("content-type,x-app"));
    for answer in [preflight, opened] {
        let exposed = answer.header("access-control-expose-headers");
        assert_eq!(exposed, Some("x-node,x-version"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_everybody_may_be_gets_no_credentials() {
    let server = TestServer::set(&[r#"server.origins=["*"]"#]).await;
    let origin = [("Origin", "https://any.example.com")];

    let opened = ask(server.address, "GET", POLLING, &origin, "").await;

    let allowed = opened.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://any.example.com"));
    assert_eq!(opened.header("access-control-allow-credentials"), None);
    server.stop().await;
}

/// A client in the lobby that has fetched everything.
async fn enter(server: &TestServer) -> Poller {
    let bob = Poller::open(server.address, Version::V4, "").await;
    bob.post(&format!(r#"40{{"token":"{}"}}"#, server.token("bob")))
        .await;
    bob.post(r#"421["room:join","lobby"]"#).await;
    bob.poll_until("431").await;
    bob
}

/// Polls until a message of the room comes.
async fn poll(server: &TestServer, poller: &Poller, accepted: &str) -> Answer {
    loop {
        let headers = [("Accept-Encoding", accepted)];
        let answer = ask(server.address, "GET", &poller.path, &headers, "").await;
        if decoded(&answer).contains("message:new") {
            return answer;
        }
    }
}

fn decoded(answer: &Answer) -> String {
    let mut text = String::new();
    match answer.header("content-encoding") {
        Some("gzip") => GzDecoder::new(&answer.body[..]).read_to_string(&mut text),
        Some("deflate") => ZlibDecoder::new(&answer.body[..]).read_to_string(&mut text),
        Some(other) => panic!("{other}"),
        None => return answer.text(),
    }
    .unwrap();
    text
}
