//! What a backend is told: everything, in order, once it is there, and each end of a connection once.

use std::collections::BTreeMap;

use futures_util::SinkExt;
use nuncio_e2e::hook_backend::{Asked, Reply, Shared};
use nuncio_e2e::{Client, Events, HookBackend as Backend, Poll, Program, TestServer};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_session_is_told_of_from_its_beginning_to_its_end() {
    let backend = Backend::start(|_| async { Reply::status(204) }).await;
    let server = TestServer::start(&told(&backend, "", "")).await;
    let (mut ann, entered) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    let published = ann.publish("lobby", "hello").await;
    ann.close().await;

    let events = backend
        .until_events(|events| has(events, "disconnected"))
        .await;

    assert_eq!(
        kinds(&events),
        [
            "online",
            "connected",
            "occupied",
            "joined",
            "published",
            "left",
            "vacated",
            "disconnected"
        ]
    );
    let connected = &events[1];
    assert_eq!(connected["session"], entered["id"]);
    assert_eq!(connected["user"], "ann");
    assert_eq!(
        (&connected["resumed"], &connected["transport"]),
        (&json!(false), &json!("websocket"))
    );
    assert_eq!(connected["connection"], connected["id"]);
    let ended = &events[7];
    assert_eq!(ended["connection"], connected["id"]);
    assert_eq!(ended["code"], 1005);
    assert!(ended["seconds"].as_f64().unwrap() < 10.0);
    let message = &events[4]["message"];
    assert_eq!(
        (&message["id"], &message["content"]),
        (&published["id"], &json!("hello"))
    );
    assert_eq!(message["seq"], 1);
    let ids: std::collections::BTreeSet<_> =
        events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), events.len());
}

