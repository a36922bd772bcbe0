//! A WebSocket that comes back: `cargo run -p nuncio-client --example reconnecting -- ws://127.0.0.1:8080/ws/echo`.

use std::time::Duration;

use nuncio_client::websocket::{
    ClientConfig, Event, ReconnectEvent, ReconnectOptions, ReconnectingWebSocket,
};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "that is what it shows")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: reconnecting URL")?;
    let options = ReconnectOptions {
        reconnect_interval: Duration::from_secs(1),
        max_retries: 10,
        ..ReconnectOptions::default()
    };
    let (socket, mut events) = ReconnectingWebSocket::connect(ClientConfig::new(url), options);
    while let Some(event) = events.next().await {
        match event {
            ReconnectEvent::Event(Event::Open { .. }) => {
                println!("Connected!");
                socket.send("Hello").await?;
            }
            ReconnectEvent::Event(Event::Message(message)) => println!("Message: {message:?}"),
            ReconnectEvent::Event(Event::Close { code, .. }) => println!("Closed: {code}"),
            ReconnectEvent::Event(Event::Error(error)) => println!("Error: {error}"),
            ReconnectEvent::Event(Event::Piece(_) | Event::Ping(_) | Event::Pong(_)) => {}
            ReconnectEvent::Waiting { attempt, delay } => {
                println!("Attempt {attempt} in {delay:?}")
            }
        }
    }
    Ok(())
}
