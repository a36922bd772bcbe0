//! What is not a WebSocket: health, metrics, the demo's page and tokens.

use std::path::PathBuf;

use nuncio::config::{Config, Sources};
use nuncio_e2e::server::value_of;
use nuncio_e2e::{Client, Raw, TestServer, http};
use serde_json::json;

#[tokio::test]
async fn health_and_readiness_are_told() {
    let server = TestServer::start("").await;

    for path in ["/healthz", "/readyz"] {
        let answer = http::get(server.address, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn what_is_nowhere_is_answered_with_json() {
    let server = TestServer::start("").await;

    for path in [
        "/",
        "/index.html",
        "/demo/token",
        "/nothing",
        "/ws/nothing",
        "/metrics/x",
    ] {
        let answer = http::get(server.address, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "NOT_FOUND");
        assert!(error["message"].as_str().unwrap().contains(path), "{error}");
    }
}

#[tokio::test]
async fn a_request_for_the_websocket_path_that_is_no_handshake_is_refused() {
    let server = TestServer::start("").await;

    assert_eq!(http::get(server.address, "/ws").await.status, 426);
    let old = http::ask(
        server.address,
        "GET",
        "/ws",
        &[
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "8"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
        "",
    )
    .await;
    assert_eq!(
        (old.status, old.header("sec-websocket-version")),
        (426, Some("13"))
    );
    assert_eq!(
        http::ask(server.address, "POST", "/ws", &[], "x")
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn the_metrics_count_what_happened() {
    let server = TestServer::set(&["limits.rate_per_second=1", "limits.rate_burst=5"]).await;
    let (mut ann, entered) = Client::enter(&server.url("ann")).await;
    let (mut bob, _) = Client::enter(&server.url("bob")).await;
    let joined = ann.join("lobby").await;
    bob.join("lobby").await;
    ann.publish("lobby", "one").await;
    ann.publish("lobby", "two").await;
    for client in [&mut ann, &mut bob] {
        client.find(|message| message["content"] == "two").await;
    }
    let since = json!({"epoch": joined["epoch"], "seq": 1});
    bob.call(json!({"type": "room:join", "roomId": "lobby", "since": since}))
        .await;
    bob.call(json!({"type": "room:join", "roomId": "lobby", "since": {"epoch": "AAAAAAAAAAA", "seq": 1}})).await;
    ann.refused(json!({"type": "nonsense"})).await;
    while ann
        .call(json!({"type": "presence:get", "roomId": "lobby"}))
        .await["error"]
        .is_null()
    {}
    bob.close().await;
    ann.cut();
    server.until_metric("nuncio_sessions_parked", 1.0).await;
    let resume = json!({"type": "resume", "resume": entered["resume"]});
    let mut ann = Client::begin(&server.anonymous(), resume).await;
    ann.expect("resumed").await;
    http::upgrade(server.address, "/ws?token=nonsense", &[]).await;

    let answer = http::get(server.address, "/metrics").await;
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "OpenMetrics 1.0 ends so");
    let value =
        |name: &str| value_of(&text, name).unwrap_or_else(|| panic!("no {name} in\n{text}"));

    for (name, expected) in [
        ("nuncio_connections", 1.0),
        ("nuncio_sessions{transport=\"websocket\"}", 1.0),
        ("nuncio_sessions_parked", 0.0),
        ("nuncio_rooms", 1.0),
        // Who has just gone counts until its grace is over.
        ("nuncio_users", 2.0),
        ("nuncio_publications_total", 2.0),
        ("nuncio_closes_total{code=\"1005\"}", 1.0),
        ("nuncio_closes_total{code=\"1006\"}", 1.0),
        ("nuncio_errors_total{code=\"UNKNOWN_TYPE\"}", 1.0),
        ("nuncio_errors_total{code=\"RATE_LIMITED\"}", 1.0),
        ("nuncio_rate_limited_total", 1.0),
        ("nuncio_slow_consumers_total", 0.0),
        ("nuncio_recoveries_total{outcome=\"recovered\"}", 1.0),
        ("nuncio_resumes_total{outcome=\"resumed\"}", 1.0),
        ("nuncio_handshakes_refused_total{status=\"401\"}", 1.0),
        ("nuncio_publish_seconds_count", 2.0),
        ("nuncio_committed_total", 2.0),
        ("nuncio_commits_failed_total", 0.0),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    // One room asked for with a wrong position, and one resumed without any.
    assert_eq!(value("nuncio_recoveries_total{outcome=\"lost\"}"), 2.0);
    assert!(value("nuncio_messages_received_total") >= 9.0);
    assert!(value("nuncio_received_bytes_total") >= 300.0);
    assert!(value("nuncio_deliveries_total") >= 4.0);
    assert!(value("nuncio_sent_bytes_total") >= 300.0);
    assert!((1.0..=2.0).contains(&value("nuncio_commit_seconds_count")));
    assert!(value("nuncio_publish_seconds_sum") > 0.0);
    assert!(value("nuncio_memory_resident_bytes") > 1_000_000.0);
    assert!(value("nuncio_memory_private_bytes") > 1_000_000.0);
}

#[tokio::test]
async fn a_publication_is_encoded_once_per_encoder_however_many_members_there_are() {
    let server = TestServer::set(&["deflate.enabled=true"]).await;
    let deflate = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let mut members = Vec::new();
    for (user, headers) in [
        ("a", &deflate[..0]),
        ("b", &deflate[..0]),
        ("c", &deflate),
        ("d", &deflate),
    ] {
        for _ in 0..3 {
            let target = format!("/ws?token={}", server.token(user));
            let mut member = Raw::connect(server.address, &target, headers).await;
            member
                .send_json(&json!({"type": "room:join", "roomId": "quiet", "id": 1}))
                .await;
            while member.message().await["ack"] != 1 {}
            members.push(member);
        }
    }
    let (mut ann, _) = Client::enter(&server.url("ann")).await;
    let before = server.metric("nuncio_encodes_total").await;
    let deliveries = server.metric("nuncio_deliveries_total").await;

    for n in 0..5 {
        ann.publish("quiet", &n.to_string()).await;
        for member in &mut members {
            member.expect("chat:message").await;
        }
    }

    assert_eq!(
        server.metric("nuncio_encodes_total").await - before,
        5.0 * 2.0
    );
    assert_eq!(
        server.metric("nuncio_deliveries_total").await - deliveries,
        5.0 * 12.0
    );
}

#[tokio::test]
async fn metrics_may_be_off() {
    let server = TestServer::set(&["metrics.enabled=false"]).await;

    assert_eq!(http::get(server.address, "/metrics").await.status, 404);
    assert_eq!(http::get(server.address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_may_have_an_address_of_their_own() {
    let address = nuncio_e2e::server::free_address();
    let server = TestServer::set(&[&format!("metrics.listen={address}")]).await;

    assert_eq!(http::get(server.address, "/metrics").await.status, 404);
    let answer = http::get(address, "/metrics").await;
    assert!(value_of(&answer.text(), "nuncio_connections").is_some());
    assert_eq!(http::get(address, "/readyz").await.status, 200);
}

#[tokio::test]
async fn the_demo_gives_whoever_asks_a_token_for_any_name() {
    let server = TestServer::demo(&[]).await;

    let answer = http::ask(
        server.address,
        "POST",
        "/demo/token",
        &[],
        r#"{"name":"Ann"}"#,
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (200, Some("no-store"))
    );
    let token = answer.json()["token"].as_str().unwrap().to_owned();

    let url = format!("ws://{}/ws?token={token}", server.address);
    let (mut ann, entered) = Client::enter(&url).await;
    assert_eq!(entered["user"]["sub"], "Ann");
    ann.join("any room").await;
    ann.publish("any room", "hello").await;
}

#[tokio::test]
async fn a_request_for_a_token_that_is_wrong_is_told_so() {
    let server = TestServer::demo(&[]).await;
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(2000));

    for (method, body, status) in [
        ("GET", "", 405),
        ("POST", "no JSON", 400),
        ("POST", "{}", 400),
        ("POST", r#"{"name":"  "}"#, 400),
        ("POST", &long, 413),
    ] {
        let answer = http::ask(server.address, method, "/demo/token", &[], body).await;
        assert_eq!(answer.status, status, "{method} {body:.20}");
        assert!(answer.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn the_demo_answers_to_names_of_this_machine_only() {
    let server = TestServer::demo(&[]).await;
    let port = server.address.port();
    let body = r#"{"name":"ann"}"#;
    let token = http::ask(server.address, "POST", "/demo/token", &[], body)
        .await
        .json()["token"]
        .clone();
    let target = format!("/ws?token={}", token.as_str().unwrap());

    for (host, status) in [
        (format!("localhost:{port}"), 200),
        (format!("evil.example:{port}"), 403),
    ] {
        let answer = http::ask(
            server.address,
            "POST",
            "/demo/token",
            &[("Host", &host)],
            body,
        )
        .await;
        assert_eq!(answer.status, status, "{host}");
        let upgrade = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
            http::HANDSHAKE
        );
        let answer = http::send(server.address, &upgrade).await;
        assert_eq!(
            answer.status,
            if status == 200 { 101 } else { 403 },
            "{host}"
        );
    }
    let page = [("Origin", "https://evil.example")];
    assert_eq!(
        http::ask(server.address, "POST", "/demo/token", &page, body)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn the_page_and_its_files_allow_no_inline_script_or_style() {
    let server = TestServer::demo(&[]).await;

    let page = http::get(server.address, "/").await;

    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = page.text();
    assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick="));
    for source in html.split("src=\"").skip(1).chain(
        html.split("<link")
            .skip(1)
            .flat_map(|link| link.split("href=\"").skip(1).take(1)),
    ) {
        let path = source.split('"').next().unwrap();
        if path.starts_with("data:") {
            continue;
        }
        let path = format!("/{}", path.trim_start_matches(['.', '/']));
        assert_eq!(http::get(server.address, &path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let server = TestServer::demo(&[]).await;
    let page = http::get(server.address, "/").await;
    let tag = page.header("etag").unwrap();

    let again = http::ask(server.address, "GET", "/", &[("If-None-Match", tag)], "").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = http::ask(
        server.address,
        "GET",
        "/",
        &[("If-None-Match", "\"other\"")],
        "",
    )
    .await;
    assert_eq!(other.status, 200);
}

#[test]
fn the_demo_refuses_an_address_that_other_machines_reach() {
    for listen in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
        let sources = Sources {
            file: None::<PathBuf>,
            flags: vec![format!("server.listen={listen}")],
            ..Sources::default()
        };

        let problems = Config::load(&sources)
            .unwrap()
            .check()
            .unwrap_err()
            .to_string();

        assert!(
            problems.contains("server.listen") && problems.contains("auth.secrets"),
            "{problems}"
        );
    }
}