#[tokio::test]
async fn a_resumed_session_has_another_connection() {
    let backend = Backend::start(|_| async { Reply::status(200) }).await;
    let server = TestServer::start(&told(&backend, "", "")).await;
    let (ann, entered) = Client::enter(&server.url("ann")).await;
    ann.cut();
    backend
        .until_events(|events| has(events, "disconnected"))
        .await;

    let url = format!(
        "{}?resume={}",
        server.anonymous(),
        entered["resume"].as_str().unwrap()
    );
    let mut again = Client::connect(&url).await.unwrap();
    again.expect("resumed").await;
    again.close().await;

    let events = backend
        .until_events(|events| count(events, "disconnected") == 2)
        .await;
    let of = |kind: &str| -> Vec<_> {
        events
            .iter()
            .filter(|event| event["type"] == kind)
            .cloned()
            .collect()
    };
    let (connected, ended) = (of("connected"), of("disconnected"));
    assert_eq!(connected[0]["session"], connected[1]["session"]);
    assert_ne!(connected[0]["connection"], connected[1]["connection"]);
    assert_eq!(
        (&connected[0]["resumed"], &connected[1]["resumed"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(ended[0]["code"], 1006);
    assert_eq!(ended[0]["connection"], connected[0]["connection"]);
    assert_eq!(ended[1]["connection"], connected[1]["connection"]);
}

#[tokio::test]
async fn each_destination_is_told_what_it_wants_of_its_rooms() {
    let backend = Backend::start(|_| async { Reply::status(200) }).await;
    let (one, two) = (backend.url("/one"), backend.url("/two"));
    let server = TestServer::start(&format!(
        r#"
        [hooks]
        secret = "{}"
        [[hooks.events]]
        url = "{one}"
        events = ["joined", "disconnected"]
        rooms = "chat:*"
        [[hooks.events]]
        url = "{two}"
        events = ["published"]
        "#,
        nuncio_e2e::hook_backend::SECRET
    ))
    .await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    for room in ["chat:a", "news"] {
        ann.join(room).await;
        ann.publish(room, "x").await;
    }
    ann.close().await;

    backend.until_events(|events| events.len() == 4).await;
    server.stop().await;

    let mut told = BTreeMap::<_, Vec<_>>::new();
    for asked in backend.asked("events") {
        for event in asked.body["events"].as_array().unwrap() {
            let room = event["roomId"].as_str().unwrap_or_default();
            let event = format!("{} {room}", event["type"].as_str().unwrap());
            told.entry(asked.path.clone()).or_default().push(event);
        }
    }
    assert_eq!(told["/one"], ["joined chat:a", "disconnected "]);
    assert_eq!(told["/two"], ["published chat:a", "published news"]);
}

#[tokio::test]
async fn a_backend_that_was_down_is_told_everything_in_order_once_it_is_back() {
    let address = nuncio_e2e::server::free_address();
    let server = TestServer::start(&told_at(address, "", "")).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;
    for n in 0..250 {
        ann.send(json!({"type": "event", "event": "n", "data": n, "roomId": "lobby", "id": n}))
            .await;
        if n % 10 == 9 {
            ann.find(|message| message["ack"] == n).await;
        }
    }
    let attempts =
        format!("nuncio_events_attempts_failed_total{{backend=\"http://{address}/events\"}}");
    let tried = async || {
        let text = nuncio_e2e::http::get(server.address, "/metrics")
            .await
            .text();
        nuncio_e2e::server::value_of(&text, &attempts).is_some_and(|tried| tried >= 1.0)
    };
    while !tried().await {
        tokio::task::yield_now().await;
    }

    // It comes back, refuses a few, accepts but cuts the connection, and takes them all in the end.
    let turn = Shared::<usize>::default();
    let turns = turn.clone();
    let backend = Backend::start_at(address, move |_| {
        let turn = turns.get();
        turns.set(turn + 1);
        async move { Reply::status([503, 0, 200][turn.min(2)]) }
    })
    .await;
    let asked = backend
        .until("events", |asked| {
            let numbers = numbers(asked);
            numbers.contains(&249)
        })
        .await;

    // Only the batch that was not accepted came again, with the same id and the same events.
    let accepted = &asked[2..];
    assert_eq!(asked[0].text, asked[2].text);
    assert_eq!(asked[0].id, asked[2].id);
    assert_eq!(numbers(accepted), (0..250).collect::<Vec<_>>());
    assert!(
        accepted
            .iter()
            .all(|asked| asked.body["events"].as_array().unwrap().len() <= 100)
    );
    server.until_metric("nuncio_events_waiting", 0.0).await;
}

#[tokio::test]
async fn what_is_not_told_at_a_shutdown_is_told_by_the_next_start() {
    let address = nuncio_e2e::server::free_address();
    let folder = tempfile::tempdir().unwrap();
    let more = told_at(address, "timeout = \"200ms\"", "");
    let server = TestServer::start_in(folder.path(), &more).await;
    let (ann, _) = Client::enter(&server.url("ann")).await;
    server.stop().await;
    drop(ann);

    let backend = Backend::start_at(address, |_| async { Reply::status(200) }).await;
    let server = TestServer::start_in(folder.path(), &more).await;

    let events = backend
        .until_events(|events| has(events, "disconnected"))
        .await;
    assert_eq!(kinds(&events), ["online", "connected", "disconnected"]);
    assert_eq!(events[2]["code"], 1012);
    server.until_metric("nuncio_events_waiting", 0.0).await;
}

#[tokio::test]
async fn without_a_store_events_are_kept_in_memory() {
    let backend = Backend::start(|_| async { Reply::status(200) }).await;
    let more = told(&backend, "", "") + "\n[store]\nenabled = false";
    let server = TestServer::start(&more).await;
    let (ann, _) = Client::enter(&server.url("ann")).await;

    ann.close().await;

    let events = backend
        .until_events(|events| has(events, "disconnected"))
        .await;
    assert_eq!(kinds(&events), ["online", "connected", "disconnected"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_each_connection_that_was_told_of_has_one_end() {
    let backend = Backend::start(|asked: Asked| async move {
        // Some batches are not accepted at first, so that kills meet them half told.
        let bytes: usize = asked.id.bytes().map(usize::from).sum();
        Reply::status(if bytes.is_multiple_of(4) { 200 } else { 204 })
    })
    .await;
    let mut program = Program::start(&[
        &format!("hooks.secret={}", nuncio_e2e::hook_backend::SECRET),
        &format!("hooks.events=[{{url=\"{}\"}}]", backend.url("/events")),
    ]);
    let mut sessions = Vec::new();

    for round in 0..4 {
        let mut clients = Vec::new();
        for n in 0..10 {
            let url = enter_url(&program, &format!("user-{n}")).await;
            let (mut client, entered) = Client::enter(&url).await;
            client.join("lobby").await;
            sessions.push(entered["id"].clone());
            clients.push(client);
        }
        if round == 1 {
            // All of them are known to the backend when the process dies; of the others some may not have come to the disk.
            let known = |events: &[Value], session: &Value| {
                let connected =
                    |event: &Value| event["type"] == "connected" && event["session"] == *session;
                events.iter().any(connected)
            };
            backend
                .until_events(|events| sessions[10..].iter().all(|session| known(events, session)))
                .await;
        }
        // Some end before it dies, and some have just begun.
        for client in clients.drain(..3) {
            client.close().await;
        }
        let program = &mut program;
        tokio::task::block_in_place(|| {
            program.kill();
            program.start_again();
        });
        drop(clients);
    }

    let told = |events: &[Value]| {
        let connected = by_connection(events, "connected");
        let ended = by_connection(events, "disconnected");
        connected.len() >= 10
            && connected
                .keys()
                .all(|connection| ended.contains_key(connection))
    };
    let events = backend.until_events(told).await;
    let (connected, ended) = (
        by_connection(&events, "connected"),
        by_connection(&events, "disconnected"),
    );
    assert_eq!(
        connected.keys().collect::<Vec<_>>(),
        ended.keys().collect::<Vec<_>>()
    );
    for (connection, ends) in &ended {
        assert_eq!(ends.len(), 1, "{connection}: {ends:?}");
        let end = ends.values().next().unwrap();
        assert_eq!(
            end["session"],
            connected[connection].values().next().unwrap()["session"]
        );
        assert!(matches!(end["code"].as_u64(), Some(1005 | 1006)), "{end}");
    }
    assert!(
        ended
            .values()
            .flat_map(BTreeMap::values)
            .any(|end| end["code"] == 1006)
    );
    let known: Vec<_> = connected
        .values()
        .flat_map(BTreeMap::values)
        .map(|event| &event["session"])
        .collect();
    assert!(
        sessions[10..20]
            .iter()
            .all(|session| known.contains(&session))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_whoever_polled_streamed_or_spoke_socketio_has_one_end_too() {
    let backend = Backend::start(|_| async { Reply::status(204) }).await;
    let mut program = Program::start(&[
        &format!("hooks.secret={}", nuncio_e2e::hook_backend::SECRET),
        &format!("hooks.events=[{{url=\"{}\"}}]", backend.url("/events")),
    ]);
    let mut clients = Vec::new();
    for n in 0..5 {
        let poll = Poll::enter(program.address, &token(&program, "poll").await).await;
        let stream = Poll::enter(program.address, &token(&program, "stream").await).await;
        let authorization = stream.authorization();
        let path = format!("/sse?cursor={}", stream.cursor);
        let headers = [("Authorization", &*authorization)];
        let stream = Events::open(program.address, &path, &headers).await;
        let path = format!("/sse?room=lobby&token={}", token(&program, "feed").await);
        let feed = Events::open(program.address, &path, &[]).await;
        let url = program.url("/socket.io/?EIO=4&transport=websocket");
        let mut socketio = Client::connect(&url).await.unwrap();
        let connect = format!(r#"40{{"token":"{}"}}"#, token(&program, "socketio").await);
        socketio.stream.send(Message::text(connect)).await.unwrap();
        clients.push((n, poll, stream, feed, socketio));
    }
    // A session that moved from a poll to a stream has both, one after the other.
    let connected = ["poll", "stream", "feed", "socketio"];
    let of_user = |events: &[Value], kind: &str, user: &str| {
        let mut of_kind = by_connection(events, kind);
        of_kind.retain(|_, events| events.values().all(|event| event["user"] == user));
        of_kind.len()
    };
    let all_connected = |events: &[Value]| {
        let mut users = connected.iter();
        users.all(|user| of_user(events, "connected", user) >= 5)
    };
    backend.until_events(all_connected).await;

    let killed = &mut program;
    tokio::task::block_in_place(|| {
        killed.kill();
        killed.start_again();
    });

    let ends = |events: &[Value]| {
        let (connected, ended) = (
            by_connection(events, "connected"),
            by_connection(events, "disconnected"),
        );
        connected
            .keys()
            .all(|connection| ended.contains_key(connection))
    };
    let events = backend.until_events(ends).await;
    drop(clients);
    let ended = by_connection(&events, "disconnected");
    assert_eq!(ended.len(), by_connection(&events, "connected").len());
    for (connection, ends) in &ended {
        assert_eq!(ends.len(), 1, "{connection}: {ends:?}");
        assert_eq!(ends.values().next().unwrap()["code"], 1006);
    }
}

/// The URL of a demo's client.
async fn enter_url(program: &Program, user: &str) -> String {
    let token = token(program, user).await;
    program.url(&format!("/ws?token={token}"))
}

async fn token(program: &Program, user: &str) -> String {
    let body = json!({"name": user}).to_string();
    let answer = nuncio_e2e::http::ask(program.address, "POST", "/demo/token", &[], &body).await;
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// Events of a kind: by connection, and by their own id, since a repetition has the same.
fn by_connection<'a>(
    events: &'a [Value],
    kind: &str,
) -> BTreeMap<String, BTreeMap<String, &'a Value>> {
    let mut found = BTreeMap::<String, BTreeMap<String, &Value>>::new();
    for event in events.iter().filter(|event| event["type"] == kind) {
        let connection = event["connection"].as_str().unwrap().to_owned();
        let id = event["id"].as_str().unwrap().to_owned();
        found.entry(connection).or_default().insert(id, event);
    }
    found
}

fn told(backend: &Backend, hooks: &str, more: &str) -> String {
    told_at(backend.address, hooks, more)
}

fn told_at(address: std::net::SocketAddr, hooks: &str, more: &str) -> String {
    let secret = nuncio_e2e::hook_backend::SECRET;
    format!(
        "[presence]\ngrace = \"100ms\"\n[limits]\nrate_per_second = 0\n[hooks]\nsecret = \"{secret}\"\n{hooks}\n[[hooks.events]]\nurl = \"http://{address}/events\"\nevents = {ALL}\n{more}"
    )
}

const ALL: &str = r#"["connected", "disconnected", "joined", "left", "occupied", "vacated", "online", "published"]"#;

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

fn has(events: &[Value], kind: &str) -> bool {
    count(events, kind) > 0
}

fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["type"] == kind).count()
}

/// The numbers of the events that were published.
fn numbers(asked: &[Asked]) -> Vec<u64> {
    let events = asked
        .iter()
        .filter_map(|asked| asked.body["events"].as_array());
    let messages = events
        .flatten()
        .filter(|event| event["type"] == "published");
    messages
        .filter_map(|event| event["message"]["data"].as_u64())
        .collect()
}
