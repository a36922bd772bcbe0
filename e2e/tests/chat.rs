//! Two clients in a room, from the socket to a durable history.

use nuncio_e2e::{Client, TestServer};
use serde_json::json;

#[tokio::test]
async fn two_clients_in_a_room_see_each_message_in_one_order() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    ann.join("lobby").await;
    let joined = bob.join("lobby").await;
    assert_eq!(joined["members"], 2);
    assert_eq!(
        ann.expect("user:joined").await,
        json!({"type": "user:joined", "roomId": "lobby", "userId": "bob"})
    );

    let published = ann.publish("lobby", "Hello").await;

    assert_eq!(published["status"], "ok");
    assert_eq!(published["seq"], 1);
    for client in [&mut ann, &mut bob] {
        let message = client.expect("chat:message").await;
        assert_eq!(message["content"], "Hello");
        assert_eq!(message["userId"], "ann");
        assert_eq!(message["seq"], 1);
        assert_eq!(message["id"], published["id"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_with_the_same_seq_and_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(folder.path(), "").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let joined = ann.join("lobby").await;
    ann.publish("lobby", "before").await;
    server.stop().await;

    let server = TestServer::start_in(folder.path(), "").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let since = json!({"epoch": joined["epoch"], "seq": 0});
    let reply = ann
        .call(json!({"type": "room:join", "roomId": "lobby", "since": since}))
        .await;
    let published = ann.publish("lobby", "after").await;

    assert_eq!(reply["data"]["recovered"], true);
    assert_eq!(ann.expect("chat:message").await["content"], "before");
    assert_eq!(published["seq"], 2);
    assert_eq!(published["epoch"], joined["epoch"]);
    server.stop().await;
}
