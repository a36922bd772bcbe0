//! How many durable messages a second a store acknowledges, and how long each takes.
//!
//! `cargo run --release -p nuncio-store --example throughput -- [publishers] [rooms] [seconds] [directory]`
//!
//! Each publisher sends its next message when the last is acknowledged. No thread per publisher: the answer of one message begins the next.
#![expect(clippy::print_stdout, reason = "it reports to a terminal")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nuncio_hub::{Broker, Deliver, Durability, Policies, RoomKey, RoomPolicy, Submission};
use nuncio_model::{
    Body, Json, Namespace, Now, Position, PositionReason, Publication, PublishRequest, RoomName,
    UserId,
};
use nuncio_store::{Observer, Store, StoreConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let publishers: usize = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let rooms: u64 = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let directory = arguments.next().map_or_else(
        || std::env::temp_dir().join("nuncio-throughput"),
        PathBuf::from,
    );

    let began = Instant::now();
    let store = Store::open(StoreConfig::new(&directory))?;
    println!("opened in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    let commits = Arc::new(Commits::default());
    let policies = Arc::new(Policies::new(
        Vec::new(),
        RoomPolicy::new(Durability::Durable),
    ));
    let broker = store.into_broker(Arc::new(Nowhere), policies, unix_ms(), commits.clone());
    println!("ready in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);

    let latencies = run(&broker, publishers, rooms, Duration::from_secs(seconds))?;
    report(&latencies, seconds, "messages");
    report(
        &std::mem::take(&mut *commits.0.lock().map_err(|_| "poisoned")?),
        seconds,
        "commits",
    );
    println!("{:?}", broker.counters());
    let began = Instant::now();
    broker.close();
    println!("closed in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// Keeps every publisher busy; returns the time of each acknowledged message.
fn run(
    broker: &impl Broker,
    publishers: usize,
    rooms: u64,
    time: Duration,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let (acknowledged, answers) = channel();
    let failed = Arc::new(AtomicBool::new(false));
    let publish = |n: u64| {
        let (acknowledged, failed, began) = (acknowledged.clone(), failed.clone(), Instant::now());
        let done = Box::new(move |result: Result<_, _>| {
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            let _ = acknowledged.send(began.elapsed());
        });
        broker.publish(message(n, rooms), done);
    };
    (0..publishers as u64).for_each(&publish);
    let deadline = Instant::now() + time;
    let mut latencies = Vec::new();
    while Instant::now() < deadline {
        latencies.push(answers.recv()?);
        publish(latencies.len() as u64 + publishers as u64);
    }
    if failed.load(Ordering::Relaxed) {
        Err("a publish was refused".into())
    } else {
        Ok(latencies)
    }
}

fn message(n: u64, rooms: u64) -> Submission {
    let random = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (n << 7);
    let random = (random ^ (random >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 16;
    let text = "x".repeat(100 + (random % 100) as usize);
    Submission {
        namespace: Namespace::default(),
        author: UserId::parse("ann").ok(),
        request: PublishRequest {
            room: RoomName::parse(&format!("room-{}", random % rooms)).expect("a valid name"),
            body: Body::Chat {
                content: Json::of(&text),
            },
            idempotency_key: None,
        },
        now: Now {
            instant: Instant::now(),
            unix_ms: unix_ms(),
        },
    }
}

fn report(times: &[Duration], seconds: u64, what: &str) {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get((times.len() as f64 * share) as usize)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let rate = times.len() as u64 / seconds;
    println!(
        "{what}: {rate}/s, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        at(0.5),
        at(0.99),
        at(0.999_999)
    );
}

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Rooms without members.
struct Nowhere;

impl Deliver for Nowhere {
    fn deliver(&self, _publication: &Arc<Publication>) {}

    fn position_broken(&self, _room: &RoomKey, _position: Position, _reason: PositionReason) {}
}

/// How long each commit took.
#[derive(Default)]
struct Commits(Mutex<Vec<Duration>>);

impl Observer for Commits {
    fn committed(&self, _messages: usize, took: Duration) {
        if let Ok(mut commits) = self.0.lock() {
            commits.push(took);
        }
    }
}
