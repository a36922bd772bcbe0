//! The end of a server: told to everyone, paced, with nothing lost.

use std::time::Duration;

use nuncio_e2e::server::free_address;
use nuncio_e2e::{Client, Raw, TestServer, http};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

#[tokio::test]
async fn each_client_is_told_to_come_back_and_closed_with_1012() {
    let mut server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let mut anonymous = Client::connect(&server.anonymous()).await.unwrap();
    anonymous.expect("welcome").await;
    let mut echo = Raw::connect(server.address, "/ws/echo", &[]).await;
    echo.expect("welcome").await;

    server.drain();

    for client in [&mut ann, &mut anonymous] {
        let reconnect = client.expect("reconnect").await;
        assert_eq!(reconnect["reason"], "Server shutting down");
        assert!(reconnect["after"].as_u64() > Some(0));
        assert_eq!(client.closed().await, closing());
    }
    assert_eq!(echo.closed().await, closing());
    server.stop().await;
}

#[tokio::test]
async fn meanwhile_it_is_not_ready_and_takes_no_new_connection() {
    let monitoring = free_address();
    let metrics = format!("metrics.listen={monitoring}");
    let mut server = TestServer::set(&[&*metrics, "server.drain_rate=4"]).await;
    let mut clients = enter(&server, 4).await;
    assert_eq!(http::get(monitoring, "/readyz").await.status, 200);

    server.drain();
    clients.remove(0).expect("reconnect").await;

    let answer = http::get(monitoring, "/readyz").await;
    assert_eq!((answer.status, &*answer.text()), (503, "shutting down\n"));
    assert_eq!(http::get(monitoring, "/healthz").await.status, 200);
    assert_eq!(http::get(server.address, "/readyz").await.status, 503);
    assert!(Client::connect(&server.url("eve")).await.is_err());
    for mut client in clients {
        assert_eq!(client.closed().await, closing());
    }
    server.stop().await;
}

#[tokio::test]
async fn clients_are_sent_away_at_the_configured_rate() {
    let mut server = TestServer::set(&["server.drain_rate=5"]).await;
    let clients = enter(&server, 6).await;

    let start = Instant::now();
    server.drain();
    let ends = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            assert_eq!(client.closed().await, closing());
            start.elapsed()
        })
    });
    let mut ended = Vec::new();
    for end in ends.collect::<Vec<_>>() {
        ended.push(end.await.unwrap());
    }

    ended.sort();
    assert!(
        ended[5] >= Duration::from_millis(900),
        "6 at 5 a second: {ended:?}"
    );
    assert!(
        ended[5] - ended[0] >= Duration::from_millis(700),
        "{ended:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_take_part_does_not_hold_the_end_up() {
    let mut server = TestServer::set(&["server.head_timeout=10s"]).await;
    let target = format!("/ws?token={}", server.token("ann"));
    let mut silent = Raw::connect(server.address, &target, &[]).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    silent.expect("auth_ok").await;
    let start = Instant::now();

    server.drain();
    server.stop().await;

    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(silent.closed().await, closing());
    drop(idle);
}

#[tokio::test]
async fn the_time_for_it_is_bounded_also_while_clients_are_still_being_told() {
    let mut server = TestServer::set(&["server.drain_rate=1", "server.drain_timeout=300ms"]).await;
    let _clients = enter(&server, 10).await;
    let start = Instant::now();

    server.drain();
    server.stop().await;

    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_the_next_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let rate = [
        "limits.rate_per_second=0",
        "history.messages=100000",
        "server.drain_rate=50",
    ];
    let mut server = TestServer::set_in(folder.path(), &rate).await;
    let mut publishing = Vec::new();
    for user in 0..5 {
        let (mut client, _) = Client::enter(&server.url(&format!("u{user}"))).await;
        publishing.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            loop {
                let n = acknowledged.len();
                let message = json!({"type": "chat:message", "roomId": "lobby", "content": format!("{user}-{n}"), "id": n});
                client.send(message).await;
                loop {
                    match client.take().await {
                        Ok(message) if message["ack"] == n => {
                            acknowledged.push(message["data"]["seq"].as_u64().unwrap());
                            break;
                        }
                        Ok(_) => {}
                        Err(close) => {
                            assert_eq!(close.map(|close| u16::from(close.code)), Some(1012));
                            return acknowledged;
                        }
                    }
                }
            }
        }));
    }
    while server.metric("nuncio_committed_total").await < 50.0 {}

    server.drain();
    let mut acknowledged = Vec::new();
    for publisher in publishing {
        acknowledged.extend(publisher.await.unwrap());
    }
    server.stop().await;

    assert!(acknowledged.len() >= 45, "{acknowledged:?}");
    let server = TestServer::set_in(folder.path(), &rate).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let reply = ann
        .call(json!({"type": "history:get", "roomId": "lobby"}))
        .await;
    let messages = reply["data"]["messages"].as_array().unwrap();
    let kept: Vec<_> = messages
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(kept, (1..=kept.len() as u64).collect::<Vec<_>>());
    for seq in acknowledged {
        assert!(kept.contains(&seq), "{seq} was acknowledged");
    }
    server.stop().await;
}

#[tokio::test]
async fn clients_come_back_to_the_next_server_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = TestServer::set_in(folder.path(), &[]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let joined = ann.join("lobby").await;
    ann.publish("lobby", "before").await;
    server.drain();
    ann.closed().await;
    server.stop().await;

    let server = TestServer::set_in(folder.path(), &[]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let since = json!({"epoch": joined["epoch"], "seq": joined["seq"]});
    let reply = ann
        .call(json!({"type": "room:join", "roomId": "lobby", "since": since}))
        .await;

    assert_eq!(reply["data"]["recovered"], true);
    assert_eq!(ann.expect("chat:message").await["content"], "before");
}

async fn enter(server: &TestServer, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for n in 0..count {
        clients.push(Client::enter(&server.url(&format!("u{n}"))).await.0);
    }
    clients
}

fn closing() -> (u16, String) {
    (1012, "Server shutting down".to_owned())
}
