//! The client's side of the suite: it asks for each case, and echoes what comes.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::net::SocketAddr;
use std::time::Duration;

use nuncio_client::websocket::{ClientConfig, DeflateConfig, Event, Events, Message, WebSocket};
use nuncio_e2e::autobahn::Report;

/// Runs all cases of the server, and has it write the reports.
pub(crate) async fn run_all(server: SocketAddr) {
    let count: u32 = match echo(server, "/getCaseCount").await.pop() {
        Some(Message::Text(count)) => count.parse().unwrap(),
        other => panic!("{other:?}"),
    };
    for case in 1..=count {
        echo(server, &format!("/runCase?case={case}&agent=nuncio")).await;
    }
    echo(server, "/updateReports?agent=nuncio").await;
}

/// The cases that are not as they should be.
pub(crate) fn faults(report: &Report) -> Vec<(&str, &str)> {
    let others = report.others.iter();
    let others = others.map(|(case, behavior)| (&**case, &**behavior));
    others
        .filter(|(case, behavior)| match *behavior {
            // What a client does there, the suite only writes down: it has no wrong answer.
            "INFORMATIONAL" => false,
            // A good message and a bad frame in one piece: the connection fails before the application has echoed the message.
            "NON-STRICT" => !ECHO_AND_FAULT.contains(case),
            _ => true,
        })
        .collect()
}

const ECHO_AND_FAULT: [&str; 10] = [
    "3.2", "3.3", "3.4", "4.1.3", "4.1.4", "4.1.5", "4.2.3", "4.2.4", "4.2.5", "5.15",
];

/// Echoes until the server closes; returns the last message.
async fn echo(server: SocketAddr, path: &str) -> Vec<Message> {
    let mut config = ClientConfig::new(format!("ws://{server}{path}"));
    config.deflate = Some(DeflateConfig::default());
    config.message_bytes_max = 64 * 1024 * 1024;
    config.open_timeout = Duration::from_secs(60);
    let (socket, mut events) = WebSocket::connect(config);
    let mut last = Vec::new();
    while let Some(message) = next_message(&mut events).await {
        last = vec![message.clone()];
        // The case may be to close first.
        let _ = socket.send(message).await;
    }
    last
}

async fn next_message(events: &mut Events) -> Option<Message> {
    loop {
        match events.next().await? {
            Event::Message(message) => return Some(message),
            Event::Open { .. }
            | Event::Piece(_)
            | Event::Ping(_)
            | Event::Pong(_)
            | Event::Error(_)
            | Event::Close { .. } => {}
        }
    }
}
