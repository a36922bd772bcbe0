//! Who may use the API, where, and how much at once.

use nuncio_e2e::backend::{ADMIN, KEEPER, KEYS, READER, SPEAKER, refusal};
use nuncio_e2e::{Backend, Client, TestServer, http};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::{start, start_with};

#[tokio::test]
async fn without_a_key_in_the_configuration_there_is_no_api() {
    let server = TestServer::start("").await;

    for path in [
        "/api/v1/server",
        "/api/v1/openapi.json",
        "/api/docs",
        "/api",
    ] {
        assert_eq!(http::get(server.address, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn who_has_no_key_or_a_wrong_one_is_told_the_same() {
    let (server, _) = start().await;
    let wrong = format!("{}x", &ADMIN[..ADMIN.len() - 1]);
    let cookie = format!("key={ADMIN}");

    for headers in [
        vec![],
        vec![("Authorization", wrong.as_str())],
        vec![("Authorization", "Bearer")],
        vec![("Authorization", ADMIN)],
        vec![("Cookie", cookie.as_str())],
    ] {
        let answer = http::ask(server.address, "GET", "/api/v1/server", &headers, "").await;
        let (status, code, message) = refusal(&answer);
        assert_eq!((status, &*code), (401, "UNAUTHORIZED"), "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(!message.contains(ADMIN));
    }
    let token = format!("/api/v1/server?token={ADMIN}");
    assert_eq!(http::get(server.address, &token).await.status, 401);
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say() {
    let (server, admin) = start().await;
    let (_ann, _) = Client::enter(&server.url("ann")).await;
    let (speaker, reader, keeper) = (
        Backend::new(&server, SPEAKER),
        Backend::new(&server, READER),
        Backend::new(&server, KEEPER),
    );
    let message = json!({"roomId": "chat:a", "content": 1});

    speaker.done("/publish", message.clone()).await;
    admin.done("/publish", message.clone()).await;
    reader.read("/history?roomId=chat:a").await;
    keeper.read("/sessions").await;

    let forbidden =
        |(status, code, _): (u16, String, String)| (status, code) == (403, "FORBIDDEN".to_owned());
    assert!(forbidden(reader.refused("/publish", message.clone()).await));
    assert!(forbidden(keeper.refused("/publish", message).await));
    assert!(forbidden(
        keeper
            .refused("/history/clear", json!({"roomId": "a"}))
            .await
    ));
    assert!(forbidden(
        keeper
            .refused("/disconnect", json!({"everyone": true}))
            .await
    ));
    for (backend, path) in [
        (&speaker, "/server"),
        (&reader, "/sessions"),
        (&keeper, "/rooms"),
    ] {
        let answer = backend.ask("GET", path, &[], "").await;
        assert!(forbidden(refusal(&answer)), "{path}");
        assert!(refusal(&answer).2.contains("the key lacks the scope"));
    }
}

#[tokio::test]
async fn a_key_reaches_the_rooms_and_namespaces_it_is_bound_to() {
    let (server, _) = start().await;
    let (speaker, keeper) = (
        Backend::new(&server, SPEAKER),
        Backend::new(&server, KEEPER),
    );

    for (path, body) in [
        ("/publish", json!({"roomId": "staff", "content": 1})),
        (
            "/publish",
            json!({"roomId": "chat:a", "content": 1, "ns": "/other"}),
        ),
        ("/emit", json!({"event": "e", "everyone": true})),
        (
            "/emit",
            json!({"event": "e", "roomIds": ["chat:a", "staff"]}),
        ),
        (
            "/emit",
            json!({"event": "e", "roomIds": ["chat:a"], "userIds": ["ann"]}),
        ),
        ("/private", json!({"to": "ann", "content": 1})),
    ] {
        let (status, _, message) = speaker.refused(path, body.clone()).await;
        assert_eq!(status, 403, "{path} {body}: {message}");
    }
    let rooms = json!({"roomIds": ["chat:a", "staff"], "content": 1});
    let answer = speaker.done("/broadcast", rooms).await;
    assert_eq!(answer["rooms"][0]["seq"], 1);
    assert_eq!(answer["rooms"][1]["error"]["code"], "FORBIDDEN");
    speaker
        .done("/emit", json!({"event": "e", "roomIds": ["chat:a"]}))
        .await;
    let elsewhere = json!({"userId": "ann", "ns": "/other"});
    assert_eq!(keeper.refused("/disconnect", elsewhere).await.0, 403);
    let everywhere = json!({"userId": "ann", "until": 4_102_444_800_u64});
    assert_eq!(keeper.refused("/revoke", everywhere).await.0, 403);
}

#[tokio::test]
async fn an_address_of_its_own_has_the_api_alone() {
    let server = TestServer::start(&format!("{KEYS}listen = \"127.0.0.1:0\"")).await;
    let backend = Backend::new(&server, ADMIN);

    backend.read("/server").await;

    assert_ne!(backend.address, server.address);
    assert_eq!(
        http::get(server.address, "/api/v1/server").await.status,
        404
    );
    assert_eq!(http::get(backend.address, "/healthz").await.status, 404);
    assert_eq!(http::get(backend.address, "/api/docs").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_key_has_so_many_requests_at_once_and_so_many_commands_a_second() {
    let (server, backend) = start_with("requests_max = 1\nrate_per_second = 1").await;
    // It holds its place until its body is there, which is only begun.
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = loop {
        let answer = backend.ask("GET", "/health", &[], "").await;
        if answer.status == 429 && refusal(&answer).2.contains("at once") {
            break answer;
        }
    };
    assert_eq!(refusal(&answer).1, "RATE_LIMITED");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.json()["error"]["retryAfter"].as_u64() > Some(0));
    drop(slow);

    let reader = Backend::new(&server, READER);
    let first = reader.ask("GET", "/health", &[], "").await;
    let second = reader.ask("GET", "/health", &[], "").await;
    assert_eq!((first.status, second.status), (200, 429));
    assert_eq!(refusal(&second).2, "Rate limit exceeded");
}
