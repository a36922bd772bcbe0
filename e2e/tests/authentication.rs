//! Who may enter, by which way of giving a token, and what a token allows while it lasts.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use nuncio::auth::{Claims, NuncioClaim, RoomClaim};
use nuncio_e2e::server::signed_with;
use nuncio_e2e::{Client, Raw, TestServer, http, raw, unix_s};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[tokio::test]
async fn a_token_in_the_query_lets_in() {
    let server = TestServer::start("").await;

    let (_, entered) = Client::enter(&server.url("ann")).await;

    assert_eq!(entered["user"], json!({"sub": "ann"}));
    assert!(entered["exp"].as_u64() > Some(unix_s()));
    assert!(entered["resume"].is_string());
}

#[tokio::test]
async fn a_token_in_the_authorization_header_lets_in() {
    let server = TestServer::start("").await;
    let bearer = format!("Bearer {}", server.token("ann"));

    let client = open(&server, "/ws", &[("authorization", &bearer)]).await;

    assert_eq!(Client::entered(client).await.1["user"]["sub"], "ann");
}

#[tokio::test]
async fn a_token_in_the_subprotocol_list_lets_in_and_nuncio_v1_is_selected() {
    let server = TestServer::start("").await;
    let list = format!("nuncio.v1, bearer.{}", server.token("ann"));

    let request = request(&server, "/ws", &[("sec-websocket-protocol", &list)]);
    let (client, response) = Client::open(request).await.unwrap();

    assert_eq!(response.headers()["sec-websocket-protocol"], "nuncio.v1");
    assert_eq!(Client::entered(client).await.1["user"]["sub"], "ann");
}

#[tokio::test]
async fn a_token_in_the_first_message_lets_in() {
    let server = TestServer::start("").await;
    let mut client = Client::connect(&server.anonymous()).await.unwrap();
    let welcome = client.expect("welcome").await;
    assert!(welcome["resume"].is_null());

    let reply = client
        .call(json!({"type": "auth", "token": server.token("ann")}))
        .await;

    assert_eq!(reply["data"], json!({"status": "ok"}));
    assert_eq!(client.expect("auth_ok").await["user"]["sub"], "ann");
    client.join("lobby").await;
}

