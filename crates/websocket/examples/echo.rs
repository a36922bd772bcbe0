//! A WebSocket echo server on one thread for each connection: what the Autobahn test suite is run against.
//!
//! `cargo run --release -p nuncio-websocket --example echo -- 9001` listens on 127.0.0.1:9001. Compression is accepted when it is
//! offered; messages may have 64 MiB.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example is a driver: it owns the sockets and the threads that the library must not have"
)]

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use nuncio_websocket::handshake::{Accepted, DeflateConfig, Offer};
use nuncio_websocket::{
    Compression, Connection, ConnectionConfig, Deflater, Event, FrameError, Inflater, Mask,
    MessageKind, Role, State, encode, encode_pong,
};

fn main() -> Result<()> {
    let port = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .unwrap_or(9001_u16);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    eprintln!("echo on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = serve(stream) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let Some((accepted, mut early)) = shake_hands(&mut stream)? else {
        return Ok(());
    };
    let mut echo = Echo::new(&accepted);
    let mut answer = echo.answer(&mut early);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        stream.write_all(&answer)?;
        if echo.connection.state() == State::Closed {
            return end(&mut stream, &mut buffer);
        }
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        answer = echo.answer(&mut buffer[..len]);
    }
}

/// Reads the request and answers it. Also gives the frames that came with the request.
fn shake_hands(stream: &mut TcpStream) -> Result<Option<(Accepted, Vec<u8>)>> {
    let mut head = Vec::new();
    loop {
        match Offer::parse(&head) {
            Ok(Some((offer, len))) => {
                let accepted = offer.accept(None, Some(&DeflateConfig::default()));
                stream.write_all(&accepted.encode())?;
                return Ok(Some((accepted, head[len..].to_vec())));
            }
            Ok(None) if head.len() > 16 * 1024 => {
                return Err(Error::other("the request's head is too long"));
            }
            Ok(None) => read_more(stream, &mut head)?,
            Err(refusal) => {
                stream.write_all(&refusal.encode())?;
                return Ok(None);
            }
        }
    }
}

fn read_more(stream: &mut TcpStream, head: &mut Vec<u8>) -> Result<()> {
    let mut buffer = [0; 4096];
    let len = stream.read(&mut buffer)?;
    if len == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    head.extend_from_slice(&buffer[..len]);
    Ok(())
}

/// The server ends the TCP connection first, and reads what is still on its way, so that the close frame is not lost to a reset.
fn end(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    stream.shutdown(Shutdown::Write)?;
    while stream.read(buffer)? > 0 {}
    Ok(())
}

struct Echo {
    connection: Connection,
    inflater: Inflater,
    deflater: Deflater,
}

impl Echo {
    fn new(accepted: &Accepted) -> Self {
        let config = ConnectionConfig {
            message_bytes_max: 64 << 20,
            deflate: accepted.deflate,
        };
        let connection = Connection::new(Role::Server, config);
        Self {
            connection,
            inflater: Inflater::new(),
            deflater: Deflater::new(),
        }
    }

    /// Everything that is to be sent for what was read.
    fn answer(&mut self, mut input: &mut [u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        loop {
            match self.connection.receive(&mut input, &mut self.inflater) {
                Ok(Some(event)) => {
                    respond(&mut self.connection, &mut self.deflater, event, &mut answer)
                }
                Ok(None) => return answer,
                Err(error) => fail(&mut self.connection, error, &mut answer),
            }
        }
    }
}

fn respond(
    connection: &mut Connection,
    deflater: &mut Deflater,
    event: Event<'_>,
    answer: &mut Vec<u8>,
) {
    let compression = match connection.deflate() {
        Some(params) => Compression::Deflate {
            deflater,
            window: params.server_window,
        },
        None => Compression::None,
    };
    let frame = match event {
        Event::Close { code, .. } => connection.close(code, "", Mask::None),
        Event::Pong(_) => None,
        _ if !connection.may_send() => None,
        Event::Ping(payload) => Some(encode_pong(&payload, Mask::None)),
        Event::Text(text) => Some(encode(
            MessageKind::Text,
            text.as_bytes(),
            compression,
            Mask::None,
        )),
        Event::Binary(bytes) => Some(encode(MessageKind::Binary, &bytes, compression, Mask::None)),
    };
    answer.extend(frame.into_iter().flatten());
}

fn fail(connection: &mut Connection, error: FrameError, answer: &mut Vec<u8>) {
    let frame = connection.close(Some(error.close_code()), &error.to_string(), Mask::None);
    answer.extend(frame.into_iter().flatten());
}
