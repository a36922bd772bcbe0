//! The document, and that it says what is served.

use nuncio_e2e::http;
use serde_json::{Value, json};

use crate::start;

#[tokio::test]
async fn every_path_of_the_document_is_served_by_its_method_and_no_other() {
    let (server, backend) = start().await;
    let document = http::get(server.address, "/api/v1/openapi.json").await;
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");

    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap();
        let path = path.strip_prefix("/api/v1").unwrap();
        let path = path.replace("{sessionId}", "AAAAAAAAAAAAAAAAAAAA");
        for method in ["get", "post", "put", "patch", "delete"] {
            let answer = backend.ask(&method.to_uppercase(), &path, &[], "").await;
            let expected = methods.contains_key(method);
            assert_eq!(
                answer.status != 405,
                expected,
                "{method} {path}: {}",
                answer.status
            );
            let is_there = answer.status != 404 || answer.text().contains("session");
            assert!(is_there, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_examples_of_the_document_are_good() {
    let (server, backend) = start().await;
    let document = http::get(server.address, "/api/v1/openapi.json")
        .await
        .json();
    let mut tried = 0;

    for (path, methods) in document["paths"].as_object().unwrap() {
        let content = &methods["post"]["requestBody"]["content"]["application/json"];
        let Some(reference) = content["schema"]["$ref"].as_str() else {
            continue;
        };
        let form = document.pointer(&reference[1..]).unwrap();
        for example in form["examples"].as_array().into_iter().flatten() {
            let path = path.strip_prefix("/api/v1").unwrap();
            let answer = backend.post(path, example.clone()).await;
            // Nobody is connected whom an example names.
            assert!(
                [200, 404].contains(&answer.status),
                "{path} {example}: {}",
                answer.text()
            );
            tried += 1;
        }
    }
    assert!(tried >= 9, "{tried}");
}

#[tokio::test]
async fn the_page_has_no_part_from_elsewhere() {
    let (server, _) = start().await;

    for path in ["/api/docs", "/api/docs/page.js", "/api/docs/page.css"] {
        let answer = http::get(server.address, path).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let text = answer.text();
        assert!(
            !text.contains("https://") && !text.contains("http://"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_commands_of_a_batch_are_those_that_are_posted() {
    let (server, _) = start().await;
    let document = http::get(server.address, "/api/v1/openapi.json")
        .await
        .json();
    let forms = document["components"]["schemas"]["Command"]["oneOf"]
        .as_array()
        .unwrap();
    let mut names: Vec<_> = forms
        .iter()
        .map(|form| form["required"][0].clone())
        .collect();
    let mut posted: Vec<Value> = Vec::new();
    for methods in document["paths"].as_object().unwrap().values() {
        posted.extend(methods.get("post").map(|post| post["operationId"].clone()));
    }
    posted.retain(|name| name != &json!("batch"));

    names.sort_by_key(ToString::to_string);
    posted.sort_by_key(ToString::to_string);
    assert_eq!(names, posted);
}
