//! The guide's basic server: a welcome, then everything comes back.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nuncio_model::SocketId;
use nuncio_websocket::{
    CloseCode, Compression, Connection, Deflater, Event, Inflater, Mask, MessageKind, State,
    encode_into, encode_pong,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use crate::listener::drained;

/// How an echo speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EchoMode {
    /// As in the guide: a welcome, then `Server echo: <text>`; binary comes back unchanged.
    Guide,
    /// Everything comes back unchanged, and nothing else is said: for conformance suites.
    Plain,
}

/// Largest message echoed, in bytes: what the conformance suites send.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024 + 1024;
const LINGER: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 64 * 1024;

/// Echoes until the peer closes, or `drain` turns true.
pub(crate) async fn run<T>(
    mut stream: T,
    mut connection: Connection,
    id: SocketId,
    mode: EchoMode,
    early: Bytes,
    mut drain: watch::Receiver<bool>,
) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut echo = Echo {
        mode,
        inflater: Inflater::new(),
        deflater: Deflater::new(),
        out: BytesMut::new(),
    };
    if mode == EchoMode::Guide {
        echo.reply(
            &connection,
            MessageKind::Text,
            format!(r#"{{"type":"welcome","id":"{id}"}}"#).as_bytes(),
        );
    }
    let mut buffer = vec![0; READ_BYTES];
    buffer[..early.len()].copy_from_slice(&early);
    let mut len = early.len();
    loop {
        echo.handle_bytes(&mut connection, &mut buffer[..len]);
        stream.write_all(&echo.out.split()).await?;
        stream.flush().await?;
        if !matches!(connection.state(), State::Open | State::CloseSent) {
            return linger(stream, &mut buffer).await;
        }
        len = tokio::select! {
            read = stream.read(&mut buffer) => read?,
            _ = drained(&mut drain), if connection.may_send() => {
                let frame = connection.close(CloseCode::new(1012), "Server shutting down", Mask::None);
                stream.write_all(&frame.unwrap_or_default()).await?;
                return linger(stream, &mut buffer).await;
            }
        };
        if len == 0 {
            return Ok(());
        }
    }
}

/// Ends the stream and reads on for a moment, so that the kernel does not reset it before the peer has read the close frame.
async fn linger<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: T,
    buffer: &mut [u8],
) -> io::Result<()> {
    stream.shutdown().await?;
    let drained = async {
        while stream.read(buffer).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(LINGER, drained)
        .await
        .unwrap_or(Ok(()))
}

struct Echo {
    mode: EchoMode,
    inflater: Inflater,
    deflater: Deflater,
    out: BytesMut,
}

impl Echo {
    fn handle_bytes(&mut self, connection: &mut Connection, mut input: &mut [u8]) {
        loop {
            // The event borrows the inflater, and the answer needs the rest of `self`.
            let mut inflater = std::mem::take(&mut self.inflater);
            let event = connection
                .receive(&mut input, &mut inflater)
                .map(|event| event.map(Event::into_owned));
            self.inflater = inflater;
            match event {
                Ok(None) => return,
                Ok(Some(event)) => self.handle_event(connection, event),
                Err(error) => {
                    if let Some(frame) =
                        connection.close(Some(error.close_code()), &error.to_string(), Mask::None)
                    {
                        self.out.extend_from_slice(&frame);
                    }
                    return;
                }
            }
        }
    }

    fn handle_event(&mut self, connection: &mut Connection, event: Event<'static>) {
        match event {
            Event::Text(text) => match self.mode {
                EchoMode::Plain => self.reply(connection, MessageKind::Text, text.as_bytes()),
                EchoMode::Guide => self.reply(
                    connection,
                    MessageKind::Text,
                    format!("Server echo: {text}").as_bytes(),
                ),
            },
            Event::Binary(bytes) => self.reply(connection, MessageKind::Binary, &bytes),
            Event::Ping(payload) if connection.may_send() => self
                .out
                .extend_from_slice(&encode_pong(&payload, Mask::None)),
            Event::Ping(_) | Event::Pong(_) => {}
            Event::Close { code, .. } => {
                if let Some(frame) = connection.close(code, "", Mask::None) {
                    self.out.extend_from_slice(&frame);
                }
            }
        }
    }

    fn reply(&mut self, connection: &Connection, kind: MessageKind, payload: &[u8]) {
        if !connection.may_send() {
            return;
        }
        let compression = match connection.deflate() {
            Some(params) => Compression::Deflate {
                deflater: &mut self.deflater,
                window: params.server_window,
            },
            None => Compression::None,
        };
        encode_into(&mut self.out, kind, payload, compression, Mask::None);
    }
}
