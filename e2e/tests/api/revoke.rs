//! Revoked tokens and users.

use nuncio::auth::Claims;
use nuncio_e2e::backend::{ADMIN, KEYS};
use nuncio_e2e::{Backend, Client, TestServer, http, unix_s};
use serde_json::json;

use crate::socketio::SocketIo;
use crate::start;

fn token(server: &TestServer, user: &str, id: &str, iat: u64) -> String {
    let mut claims = Claims::new(user, unix_s() + 3600);
    claims.jti = Some(id.to_owned());
    claims.iat = Some(iat);
    server.mint(claims)
}

fn url(server: &TestServer, token: &str) -> String {
    format!("ws://{}/ws?token={token}", server.address)
}

#[tokio::test]
async fn a_revoked_token_closes_its_sessions_of_both_protocols_and_lets_nobody_in() {
    let (server, backend) = start().await;
    let (lost, kept) = (
        token(&server, "ann", "t1", 1000),
        token(&server, "ann", "t2", 1000),
    );
    let (mut ann, _) = Client::enter(&url(&server, &lost)).await;
    let mut second = SocketIo::enter_with(&server, &lost, "/").await;
    let (mut other, _) = Client::enter(&url(&server, &kept)).await;
    let body = json!({"tokenId": "t1", "until": unix_s() + 3600});

    assert_eq!(
        backend.done("/revoke", body).await,
        json!({"revocations": 1})
    );

    assert_eq!(ann.closed().await, (4004, "Revoked".to_owned()));
    assert_eq!(second.packet().await, "41");
    server
        .until_metric("nuncio_closes_total{code=\"4004\"}", 2.0)
        .await;
    other.join("lobby").await;
    let path = format!("/ws?token={lost}");
    assert_eq!(http::upgrade(server.address, &path, &[]).await.status, 401);
    Client::enter(&url(&server, &kept)).await;
}

#[tokio::test]
async fn a_revoked_user_needs_a_token_issued_later_and_cannot_resume() {
    let (server, backend) = start().await;
    let now = unix_s();
    let old = token(&server, "ann", "t1", now - 100);
    let (mut ann, _) = Client::enter(&url(&server, &old)).await;
    let (away, entered) = Client::enter(&url(&server, &old)).await;
    let (mut fresh, _) = Client::enter(&url(&server, &token(&server, "ann", "t2", now))).await;
    let (mut bob, _) = Client::enter(&url(&server, &token(&server, "bob", "t3", now - 100))).await;
    away.cut();
    server.until_metric("nuncio_sessions_parked", 1.0).await;

    let body = json!({"userId": "ann", "issuedBefore": now - 50, "until": now + 3600});
    backend.done("/revoke", body).await;

    assert_eq!(ann.closed().await.0, 4004);
    fresh.join("lobby").await;
    bob.join("lobby").await;
    let resume = json!({"type": "resume", "resume": entered["resume"]});
    let mut away = Client::begin(&server.anonymous(), resume).await;
    assert_eq!(away.expect("error").await["code"], "NOT_FOUND");
    let refresh = json!({"type": "auth:refresh", "token": old});
    assert_eq!(fresh.refused(refresh).await["code"], "NOT_AUTHENTICATED");
    // Without a time, every token of this second and before.
    backend
        .done("/revoke", json!({"userId": "ann", "until": now + 3600}))
        .await;
    assert_eq!(fresh.closed().await.0, 4004);
}

#[tokio::test]
async fn what_is_revoked_stays_revoked_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(folder.path(), KEYS).await;
    let lost = token(&server, "ann", "t1", 1000);
    let body = json!({"tokenId": "t1", "until": unix_s() + 3600});
    Backend::new(&server, ADMIN).done("/revoke", body).await;
    server.stop().await;

    let server = TestServer::start_in(folder.path(), "").await;

    let path = format!("/ws?token={lost}");
    assert_eq!(http::upgrade(server.address, &path, &[]).await.status, 401);
    Client::enter(&url(&server, &token(&server, "ann", "t2", 1000))).await;
}

#[tokio::test]
async fn a_revocation_that_cannot_hold_is_refused() {
    let (_server, backend) = start().await;
    let later = unix_s() + 100;

    for (body, told) in [
        (json!({"userId": "ann", "until": 5}), "until 5 is past"),
        (json!({"until": later}), "userId or tokenId is missing"),
        (
            json!({"userId": "ann", "tokenId": "t", "until": later}),
            "exclude each other",
        ),
        (
            json!({"tokenId": "t", "issuedBefore": 1, "until": later}),
            "issuedBefore belongs to userId",
        ),
        (json!({"tokenId": "", "until": later}), "1 to 255 bytes"),
        (json!({"userId": "ann"}), "until is missing"),
    ] {
        let (status, code, message) = backend.refused("/revoke", body).await;
        assert_eq!((status, &*code), (400, "INVALID_MESSAGE"));
        assert!(message.contains(told), "{told}: {message}");
    }
}
