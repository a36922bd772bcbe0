//! A cable between clients and a server, which can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Carries connections to a server; while that is down, they end at once.
pub struct Cable {
    /// Where clients connect.
    pub address: SocketAddr,
    ends: Arc<Ends>,
    carrying: JoinHandle<()>,
}

#[derive(Default)]
struct Ends {
    live: Mutex<Vec<Arc<Notify>>>,
    attempts: Mutex<Vec<Instant>>,
}

impl Cable {
    /// Lays a cable to a server.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let ends = Arc::new(Ends::default());
        let carrying = tokio::spawn(carry_all(listener, server, ends.clone()));
        Self {
            address,
            ends,
            carrying,
        }
    }

    /// Cuts one of the connections that are up, chosen by the number. Returns whether there was one.
    pub fn cut(&self, number: usize) -> bool {
        let live = lock(&self.ends.live);
        let Some(cut) = live.get(number % live.len().max(1)) else {
            return false;
        };
        cut.notify_one();
        true
    }

    /// When each connection was asked for, in order; the list begins anew.
    pub fn attempts(&self) -> Vec<Instant> {
        std::mem::take(&mut lock(&self.ends.attempts))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry_all(listener: TcpListener, server: SocketAddr, ends: Arc<Ends>) {
    while let Ok((client, _)) = listener.accept().await {
        lock(&ends.attempts).push(Instant::now());
        tokio::spawn(carry(client, server, ends.clone()));
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, ends: Arc<Ends>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let cut = Arc::new(Notify::new());
    lock(&ends.live).push(cut.clone());
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        () = cut.notified() => {}
    }
    lock(&ends.live).retain(|other| !Arc::ptr_eq(other, &cut));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}
