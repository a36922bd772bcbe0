//! One slow room holds up neither other rooms nor other sessions, and each session's calls to a room keep their order.

use nuncio_e2e::hook_backend::{Asked, Gate, Reply};
use nuncio_e2e::{Client, HookBackend as Backend, TestServer};
use serde_json::{Value, json};

#[tokio::test]
async fn a_slow_room_holds_up_neither_other_rooms_nor_other_sessions() {
    let (gate, _backend, server) = start_slow("slow").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    ann.join("slow").await;
    ann.join("fast").await;

    for n in 0..3 {
        ann.send(chat("slow", n, Some(n))).await;
    }
    ann.publish("fast", "at once").await;
    bob.publish("fast", "too").await;
    // Another session's message to the same room is not behind ann's, though the backend is as slow with it.
    bob.send(chat("slow", 9, Some(1))).await;

    gate.open(4);
    let replies = [
        ann.find(acks(0)).await,
        ann.find(acks(1)).await,
        ann.find(acks(2)).await,
    ];
    let seqs: Vec<_> = replies
        .iter()
        .map(|ack| ack["data"]["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.is_sorted(), "{replies:?}");
    assert!(bob.find(acks(1)).await["data"]["seq"].is_u64());
}

#[tokio::test]
async fn what_a_session_asks_of_a_room_behind_a_slow_message_waits_for_it() {
    let (gate, backend, server) = start_slow("slow").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("slow").await;

    ann.send(chat("slow", 1, Some(1))).await;
    ann.send(json!({"type": "history:get", "roomId": "slow", "id": 2}))
        .await;
    ann.send(chat("slow", 2, Some(3))).await;
    ann.send(json!({"type": "room:leave", "roomId": "slow", "id": 4}))
        .await;
    ann.send(json!({"type": "ping", "id": 5})).await;

    // The ping is answered while the rest waits, and only the first message was asked about.
    ann.find(acks(5)).await;
    backend.until("publish", |asked| asked.len() == 1).await;
    gate.open(2);
    let mut order = Vec::new();
    while order.len() < 4 {
        if let Some(ack) = ann.next().await.unwrap()["ack"].as_u64() {
            order.push(ack);
        }
    }
    assert_eq!(order, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_thousand_messages_of_ten_sessions_keep_the_order_of_each() {
    let backend = Backend::start(|asked: Asked| async move {
        // Answers come back in any order.
        let turns = asked.text.len() + asked.body["content"].as_u64().unwrap_or(0) as usize * 7;
        for _ in 0..turns % 5 {
            tokio::task::yield_now().await;
        }
        Reply::allow()
    })
    .await;
    let more = format!(
        "{}\n[limits]\nrate_per_second = 0",
        backend.config(&["publish"], "")
    );
    let server = TestServer::start(&more).await;
    let (mut reader, _) = Client::enter(&server.url("reader")).await;
    for room in ["a", "b"] {
        reader.join(room).await;
    }

    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..10_u64 {
        let url = server.url(&format!("writer-{writer}"));
        writers.spawn(async move {
            let (mut client, _) = Client::enter(&url).await;
            for n in 0..100_u64 {
                let room = if n % 2 == 0 { "a" } else { "b" };
                client.send(chat(room, n, Some(n))).await;
                if n % 20 == 19 {
                    client.find(acks(n)).await;
                }
            }
            for n in 95..99 {
                client.find(acks(n)).await;
            }
        });
    }
    writers.join_all().await;

    let mut last = std::collections::HashMap::new();
    for _ in 0..1000 {
        let message = reader.expect("chat:message").await;
        let key = (message["userId"].to_string(), message["roomId"].to_string());
        let n = message["content"].as_u64().unwrap();
        let before = last.insert(key, n);
        assert!(
            before.is_none_or(|before| before < n),
            "{message} after {before:?}"
        );
    }
}

#[tokio::test]
async fn a_room_whose_backend_is_slow_takes_only_its_share_of_a_sessions_calls() {
    let (gate, _backend, server) = start_slow("slow").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    for n in 0..40 {
        ann.send(chat("slow", n, Some(n))).await;
    }

    let refused = ann.find(|message| message["error"].is_object()).await;
    assert_eq!(refused["error"]["code"], "UNAVAILABLE");
    assert_eq!(refused["error"]["retryAfter"], 1000);
    ann.publish("fast", "goes on").await;
    gate.open(40);
    ann.find(acks(30)).await;
}

#[tokio::test]
async fn a_session_that_ends_leaves_nothing_behind() {
    let (gate, backend, server) = start_slow("slow").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.send(chat("slow", 1, Some(1))).await;
    ann.send(json!({"type": "room:join", "roomId": "slow", "id": 2}))
        .await;
    backend.until("publish", |asked| asked.len() == 1).await;

    ann.close().await;
    gate.open(1);

    server.until_metric("nuncio_hooks_in_flight", 0.0).await;
    server.until_metric("nuncio_rooms", 0.0).await;
    server.stop().await;
}

/// A backend that is slow for one room: each message to it waits for the gate.
async fn start_slow(room: &'static str) -> (Gate, Backend, TestServer) {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |asked: Asked| {
        let gate = held.clone();
        async move {
            if asked.body["roomId"] == room {
                gate.pass().await;
            }
            Reply::allow()
        }
    })
    .await;
    // In memory, so that what is done at once is acknowledged at once; no limits that a test would meet first.
    let hooks = backend.config(&["publish"], "timeout = \"20s\"");
    let more = format!("{hooks}\n[store]\nenabled = false\n[limits]\nrate_per_second = 0");
    let server = TestServer::start(&more).await;
    (gate, backend, server)
}

fn chat(room: &str, content: u64, id: Option<u64>) -> Value {
    let mut message = json!({"type": "chat:message", "roomId": room, "content": content});
    if let Some(id) = id {
        message["id"] = json!(id);
    }
    message
}

fn acks(id: u64) -> impl Fn(&Value) -> bool {
    move |message| message["ack"] == json!(id)
}
