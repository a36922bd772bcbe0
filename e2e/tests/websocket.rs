//! WebSockets of the program's own handlers: what a server written with `ws` in Node does, in Rust.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nuncio::websocket::{Clients, Event, Rejection, Request, SendError, WebSocketOptions};
use nuncio::{Message, Server, WebSocket};
use nuncio_e2e::raw::{self, Frame};
use nuncio_e2e::{Embedded, PATIENCE, Raw, http};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Sent;

/// What a handler saw, for the test that looks on.
type Seen = mpsc::UnboundedReceiver<Event>;

/// A server whose handler tells the test everything.
async fn watched(options: WebSocketOptions) -> (Embedded, Clients, Seen) {
    let (seen, seeing) = mpsc::unbounded_channel();
    let (server, clients) = Embedded::start(Server::builder(), |server| {
        server.websocket_with("/ws", options, move |mut ws, _| {
            let seen = seen.clone();
            async move {
                while let Some(event) = ws.event().await {
                    let _ = seen.send(event);
                }
            }
        })
    })
    .await;
    (server, clients, seeing)
}

async fn echo(mut ws: WebSocket, _: Request) {
    while let Some(message) = ws.recv().await {
        if ws.send(message).await.is_err() {
            return;
        }
    }
}

async fn next(seen: &mut Seen) -> Event {
    let event = tokio::time::timeout(PATIENCE, seen.recv()).await;
    event.expect("something happens").expect("the server runs")
}

async fn closed(seen: &mut Seen) -> (u16, String) {
    loop {
        if let Event::Closed(closed) = next(seen).await {
            return (closed.code.0, closed.reason.into_owned());
        }
    }
}

/// The one client: it is one before its handshake is answered.
fn only(clients: &Clients) -> nuncio::websocket::Client {
    assert_eq!(clients.len(), 1);
    clients.iter().next().expect("there is one")
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("it comes about");
}

fn frame(first: u8, payload: impl AsRef<[u8]>) -> Option<Frame> {
    let payload = payload.as_ref().to_vec();
    Some(Frame { first, payload })
}

#[tokio::test]
async fn the_guides_echo_greets_answers_and_hears_the_close() {
    let (told, mut telling) = mpsc::unbounded_channel();
    let (server, ()) = Embedded::start(Server::builder(), |server| {
        server.websocket("/ws", move |mut ws, request| {
            let told = told.clone();
            async move {
                assert!(request.address().is_loopback());
                ws.send(format!(
                    r#"{{"type":"welcome","id":"{}"}}"#,
                    ws.client().id()
                ))
                .await
                .unwrap();
                while let Some(message) = ws.recv().await {
                    let text = message.as_text().unwrap_or("something binary");
                    ws.send(format!("Server echo: {text}")).await.unwrap();
                }
                let _ = told.send(ws.closed().unwrap().clone());
            }
        });
    })
    .await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    assert_eq!(client.message().await["type"], "welcome");
    client.send(raw::TEXT, "Hello! ✓".as_bytes()).await;
    assert_eq!(
        client.frame().await,
        frame(raw::TEXT, "Server echo: Hello! ✓")
    );
    client.send(0x82, &[0, 255]).await;
    assert_eq!(
        client.frame().await,
        frame(raw::TEXT, "Server echo: something binary")
    );
    client.send(raw::CLOSE, b"\x0f\xa1bye").await;
    assert_eq!(client.closed().await, (4001, "bye".to_owned()));
    assert_eq!(
        client.frame().await,
        None,
        "nothing follows the close frame"
    );

    let closed = telling.recv().await.unwrap();
    assert_eq!((closed.code.0, &*closed.reason), (4001, "bye"));
}

#[tokio::test]
async fn pings_are_answered_and_seen_and_so_are_pongs() {
    let (server, clients, mut seen) = watched(WebSocketOptions::new()).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    client.send(raw::PING, b"are you there").await;
    assert_eq!(client.frame().await, frame(raw::PONG, "are you there"));
    assert_eq!(next(&mut seen).await, Event::Ping("are you there".into()));

    only(&clients).ping(b"and you").unwrap();
    assert_eq!(client.frame().await, frame(raw::PING, "and you"));
    client.send(raw::PONG, b"and you").await;
    assert_eq!(next(&mut seen).await, Event::Pong("and you".into()));
}

