//! Who has no good token in the query gets 401, before the upgrade.
//! Run it with JWT_SECRET set, then: `npx wscat -c "ws://127.0.0.1:8080/ws?token=$TOKEN"`
use nuncio::auth::{Identity, Tokens};
use nuncio::websocket::{Rejection, WebSocketOptions};

#[tokio::main]
async fn main() -> Result<(), nuncio::ServeError> {
    let tokens = Tokens::from_env("JWT_SECRET")?;
    let options = WebSocketOptions::new().verify_client(move |request| {
        let token = request.query("token").ok_or("Missing token");
        let user = token.and_then(|token| tokens.verify(&token).or(Err("Invalid token")));
        async { Ok(request.with(user.map_err(Rejection::unauthorized)?)) } // attach to request
    });
    let mut server = nuncio::Server::builder().environment().build()?;
    server.websocket_with("/ws", options, |mut ws, request| async move {
        let user = request.extension().map(|Identity { user, .. }| user);
        eprintln!("Authenticated: {user:?}");
        let text = serde_json::json!({ "type": "auth_ok", "user": user.map(|user| user.as_str()) });
        let _ = ws.send(text.to_string()).await;
        while ws.recv().await.is_some() {}
    });
    server.run().await
}
