//! The room of the fan-out benchmark on socketioxide: `nuncio bench fanout --dialect socketio --beside "…/peer-socketioxide {port}"
//! --beside-dialect socketio --beside-open`.

use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args()
        .nth(1)
        .ok_or("usage: peer-socketioxide PORT")?
        .parse()?;
    let (layer, io) = SocketIo::builder().max_buffer_size(4096).build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on(
            "room:join",
            async |socket: SocketRef, Data(room): Data<String>, ack: AckSender| {
                socket.join(room);
                ack.send(&json!({ "status": "ok" })).ok();
            },
        );
        socket.on(
            "message:send",
            async |io: SocketIo, Data(message): Data<Value>, ack: AckSender| {
                let room = message["roomId"].as_str().unwrap_or_default().to_owned();
                io.to(room).emit("message:new", &message).await.ok();
                ack.send(&json!({ "status": "ok" })).ok();
            },
        );
    });
    let app = axum::Router::new().layer(layer);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, app).await?)
}
