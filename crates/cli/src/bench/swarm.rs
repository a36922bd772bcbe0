//! The load: many connections on one thread, one epoll descriptor, non-blocking sockets and no buffer per connection.
//!
//! Everything here must be cheap beside the server, or the generator is what gets measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};

use super::arrival::{Arrival, ArrivalReader};
use super::call::{self, Dialect};

/// All connections of one load.
pub(crate) struct Swarm {
    server: SocketAddr,
    dialect: Dialect,
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// Clients that are connected but not in their room yet.
    entering: usize,
    events: Vec<epoll::Event>,
    read_buffer: Vec<u8>,
}

/// How one client enters: with which token, into which room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Sent as `?token=`; floors need none.
    pub(crate) token: Option<&'a str>,
    /// The one room it joins.
    pub(crate) room: &'a str,
}

impl Swarm {
    /// No connections yet, all of them to `server`.
    pub(crate) fn new(server: SocketAddr, dialect: Dialect) -> Result<Self> {
        Ok(Self {
            server,
            dialect,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Vec::new(),
            entering: 0,
            events: Vec::with_capacity(1024),
            read_buffer: vec![0; 256 * 1024],
        })
    }

    /// How many connections are open.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Opens one connection per entry, each authenticated and joined when this returns; at most
    /// [`ENTERING_MAX`] are on their way at once. `progress` is told of each one that begins.
    pub(crate) fn open<'a>(
        &mut self,
        entries: impl Iterator<Item = Entry<'a>>,
        mut progress: impl FnMut(),
    ) -> Result<()> {
        for entry in entries {
            self.connect(entry).with_context(|| {
                format!("connection {} to {}", self.clients.len() + 1, self.server)
            })?;
            progress();
            self.enter_until(ENTERING_MAX)?;
        }
        self.enter_until(0)
    }

    /// Sends ready frames from one client.
    pub(crate) fn send(&mut self, client: usize, frames: &[u8]) -> Result<()> {
        self.clients[client].send(frames)
    }

    /// Waits up to `patience` for something to arrive, then reads each readable socket once and hands on what came, with
    /// the index of the client it came to. Pings are answered here; a refusal or an end of a connection is an error.
    pub(crate) fn poll(
        &mut self,
        patience: Duration,
        mut on_arrival: impl FnMut(usize, Arrival),
    ) -> Result<()> {
        self.wait(patience)?;
        for event in &self.events {
            // The number was an index when it was registered.
            let index = event.data.u64() as usize;
            let client = &mut self.clients[index];
            let len = match client.socket.read(&mut self.read_buffer) {
                Ok(0) => bail!("the server closed connection {index} without a close frame"),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("reading connection {index}"));
                }
            };
            let was_entering = client.stage != Stage::Member;
            client
                .receive(&self.read_buffer[..len], |arrival| {
                    on_arrival(index, arrival)
                })
                .with_context(|| format!("connection {index}"))?;
            if was_entering && client.stage == Stage::Member {
                self.entering -= 1;
            }
        }
        Ok(())
    }

    /// Lets `span` pass, answering pings and reading what comes.
    pub(crate) fn rest(
        &mut self,
        span: Duration,
        mut progress: impl FnMut(Duration),
    ) -> Result<()> {
        let start = Instant::now();
        while let Some(left) = span.checked_sub(start.elapsed()) {
            self.poll(left.min(Duration::from_millis(200)), |_, _| {})?;
            progress(start.elapsed().min(span));
        }
        Ok(())
    }

    fn connect(&mut self, entry: Entry<'_>) -> Result<()> {
        let index = self.clients.len();
        let socket = connect(self.server, index)?;
        epoll::add(
            &self.epoll,
            &socket,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )?;
        let mut client = Client {
            socket,
            stage: Stage::Upgrading {
                head: Vec::new(),
                join: self.dialect.join(entry.room),
            },
            reader: ArrivalReader::default(),
        };
        client.send(&self.dialect.upgrade(&self.server.to_string(), entry.token))?;
        self.clients.push(client);
        self.entering += 1;
        Ok(())
    }

    fn enter_until(&mut self, entering_max: usize) -> Result<()> {
        let mut last_progress = Instant::now();
        while self.entering > entering_max {
            let before = self.entering;
            self.poll(Duration::from_millis(100), |_, _| {})?;
            if self.entering < before {
                last_progress = Instant::now();
            }
            ensure!(
                last_progress.elapsed() < STALL_MAX,
                "{} clients wait for their handshake or join",
                self.entering
            );
        }
        Ok(())
    }

    fn wait(&mut self, patience: Duration) -> Result<()> {
        self.events.clear();
        let timeout = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: patience.subsec_nanos().into(),
        };
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug)]
struct Client {
    socket: TcpStream,
    stage: Stage,
    reader: ArrivalReader,
}

