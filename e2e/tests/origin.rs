//! Which pages may connect, and where.

use nuncio_e2e::{Client, TestServer, http};

#[tokio::test]
async fn pages_of_the_host_that_is_asked_may_connect_and_programs_too() {
    let server = TestServer::start("").await;
    let own = format!("http://{}", server.address);
    let other_port = "http://127.0.0.1:1";

    assert_eq!(status(&server, None).await, 101);
    assert_eq!(status(&server, Some(&own)).await, 101);
    for origin in [other_port, "https://evil.example", "null", "not an origin"] {
        assert_eq!(status(&server, Some(origin)).await, 403, "{origin}");
    }
}

#[tokio::test]
async fn listed_origins_and_their_subdomains_may_connect_and_no_others() {
    let server =
        TestServer::set(&["server.origins=https://app.example.com,https://*.example.org"]).await;
    let own = format!("http://{}", server.address);

    for (origin, expected) in [
        ("https://app.example.com", 101),
        ("https://APP.example.com:443", 101),
        ("http://app.example.com", 403),
        ("https://app.example.com.evil.example", 403),
        ("https://a.b.example.org", 101),
        ("https://example.org", 403),
        ("https://evilexample.org", 403),
        (&own, 403),
    ] {
        assert_eq!(status(&server, Some(origin)).await, expected, "{origin}");
    }
}

#[tokio::test]
async fn every_page_may_connect_only_where_that_is_written() {
    let server = TestServer::set(&["server.origins=*"]).await;

    for origin in ["https://evil.example", "null"] {
        assert_eq!(status(&server, Some(origin)).await, 101, "{origin}");
    }
}

#[tokio::test]
async fn a_refused_origin_is_told_nothing_of_the_token() {
    let server = TestServer::start("").await;
    let origin = [("Origin", "https://evil.example")];

    let good = format!("/ws?token={}", server.token("ann"));
    let answers = [
        http::upgrade(server.address, &good, &origin).await,
        http::upgrade(server.address, "/ws?token=nonsense", &origin).await,
    ];

    for answer in answers {
        assert_eq!(
            (answer.status, &*answer.text()),
            (403, "Origin not allowed")
        );
    }
}

#[tokio::test]
async fn the_path_is_configurable_and_the_echo_is_below_it() {
    let server = TestServer::set(&["server.path=/realtime"]).await;
    let url = format!(
        "ws://{}/realtime?token={}",
        server.address,
        server.token("ann")
    );

    Client::enter(&url).await;

    assert_eq!(http::upgrade(server.address, "/ws", &[]).await.status, 404);
    assert_eq!(
        http::upgrade(server.address, "/realtime/echo", &[])
            .await
            .status,
        101
    );
}

async fn status(server: &TestServer, origin: Option<&str>) -> u16 {
    let headers: Vec<_> = origin
        .map(|origin| ("Origin", origin))
        .into_iter()
        .collect();
    http::upgrade(server.address, "/ws", &headers).await.status
}
