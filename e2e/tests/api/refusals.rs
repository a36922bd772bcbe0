//! What is refused, with which status and code, and what is told.

use nuncio_e2e::backend::refusal;
use nuncio_e2e::http;
use serde_json::json;

use crate::{start, start_with};

#[tokio::test]
async fn a_wrong_command_is_told_what_is_wrong_with_it() {
    let (_server, backend) = start().await;

    for (path, body, told) in [
        (
            "/publish",
            json!({"roomid": "a", "content": 1}),
            "there is no field \"roomid\"",
        ),
        (
            "/publish",
            json!({"roomid": "a", "content": 1}),
            "did you mean roomId?",
        ),
        ("/publish", json!({"content": 1}), "roomId is missing"),
        (
            "/publish",
            json!({"roomId": "a"}),
            "content or event is missing",
        ),
        (
            "/publish",
            json!({"roomId": "a", "content": 1, "event": "e"}),
            "exclude each other",
        ),
        (
            "/publish",
            json!({"roomId": "a", "content": 1, "data": 1}),
            "data belongs to an event",
        ),
        (
            "/publish",
            json!({"roomId": "", "content": 1}),
            "roomId: room id is empty",
        ),
        (
            "/publish",
            json!({"roomId": "nuncio:x", "content": 1}),
            "is reserved",
        ),
        (
            "/publish",
            json!({"roomId": 7, "content": 1}),
            "expected a string",
        ),
        (
            "/publish",
            json!({"roomId": "a", "content": 1, "ns": "x"}),
            "must start with /",
        ),
        (
            "/publish",
            json!({"roomId": "a", "content": 1, "userId": ""}),
            "user id is empty",
        ),
        (
            "/publish",
            json!({"roomId": "a", "content": 1, "idempotencyKey": "k".repeat(65)}),
            "at most 64",
        ),
        ("/publish", json!([]), "must be an object"),
        (
            "/broadcast",
            json!({"roomIds": [], "content": 1}),
            "1 to 1000",
        ),
        ("/emit", json!({"event": "e"}), "nobody is named"),
        (
            "/emit",
            json!({"event": "e", "roomIds": []}),
            "nobody is named",
        ),
        ("/emit", json!({"everyone": true}), "event is missing"),
        (
            "/join",
            json!({"roomId": "a"}),
            "userId or sessionId is missing",
        ),
        (
            "/join",
            json!({"roomId": "a", "userId": "a", "sessionId": "AAAAAAAAAAAAAAAAAAAA"}),
            "exclude each other",
        ),
        (
            "/join",
            json!({"roomId": "a", "sessionId": "short"}),
            "not a valid session id",
        ),
        ("/disconnect", json!({}), "userId or sessionId is missing"),
        (
            "/disconnect",
            json!({"everyone": true, "userId": "a"}),
            "everyone excludes",
        ),
        (
            "/disconnect",
            json!({"userId": "a", "code": 4003}),
            "4100 to 4999",
        ),
        (
            "/disconnect",
            json!({"userId": "a", "code": 1006}),
            "4100 to 4999",
        ),
        (
            "/disconnect",
            json!({"userId": "a", "reason": "é".repeat(62)}),
            "124 bytes, at most 123",
        ),
        ("/grants", json!({"userId": "a"}), "grants is missing"),
        (
            "/grants",
            json!({"userId": "a", "grants": [{"rooms": "*", "allow": ["jion"]}]}),
            "did you mean join?",
        ),
    ] {
        let (status, code, message) = backend.refused(path, body.clone()).await;
        assert_eq!(
            (status, &*code),
            (400, "INVALID_MESSAGE"),
            "{body}: {message}"
        );
        assert!(message.contains(told), "{told}: {message}");
    }
}

#[tokio::test]
async fn a_wrong_query_is_told_what_is_wrong_with_it() {
    let (_server, backend) = start().await;

    for (path, told) in [
        ("/history", "roomId is missing"),
        (
            "/history?roomId=a&limit=x",
            "limit: invalid type: string \"x\"",
        ),
        (
            "/history?roomId=a&limit=-1",
            "limit: invalid type: string \"-1\"",
        ),
        ("/history?roomId=a&limit=4294967296", "limit: invalid value"),
        ("/history?roomId=a&befor=1", "did you mean before?"),
        ("/history?roomId=a&before=9007199254740992", "2^53-1"),
        ("/history?roomId=a&roomId=b", "given twice"),
        ("/presence?roomId=%00", "control character"),
        ("/server?x=1", "there is no field \"x\""),
        (
            "/sessions/AAAAAAAAAAAAAAAAAAAA?sessionId=BBBBBBBBBBBBBBBBBBBB",
            "given twice",
        ),
    ] {
        let answer = backend.ask("GET", path, &[], "").await;
        let (status, code, message) = refusal(&answer);
        assert_eq!(
            (status, &*code),
            (400, "INVALID_MESSAGE"),
            "{path}: {message}"
        );
        assert!(message.contains(told), "{told}: {message}");
    }
}

