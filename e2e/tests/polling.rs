//! `docs/protocol.md`, "SSE and long polling": sessions over `/poll` and `/send`.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio::auth::Claims;
use nuncio_e2e::{Client, Poll, TestServer, http, unix_s};
use serde_json::json;

#[tokio::test]
async fn a_session_opens_with_its_first_message_and_gets_replies_by_polls() {
    let server = TestServer::start("").await;
    let mut poll = Poll::enter(server.address, &server.token("ann")).await;

    assert_eq!(poll.next().await["type"], "welcome");
    assert_eq!(poll.next().await["user"]["sub"], "ann");
    let joined = poll
        .call(json!({ "type": "room:join", "roomId": "lobby", "id": 1 }))
        .await;
    assert_eq!(joined["data"]["roomId"], "lobby");
    let sent = json!({ "type": "chat:message", "roomId": "lobby", "content": "hi", "id": 2 });
    poll.send(&[sent]).await;
    let message = poll.expect("chat:message").await;

    assert_eq!(
        (&message["content"], &message["seq"]),
        (&json!("hi"), &json!(1))
    );
    let sessions = r#"nuncio_sessions{transport="polling"}"#;
    assert_eq!(server.metric(sessions).await, 1.0);
}

#[tokio::test]
async fn the_token_may_be_in_the_request_as_anywhere_else() {
    let server = TestServer::start("").await;
    let token = server.token("ann");
    let bearer = format!("Bearer {token}");

    for (path, headers) in [
        (format!("/poll?token={token}"), vec![]),
        ("/poll".to_owned(), vec![("Authorization", &*bearer)]),
    ] {
        let answer = http::ask(server.address, "POST", &path, &headers, "").await;
        let mut poll = Poll::of(server.address, &answer);
        assert_eq!(poll.expect("auth_ok").await["user"]["sub"], "ann");
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so_by_status_code_and_error() {
    let server = TestServer::start("").await;
    let wrong = json!({ "type": "auth", "token": "wrong" });
    let gone = json!({ "type": "resume", "resume": "x".repeat(42) });
    let early = json!({ "type": "room:join", "roomId": "lobby" });

    for (first, status, code, message) in [
        (wrong, 401, "NOT_AUTHENTICATED", "Authentication failed"),
        (gone, 404, "NOT_FOUND", "no session to resume"),
        (early, 401, "NOT_AUTHENTICATED", "Not authenticated"),
        (
            json!({ "type": "ping" }),
            401,
            "NOT_AUTHENTICATED",
            "Not authenticated",
        ),
        (
            json!(7),
            400,
            "INVALID_MESSAGE",
            "Message must have a type field",
        ),
    ] {
        let answer = Poll::try_open(server.address, &first).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["code"]),
            (status, &json!(code)),
            "{first}"
        );
        assert!(
            error["message"].as_str().unwrap().starts_with(message),
            "{error}"
        );
    }
    let broken = http::ask(server.address, "POST", "/poll", &[], "{").await;
    assert_eq!(
        (broken.status, &broken.json()["error"]["code"]),
        (400, &json!("PARSE_ERROR"))
    );
    let forged = http::ask(server.address, "POST", "/poll?token=wrong", &[], "").await;
    assert_eq!(forged.status, 401);
    assert_eq!(forged.json()["error"]["message"], "Invalid token");
    server.until_metric("nuncio_connections", 0.0).await;
}

#[tokio::test]
async fn the_same_cursor_brings_the_same_batch_and_the_next_one_acknowledges_it() {
    let server = TestServer::start("").await;
    let mut poll = joined(&server, "ann").await;
    let before = poll.cursor;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    publish(&mut bob, "one").await;

    let first = poll.ask(before).await.json();
    publish(&mut bob, "two").await;
    let again = poll.ask(before).await.json();
    let next = poll.ask(first["cursor"].as_u64().unwrap()).await.json();

    assert_eq!(first, again);
    assert_eq!(contents(&first), ["one"]);
    assert_eq!(contents(&next), ["two"]);
    for cursor in [before, 10_000] {
        let answer = poll.ask(cursor).await;
        assert_eq!(
            answer.status, 409,
            "acknowledged, or never given out: {answer:?}"
        );
    }
    poll.cursor = next["cursor"].as_u64().unwrap();
    publish(&mut bob, "three").await;
    assert_eq!(poll.expect("chat:message").await["content"], "three");
}

#[tokio::test]
async fn of_two_polls_the_newer_wins_and_the_older_is_answered_with_nothing() {
    let server = TestServer::start("").await;
    let poll = joined(&server, "ann").await;
    let cursor = poll.cursor;

    let (older, newer) = tokio::join!(poll.ask(cursor), async {
        let (mut bob, _) = Client::enter(&server.url("bob")).await;
        // The older one waits by now: it was sent before bob's handshake began.
        let (newer, ()) = tokio::join!(poll.ask(cursor), publish(&mut bob, "hi"));
        newer
    });

    let answers = [older.json(), newer.json()];
    let contents: Vec<_> = answers.iter().flat_map(contents).collect();
    assert_eq!(contents, ["hi"], "{answers:?}");
}