/// How far a client has come: `Upgrading` ends with the head of the 101, `Greeted` with `auth_ok`, `Joining` with the reply.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Upgrading { head: Vec<u8>, join: Vec<u8> },
    Greeted { join: Vec<u8> },
    Joining,
    Member,
}

impl Client {
    fn send(&mut self, frames: &[u8]) -> Result<()> {
        let sent = self
            .socket
            .write(frames)
            .context("the server does not read what is sent to it")?;
        ensure!(
            sent == frames.len(),
            "the server took {sent} of {} bytes",
            frames.len()
        );
        Ok(())
    }

    fn receive(&mut self, mut input: &[u8], mut on_arrival: impl FnMut(Arrival)) -> Result<()> {
        if matches!(self.stage, Stage::Upgrading { .. }) {
            input = self.finish_upgrade(input)?;
        }
        while let Some(arrival) = self.reader.next(&mut input) {
            match arrival {
                Arrival::Publication => on_arrival(Arrival::Publication),
                Arrival::Ping(payload) => self.send(&call::pong(&payload))?,
                Arrival::EnginePing => self.send(&call::engine_pong())?,
                Arrival::Open => self.send(&call::connect())?,
                Arrival::Close(code) => bail!("the server closed with {code}"),
                Arrival::Refused(text) => bail!("the server refused: {text}"),
                Arrival::Ack(_) | Arrival::AuthOk | Arrival::Other
                    if self.stage != Stage::Member =>
                {
                    self.enter(&arrival)?
                }
                Arrival::Ack(_) | Arrival::AuthOk | Arrival::Other => on_arrival(arrival),
            }
        }
        Ok(())
    }