#[tokio::test]
async fn a_cookie_lets_in_only_for_pages_of_this_server() {
    let server = TestServer::set(&["auth.cookie=session", "auth.first_message=false"]).await;
    let cookie = format!("theme=dark; session={}", server.token("ann"));
    let own = format!("http://{}", server.address);

    for (headers, status) in [
        (vec![("Cookie", &*cookie), ("Origin", &own)], 101),
        (
            vec![("Cookie", &*cookie), ("Sec-Fetch-Site", "same-origin")],
            101,
        ),
        (
            vec![("Cookie", &*cookie), ("Sec-Fetch-Site", "cross-site")],
            401,
        ),
        (vec![("Cookie", &*cookie)], 401),
        (
            vec![("Cookie", &*cookie), ("Origin", "https://evil.example")],
            403,
        ),
    ] {
        let answer = http::upgrade(server.address, "/ws", &headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn a_cookie_does_not_count_where_every_page_may_connect() {
    let server = TestServer::set(&[
        "auth.cookie=session",
        "auth.first_message=false",
        "server.origins=*",
    ])
    .await;
    let cookie = format!("session={}", server.token("ann"));
    let headers = [("Cookie", &*cookie), ("Origin", "https://evil.example")];

    let answer = http::upgrade(server.address, "/ws", &headers).await;

    assert_eq!((answer.status, &*answer.text()), (401, "Missing token"));
}

#[tokio::test]
async fn a_wrong_token_is_answered_401_before_the_upgrade() {
    let server = TestServer::start("").await;
    let good = server.token("ann");
    let forged = signed_with(
        "another secret of at least thirty-two bytes",
        Claims::new("ann", unix_s() + 60),
    );

    for token in [
        forged,
        good.replace('.', "!"),
        format!("{good}x"),
        "a.b.c".to_owned(),
    ] {
        let answer = http::upgrade(server.address, &format!("/ws?token={token}"), &[]).await;
        assert_eq!((answer.status, &*answer.text()), (401, "Invalid token"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

#[tokio::test]
async fn no_token_is_answered_401_where_the_first_message_is_too_late() {
    let server = TestServer::set(&["auth.first_message=false"]).await;

    let answer = http::upgrade(server.address, "/ws", &[]).await;

    assert_eq!((answer.status, &*answer.text()), (401, "Missing token"));
}

#[tokio::test]
async fn several_different_tokens_are_answered_400_and_the_same_twice_is_not() {
    let server = TestServer::start("").await;
    let (ann, bob) = (server.token("ann"), server.token("bob"));
    let target = format!("/ws?token={ann}");

    let different = format!("Bearer {bob}");
    let answer = http::upgrade(server.address, &target, &[("Authorization", &different)]).await;
    assert_eq!(answer.status, 400);

    let same = format!("Bearer {ann}");
    let answer = http::upgrade(server.address, &target, &[("Authorization", &same)]).await;
    assert_eq!(answer.status, 101);
}

#[tokio::test]
async fn a_wrong_token_in_the_first_message_closes_with_1008() {
    let server = TestServer::start("").await;

    let auth = json!({"type": "auth", "token": "nonsense", "id": 1});
    let mut client = Client::begin(&server.anonymous(), auth).await;

    assert_eq!(client.closed().await, closed(1008, "Authentication failed"));
}

#[tokio::test]
async fn another_message_before_authentication_closes_with_1008() {
    let server = TestServer::start("").await;

    let join = json!({"type": "room:join", "roomId": "lobby"});
    let mut client = Client::begin(&server.anonymous(), join).await;

    assert_eq!(client.closed().await, closed(1008, "Not authenticated"));
}

#[tokio::test]
async fn what_is_no_message_gets_its_error_before_authentication_and_leaves_the_connection_open() {
    let server = TestServer::start("").await;
    let mut client = Client::connect(&server.anonymous()).await.unwrap();
    client.expect("welcome").await;

    client.send_text("Hello!").await;
    assert_eq!(client.expect("error").await["code"], "PARSE_ERROR");
    client.send(json!({"type": "hello"})).await;
    assert_eq!(client.expect("error").await["code"], "UNKNOWN_TYPE");
    client.send(json!({"type": "ping"})).await;
    client.expect("pong").await;
    client
        .send(json!({"type": "auth", "token": server.token("ann")}))
        .await;
    client.expect("auth_ok").await;
}

#[tokio::test]
async fn who_says_nothing_is_closed_with_1008_after_the_deadline() {
    let server = TestServer::set(&["auth.timeout=100ms"]).await;
    let mut client = Client::connect(&server.anonymous()).await.unwrap();

    assert_eq!(client.closed().await, closed(1008, "Not authenticated"));
}

#[tokio::test]
async fn errors_do_not_put_the_deadline_off() {
    let server = TestServer::set(&["auth.timeout=300ms", "limits.rate_per_second=0"]).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    // Each error is answered with the next nonsense, until the close frame comes.
    let code = loop {
        let frame = client.frame().await.expect("a close frame");
        match frame.first {
            raw::CLOSE => break u16::from_be_bytes([frame.payload[0], frame.payload[1]]),
            _ => client.send(raw::TEXT, b"no JSON").await,
        }
    };

    assert_eq!(code, 1008);
}

#[tokio::test]
async fn a_token_signed_with_any_of_the_secrets_is_good() {
    let old = "the old secret of at least thirty-two bytes";
    let new = "the new secret of at least thirty-two bytes";
    let server = TestServer::set(&[&format!("auth.secrets={new},{old}")]).await;

    for (secret, status) in [
        (new, 101),
        (old, 101),
        ("a third secret of at least thirty-two bytes", 401),
    ] {
        let token = signed_with(secret, Claims::new("ann", unix_s() + 60));
        let answer = http::upgrade(server.address, &format!("/ws?token={token}"), &[]).await;
        assert_eq!(answer.status, status, "{secret}");
    }
}

#[tokio::test]
async fn a_secrets_file_adds_to_the_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    std::fs::write(
        &file,
        "# old\nthe old secret of at least thirty-two bytes\n",
    )
    .unwrap();
    let server = TestServer::set(&[&format!("auth.secrets_file={}", file.display())]).await;
    let token = signed_with(
        "the old secret of at least thirty-two bytes",
        Claims::new("ann", unix_s() + 60),
    );

    Client::enter(&format!("ws://{}/ws?token={token}", server.address)).await;
}

#[tokio::test]
async fn times_issuer_and_audience_of_a_token_are_checked() {
    let server = TestServer::set(&[
        "auth.issuer=https://id.example",
        "auth.audience=chat,admin",
        "auth.leeway=30s",
    ])
    .await;
    let now = unix_s();
    type Change = fn(&mut Claims, u64);
    let cases: [(&str, Change, u16); 9] = [
        ("as configured", |_, _| {}, 101),
        (
            "ended within the leeway",
            |claims, now| claims.exp = Some(now - 20),
            101,
        ),
        ("ended", |claims, now| claims.exp = Some(now - 31), 401),
        (
            "begins within the leeway",
            |claims, now| claims.nbf = Some(now + 20),
            101,
        ),
        (
            "not yet valid",
            |claims, now| claims.nbf = Some(now + 60),
            401,
        ),
        (
            "of another issuer",
            |claims, _| claims.iss = Some("https://evil.example".into()),
            401,
        ),
        (
            "for the second audience",
            |claims, _| claims.aud = vec!["x".into(), "admin".into()],
            101,
        ),
        (
            "for others",
            |claims, _| claims.aud = vec!["mail".into()],
            401,
        ),
        ("without an end", |claims, _| claims.exp = None, 101),
    ];
    for (name, change, status) in cases {
        let mut claims = Claims::new("ann", now + 60);
        change(&mut claims, now);
        let target = format!("/ws?token={}", server.mint(claims));
        let answer = http::upgrade(server.address, &target, &[]).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_token_with_an_audience_is_refused_where_none_is_configured() {
    let server = TestServer::start("").await;
    let mut claims = Claims::new("ann", unix_s() + 60);
    claims.aud = vec!["another service".into()];

    let target = format!("/ws?token={}", server.mint(claims));

    assert_eq!(
        http::upgrade(server.address, &target, &[]).await.status,
        401
    );
}

#[tokio::test]
async fn a_token_that_ends_is_announced_and_then_the_connection_closes_with_4003() {
    let server = TestServer::set(&["auth.leeway=0s"]).await;
    let exp = unix_s() + 2;
    let token = server.mint(Claims::new("ann", exp));
    let (mut ann, _) = Client::enter(&format!("ws://{}/ws?token={token}", server.address)).await;

    assert_eq!(
        ann.expect("auth:expiring").await,
        json!({"type": "auth:expiring", "exp": exp})
    );
    assert_eq!(ann.closed().await, closed(4003, "Token expired"));
}

#[tokio::test]
async fn a_refreshed_token_keeps_the_connection_and_its_grants_replace_the_old_ones() {
    let server = TestServer::start("").await;
    let exp = unix_s() + 60;
    let both = granting("ann", exp, &[("lobby", RIGHTS), ("staff", RIGHTS)]);
    let (mut ann, _) = enter(&server, both).await;
    ann.join("lobby").await;
    ann.join("staff").await;

    let fewer = granting("ann", exp + 60, &[("lobby", &["join"]), ("news", RIGHTS)]);
    let reply = ann
        .call(json!({"type": "auth:refresh", "token": server.mint(fewer)}))
        .await;

    assert_eq!(reply["data"], json!({"status": "ok", "exp": exp + 60}));
    assert_eq!(
        ann.expect("room:removed").await,
        json!({"type": "room:removed", "roomId": "staff", "code": "FORBIDDEN"})
    );
    let error = ann
        .refused(json!({"type": "chat:message", "roomId": "lobby", "content": 1}))
        .await;
    assert_eq!(error["code"], "FORBIDDEN");
    ann.join("news").await;
    ann.publish("news", "granted").await;
}

#[tokio::test]
async fn a_refresh_puts_the_end_off() {
    let server = TestServer::set(&["auth.leeway=0s"]).await;
    let token = server.mint(Claims::new("ann", unix_s() + 2));
    let (mut ann, _) = Client::enter(&format!("ws://{}/ws?token={token}", server.address)).await;
    ann.expect("auth:expiring").await;

    ann.call(json!({"type": "auth:refresh", "token": server.token("ann")}))
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;

    ann.join("lobby").await;
}

#[tokio::test]
async fn a_refresh_with_the_token_of_another_or_none_is_refused() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let error = ann
        .refused(json!({"type": "auth:refresh", "token": server.token("bob")}))
        .await;
    assert_eq!(error["code"], "FORBIDDEN");
    let error = ann
        .refused(json!({"type": "auth:refresh", "token": "nonsense"}))
        .await;
    assert_eq!(
        error,
        json!({"code": "NOT_AUTHENTICATED", "message": "Invalid token"})
    );
    ann.join("lobby").await;
}

#[tokio::test]
async fn each_command_needs_its_right_and_forbidden_names_room_and_right() {
    let server = TestServer::start("").await;
    let commands = [
        ("join", json!({"type": "room:join", "roomId": "r"})),
        (
            "publish",
            json!({"type": "chat:message", "roomId": "r", "content": 1}),
        ),
        (
            "publish",
            json!({"type": "event", "roomId": "r", "event": "e"}),
        ),
        ("presence", json!({"type": "presence:get", "roomId": "r"})),
        ("history", json!({"type": "history:get", "roomId": "r"})),
        ("typing", json!({"type": "typing:start", "roomId": "r"})),
    ];
    for (missing, command) in commands {
        let others: Vec<_> = RIGHTS
            .iter()
            .copied()
            .filter(|right| *right != missing)
            .collect();
        let claims = granting("ann", unix_s() + 60, &[("r", &others)]);
        let (mut ann, _) = enter(&server, claims).await;

        let error = ann.refused(command.clone()).await;

        assert_eq!(error["code"], "FORBIDDEN", "{command}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("\"r\"") && message.contains(missing),
            "{message}"
        );
    }
}

#[tokio::test]
async fn nothing_is_granted_that_is_not_written() {
    let server = TestServer::set(&["grants.rooms=[]", "grants.private="]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    for command in [
        json!({"type": "room:join", "roomId": "lobby"}),
        json!({"type": "chat:message", "roomId": "lobby", "content": 1}),
        json!({"type": "message:private", "to": "bob", "content": 1}),
    ] {
        assert_eq!(ann.refused(command).await["code"], "FORBIDDEN");
    }
}

#[tokio::test]
async fn rooms_that_the_token_names_are_joined_and_announced_after_auth_ok() {
    let server = TestServer::start("").await;
    let mut claims = granting("ann", unix_s() + 60, &[("lobby", RIGHTS)]);
    let nuncio = claims.nuncio.as_mut().unwrap();
    nuncio.join = vec!["lobby".into(), "not granted".into()];
    nuncio.info = Some(serde_json::value::to_raw_value(&json!({"name": "Ann"})).unwrap());

    let (mut ann, entered) = enter(&server, claims).await;

    assert_eq!(
        entered["user"],
        json!({"sub": "ann", "info": {"name": "Ann"}})
    );
    let joined = ann.expect("room:position").await;
    assert_eq!(
        (&joined["roomId"], &joined["reason"], &joined["seq"]),
        (&json!("lobby"), &json!("joined"), &json!(0))
    );
    ann.publish("lobby", "here").await;
    assert_eq!(ann.expect("chat:message").await["content"], "here");
}

#[tokio::test]
async fn rooms_of_the_same_name_in_two_namespaces_have_nothing_in_common() {
    let server = TestServer::set(&["grants.namespaces=/,/chat"]).await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&format!("{}&ns=/chat", server.url("bob"))).await;
    ann.join("lobby").await;
    assert_eq!(bob.join("lobby").await["members"], 1);

    ann.publish("lobby", "in /").await;
    let published = bob.publish("lobby", "in /chat").await;

    assert_eq!(published["seq"], 1);
    let before = bob.until(|message| message["content"] == "in /chat").await;
    assert!(
        before
            .iter()
            .all(|message| message["type"] != "chat:message"),
        "{before:?}"
    );
}

#[tokio::test]
async fn a_namespace_that_is_not_granted_is_no_way_in() {
    let server = TestServer::start("").await;

    let mut client = Client::connect(&format!("{}&ns=/other", server.url("ann")))
        .await
        .unwrap();
    assert_eq!(client.closed().await, closed(1008, "Authentication failed"));

    let target = format!("/ws?ns=nonsense&token={}", server.token("ann"));
    assert_eq!(
        http::upgrade(server.address, &target, &[]).await.status,
        400
    );
}

#[tokio::test]
async fn authenticating_twice_is_refused_and_changes_nothing() {
    let server = TestServer::start("").await;
    let (mut ann, _) = Client::enter(&server.url("ann")).await;

    let error = ann
        .refused(json!({"type": "auth", "token": server.token("bob")}))
        .await;

    assert_eq!(error["code"], "INVALID_MESSAGE");
    ann.join("lobby").await;
    let page = ann
        .call(json!({"type": "presence:get", "roomId": "lobby"}))
        .await;
    assert_eq!(page["data"]["users"][0]["userId"], "ann");
}

const RIGHTS: &[&str] = &["join", "publish", "presence", "history", "typing"];

fn granting(user: &str, exp: u64, rooms: &[(&str, &[&str])]) -> Claims {
    let grants = rooms.iter().map(|(rooms, allow)| RoomClaim {
        rooms: (*rooms).to_owned(),
        allow: serde_json::from_value(Value::from(allow.to_vec())).unwrap(),
    });
    let mut claims = Claims::new(user, exp);
    claims.nuncio = Some(NuncioClaim {
        grants: Some(grants.collect()),
        ..NuncioClaim::default()
    });
    claims
}

async fn enter(server: &TestServer, claims: Claims) -> (Client, Value) {
    let token = server.mint(claims);
    Client::enter(&format!("ws://{}/ws?token={token}", server.address)).await
}

async fn open(server: &TestServer, target: &str, headers: &[(&'static str, &str)]) -> Client {
    Client::open(request(server, target, headers))
        .await
        .unwrap()
        .0
}

fn request(
    server: &TestServer,
    target: &str,
    headers: &[(&'static str, &str)],
) -> tokio_tungstenite::tungstenite::handshake::client::Request {
    let url = format!("ws://{}{target}", server.address);
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn closed(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}
