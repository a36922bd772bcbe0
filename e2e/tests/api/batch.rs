//! Many commands in one request.

use nuncio_e2e::Backend;
use nuncio_e2e::Client;
use nuncio_e2e::backend::SPEAKER;
use serde_json::{Value, json};

use crate::{start, start_with};

#[tokio::test]
async fn each_command_has_its_result_in_the_order_of_the_request() {
    let (server, backend) = start().await;
    let (mut ann, session) = Client::enter(&server.url("ann")).await;
    ann.join("lobby").await;

    let answer = backend
        .done(
            "/batch",
            json!({"commands": [
                {"publish": {"roomId": "lobby", "content": 1}},
                {"publish": {"roomId": "", "content": 2}},
                {"publsh": {}},
                {"publish": {"roomId": "lobby", "content": 3}, "emit": {}},
                7,
                {"rooms": {}},
                {"publish": {"roomId": "lobby", "content": 4, "idempotencyKey": "k"}},
                {"publish": {"roomId": "lobby", "content": 4, "idempotencyKey": "k"}},
                {"broadcast": {"roomIds": ["lobby", "other"], "content": 5}},
                {"clear": {"roomId": "lobby"}},
                {"publish": {"roomId": "lobby", "content": 6}},
                {"private": {"to": "nobody", "content": 7}},
                {"disconnect": {"sessionId": session["id"], "code": 4100}}
            ]}),
        )
        .await;

    let results = answer["results"].as_array().unwrap();
    let seq = |index: usize| results[index]["ok"]["seq"].as_u64();
    assert_eq!(results.len(), 13);
    assert_eq!(seq(0), Some(1));
    for (index, told) in [
        (1, "roomId: room id is empty"),
        (2, "did you mean publish?"),
        (3, "a command is its fields under its name"),
        (4, "invalid type: integer `7`"),
        (5, "there is no command \"rooms\""),
    ] {
        let error = &results[index]["error"];
        assert_eq!(error["code"], "INVALID_MESSAGE");
        assert!(
            error["message"].as_str().unwrap().contains(told),
            "{told}: {error}"
        );
    }
    assert_eq!((seq(6), seq(7)), (Some(2), Some(2)));
    assert_eq!(results[8]["ok"]["rooms"][0]["seq"], 3);
    assert_eq!(
        seq(9),
        Some(3),
        "it is cleared after what was published before"
    );
    assert_eq!(seq(10), Some(4));
    assert_eq!(results[11]["error"]["code"], "NOT_FOUND");
    assert_eq!(results[12]["ok"]["sessions"], 1);
    assert_eq!(ann.closed().await.0, 4100);
    let page = backend.read("/history?roomId=lobby").await;
    assert_eq!(page["messages"][0]["content"], 6);
}

#[tokio::test]
async fn publications_of_a_batch_share_commits() {
    let (server, backend) = start().await;
    let publish =
        |n: usize| json!({"publish": {"roomId": format!("room {}", n % 50), "content": n}});
    let commands: Vec<Value> = (0..500).map(publish).collect();

    let answer = backend.done("/batch", json!({"commands": commands})).await;

    let results = answer["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["ok"]["seq"].is_u64()));
    assert_eq!(results[499]["ok"]["seq"], 10);
    assert_eq!(server.metric("nuncio_committed_total").await, 500.0);
    let commits = server.metric("nuncio_commit_seconds_count").await;
    assert!(commits <= 100.0, "{commits} commits");
}

#[tokio::test]
async fn a_batch_is_as_large_as_configured_and_every_command_counts() {
    let (server, backend) = start_with("batch_max = 3\nrate_per_second = 2").await;
    let publish = json!({"publish": {"roomId": "chat:a", "content": 1}});

    for count in [0, 4] {
        let commands = vec![publish.clone(); count];
        let refused = backend
            .refused("/batch", json!({"commands": commands}))
            .await;
        assert!(refused.2.contains("1 to 3"), "{refused:?}");
    }
    let answer = backend
        .done("/batch", json!({"commands": vec![publish.clone(); 3]}))
        .await;
    assert_eq!(answer["results"][1]["ok"]["seq"], 2);
    assert_eq!(answer["results"][2]["error"]["code"], "RATE_LIMITED");

    let speaker = Backend::new(&server, SPEAKER);
    let mixed = json!({"commands": [publish, {"clear": {"roomId": "chat:a"}}]});
    let answer = speaker.done("/batch", mixed).await;
    assert_eq!(answer["results"][0]["ok"]["seq"], 3);
    assert_eq!(
        answer["results"][1]["error"]["code"], "FORBIDDEN",
        "each needs its scope"
    );
}

#[tokio::test]
async fn messages_without_a_store_are_published_in_batches_too() {
    let (_server, backend) = start_with("[store]\nenabled = false").await;
    let commands = vec![json!({"publish": {"roomId": "a", "content": 1}}); 200];

    let answer = backend.done("/batch", json!({"commands": commands})).await;

    assert_eq!(answer["results"][199]["ok"]["seq"], 200);
}

#[tokio::test]
async fn a_batch_that_is_to_stop_begins_nothing_after_what_is_refused() {
    let (_server, backend) = start().await;
    let commands = json!([
        {"publish": {"roomId": "a", "content": 1}},
        {"publish": {"roomId": "nuncio:x", "content": 2}},
        {"publish": {"roomId": "a", "content": 3}},
        {"disconnect": {"userId": "ann"}},
    ]);

    let batch = json!({"commands": commands, "stopAtError": true});
    let results = backend.done("/batch", batch).await["results"].clone();

    assert_eq!(results[0]["ok"]["seq"], 1);
    assert_eq!(results[1]["error"]["code"], "INVALID_MESSAGE");
    for result in [&results[2], &results[3]] {
        assert_eq!(result["error"]["code"], "UNAVAILABLE", "{results}");
    }
    assert_eq!(backend.read("/history?roomId=a").await["seq"], 1);
}
