//! A WebSocket server with a welcome, an echo, broadcasts and a heartbeat.
//! Run it, then: `npx wscat -c ws://127.0.0.1:8080/ws`
use nuncio::Server;
use nuncio::websocket::{Clients, Event, WebSocketOptions};
use std::time::Duration;

/// To all clients: framed once.
fn broadcast(clients: &Clients, data: String) {
    clients.broadcast(data);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut server = Server::builder().environment().bind().await?;
    // Who is silent for 30 seconds is pinged, and dropped after 30 more.
    let heartbeat = Duration::from_secs(30);
    let options = WebSocketOptions::new().heartbeat(heartbeat, heartbeat);
    server.websocket_with("/ws", options, |mut ws, _| async move {
        let id = ws.client().id();
        eprintln!("New connection: {}", ws.address());
        let _ = ws
            .send(format!(r#"{{"type":"welcome","id":"{id}"}}"#))
            .await;
        while let Some(event) = ws.event().await {
            match event {
                Event::Message(message) => {
                    let text = message.as_text().unwrap_or("something binary");
                    eprintln!("Received: {text}");
                    let _ = ws.send(format!("Server echo: {text}")).await;
                }
                Event::Ping(_) => eprintln!("Ping received"),
                Event::Pong(_) => {}
                Event::Closed(closed) => {
                    eprintln!("Disconnected: {} {}", closed.code.0, closed.reason);
                    broadcast(ws.clients(), format!(r#"{{"type":"left","id":"{id}"}}"#));
                }
            }
        }
    });
    eprintln!("WS server on ws://{}/ws", server.address()?);
    Ok(server.run().await?)
}