#[tokio::test]
async fn what_does_not_fit_a_control_frame_is_refused_with_the_way_out() {
    let (server, clients, _seen) = watched(WebSocketOptions::new()).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;
    let handle = only(&clients);

    assert_eq!(handle.ping(&[0; 126]), Err(SendError::PingTooLong(126)));
    assert_eq!(handle.close(1006, ""), Err(SendError::CloseCode(1006)));
    let long = "x".repeat(124);
    assert_eq!(
        handle.close(1000, &long),
        Err(SendError::ReasonTooLong(124))
    );

    assert!(handle.is_open(), "nothing of it was done");
    handle.close(1000, &long[1..]).unwrap();
    assert_eq!(client.closed().await, (1000, long[1..].to_owned()));
}

#[tokio::test]
async fn what_is_sent_before_a_close_arrives_and_nothing_after_it() {
    let (server, clients, mut seen) = watched(WebSocketOptions::new()).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;
    let handle = only(&clients);

    handle.send("before").unwrap();
    handle.close(4000, "Goodbye").unwrap();
    assert_eq!(handle.send("after"), Err(SendError::Closed));

    assert_eq!(client.frame().await, frame(raw::TEXT, "before"));
    assert_eq!(client.frame().await, frame(raw::CLOSE, b"\x0f\xa0Goodbye"));
    client.send(raw::TEXT, b"what was on its way").await;
    client.send(raw::CLOSE, &[0x0f, 0xa0]).await;
    assert_eq!(
        next(&mut seen).await,
        Event::Message("what was on its way".into())
    );
    assert_eq!(closed(&mut seen).await.0, 4000);
    until(|| clients.is_empty()).await;
    assert_eq!(handle.send("after"), Err(SendError::Closed));
}

#[tokio::test]
async fn what_came_before_a_close_or_a_fault_is_answered_first() {
    let (server, _) =
        Embedded::start(Server::builder(), |server| server.websocket("/ws", echo)).await;
    let bad = [0xc1, 0x80, 7, 77, 177, 200];
    for (end, code) in [
        (raw::frame(raw::CLOSE, b"\x0f\xa0"), 4000),
        (bad.to_vec(), 1002),
    ] {
        let mut client = Raw::connect(server.address, "/ws", &[]).await;
        let mut bytes = raw::frame(raw::TEXT, b"one");
        bytes.extend(raw::frame(raw::TEXT, b"two"));
        bytes.extend(end);

        tokio::io::AsyncWriteExt::write_all(&mut client.stream, &bytes)
            .await
            .unwrap();

        assert_eq!(client.frame().await, frame(raw::TEXT, "one"));
        assert_eq!(client.frame().await, frame(raw::TEXT, "two"));
        assert_eq!(client.closed().await.0, code);
    }
}

#[tokio::test]
async fn a_handler_that_receives_nothing_does_not_put_the_end_off_for_ever() {
    let (server, clients) = Embedded::start(Server::builder(), |server| {
        server.websocket("/ws", |ws, _| async move {
            std::future::pending::<()>().await;
            drop(ws);
        })
    })
    .await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    client.send(raw::TEXT, b"nobody takes it").await;
    client.send(raw::CLOSE, b"\x0f\xa0").await;

    assert_eq!(client.closed().await.0, 4000);
    assert!(clients.is_empty());
}

#[tokio::test]
async fn a_terminated_connection_is_gone_at_once_with_1006() {
    let (server, clients, mut seen) = watched(WebSocketOptions::new()).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;
    let handle = only(&clients);

    handle.terminate();

    assert_eq!(client.closed().await.0, 1006);
    assert_eq!(closed(&mut seen).await.0, 1006);
    assert!(clients.is_empty());
}

#[tokio::test]
async fn a_cut_connection_is_an_abnormal_closure() {
    let (server, clients, mut seen) = watched(WebSocketOptions::new()).await;
    let client = Raw::connect(server.address, "/ws", &[]).await;
    only(&clients);

    drop(client);

    assert_eq!(closed(&mut seen).await, (1006, "end of stream".to_owned()));
    assert!(clients.is_empty());
}

