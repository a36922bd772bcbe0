//! An application's backend, as the server's hooks see it: HTTP by hand, which shares no code with the server.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::PATIENCE;

/// The secret of the configurations that [`HookBackend::config`] writes.
pub const SECRET: &str = "a secret of hooks with more than 32 bytes";

/// A backend that remembers what it was asked. Its connections end when it is dropped.
pub struct HookBackend {
    /// Where it listens.
    pub address: SocketAddr,
    asked: watch::Receiver<Vec<Asked>>,
    serving: JoinHandle<()>,
}

/// One request of a hook.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `Nuncio-Hook`.
    pub hook: String,
    /// `Nuncio-Id`.
    pub id: String,
    /// `Nuncio-Signature`.
    pub signature: String,
    /// The path of the URL.
    pub path: String,
    /// The body as it came.
    pub text: String,
    /// The body.
    pub body: Value,
}

/// What it answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status; 0 cuts the connection.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Reply {
    /// 200 with JSON.
    pub fn json(body: Value) -> Self {
        Self {
            status: 200,
            body: body.to_string(),
        }
    }

    /// `{"allow":true}`.
    pub fn allow() -> Self {
        Self::json(json!({"allow": true}))
    }

    /// A status with no body.
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            body: String::new(),
        }
    }
}

type Answering = dyn Fn(Asked) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync;

impl HookBackend {
    /// Starts a backend that answers as `answer` says.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start<R>(answer: impl Fn(Asked) -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = Reply> + Send + 'static,
    {
        Self::start_at(crate::server::free_address(), answer).await
    }

    /// Starts one on a port that another has had, or will have.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn start_at<R>(
        address: SocketAddr,
        answer: impl Fn(Asked) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = Reply> + Send + 'static,
    {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("it is new");
        socket.bind(address).expect("the port is free");
        let listener = socket.listen(1024).expect("it is bound");
        let (heard, asked) = watch::channel(Vec::new());
        let answering: Arc<Answering> = Arc::new(move |asked| Box::pin(answer(asked)));
        let serving = tokio::spawn(serve(listener, Arc::new(heard), answering));
        Self {
            address,
            asked,
            serving,
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The sections of a configuration that asks it about these, with more keys of `[hooks]`.
    pub fn config(&self, on: &[&str], more: &str) -> String {
        let url = self.url("/hooks");
        format!(
            "[hooks]\nsecret = \"{SECRET}\"\n{more}\n[[hooks.rules]]\non = {on:?}\nurl = \"{url}\"\n"
        )
    }

    /// What it was asked by a hook so far.
    pub fn asked(&self, hook: &str) -> Vec<Asked> {
        let asked = self.asked.borrow();
        asked
            .iter()
            .filter(|asked| asked.hook == hook)
            .cloned()
            .collect()
    }

    /// Waits until what it was asked by a hook fits.
    ///
    /// # Panics
    /// When it never does.
    pub async fn until(&self, hook: &str, fits: impl Fn(&[Asked]) -> bool) -> Vec<Asked> {
        let mut asked = self.asked.clone();
        let deadline = tokio::time::Instant::now() + 3 * PATIENCE;
        loop {
            let found = self.asked(hook);
            if fits(&found) {
                return found;
            }
            tokio::time::timeout_at(deadline, asked.changed())
                .await
                .unwrap_or_else(|_| panic!("{hook}: {found:#?}"))
                .expect("the backend runs");
        }
    }

    /// The events that it was told so far, in order, repetitions too.
    pub fn events(&self) -> Vec<Value> {
        events_of(&self.asked("events"))
    }

    /// Waits until the events that it was told fit.
    pub async fn until_events(&self, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let asked = self.until("events", |asked| fits(&events_of(asked))).await;
        events_of(&asked)
    }
}

impl Drop for HookBackend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn events_of(asked: &[Asked]) -> Vec<Value> {
    let batches = asked
        .iter()
        .filter_map(|asked| asked.body["events"].as_array());
    batches.flatten().cloned().collect()
}

async fn serve(
    listener: TcpListener,
    heard: Arc<watch::Sender<Vec<Asked>>>,
    answering: Arc<Answering>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let (heard, answering) = (heard.clone(), answering.clone());
        connections.spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some(asked) = read(&mut stream).await {
                heard.send_modify(|all| all.push(asked.clone()));
                let reply = answering(asked).await;
                if reply.status == 0 || write(&mut stream, &reply).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line);
    }
    let header = |name: &str| {
        let mut headers = head.iter().filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.trim().to_owned())
    };
    let len = header("content-length")?.parse().ok()?;
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.ok()?;
    let text = String::from_utf8(body).ok()?;
    Some(Asked {
        hook: header("nuncio-hook").unwrap_or_default(),
        id: header("nuncio-id").unwrap_or_default(),
        signature: header("nuncio-signature").unwrap_or_default(),
        path: head.first()?.split(' ').nth(1)?.to_owned(),
        body: serde_json::from_str(&text).ok()?,
        text,
    })
}

async fn write(stream: &mut BufReader<TcpStream>, reply: &Reply) -> std::io::Result<()> {
    let Reply { status, body } = reply;
    let len = body.len();
    let text = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await
}

/// Lets requests through one by one, or all: what a slow backend waits for.
#[derive(Debug, Clone)]
pub struct Gate(Arc<tokio::sync::Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(0)))
    }
}

impl Gate {
    /// Waits until one more may pass.
    pub async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }

    /// Lets so many pass.
    pub fn open(&self, count: usize) {
        self.0.add_permits(count);
    }
}

/// A value that tests change while the backend answers.
#[derive(Debug, Clone, Default)]
pub struct Shared<T>(Arc<Mutex<T>>);

impl<T: Clone> Shared<T> {
    /// Replaces it.
    pub fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    /// What it is at present.
    pub fn get(&self) -> T {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
