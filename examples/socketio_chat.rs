//! A chat for Socket.IO clients: a token at the door, rooms, messages, private messages, typing. Native clients are in the same rooms.
//! Run it with JWT_SECRET set; each client gives its token in `auth: { token }`, and is refused with `Authentication failed` without.
use nuncio::io::{Ack, Data, DisconnectReason, Done, Io, Socket};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), nuncio::ServeError> {
    let io = Io::new();
    io.on_connect(connected);
    let secret = std::env::var("JWT_SECRET").unwrap_or_default();
    let server = nuncio::Server::builder().environment().secret(&secret);
    server.io(&io).origins(["*"]).run().await
}

async fn connected(socket: Socket) {
    eprintln!("Connected: {} {}", socket.id(), socket.user());
    socket.on("room:join", join).on("room:leave", leave);
    socket.on("message:send", send);
    socket.on("message:private", whisper);
    socket.on("typing:start", typing);
    socket.on_disconnect(disconnected);
}

async fn join(socket: Socket, Data(room): Data<String>) -> Done {
    socket.join(&room).await?;
    let user = json!({ "userId": socket.user() });
    socket.to(&room).emit("user:joined", user)
}

async fn leave(socket: Socket, Data(room): Data<String>) -> Done {
    socket.leave(&room)?;
    let user = json!({ "userId": socket.user() });
    socket.to(&room).emit("user:left", user)
}

// To one room, so it is a publication: numbered, and kept for who comes back.
async fn send(socket: Socket, Data(sent): Data<Value>, ack: Ack) -> Done {
    let room = sent["roomId"].as_str().unwrap_or_default();
    let message = json!({ "userId": socket.user(), "content": sent["content"] });
    socket.io().to(room).emit("message:new", message)?;
    ack.send(json!({ "status": "ok" }))
}

async fn whisper(socket: Socket, Data(sent): Data<Value>) -> Done {
    let (from, user, content) = (socket.id(), socket.user(), &sent["content"]);
    let message = json!({ "from": from, "fromUser": user, "content": content });
    let to = sent["to"].as_str().unwrap_or_default();
    socket.io().to(to).emit("message:private", message)
}

async fn typing(socket: Socket, Data(room): Data<String>) -> Done {
    let user = json!({ "userId": socket.user() });
    socket.to(room).emit("user:typing", user)
}

async fn disconnected(socket: Socket, reason: DisconnectReason) {
    eprintln!("Disconnected: {} {reason}", socket.id());
}
