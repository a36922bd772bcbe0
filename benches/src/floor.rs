//! One thread, one epoll loop, plain `send` calls: a room of WebSocket clients without a server around it.

mod handshake;
mod wire;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use wire::Message;

/// When the sends of a publication happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// One send per publication and subscriber.
    EachPublication,
    /// All publications that came in one turn of the loop go to each subscriber in one joined send.
    OncePerTurn,
}

/// The room, its clients and the loop's buffers.
#[derive(Debug)]
pub struct Floor {
    listener: TcpListener,
    epoll: OwnedFd,
    sends: Sends,
    /// Keyed by descriptor, which is also what epoll hands back.
    clients: HashMap<u64, Client>,
    /// The subscribers' sockets in the order of their joins: a dense list, walked once per send.
    members: Vec<Member>,
    /// Publications of this turn, as ready frames; used by [`Sends::OncePerTurn`] alone.
    joined: Vec<u8>,
    /// Who gets which acknowledgements at the end of the turn.
    acknowledgements: Vec<(u64, Vec<u8>)>,
    read_buffer: Vec<u8>,
}

impl Floor {
    /// A floor that will serve the clients of `listener`.
    ///
    /// # Errors
    /// When the kernel refuses an epoll descriptor.
    pub fn new(listener: TcpListener, sends: Sends) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        listener.set_nonblocking(true)?;
        epoll::add(
            &epoll,
            &listener,
            epoll::EventData::new_u64(LISTENER),
            epoll::EventFlags::IN,
        )?;
        Ok(Self {
            listener,
            epoll,
            sends,
            clients: HashMap::new(),
            members: Vec::new(),
            joined: Vec::new(),
            acknowledgements: Vec::new(),
            read_buffer: vec![0; 64 * 1024],
        })
    }

    /// Serves until a turn of the loop fails.
    ///
    /// # Errors
    /// When the kernel refuses a call, when a client breaks the protocol, and when a subscriber's socket is full: a floor
    /// has no queue, and a delivery that is lost in silence would make it look faster than it is.
    pub fn serve(mut self) -> Result<()> {
        let mut events = Vec::with_capacity(1024);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => self.turn(&events)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn turn(&mut self, events: &[epoll::Event]) -> Result<()> {
        for event in events {
            match event.data.u64() {
                LISTENER => self.accept()?,
                client => self.read(client)?,
            }
        }
        self.send_joined()?;
        self.send_acknowledgements()
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let key = key_of(&socket);
            epoll::add(
                &self.epoll,
                &socket,
                epoll::EventData::new_u64(key),
                epoll::EventFlags::IN,
            )?;
            self.clients.insert(
                key,
                Client {
                    socket: Rc::new(socket),
                    stage: Stage::Upgrading,
                    partial: Vec::new(),
                },
            );
        }
    }

    fn read(&mut self, key: u64) -> Result<()> {
        let Some(client) = self.clients.get_mut(&key) else {
            return Ok(());
        };
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let outcome = match (&*client.socket).read(&mut buffer) {
            Ok(0) => {
                self.forget(key);
                Ok(())
            }
            Ok(len) => self.receive(key, &mut buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            // The generator ends its connections by a reset, which leaves no port in TIME_WAIT.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.forget(key);
                Ok(())
            }
            Err(error) => Err(error.into()),
        };
        self.read_buffer = buffer;
        outcome
    }

    fn forget(&mut self, key: u64) {
        self.clients.remove(&key);
        self.members.retain(|member| member.key != key);
    }

    fn receive(&mut self, key: u64, received: &mut [u8]) -> Result<()> {
        let Some(client) = self.clients.get_mut(&key) else {
            return Ok(());
        };
        if client.stage == Stage::Upgrading {
            return client.upgrade(received);
        }
        if client.partial.is_empty() {
            let used = self.take_messages(key, received)?;
            self.keep_partial(key, &received[used..]);
            return Ok(());
        }
        let mut whole = std::mem::take(&mut client.partial);
        whole.extend_from_slice(received);
        let used = self.take_messages(key, &mut whole)?;
        self.keep_partial(key, &whole[used..]);
        Ok(())
    }

    fn keep_partial(&mut self, key: u64, rest: &[u8]) {
        if let Some(client) = self.clients.get_mut(&key)
            && !rest.is_empty()
        {
            client.partial = rest.to_vec();
        }
    }

    /// Acts on every whole message in `bytes`; returns how many bytes they took.
    fn take_messages(&mut self, key: u64, bytes: &mut [u8]) -> Result<usize> {
        let mut used = 0;
        while let Some((message, len)) = wire::decode(&mut bytes[used..])? {
            used += len;
            match message {
                Message::Join { id } => self.join(key, id)?,
                Message::Publish { id, content } => self.publish(key, id, content)?,
                Message::Other => {}
            }
        }
        Ok(used)
    }

    fn join(&mut self, key: u64, id: &[u8]) -> Result<()> {
        let client = self
            .clients
            .get(&key)
            .context("a join of an unknown client")?;
        self.members.push(Member {
            key,
            socket: Rc::clone(&client.socket),
        });
        self.acknowledge(key, &wire::join_reply(id));
        Ok(())
    }

    fn publish(&mut self, key: u64, id: &[u8], content: &[u8]) -> Result<()> {
        let frame = wire::publication(content);
        match self.sends {
            Sends::EachPublication => self.send_to_members(&frame)?,
            Sends::OncePerTurn => self.joined.extend_from_slice(&frame),
        }
        self.acknowledge(key, &wire::publish_reply(id));
        Ok(())
    }

    fn acknowledge(&mut self, key: u64, frame: &[u8]) {
        match self
            .acknowledgements
            .iter_mut()
            .find(|(owner, _)| *owner == key)
        {
            Some((_, frames)) => frames.extend_from_slice(frame),
            None => self.acknowledgements.push((key, frame.to_vec())),
        }
    }

    fn send_joined(&mut self) -> Result<()> {
        if self.joined.is_empty() {
            return Ok(());
        }
        let joined = std::mem::take(&mut self.joined);
        self.send_to_members(&joined)?;
        self.joined = joined;
        self.joined.clear();
        Ok(())
    }

    fn send_to_members(&self, frames: &[u8]) -> Result<()> {
        self.members
            .iter()
            .try_for_each(|member| send(&member.socket, frames))
    }

    fn send_acknowledgements(&mut self) -> Result<()> {
        for (key, frames) in self.acknowledgements.drain(..) {
            if let Some(client) = self.clients.get(&key) {
                send(&client.socket, &frames)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Client {
    socket: Rc<TcpStream>,
    stage: Stage,
    /// The head of the upgrade, or a message, as far as it has come.
    partial: Vec<u8>,
}

impl Client {
    fn upgrade(&mut self, received: &[u8]) -> Result<()> {
        self.partial.extend_from_slice(received);
        let Some(reply) = handshake::reply(&self.partial)? else {
            return Ok(());
        };
        // The generator waits for the answer to its upgrade, so no frame follows the head at once.
        self.partial = Vec::new();
        self.stage = Stage::Open;
        send(&self.socket, &reply)?;
        send(&self.socket, &wire::greeting())
    }
}

#[derive(Debug)]
struct Member {
    key: u64,
    socket: Rc<TcpStream>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Upgrading,
    Open,
}

fn send(mut socket: &TcpStream, frames: &[u8]) -> Result<()> {
    match socket.write(frames) {
        Ok(sent) if sent == frames.len() => Ok(()),
        Ok(sent) => bail!(
            "a subscriber took {sent} of {} bytes: its socket is full",
            frames.len()
        ),
        // The reader of a socket that broke is told by epoll; the loop forgets the client there.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error).context("sending to a subscriber"),
    }
}

fn key_of(socket: &TcpStream) -> u64 {
    socket.as_raw_fd().unsigned_abs().into()
}

/// No descriptor has this number.
const LISTENER: u64 = u64::MAX;