    /// Takes the head of the answer off `input`; what follows it are frames.
    fn finish_upgrade<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8]> {
        let Stage::Upgrading { head, join } = &mut self.stage else {
            return Ok(input);
        };
        let already = head.len();
        head.extend_from_slice(input);
        let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(&[]);
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            bail!("the upgrade was refused: {}", String::from_utf8_lossy(head));
        }
        self.stage = Stage::Greeted {
            join: std::mem::take(join),
        };
        Ok(&input[end + 4 - already..])
    }

    fn enter(&mut self, arrival: &Arrival) -> Result<()> {
        match (&mut self.stage, arrival) {
            (Stage::Greeted { join }, Arrival::AuthOk) => {
                let join = std::mem::take(join);
                self.stage = Stage::Joining;
                self.send(&join)
            }
            (Stage::Joining, Arrival::Ack(call::JOIN_ID)) => {
                self.stage = Stage::Member;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A connected, non-blocking socket that will end by a reset: nineteen thousand ports in TIME_WAIT would be missing for
/// the next run.
fn connect(server: SocketAddr, index: usize) -> Result<TcpStream> {
    let family = if server.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = rustix::net::socket(family, SocketType::STREAM, Some(ipproto::TCP))?;
    if let Some(source) = source_address(server, index)? {
        rustix::net::bind(&socket, &source)?;
    }
    rustix::net::connect(&socket, &server)?;
    let socket = TcpStream::from(socket);
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// On loopback, connections beyond the local ports of one address come from the next address. The first address is left to
/// `connect`: a `bind` for each costs the kernel milliseconds once ten thousand ports are taken.
fn source_address(server: SocketAddr, index: usize) -> Result<Option<SocketAddr>> {
    let nth = index / PORTS_PER_SOURCE;
    match server {
        SocketAddr::V4(address) if address.ip().is_loopback() && nth > 0 => {
            let last =
                u8::try_from(nth + 1).context("too many connections for one loopback network")?;
            Ok(Some(SocketAddr::from(([127, 0, 0, last], 0))))
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => Ok(None),
    }
}

/// Handshakes on their way at once: enough to keep a server busy, few enough for any limit on them.
const ENTERING_MAX: usize = 32;
/// A server that answers nothing for so long has failed the run.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(10);
/// Below the kernel's default range of 28,232 local ports.
const PORTS_PER_SOURCE: usize = 20_000;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_client_is_open_once_upgraded_authenticated_and_joined() {
        let (server, script) = scripted(|mut peer| {
            read_until(&mut peer, b"\r\n\r\n");
            peer.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                .unwrap();
            peer.write_all(&text(br#"{"type":"welcome"}"#)).unwrap();
            peer.write_all(&text(br#"{"type":"auth_ok"}"#)).unwrap();
            let join = read_exactly(&mut peer, Dialect::Native.join("r").len());
            peer.write_all(&text(br#"{"ack":1,"data":{}}"#)).unwrap();
            join
        });

        let mut swarm = Swarm::new(server, Dialect::Native).unwrap();
        swarm
            .open(
                [Entry {
                    token: Some("t"),
                    room: "r",
                }]
                .into_iter(),
                || {},
            )
            .unwrap();

        assert_eq!(swarm.entering, 0);
        assert_eq!(script.join().unwrap(), Dialect::Native.join("r"));
    }

    #[test]
    fn a_ping_between_messages_is_answered_with_its_payload() {
        let (server, script) = scripted(|mut peer| {
            enter(&mut peer);
            peer.write_all(
                &[
                    text(br#"{"type":"chat:message"}"#),
                    vec![0x89, 4, b'b', b'e', b'a', b't'],
                ]
                .concat(),
            )
            .unwrap();
            read_exactly(&mut peer, call::pong(b"beat").len())
        });
        let mut swarm = Swarm::new(server, Dialect::Native).unwrap();
        swarm
            .open(
                [Entry {
                    token: None,
                    room: "r",
                }]
                .into_iter(),
                || {},
            )
            .unwrap();

        let mut arrivals = Vec::new();
        while !script.is_finished() {
            swarm
                .poll(Duration::from_millis(10), |client, arrival| {
                    arrivals.push((client, arrival))
                })
                .unwrap_or_default();
        }

        assert_eq!(script.join().unwrap(), call::pong(b"beat"));
        assert_eq!(arrivals, [(0, Arrival::Publication)]);
    }

    #[test]
    fn a_refused_upgrade_ends_the_load_with_the_servers_answer() {
        let (server, script) = scripted(|mut peer| {
            read_until(&mut peer, b"\r\n\r\n");
            peer.write_all(b"HTTP/1.1 401 Unauthorized\r\n\r\nInvalid token")
                .unwrap();
        });
        let mut swarm = Swarm::new(server, Dialect::Native).unwrap();

        let error = swarm
            .open(
                [Entry {
                    token: Some("bad"),
                    room: "r",
                }]
                .into_iter(),
                || {},
            )
            .unwrap_err();

        assert!(
            format!("{error:#}").contains("401 Unauthorized"),
            "{error:#}"
        );
        script.join().unwrap();
    }

    #[test]
    fn connections_beyond_the_ports_of_one_address_come_from_the_next() {
        let server = SocketAddr::from(([127, 0, 0, 1], 80));

        assert_eq!(source_address(server, PORTS_PER_SOURCE - 1).unwrap(), None);
        assert_eq!(
            source_address(server, PORTS_PER_SOURCE).unwrap(),
            Some(SocketAddr::from(([127, 0, 0, 2], 0)))
        );
    }

    /// A server for one connection, on a thread of its own.
    fn scripted<T: Send + 'static>(
        script: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> (SocketAddr, thread::JoinHandle<T>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (peer, _) = listener.accept().unwrap();
            peer.set_read_timeout(Some(STALL_MAX)).unwrap();
            script(peer)
        });
        (address, thread)
    }

    fn enter(peer: &mut TcpStream) {
        read_until(peer, b"\r\n\r\n");
        // In one piece: frames may ride on the answer to the upgrade.
        let head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        peer.write_all(&[head, text(br#"{"type":"auth_ok"}"#)].concat())
            .unwrap();
        read_exactly(peer, Dialect::Native.join("r").len());
        peer.write_all(&text(br#"{"ack":1,"data":{}}"#)).unwrap();
    }

    fn text(payload: &[u8]) -> Vec<u8> {
        [&[0x81, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    fn read_until(peer: &mut TcpStream, end: &[u8]) {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            read.extend(read_exactly(peer, 1));
        }
    }

    fn read_exactly(peer: &mut TcpStream, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        peer.read_exact(&mut bytes).unwrap();
        bytes
    }
}
