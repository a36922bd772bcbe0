//! A WebSocket server of the test's own, made with another implementation.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// Where it listens.
pub(crate) struct Peer {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// One connection, and the request that opened it.
pub(crate) struct Visitor<S = TcpStream> {
    pub(crate) socket: WebSocketStream<S>,
    pub(crate) request: Request,
}

impl Peer {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    pub(crate) async fn accept(&self) -> Visitor {
        Visitor::accept(self.tcp().await).await
    }

    /// Echoes to one visitor until it closes, and returns its close frame.
    pub(crate) async fn echo(self) -> Option<CloseFrame> {
        self.accept().await.echo().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Visitor<S> {
    /// Chooses the first subprotocol that is offered.
    pub(crate) async fn accept(stream: S) -> Self {
        let mut seen = None;
        #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
        let look = |request: &Request, mut response: Response| {
            if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                let first = offered.to_str().unwrap().split(',').next().unwrap();
                let chosen = first.trim().parse().unwrap();
                response
                    .headers_mut()
                    .insert("sec-websocket-protocol", chosen);
            }
            seen = Some(request.clone());
            Ok(response)
        };
        let socket = accept_hdr_async(stream, look).await.unwrap();
        let request = seen.unwrap();
        Self { socket, request }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Message {
        self.socket.next().await.unwrap().unwrap()
    }

    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.socket.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    pub(crate) async fn echo(mut self) -> Option<CloseFrame> {
        while let Some(Ok(message)) = self.socket.next().await {
            match message {
                Message::Close(frame) => {
                    // The answer goes out with the last read.
                    while let Some(Ok(_)) = self.socket.next().await {}
                    return frame;
                }
                message if message.is_text() || message.is_binary() => {
                    self.socket.send(message).await.unwrap();
                }
                _ => {}
            }
        }
        None
    }
}