#[tokio::test]
async fn a_poll_without_news_is_answered_in_time() {
    let server = TestServer::set(&["streams.poll_wait=100ms"]).await;
    let poll = Poll::enter(server.address, &server.token("ann")).await;

    let answer = poll.ask(poll.cursor).await.json();

    assert_eq!(answer, json!({ "cursor": poll.cursor, "messages": [] }));
}

#[tokio::test]
async fn a_repeated_body_counts_once_and_gets_the_same_answer() {
    let server = TestServer::start("").await;
    let mut poll = joined(&server, "ann").await;
    let say = |n: u64, content: &str| {
        let message = json!({ "type": "chat:message", "roomId": "lobby", "content": content });
        json!({ "n": n, "messages": [message] })
    };

    // The join was number 1.
    let first = poll.post(&say(2, "once")).await;
    let repeated = poll.post(&say(2, "once")).await;
    let gap = poll.post(&say(4, "too early")).await;
    let second = poll.post(&say(3, "twice")).await;

    assert_eq!((first.status, first.json()), (200, json!({ "n": 2 })));
    assert_eq!(repeated.json(), first.json());
    assert_eq!((gap.status, second.status), (409, 200));
    assert_eq!(poll.expect("chat:message").await["content"], "once");
    assert_eq!(poll.expect("chat:message").await["content"], "twice");
}

#[tokio::test]
async fn bodies_have_bounds_and_a_form() {
    let server =
        TestServer::start("[limits]\nmessage_bytes = \"1KiB\"\n[streams]\nbody_bytes = \"4KiB\"")
            .await;
    let poll = joined(&server, "ann").await;
    let large = json!({ "type": "chat:message", "roomId": "lobby", "content": "x".repeat(1100) });

    for (body, status, code) in [
        (json!({ "n": 2, "messages": [large] }), 413, "TOO_LARGE"),
        (
            json!({ "n": 2, "messages": ["x".repeat(5000)] }),
            413,
            "TOO_LARGE",
        ),
        (json!([1]), 400, "INVALID_MESSAGE"),
        (json!({ "n": 2, "close": 1006 }), 400, "INVALID_MESSAGE"),
    ] {
        let answer = poll.post(&body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &json!(code)),
            "{answer:?}"
        );
    }
    assert_eq!(
        poll.post(&json!({ "n": 2, "messages": [] })).await.status,
        200,
        "none of them counted"
    );
}

