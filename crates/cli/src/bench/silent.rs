//! Clients without a WebSocket that only wait: a feed, a session's stream, a poll.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt;
use serde::Deserialize;

use super::swarm::Entry;
use super::token::read_response;

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// `GET /sse?room=…`: the room's events, without a session.
    Feed,
    /// `GET /sse`: the events of a session that has joined the room.
    Stream,
    /// `GET /poll`, which is answered with the next message.
    Poll,
}

/// Waiting clients, each on one connection from its first request on.
pub(crate) struct SilentClients {
    server: SocketAddr,
    wait: Wait,
    clients: Vec<Connection>,
}

type Connection = BufReader<TcpStream>;

#[derive(Debug, Deserialize)]
struct Batch {
    cursor: u64,
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct Message {
    resume: Option<String>,
    ack: Option<u64>,
}

impl SilentClients {
    pub(crate) const fn new(server: SocketAddr, wait: Wait) -> Self {
        Self {
            server,
            wait,
            clients: Vec::new(),
        }
    }

    /// Has one client wait per entry; `progress` is told of each.
    pub(crate) fn open<'a>(
        &mut self,
        entries: impl Iterator<Item = Entry<'a>>,
        mut progress: impl FnMut(),
    ) -> Result<()> {
        for entry in entries {
            let number = self.clients.len() + 1;
            let client = self
                .connect(entry)
                .with_context(|| format!("connection {number} to {}", self.server))?;
            self.clients.push(client);
            progress();
        }
        Ok(())
    }

    /// Lets `span` pass; it is an error when a connection does not wait any more.
    pub(crate) fn rest(
        &mut self,
        span: Duration,
        mut progress: impl FnMut(Duration),
    ) -> Result<()> {
        let start = Instant::now();
        while let Some(left) = span.checked_sub(start.elapsed()) {
            std::thread::sleep(left.min(Duration::from_millis(200)));
            progress(start.elapsed().min(span));
        }
        let wait = self.wait;
        for (index, client) in self.clients.iter_mut().enumerate() {
            still_waits(client, wait).with_context(|| format!("connection {index}"))?;
        }
        Ok(())
    }

    fn connect(&self, entry: Entry<'_>) -> Result<Connection> {
        let stream = TcpStream::connect(self.server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        // Thousands of ports in TIME_WAIT would be missing for the next run.
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        let mut client = BufReader::with_capacity(1024, stream);
        let token = entry.token.context("a server that asks for no tokens")?;
        match self.wait {
            Wait::Feed => {
                let room = entry.room;
                self.begin(
                    &mut client,
                    &format!("GET /sse?room={room}&token={token}"),
                    "",
                )?;
                read_until(&mut client, b"room:position")?;
            }
            Wait::Stream => {
                let (session, cursor) = self.join(&mut client, token, entry.room)?;
                self.begin(&mut client, &format!("GET /sse?cursor={cursor}"), &session)?;
                read_until(&mut client, b"retry:")?;
            }
            Wait::Poll => {
                let (session, cursor) = self.join(&mut client, token, entry.room)?;
                self.begin(&mut client, &format!("GET /poll?cursor={cursor}"), &session)?;
            }
        }
        Ok(client)
    }

    /// Opens a session that is in the room and knows it: the header that names it, and its cursor.
    fn join(&self, client: &mut Connection, token: &str, room: &str) -> Result<(String, u64)> {
        let opened = self.ask(client, &format!("POST /poll?token={token}"), "", "")?;
        let mut batch: Batch = serde_json::from_slice(&opened)?;
        let resume = batch
            .messages
            .iter()
            .find_map(|message| message.resume.as_ref());
        let resume = resume.context("an answer to POST /poll without a resume token")?;
        let session = format!("Authorization: Nuncio-Session {resume}\r\n");
        let join =
            format!(r#"{{"n":1,"messages":[{{"type":"room:join","roomId":"{room}","id":1}}]}}"#);
        self.ask(client, "POST /send", &session, &join)?;
        while !batch.messages.iter().any(|message| message.ack == Some(1)) {
            let poll = format!("GET /poll?cursor={}", batch.cursor);
            batch = serde_json::from_slice(&self.ask(client, &poll, &session, "")?)?;
        }
        Ok((session, batch.cursor))
    }

    fn begin(&self, client: &mut Connection, request: &str, headers: &str) -> Result<()> {
        self.send(client, request, headers, "")
    }

    fn ask(
        &self,
        client: &mut Connection,
        request: &str,
        headers: &str,
        body: &str,
    ) -> Result<Vec<u8>> {
        self.send(client, request, headers, body)?;
        read_response(client)
    }

    fn send(
        &self,
        client: &mut Connection,
        request: &str,
        headers: &str,
        body: &str,
    ) -> Result<()> {
        let (host, len) = (self.server, body.len());
        let length = match len {
            0 if request.starts_with("GET") => String::new(),
            _ => format!("Content-Length: {len}\r\n"),
        };
        let request = format!("{request} HTTP/1.1\r\nHost: {host}\r\n{headers}{length}\r\n{body}");
        client.get_mut().write_all(request.as_bytes())?;
        Ok(())
    }
}

fn read_until(client: &mut Connection, wanted: &[u8]) -> Result<()> {
    let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
    while !read.windows(wanted.len()).any(|window| window == wanted) {
        let len = client.read(&mut buffer)?;
        ensure!(len > 0, "refused: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..len]);
    }
    Ok(())
}

/// A stream may have had comments meanwhile, a poll must not have had its answer.
fn still_waits(client: &mut Connection, wait: Wait) -> Result<()> {
    client.get_ref().set_nonblocking(true)?;
    let mut buffer = [0; 1024];
    let waits = loop {
        match client.read(&mut buffer) {
            Ok(0) => bail!("the server closed it"),
            Ok(_) if wait == Wait::Poll => bail!("the server answered the poll"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    client.get_ref().set_nonblocking(false)?;
    Ok(waits?)
}

/// A server that answers nothing for so long has failed the run.
const ANSWER_MAX: Duration = Duration::from_secs(10);
