//! A backend that is slow, wrong, overloaded or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nuncio_e2e::hook_backend::{Asked, Gate, Reply, Shared};
use nuncio_e2e::{Client, HookBackend as Backend, TestServer, http};
use serde_json::{Value, json};

#[tokio::test]
async fn without_an_answer_the_answer_is_no_unless_the_configuration_says_yes() {
    for (on_failure, status) in [("deny", "refused"), ("allow", "published")] {
        for reply in [
            Reply::status(500),
            Reply::status(404),
            Reply::status(302),
            Reply::status(204),
            Reply::status(0),
            Reply::json(json!({"allowed": true})),
            Reply::json(json!("yes")),
            Reply {
                status: 200,
                body: "x".repeat(1024 * 1024 + 1),
            },
        ] {
            let said = reply.clone();
            let backend = Backend::start(move |_| {
                let reply = reply.clone();
                async move { reply }
            })
            .await;
            let rule = format!("on_failure = \"{on_failure}\"");
            let config = backend.config(&["publish"], "retries = 0") + &rule;
            let server = TestServer::start(&config).await;
            let (mut ann, _) = Client::enter(&server.url("ann")).await;

            let reply = ann.call(chat("hello")).await;

            match status {
                "refused" => {
                    assert_eq!(reply["error"]["code"], "UNAVAILABLE", "{said:.80?}");
                    assert_eq!(reply["error"]["retryAfter"], 1000);
                }
                _ => assert_eq!(reply["data"]["seq"], 1, "{said:.80?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_backend_that_takes_too_long_gives_no_answer() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |_| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Reply::allow()
        }
    })
    .await;
    let more = backend.config(&["publish", "connect"], "timeout = \"100ms\"\nretries = 0");
    let server = TestServer::start(&more).await;

    let answer = http::upgrade(
        server.address,
        &format!("/ws?token={}", server.token("ann")),
        &[],
    )
    .await;

    assert_eq!(answer.status, 503);
    assert!(
        server
            .metric("nuncio_hook_failures_total{hook=\"connect\",reason=\"timeout\"}")
            .await
            >= 1.0
    );
}

#[tokio::test]
async fn a_question_is_repeated_where_that_is_safe_and_a_message_where_none_of_it_was_sent() {
    let failures = Arc::new(AtomicUsize::new(0));
    let count = failures.clone();
    let backend = Backend::start(move |_| {
        let failures = count.clone();
        async move {
            if failures.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                Reply::status(503)
            } else {
                Reply::allow()
            }
        }
    })
    .await;
    let server = TestServer::start(&backend.config(&["join", "publish"], "")).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    ann.join("lobby").await;
    failures.store(0, Ordering::Relaxed);
    let refused = ann.refused(chat("hello")).await;

    let asked = backend.asked("join");
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0].id, asked[1].id,
        "a repetition can be told from a new question"
    );
    assert_eq!(refused["code"], "UNAVAILABLE");
    assert_eq!(backend.asked("publish").len(), 1);
}

#[tokio::test]
async fn a_message_whose_backend_is_not_there_is_asked_about_again() {
    let address = nuncio_e2e::server::free_address();
    let server =
        TestServer::start(&config_of(address, "retries = 4\nbreaker_failures = 100")).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let mut message = chat("hello");
    message["id"] = json!(7);
    ann.send(message).await;
    // The first attempt has failed when it is counted as under way no more.
    server
        .until_metric(
            "nuncio_hook_breaker{backend=\"http://ADDRESS/hooks\"}"
                .replace("ADDRESS", &address.to_string())
                .as_str(),
            0.0,
        )
        .await;
    let backend = Backend::start_at(address, |_| async { Reply::allow() }).await;

    let reply = ann.find(|message| message["ack"] == 7).await;
    assert_eq!(reply["data"]["seq"], 1, "{reply}");
    assert_eq!(backend.asked("publish").len(), 1);
}

#[tokio::test]
async fn a_backend_that_keeps_failing_is_left_alone_and_tried_out_later() {
    let reply = Shared::<u16>::default();
    reply.set(500);
    let said = reply.clone();
    let backend = Backend::start(move |_| {
        let status = said.get();
        async move {
            if status == 200 {
                Reply::allow()
            } else {
                Reply::status(status)
            }
        }
    })
    .await;
    let more = "retries = 0\nbreaker_failures = 3\nbreaker_pause = \"300ms\"";
    let server = TestServer::start(&backend.config(&["publish"], more)).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    for _ in 0..5 {
        assert_eq!(ann.refused(chat("x")).await["code"], "UNAVAILABLE");
    }
    assert_eq!(backend.asked("publish").len(), 3);
    let breaker = format!(
        "nuncio_hook_breaker{{backend=\"{}\"}}",
        backend.url("/hooks")
    );
    assert_eq!(server.metric(&breaker).await, 2.0);
    assert!(
        server
            .metric("nuncio_hook_failures_total{hook=\"publish\",reason=\"breaker\"}")
            .await
            >= 2.0
    );

    reply.set(200);
    let refused = ann.refused(chat("too early")).await;
    let wait = refused["retryAfter"].as_u64().unwrap();
    assert!(wait <= 300, "{refused}");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    assert_eq!(ann.publish("lobby", "again").await["seq"], 1);
    server.until_metric(&breaker, 0.0).await;
}

#[tokio::test]
async fn no_more_questions_are_under_way_than_are_allowed() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |asked: Asked| {
        let gate = held.clone();
        async move {
            if asked.hook == "publish" {
                gate.pass().await;
            }
            Reply::allow()
        }
    })
    .await;
    let more = "in_flight = 2\ntimeout = \"20s\"";
    let server = TestServer::start(&backend.config(&["publish"], more)).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    for (id, room) in [(1, "a"), (2, "b"), (3, "c")] {
        ann.send(json!({"type": "chat:message", "roomId": room, "content": 1, "id": id}))
            .await;
        if id == 2 {
            backend.until("publish", |asked| asked.len() == 2).await;
        }
    }

    let third = ann.find(|message| message["ack"] == 3).await;
    assert_eq!(third["error"]["code"], "UNAVAILABLE");
    assert_eq!(third["error"]["retryAfter"], 1000);
    gate.open(2);
    for id in [1, 2] {
        let reply = ann.find(|message| message["ack"] == id).await;
        assert_eq!(reply["data"]["seq"], 1);
    }
}

#[tokio::test]
async fn with_a_backend_that_need_not_agree_only_who_has_a_token_of_ours_gets_in() {
    let address = nuncio_e2e::server::free_address();
    let config = config_of(address, "retries = 0").replace("[\"publish\"]", "[\"connect\"]");
    let server = TestServer::start(&(config + "on_failure = \"allow\"")).await;

    let (_, entered) = Client::enter(&server.url("ann")).await;
    let opaque = http::upgrade(server.address, "/ws?token=opaque", &[]).await;

    assert_eq!(entered["user"]["sub"], "ann");
    assert_eq!(opaque.status, 503);
}

fn chat(content: &str) -> Value {
    json!({"type": "chat:message", "roomId": "lobby", "content": content})
}

/// Rules for a backend that is not there yet.
fn config_of(address: std::net::SocketAddr, more: &str) -> String {
    let secret = nuncio_e2e::hook_backend::SECRET;
    format!(
        "[hooks]\nsecret = \"{secret}\"\n{more}\n[[hooks.rules]]\non = [\"publish\"]\nurl = \"http://{address}/hooks\"\n"
    )
}