#[tokio::test]
async fn a_broadcast_reaches_everybody_or_everybody_but_one_in_one_order() {
    let (server, clients, _seen) = watched(WebSocketOptions::new().deflate(0)).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(Raw::connect(server.address, "/ws", &[]).await);
    }
    assert_eq!(clients.len(), 5);
    let known: Vec<_> = clients.iter().map(|client| client.id()).collect();
    let mut one = Raw::connect(server.address, "/ws", &[]).await;
    assert_eq!(clients.len(), 6);
    let handle = clients
        .iter()
        .find(|client| !known.contains(&client.id()))
        .unwrap();

    assert_eq!(clients.broadcast("to all"), 6);
    assert_eq!(clients.broadcast_except(&handle, "to others"), 5);
    assert_eq!(clients.broadcast(vec![1, 2, 3]), 6);

    for client in &mut others {
        assert_eq!(client.frame().await, frame(raw::TEXT, "to all"));
        assert_eq!(client.frame().await, frame(raw::TEXT, "to others"));
        assert_eq!(client.frame().await, frame(0x82, [1, 2, 3]));
    }
    assert_eq!(one.frame().await, frame(raw::TEXT, "to all"));
    assert_eq!(one.frame().await, frame(0x82, [1, 2, 3]));
    assert_eq!(clients.find(handle.id()), Some(handle));
}

