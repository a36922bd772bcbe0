//! Socket.IO.

use nuncio_e2e::TestServer;

use crate::run::{connect, connect_with};

#[tokio::test]
async fn events_go_out_come_in_and_are_acknowledged() {
    let server = TestServer::start("").await;
    let token = server.token("ann");
    for transport in ["polling,websocket", "websocket", "polling"] {
        let run = connect(&[
            &format!("http://{}", server.address),
            "--token",
            &token,
            "--transport",
            transport,
            "--json",
            "-x",
            r#"/ask room:join {"roomId": "lobby"}"#,
            "-x",
            r#"/expect [{"roomId": "lobby"}]"#,
            "-x",
            r#"["message:send", {"roomId": "lobby", "content": "hello"}]"#,
            "-x",
            r#"/expect ["message:new", {"content": "hello"}]"#,
        ])
        .await;

        assert_eq!(run.code, 0, "{transport}: {}\n{}", run.text(), run.err);
        assert!(!run.text().contains(&token));
        let open = &run.objects()[0];
        assert_eq!(open["type"], "open", "{open}");
        assert!(
            open["detail"].as_str().unwrap().starts_with("/ as "),
            "{open}"
        );
    }
}

#[tokio::test]
async fn a_namespace_is_the_path_of_the_url_and_another_is_a_command() {
    let server = TestServer::start("").await;
    let token = server.mint({
        let mut claims = nuncio::auth::Claims::new("ann", nuncio_e2e::unix_s() + 3600);
        claims.nuncio = Some(nuncio::auth::NuncioClaim {
            ns: Some(vec!["/".into(), "/chat".into()]),
            grants: None,
            private: None,
            join: Vec::new(),
            info: None,
        });
        claims
    });

    let run = connect(&[
        &format!("http://{}/chat", server.address),
        "--token",
        &token,
        "--json",
        "-x",
        r#"/ask room:join {"roomId": "lobby"}"#,
        "-x",
        "/ns /",
        "-x",
        r#"/ask room:join {"roomId": "lobby"}"#,
    ])
    .await;

    assert_eq!(run.code, 0, "{}\n{}", run.text(), run.err);
    let details: Vec<_> = run
        .objects()
        .iter()
        .filter_map(|object| Some(object["detail"].as_str()?.split(' ').next()?.to_owned()))
        .collect();
    assert_eq!(details, ["/chat", "/"]);
    assert_eq!(
        run.objects()
            .iter()
            .filter(|object| object["type"] == "answer")
            .count(),
        2
    );
}

#[tokio::test]
async fn who_is_not_let_in_ends_with_three() {
    let server = TestServer::start("").await;

    let run = connect_with(
        &[
            &format!("http://{}", server.address),
            "--token",
            "wrong",
            "--reconnect",
        ],
        b"hello\n",
    )
    .await;

    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.err.contains("connect_error: "), "{}", run.err);
}

#[tokio::test]
async fn nobody_there_is_one_and_what_has_no_place_is_told() {
    let url = format!("http://{}", nuncio_e2e::server::free_address());
    assert_eq!(connect(&[&url]).await.code, 1);
    let run = connect(&[&url, "--auth", "7"]).await;
    assert_eq!(
        (run.code, run.err.as_str()),
        (2, "nuncio: --auth is a JSON object\n")
    );
}
