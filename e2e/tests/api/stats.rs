//! What the server counts, as numbers.

use nuncio_e2e::backend::{KEEPER, READER, refusal};
use nuncio_e2e::{Backend, Client, TestServer};
use serde_json::json;

use crate::start;

#[tokio::test]
async fn counters_rise_with_what_clients_do_and_rooms_are_told_largest_first() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    ann.join("small").await;
    ann.join("large").await;
    bob.join("large").await;
    let before = backend.read("/stats").await;
    assert_eq!(before["rooms"], json!([]), "only those that are asked for");
    let counted = |stats: &serde_json::Value, name: &str| {
        stats["nodes"][0]["counters"][name].as_u64().unwrap()
    };

    ann.publish("large", "Hello").await;
    bob.expect("chat:message").await;

    let after = backend.read("/stats?rooms=10").await;
    let node = &after["nodes"][0];
    assert_eq!(
        (&node["connections"], &node["users"], &node["rooms"]),
        (&json!(2), &json!(2), &json!(2))
    );
    assert_eq!(node["transports"], json!({"websocket": 2}));
    assert_eq!(node["ready"], json!(true));
    for name in ["messagesIn", "publications"] {
        assert_eq!(counted(&after, name), counted(&before, name) + 1, "{name}");
    }
    assert!(counted(&after, "messagesOut") >= counted(&before, "messagesOut") + 2);
    assert!(counted(&after, "bytesOut") > counted(&before, "bytesOut"));
    assert_eq!(
        counted(&after, "apiRequests"),
        counted(&before, "apiRequests") + 1
    );
    let rooms: Vec<_> = after["rooms"].as_array().unwrap().iter().collect();
    assert_eq!(rooms.len(), 2);
    assert_eq!(
        (&rooms[0]["roomId"], &rooms[0]["sessions"], &rooms[0]["seq"]),
        (&json!("large"), &json!(2), &json!(1))
    );
    let one = backend.read("/stats?rooms=1").await;
    assert_eq!(one["rooms"], json!([rooms[0]]));
}

#[tokio::test]
async fn refusals_are_counted_by_their_code() {
    let (server, backend) = start().await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    ann.refused(json!({"type": "chat:message", "roomId": "", "content": "x"}))
        .await;
    assert_eq!(
        refusal(&backend.ask("GET", "/rooms?x=1", &[], "").await).0,
        400
    );

    let stats = backend.read("/stats").await;
    let counters = &stats["nodes"][0]["counters"];
    assert_eq!(counters["refused"], json!({"INVALID_MESSAGE": 1}));
    assert_eq!(counters["apiRefusals"], 1);
}

#[tokio::test]
async fn a_key_needs_the_scope_and_must_be_bound_to_nothing() {
    let bound = r#"keys = [{ name = "bound", key = "a-bound-key-of-at-least-32-bytes---", scopes = ["read"], rooms = ["a"] }]"#;
    let (server, _) = start().await;
    let reader = Backend::new(&server, READER);
    let keeper = Backend::new(&server, KEEPER);

    assert_eq!(
        reader.read("/stats").await["nodes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let (status, code, message) = refusal(&keeper.ask("GET", "/stats", &[], "").await);
    assert_eq!((status, &*code), (403, "FORBIDDEN"));
    assert!(message.contains("\"read\""), "{message}");
    let server = TestServer::start(&format!("[api]\n{bound}")).await;
    let bound = Backend::new(&server, "a-bound-key-of-at-least-32-bytes---");
    assert_eq!(refusal(&bound.ask("GET", "/stats", &[], "").await).0, 403);
}