#[tokio::test]
async fn who_may_not_connect_gets_401_before_the_upgrade_and_who_may_is_known_to_the_handler() {
    #[derive(Clone)]
    struct User(String);
    let options = WebSocketOptions::new().verify_client(|request| async move {
        tokio::task::yield_now().await;
        let token = request.query("token");
        let token = token.ok_or_else(|| Rejection::unauthorized("Missing token"))?;
        let user = token.strip_prefix("good ").map(str::to_owned);
        let user = user.ok_or_else(|| Rejection::unauthorized("Invalid token"))?;
        Ok(request.with(User(user)))
    });
    let (server, clients) = Embedded::start(Server::builder(), |server| {
        server.websocket_with("/ws", options, |ws, request| async move {
            let User(user) = request.extension().unwrap();
            ws.send(format!("auth_ok {user}")).await.unwrap();
        })
    })
    .await;

    for (target, said) in [("/ws", "Missing token"), ("/ws?token=bad", "Invalid token")] {
        let answer = http::upgrade(server.address, target, &[]).await;
        assert_eq!((answer.status, answer.text()), (401, said.to_owned()));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert!(clients.is_empty());
    let mut client = Raw::connect(server.address, "/ws?token=good+ann%20b", &[]).await;
    assert_eq!(client.frame().await, frame(raw::TEXT, "auth_ok ann b"));
    assert_eq!(client.closed().await.0, 1000, "the handler returned");
}

#[tokio::test]
async fn the_first_subprotocol_offered_is_chosen_or_the_clients_favourite_among_the_spoken() {
    let spoken = WebSocketOptions::new().subprotocols(["v1", "v2"]);
    let (server, ()) = Embedded::start(Server::builder(), |server| {
        server.websocket("/any", echo);
        server.websocket_with("/some", spoken, |ws, _| async move {
            let chosen = ws.subprotocol().unwrap_or("none").to_owned();
            ws.send(chosen).await.unwrap();
        });
    })
    .await;

    for (path, offered, chosen) in [
        ("/any", "x, v1", Some("x")),
        ("/some", "x, v2, v1", Some("v2")),
        ("/some", "x", None),
    ] {
        let headers = [("Sec-WebSocket-Protocol", offered)];
        let mut client = Raw::connect(server.address, path, &headers).await;
        assert_eq!(client.answer.header("sec-websocket-protocol"), chosen);
        if path == "/some" {
            let seen = chosen.unwrap_or("none");
            assert_eq!(client.frame().await, frame(raw::TEXT, seen));
        }
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_with_1009() {
    let options = WebSocketOptions::new().message_bytes_max(100);
    let (server, _, mut seen) = watched(options).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    client.send(raw::TEXT, &[b'x'; 100]).await;
    assert!(matches!(next(&mut seen).await, Event::Message(_)));
    client.send(raw::TEXT, &[b'x'; 101]).await;

    assert_eq!(client.closed().await.0, 1009);
    assert_eq!(closed(&mut seen).await.0, 1009);
}

#[tokio::test]
async fn the_servers_limit_holds_where_none_is_given() {
    let builder = Server::builder().limits(|limits| {
        limits.message_bytes = nuncio::config::ByteSize(50);
        limits.outbox_bytes = nuncio::config::ByteSize(50);
    });
    let (server, _) = Embedded::start(builder, |server| server.websocket("/ws", echo)).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    client.send(raw::TEXT, &[b'x'; 51]).await;

    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_1013() {
    let options = WebSocketOptions::new().outbox_bytes_max(100_000);
    let (server, clients, mut seen) = watched(options).await;
    let _client = Raw::connect(server.address, "/ws", &[]).await;
    let handle = only(&clients);

    let piece = "x".repeat(10_000);
    while handle.send(&*piece).is_ok() {
        tokio::task::yield_now().await;
    }

    assert!(handle.buffered() <= 120_000, "{}", handle.buffered());
    assert_eq!(
        closed(&mut seen).await.0,
        1006,
        "it does not read the close frame either"
    );
    assert!(clients.is_empty());
}

#[tokio::test]
async fn a_send_that_waits_does_not_lose_a_slow_reader() {
    const PIECES: usize = 2_000;
    let options = WebSocketOptions::new().outbox_bytes_max(100_000);
    let (server, _) = Embedded::start(Server::builder(), |server| {
        server.websocket_with("/ws", options, |ws, _| async move {
            for number in 0..PIECES {
                let piece = format!("{number:010000}");
                ws.send(piece).await.unwrap();
                assert!(
                    ws.client().buffered() <= 61_000,
                    "{}",
                    ws.client().buffered()
                );
            }
        })
    })
    .await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;
    // The sockets' own buffers hold less than what is sent: the handler waits now.
    tokio::time::sleep(Duration::from_millis(100)).await;

    for number in 0..PIECES {
        assert_eq!(
            client.frame().await,
            frame(raw::TEXT, format!("{number:010000}"))
        );
    }
    assert_eq!(client.closed().await.0, 1000);
}

#[tokio::test]
async fn what_a_busy_handler_cannot_take_waits_at_the_client() {
    const MESSAGES: usize = 5_000;
    let (go, going) = tokio::sync::watch::channel(false);
    let (server, _) = Embedded::start(Server::builder(), |server| {
        server.websocket("/ws", move |mut ws, _| {
            let mut going = going.clone();
            async move {
                going.wait_for(|go| *go).await.unwrap();
                for number in 0..MESSAGES {
                    let text = ws.recv().await.unwrap();
                    assert!(text.as_text().unwrap().starts_with(&format!("{number} ")));
                }
                ws.send("all in order").await.unwrap();
            }
        })
    })
    .await;
    let client = Raw::connect(server.address, "/ws", &[]).await;
    let (mut read, mut write) = client.stream.into_split();
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        for number in 0..MESSAGES {
            let text = format!("{number} {}", "x".repeat(2_000));
            write
                .write_all(&raw::frame(raw::TEXT, text.as_bytes()))
                .await
                .unwrap();
        }
        write
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        !sending.is_finished(),
        "10 MB do not fit into the sockets: the server does not read"
    );

    go.send(true).unwrap();
    let _write = sending.await.unwrap();

    let mut answer = [0; 14];
    tokio::io::AsyncReadExt::read_exact(&mut read, &mut answer)
        .await
        .unwrap();
    assert_eq!(&answer[2..], b"all in order");
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_then_dropped() {
    let beat = Duration::from_millis(50);
    let (server, clients, mut seen) = watched(WebSocketOptions::new().heartbeat(beat, beat)).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    for _ in 0..3 {
        assert_eq!(client.frame().await, frame(raw::PING, []));
        client.send(raw::PONG, b"").await;
    }
    assert_eq!(client.frame().await, frame(raw::PING, []));
    assert_eq!(client.closed().await.0, 1006);
    assert_eq!(
        closed(&mut seen).await,
        (1006, "no sign of life".to_owned())
    );
    assert!(clients.is_empty());
}

#[tokio::test]
async fn a_shutdown_closes_with_1012_and_waits_for_the_clients() {
    let (server, clients, mut seen) = watched(WebSocketOptions::new()).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;
    only(&clients);
    let stopping = tokio::spawn(server.stop());

    assert_eq!(
        client.closed().await,
        (1012, "Server shutting down".to_owned())
    );
    assert!(!stopping.is_finished());
    client.send(raw::CLOSE, &[3, 244]).await;

    assert_eq!(closed(&mut seen).await.0, 1012);
    stopping.await.unwrap();
    assert!(clients.is_empty());
}

#[tokio::test]
async fn a_program_may_say_goodbye_in_its_own_words() {
    let options = WebSocketOptions::new()
        .farewell(4100, "Gone fishing")
        .farewell_message("See you");
    let (server, clients, _seen) = watched(options).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;
    only(&clients);

    server.handle.shutdown();

    assert_eq!(client.frame().await, frame(raw::TEXT, "See you"));
    assert_eq!(client.closed().await, (4100, "Gone fishing".to_owned()));
}

#[tokio::test]
async fn nobody_new_is_let_in_while_the_server_stops() {
    let (server, clients, _seen) = watched(WebSocketOptions::new()).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;
    only(&clients);
    server.handle.shutdown();
    assert_eq!(client.closed().await.0, 1012);

    assert_eq!(http::upgrade(server.address, "/ws", &[]).await.status, 503);
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let (server, _, _seen) = watched(WebSocketOptions::new()).await;

    let foreign = http::upgrade(server.address, "/ws", &[("Origin", "https://evil.example")]).await;
    assert_eq!(foreign.status, 403);
    let own = format!("http://{}", server.address);
    Raw::connect(server.address, "/ws", &[("Origin", &own)]).await;
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_refused() {
    let (server, _, _seen) = watched(WebSocketOptions::new()).await;

    assert_eq!(http::get(server.address, "/ws").await.status, 426);
    assert_eq!(http::get(server.address, "/other").await.status, 404);
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_own_connection_with_1011() {
    let (server, clients) = Embedded::start(Server::builder(), |server| {
        server.websocket("/ws", |mut ws, _| async move {
            while let Some(message) = ws.recv().await {
                assert_ne!(message, Message::from("panic"), "as the test wants");
                ws.send(message).await.unwrap();
            }
        })
    })
    .await;
    let mut victim = Raw::connect(server.address, "/ws", &[]).await;
    let mut other = Raw::connect(server.address, "/ws", &[]).await;

    victim.send(raw::TEXT, b"panic").await;
    assert_eq!(victim.closed().await, (1011, "Internal error".to_owned()));
    victim.send(raw::CLOSE, &[3, 243]).await;
    until(|| clients.len() == 1).await;

    other.send(raw::TEXT, b"still here").await;
    assert_eq!(other.frame().await, frame(raw::TEXT, "still here"));
}

#[tokio::test]
async fn it_is_a_stream_of_messages_and_a_sink() {
    let (server, _) = Embedded::start(Server::builder(), |server| {
        server.websocket("/ws", |ws, _| async move {
            let (sink, stream) = ws.split();
            stream.map(Ok).forward(sink).await.unwrap();
        })
    })
    .await;
    let (mut client, _) = tokio_tungstenite::connect_async(server.url("/ws"))
        .await
        .unwrap();

    client.send(Sent::text("one")).await.unwrap();
    client.send(Sent::binary(vec![2])).await.unwrap();

    assert_eq!(client.next().await.unwrap().unwrap(), Sent::text("one"));
    assert_eq!(client.next().await.unwrap().unwrap(), Sent::binary(vec![2]));
    client.close(None).await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Sent::Close(None)))));
}

#[tokio::test]
async fn clients_that_ask_for_it_get_compressed_messages() {
    let (server, _) = Embedded::start(Server::builder(), |server| {
        server.websocket_with("/ws", WebSocketOptions::new().deflate(100), echo)
    })
    .await;
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let mut client = Raw::connect(server.address, "/ws", &offer).await;

    let agreed = client.answer.header("sec-websocket-extensions").unwrap();
    assert!(agreed.starts_with("permessage-deflate"), "{agreed}");
    client.send(raw::TEXT, &[b'x'; 1000]).await;
    let long = client.frame().await.unwrap();
    assert_eq!(long.first, 0xc1, "RSV1 is set (RFC 7692 §6)");
    assert!(long.payload.len() < 100, "{}", long.payload.len());
    client.send(raw::TEXT, b"short").await;
    assert_eq!(client.frame().await, frame(raw::TEXT, "short"));
}

#[tokio::test]
async fn a_handler_replaces_the_endpoint_that_the_server_has_at_its_path() {
    let builder = Server::builder().secret("a secret of at least thirty-two bytes");
    let (server, _) = Embedded::start(builder, |server| server.websocket("/ws", echo)).await;
    let mut client = Raw::connect(server.address, "/ws", &[]).await;

    client.send(raw::TEXT, b"no token is asked for").await;

    assert_eq!(
        client.frame().await,
        frame(raw::TEXT, "no token is asked for")
    );
}

#[tokio::test]
#[should_panic(expected = "has a handler already")]
async fn one_path_has_one_handler() {
    let mut server = Server::builder().build().unwrap();
    server.websocket("/ws", echo);
    server.websocket("/ws", echo);
}
