//! What a script publishes.

use nuncio_e2e::backend::{ADMIN, KEYS, SPEAKER};
use nuncio_e2e::command::{nuncio, run, run_with_input};
use nuncio_e2e::{Backend, Client, TestServer};
use serde_json::{Value, json};

use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn text_json_events_and_standard_input_arrive_as_they_were_written() {
    let server = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    ann.join("a").await;
    let publish = |more: &[&str], input: &str| {
        let arguments = [&["publish", "a"], more].concat();
        let done = run_with_input(nuncio(&server, ADMIN, &arguments), input);
        assert_eq!(done.code, 0, "{done:?}");
        done.json().remove(0)
    };

    let first = publish(&["Hello"], "");
    assert_eq!(first["seq"], 1);
    assert!(first["epoch"].is_string() && first["id"].is_string());
    publish(&["--json", "{\"b\": 1, \"a\": [2]}", "--user", "bot"], "");
    publish(&["-"], "two\nlines\n");
    publish(&["--event", "draw", "--data", "-"], "{\"x\": 1}\n");

    assert_eq!(ann.expect("chat:message").await["content"], "Hello");
    let json = ann.expect("chat:message").await;
    assert_eq!(
        (&json["content"], &json["userId"]),
        (&json!({"b": 1, "a": [2]}), &json!("bot"))
    );
    assert_eq!(ann.expect("chat:message").await["content"], "two\nlines");
    let event = ann.expect("event").await;
    assert_eq!(
        (&event["event"], &event["data"]),
        (&json!("draw"), &json!({"x": 1}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_intention_is_published_once() {
    let server = start().await;
    let arguments = ["publish", "a", "x", "--idempotency-key", "k"];

    let one = run(nuncio(&server, ADMIN, &arguments)).json();
    let two = run(nuncio(&server, ADMIN, &arguments)).json();

    assert_eq!(one, two);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rooms_are_a_broadcast_and_one_that_refuses_is_an_error() {
    let server = start().await;
    let arguments = [
        "publish", "chat:a", "--also", "chat:b", "x", "--format", "table",
    ];
    let good = run(nuncio(&server, SPEAKER, &arguments));
    let bad = run(nuncio(
        &server,
        SPEAKER,
        &["publish", "chat:a", "--also", "staff", "x"],
    ));

    assert_eq!(good.code, 0, "{good:?}");
    assert!(
        good.out.contains("chat:a") && good.out.contains("chat:b"),
        "{good:?}"
    );
    assert_eq!(bad.code, 1, "{bad:?}");
    assert_eq!(bad.json()[0]["rooms"][1]["error"]["code"], "FORBIDDEN");
    assert!(bad.err.contains("1 of 2 rooms refused it"), "{bad:?}");
}

async fn contents(server: &TestServer, room: &str) -> Vec<Value> {
    let backend = Backend::new(server, ADMIN);
    let history = backend.read(&format!("/history?roomId={room}")).await;
    let messages = history["messages"].as_array().unwrap().iter();
    messages.map(|message| message["content"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_published_in_their_order_each_once() {
    let server = TestServer::start(&format!("{KEYS}\n[history]\nmessages = 2000")).await;
    let input: String = (1..=1500).map(|line| format!("line {line}\n")).collect();

    let done = run_with_input(nuncio(&server, ADMIN, &["publish", "a", "--lines"]), &input);

    assert_eq!(
        done.json(),
        [json!({"published": 1500, "refused": 0})],
        "{done:?}"
    );
    let expected: Vec<Value> = (1..=1500)
        .map(|line| format!("line {line}").into())
        .collect();
    assert_eq!(contents(&server, "a").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_refused_is_named_and_stops_none_of_the_others() {
    let server = start().await;
    let publish = ["publish", "a", "--lines", "--json"];

    let done = run_with_input(nuncio(&server, ADMIN, &publish), "1\n{\n3\n");

    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(done.json(), [json!({"published": 2, "refused": 1})]);
    assert!(done.err.contains("line 2: this is not JSON"), "{done:?}");
    assert_eq!(contents(&server, "a").await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_the_rate_only_makes_lines_slower() {
    let keys = format!("{KEYS}\nrate_per_second = 300");
    let server = TestServer::start(&format!("{keys}\n[history]\nmessages = 2000")).await;
    let input: String = (1..=700).map(|line| format!("{line}\n")).collect();
    let publish = ["publish", "a", "--lines", "--json"];

    let done = run_with_input(nuncio(&server, ADMIN, &publish), &input);

    assert_eq!(
        done.json(),
        [json!({"published": 700, "refused": 0})],
        "{}",
        done.err
    );
    let expected: Vec<Value> = (1..=700).map(Value::from).collect();
    assert_eq!(contents(&server, "a").await, expected);
}
