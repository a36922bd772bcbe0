//! A Socket.IO client: `cargo run -p nuncio-client --example socketio -- http://127.0.0.1:3000 hello world`.

use nuncio_client::socketio::{Client, Config, Event};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "that is what it shows")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(url), Some(name)) = (words.next(), words.next()) else {
        return Err("usage: socketio URL EVENT [TEXT]".into());
    };
    let text = words.next().unwrap_or_default();
    let client = Client::start(Config::new(url))?;
    let (socket, mut events) = client.socket("/").await?;
    socket.emit(&name, text).await?;
    while let Some(event) = events.next().await {
        match event {
            Event::Connect { id, .. } => println!("Connected as {id}"),
            Event::ConnectError { message, .. } => println!("Not connected: {message}"),
            Event::Message { name, args, ack } => {
                println!("{name}: {}", String::from_utf8_lossy(args.payload().json()));
                if let Some(ack) = ack {
                    socket.answer(ack, "seen").await?;
                }
            }
            Event::Disconnect { reason, active } => {
                println!("Disconnected: {reason}");
                if !active {
                    return Ok(());
                }
            }
            Event::ReconnectAttempt { attempt } => println!("Attempt {attempt}"),
            Event::Reconnect { .. } | Event::ReconnectFailed => {}
        }
    }
    Ok(())
}