#[tokio::test]
async fn a_body_is_json_of_the_configured_size_at_most() {
    let (_server, backend) = start_with("body_bytes = 100\n[limits]\nmessage_bytes = 50").await;
    let post = async |headers: &[(&str, &str)], body: &str| {
        let answer = backend.ask("POST", "/publish", headers, body).await;
        let (status, code, _) = refusal(&answer);
        (status, code)
    };

    for body in ["{", "nonsense", "{\"roomId\":\"a\",\"content\":1} x"] {
        assert_eq!(
            post(&[], body).await,
            (400, "PARSE_ERROR".to_owned()),
            "{body}"
        );
    }
    for content in ["\"\\ud83d\"", "1e999", &"[".repeat(40)] {
        let body = format!("{{\"roomId\":\"a\",\"content\":{content}}}");
        assert_eq!(
            post(&[], &body).await,
            (400, "INVALID_MESSAGE".to_owned()),
            "{content}"
        );
    }
    let large = json!({"roomId": "a", "content": "x".repeat(100)}).to_string();
    assert_eq!(post(&[], &large).await, (413, "TOO_LARGE".to_owned()));
    let message = json!({"roomId": "a", "content": "x".repeat(60)}).to_string();
    assert_eq!(post(&[], &message).await, (413, "TOO_LARGE".to_owned()));
    let chunked = "5\r\n{\"a\":\r\n0\r\n\r\n";
    let head = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}",
        nuncio_e2e::backend::ADMIN
    );
    let answer = http::send(backend.address, &head).await;
    assert_eq!(refusal(&answer).1, "PARSE_ERROR");
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let refused = post(&[("Content-Type", kind)], "{}").await;
        assert_eq!(
            refused,
            (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()),
            "{kind}"
        );
    }
    let kind = [("Content-Type", "application/json; charset=utf-8")];
    let good = json!({"roomId": "a", "content": 1}).to_string();
    assert_eq!(
        backend.ask("POST", "/publish", &kind, &good).await.status,
        200
    );
}

#[tokio::test]
async fn a_key_in_the_header_belongs_to_a_publication_and_agrees_with_the_field() {
    let (_server, backend) = start().await;
    let header = [("Idempotency-Key", "k1")];

    for (path, body, told) in [
        (
            "/publish",
            r#"{"roomId":"a","content":1,"idempotencyKey":"k2"}"#,
            "is not the header's",
        ),
        (
            "/emit",
            r#"{"event":"e","everyone":true}"#,
            "publish and broadcast only",
        ),
        (
            "/batch",
            r#"{"commands":[{"publish":{"roomId":"a","content":1}}]}"#,
            "for one command",
        ),
    ] {
        let answer = backend.ask("POST", path, &header, body).await;
        let (status, _, message) = refusal(&answer);
        assert_eq!(status, 400, "{path}");
        assert!(message.contains(told), "{message}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_and_a_method_that_is_not_for_it_are_told() {
    let (server, backend) = start().await;

    for path in ["/nothing", "/", "/publish/", "/sessions/a/b"] {
        let (status, code, message) = refusal(&backend.ask("GET", path, &[], "").await);
        assert_eq!((status, &*code), (404, "NOT_FOUND"), "{path}");
        assert!(message.contains("openapi.json"), "{message}");
    }
    for (method, path, allowed) in [
        ("GET", "/publish", "POST"),
        ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAA", "GET"),
        ("POST", "/rooms", "GET"),
        ("OPTIONS", "/publish", "POST"),
        ("POST", "/openapi.json", "GET"),
    ] {
        let answer = backend.ask(method, path, &[], "").await;
        let (status, code, _) = refusal(&answer);
        assert_eq!(
            (status, &*code),
            (405, "METHOD_NOT_ALLOWED"),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(http::get(server.address, "/api/v2/x").await.status, 404);
}
