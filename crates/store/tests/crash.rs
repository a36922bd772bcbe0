//! A power failure at any moment: un-synced writes are lost or torn, and nothing acknowledged or delivered is.

mod disk;
mod witness;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use disk::{Disk, random_from};
use nuncio_hub::{Durability, Policies, RoomPolicy, Since};
use nuncio_model::{Epoch, Pattern, Published, Refusal};
use nuncio_store::{Store, StoreBroker, StoreConfig};
use witness::{Caller, Witness, answer, keyed, limits, now, submission, texts};

/// What clients know of one room.
#[derive(Debug, Default)]
struct Room {
    epoch: Option<Epoch>,
    /// The answers to publishers, by text.
    acknowledged: HashMap<String, Published>,
    /// The texts that members got, by `seq`.
    delivered: HashMap<u64, String>,
}

/// A life of the server ends at each of these.
const POWER_FAILURES: u32 = 200;

#[test]
fn nothing_acknowledged_is_lost_at_200_random_power_failures() {
    for seed in 0..10 {
        let mut random = random_from(seed);
        let mut disk = Disk::default();
        let mut rooms: HashMap<String, Room> = HashMap::new();

        for life in 0..POWER_FAILURES / 10 {
            let context = format!("seed {seed}, life {life}");
            disk.cut_power_after(20 + random() % 1500);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                live(&disk, life, &mut rooms, &mut random)
            }));
            assert!(outcome.is_ok(), "{context}");
            disk = disk.after_power_failure(&mut random);

            check(&disk, &rooms, &context);
        }
        let acknowledged: usize = rooms.values().map(|room| room.acknowledged.len()).sum();
        assert!(
            acknowledged > 100,
            "seed {seed} is too gentle to prove anything: {acknowledged}"
        );
    }
}

/// Publishes until the power fails, and notes what clients come to know.
fn live(
    disk: &Disk,
    life: u32,
    rooms: &mut HashMap<String, Room>,
    random: &mut impl FnMut() -> u64,
) {
    let witness = Arc::new(Witness::default());
    let Some(broker) = open(disk, witness.clone()) else {
        assert!(disk.is_dark(), "a store opens while there is power");
        return;
    };
    for burst in 0.. {
        let mut waits = Vec::new();
        for n in 0..random() % 40 {
            let name = ROOMS[(random() % ROOMS.len() as u64) as usize];
            let text = format!(
                "{life}-{burst}-{n}{}",
                "x".repeat((random() % 1000) as usize)
            );
            waits.push((
                name,
                text.clone(),
                Caller(&broker).begin(publication(name, &text, random())),
            ));
        }
        if random().is_multiple_of(16) {
            // A cold room is read amid everything; while there is power, it can be.
            let _ = Caller(&broker).history("cold");
        }
        for (name, text, wait) in waits {
            note(rooms.entry(name.into()).or_default(), text, wait);
        }
        if disk.is_dark() {
            break;
        }
    }
    drop(broker);
    for name in ROOMS {
        let room = rooms.entry(name.into()).or_default();
        for publication in witness.delivered(name) {
            let text = texts(&[publication.clone()]).remove(0);
            let twice = room.delivered.insert(publication.position.seq, text);
            assert_eq!(twice, None, "{name}: a seq is delivered once");
        }
    }
}

fn note(room: &mut Room, text: String, wait: Receiver<Result<Published, Refusal>>) {
    if let Ok(published) = answer(wait) {
        assert_eq!(
            *room.epoch.get_or_insert(published.position.epoch),
            published.position.epoch
        );
        room.acknowledged.insert(text, published);
    }
}

/// What clients know holds on what is left.
fn check(disk: &Disk, rooms: &HashMap<String, Room>, context: &str) {
    let broker = open(disk, Arc::default()).expect("what is left can be opened");
    let caller = Caller(&broker);
    for (name, room) in rooms {
        let page = caller.history(name).unwrap();
        let last = page.position.seq;
        let count = page.publications.len() as u64;
        if let Some(epoch) = room.epoch {
            assert_eq!(page.position.epoch, epoch, "{context}: {name}");
        }
        assert_eq!(
            witness::seqs(&page.publications),
            (last - count + 1..=last).collect::<Vec<_>>(),
            "{context}: {name}"
        );
        if name != "small" {
            assert_eq!(count, last, "{context}: {name} keeps everything");
        }
        let kept: HashMap<u64, String> = page
            .publications
            .iter()
            .map(|publication| publication.position.seq)
            .zip(texts(&page.publications))
            .collect();
        for (seq, text) in &room.delivered {
            assert!(
                *seq <= last,
                "{context}: {name} lost {seq}, which was delivered"
            );
            assert!(
                kept.get(seq).is_none_or(|kept| kept == text),
                "{context}: {name} has another message as {seq}"
            );
        }
        for (text, published) in &room.acknowledged {
            let seq = published.position.seq;
            assert_eq!(
                room.delivered.get(&seq),
                Some(text),
                "{context}: {name}: what is acknowledged was delivered"
            );
            assert!(
                seq > last - count || name == "small",
                "{context}: {name} lost {seq}, which was acknowledged"
            );
        }
        let attached = caller.attach(name, Since::Position(page.position)).unwrap();
        assert!(attached.recovered, "{context}: {name}");
    }
}

fn publication(room: &str, text: &str, random: u64) -> nuncio_hub::Submission {
    if random.is_multiple_of(2) {
        keyed(room, text, &text[..text.len().min(40)], now())
    } else {
        submission(room, text, now())
    }
}

fn open(disk: &Disk, witness: Arc<Witness>) -> Option<StoreBroker<Witness>> {
    let small = RoomPolicy {
        history: limits(5),
        ..RoomPolicy::new(Durability::Durable)
    };
    let large = RoomPolicy {
        history: nuncio_model::HistoryLimits {
            bytes_max: usize::MAX,
            ..limits(usize::MAX)
        },
        ..RoomPolicy::new(Durability::Durable)
    };
    let policies = Arc::new(Policies::new(vec![(Pattern::new("small"), small)], large));
    let store = Store::open_on(Arc::new(disk.clone()), StoreConfig::new("disk")).ok()?;
    Some(store.into_broker(witness, policies, 1, Arc::new(())))
}

const ROOMS: [&str; 4] = ["a", "b", "small", "cold"];