#[tokio::test]
async fn who_ignores_the_rate_limit_is_closed_with_1008() {
    let server = TestServer::set(&["limits.rate_per_second=1", "limits.rate_refusals_max=5"]).await;
    let mut poll = joined(&server, "ann").await;
    let flood: Vec<_> = (0..40)
        .map(|_| json!({ "type": "typing:start", "roomId": "lobby" }))
        .collect();

    poll.send(&flood).await;

    let refused = poll.expect("error").await;
    assert_eq!(refused["code"], "RATE_LIMITED");
    let close = poll.expect("close").await;
    assert_eq!(
        close,
        json!({ "type": "close", "code": 1008, "reason": "Rate limit exceeded" })
    );
    assert_eq!(poll.ask(poll.cursor).await.status, 404);
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_gone_at_once() {
    let server = TestServer::start("").await;
    let poll = joined(&server, "ann").await;

    let answer = poll
        .post(&json!({ "n": 2, "messages": [], "close": 1000 }))
        .await;

    assert_eq!(answer.status, 200);
    server.until_metric("nuncio_connections", 0.0).await;
    assert_eq!(server.metric("nuncio_sessions_parked").await, 0.0);
    assert_eq!(poll.ask(poll.cursor).await.status, 404);
}

#[tokio::test]
async fn a_client_that_no_longer_polls_is_lost_and_may_come_back() {
    let server = TestServer::set(&["streams.silence=200ms"]).await;
    let poll = joined(&server, "ann").await;
    server.until_metric("nuncio_sessions_parked", 1.0).await;
    assert_eq!(poll.ask(poll.cursor).await.status, 404);
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    publish(&mut bob, "missed").await;

    let resume = json!({ "type": "resume", "resume": poll.session, "rooms": [
        { "roomId": "lobby", "epoch": epoch(&mut bob).await, "seq": 0 }
    ] });
    let mut again = Poll::open(server.address, &resume).await;

    assert_eq!(again.expect("resumed").await["rooms"][0]["recovered"], true);
    assert_eq!(again.expect("chat:message").await["content"], "missed");
}

#[tokio::test]
async fn who_does_not_fetch_what_waits_is_told_1013_and_resumes() {
    let server = TestServer::set(&["limits.outbox_bytes=64KiB", "limits.rate_per_second=0"]).await;
    let mut poll = joined(&server, "ann").await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    for _ in 0..20 {
        publish(&mut bob, &"x".repeat(10_000)).await;
    }

    assert_eq!(poll.expect("reconnect").await["reason"], "Slow consumer");
    assert_eq!(poll.expect("close").await["code"], 1013);
    assert_eq!(server.metric("nuncio_slow_consumers_total").await, 1.0);
    let resume = json!({ "type": "resume", "resume": poll.session, "rooms": [] });
    let mut again = Poll::open(server.address, &resume).await;
    assert_eq!(
        again.expect("resumed").await["rooms"][0]["recovered"],
        false
    );
}

#[tokio::test]
async fn at_a_shutdown_a_poll_that_waits_is_told_to_come_back() {
    let mut server = TestServer::start("").await;
    let poll = joined(&server, "ann").await;
    let cursor = poll.cursor;

    let waiting = poll.ask(cursor);
    tokio::pin!(waiting);
    let sessions = r#"nuncio_sessions{transport="polling"}"#;
    tokio::select! {
        biased;
        answer = &mut waiting => panic!("{answer:?}"),
        () = server.until_metric(sessions, 1.0) => {}
    }
    server.drain();
    let answer = waiting.await.json();

    let messages = answer["messages"].as_array().unwrap();
    assert_eq!(messages[0]["type"], "reconnect");
    assert_eq!(
        messages[1],
        json!({ "type": "close", "code": 1012, "reason": "Server shutting down" })
    );
    server.stop().await;
}

#[tokio::test]
async fn the_end_of_a_token_is_announced_and_closes_with_4003() {
    let server = TestServer::set(&["auth.leeway=0s"]).await;
    let token = server.mint(Claims::new("ann", unix_s() + 2));
    let mut poll = Poll::enter(server.address, &token).await;

    poll.expect("auth:expiring").await;

    assert_eq!(poll.expect("close").await["code"], 4003);
}

#[tokio::test]
async fn large_batches_are_compressed_for_who_can_read_that() {
    let server = TestServer::start("").await;
    let poll = joined(&server, "ann").await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    publish(&mut bob, &"x".repeat(5000)).await;

    let authorization = poll.authorization();
    let path = format!("/poll?cursor={}", poll.cursor);
    let ask = async |encoding: &str| {
        let headers = [
            ("Authorization", &*authorization),
            ("Accept-Encoding", encoding),
        ];
        http::ask(server.address, "GET", &path, &headers, "").await
    };
    let plain = ask("br, gzip;q=0").await;
    let compressed = ask("br, gzip").await;

    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() < 1000);
    let mut inflated = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&compressed.body[..]);
    std::io::Read::read_to_string(&mut decoder, &mut inflated).unwrap();
    assert_eq!(inflated, plain.text());
}

#[tokio::test]
async fn pages_of_allowed_origins_may_poll_and_others_may_not() {
    let server = TestServer::set(&["server.origins=https://app.example.com"]).await;
    let page = [("Origin", "https://app.example.com")];

    let preflight = http::ask(
        server.address,
        "OPTIONS",
        "/send",
        &[
            page[0],
            ("Access-Control-Request-Method", "POST"),
            (
                "Access-Control-Request-Headers",
                "authorization,content-type",
            ),
        ],
        "",
    )
    .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some(page[0].1)
    );
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        Some("authorization,content-type")
    );

    let path = format!("/poll?token={}", server.token("ann"));
    let answer = http::ask(server.address, "POST", &path, &page, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(page[0].1)
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );

    let evil = [("Origin", "https://evil.example.com")];
    assert_eq!(
        http::ask(server.address, "POST", &path, &evil, "")
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn other_methods_are_refused() {
    let server = TestServer::start("").await;

    for (method, path, allowed) in [
        ("DELETE", "/poll", "GET, POST, OPTIONS"),
        ("GET", "/send", "POST, OPTIONS"),
        ("POST", "/sse", "GET, HEAD, OPTIONS"),
    ] {
        let answer = http::ask(server.address, method, path, &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allowed)),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn without_streams_there_is_nothing_there() {
    let server = TestServer::set(&["streams.enabled=false"]).await;

    assert_eq!(http::get(server.address, "/sse?room=a").await.status, 404);
}

/// A session in the lobby, with all of its messages read.
async fn joined(server: &TestServer, user: &str) -> Poll {
    let mut poll = Poll::enter(server.address, &server.token(user)).await;
    let join = json!({ "type": "room:join", "roomId": "lobby", "id": 1 });
    poll.call(join).await;
    poll
}

async fn publish(client: &mut Client, content: &str) {
    let message = json!({ "type": "chat:message", "roomId": "lobby", "content": content });
    client.call(message).await;
}

async fn epoch(client: &mut Client) -> serde_json::Value {
    let page = client
        .call(json!({ "type": "history:get", "roomId": "lobby" }))
        .await;
    page["data"]["epoch"].clone()
}

fn contents(batch: &serde_json::Value) -> Vec<&str> {
    let messages = batch["messages"].as_array().unwrap().iter();
    messages
        .filter_map(|message| message["content"].as_str())
        .collect()
}
