//! A backend that publishes in batches over HTTP, on a fixed timetable.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::api::api_room;
use super::statistics::quantile;

/// The key of a started server.
pub(crate) const KEY: &str = "a-key-for-benchmarks-of-32-bytes-or-more";

/// Its threads, one for each request under way.
pub(crate) struct Backend {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Published>>>,
}

/// What was published, and how long requests took.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) publications: u64,
    pub(crate) seconds: f64,
    waits_ms: Vec<f64>,
}

impl Published {
    /// How long a request took, by its place among all.
    pub(crate) fn wait(&self, fraction: f64) -> f64 {
        quantile(&self.waits_ms, fraction).unwrap_or(0.0)
    }
}

impl Backend {
    /// Begins to publish `rate` times a second.
    pub(crate) fn start(
        address: SocketAddr,
        rate: f64,
        batch: u32,
        requests: u32,
        rooms: usize,
    ) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let pause = Duration::from_secs_f64(f64::from(batch) * f64::from(requests) / rate);
        let threads = (0..requests).map(|request| {
            let end = end.clone();
            let offset = pause / requests * request;
            thread::spawn(move || publish(address, batch, rooms, pause, offset, &end))
        });
        Self {
            threads: threads.collect(),
            end,
        }
    }

    /// Ends it, and says what was published.
    pub(crate) fn stop(self) -> Result<Published> {
        self.end.store(true, Ordering::Relaxed);
        let mut all = Published::default();
        for thread in self.threads {
            let one = thread.join().ok().context("the backend panicked")??;
            all.publications += one.publications;
            all.seconds = all.seconds.max(one.seconds);
            all.waits_ms.extend(one.waits_ms);
        }
        all.waits_ms.sort_by(f64::total_cmp);
        Ok(all)
    }
}

/// Sends one batch after another, each when it is due and the one before is answered.
fn publish(
    address: SocketAddr,
    batch: u32,
    rooms: usize,
    pause: Duration,
    offset: Duration,
    end: &AtomicBool,
) -> Result<Published> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    stream.get_ref().set_nodelay(true)?;
    stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_secs(10)))?;
    let start = Instant::now();
    let mut published = Published::default();
    for number in 0u32.. {
        let due = start + offset + pause * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if end.load(Ordering::Relaxed) {
            break;
        }
        let sent = Instant::now();
        let first = number as usize * batch as usize;
        stream.get_mut().write_all(&request(first, batch, rooms))?;
        check(&answer(&mut stream)?)?;
        published.waits_ms.push(sent.elapsed().as_secs_f64() * 1e3);
        published.publications += u64::from(batch);
    }
    published.seconds = start.elapsed().as_secs_f64();
    Ok(published)
}

fn request(first: usize, batch: u32, rooms: usize) -> Vec<u8> {
    let publish = |number: usize| {
        let room = api_room((first + number) % rooms);
        format!(r#"{{"publish":{{"roomId":"{room}","content":"{CONTENT}"}}}}"#)
    };
    let commands: Vec<_> = (0..batch as usize).map(publish).collect();
    let body = format!(r#"{{"commands":[{}]}}"#, commands.join(","));
    format!(
        "POST /api/v1/batch HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Status line and body.
fn answer(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut text = String::new();
    stream.read_line(&mut text)?;
    let mut len = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().context("the length of an answer")?;
        }
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    Ok(text + &String::from_utf8_lossy(&body))
}

fn check(answer: &str) -> Result<()> {
    let is_done = answer.starts_with("HTTP/1.1 200") && !answer.contains("\"error\"");
    ensure!(
        is_done,
        "the API refused: {}",
        answer.chars().take(300).collect::<String>()
    );
    Ok(())
}

const CONTENT: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
