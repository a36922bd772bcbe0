//! A power failure at any moment: un-synced writes are lost or torn, and nothing acknowledged or delivered is.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod disk;
mod witness;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use disk::{Disk, random_from};
use nuncio_hub::{Durability, Policies, RoomPolicy, Submission};
use nuncio_model::{Epoch, HistoryLimits, Pattern, Published, Refusal};
use nuncio_store::{Store, StoreBroker, StoreConfig};
use witness::{Caller, Witness, answer, keyed, limits, now, seqs, submission, texts};

/// What clients know of one room.
#[derive(Debug, Default)]
struct Room {
    epoch: Option<Epoch>,
    /// The answers to publishers, by text.
    acknowledged: HashMap<String, Published>,
    /// The texts that members got, by `seq`.
    delivered: HashMap<u64, String>,
}

/// Lives of one disk, each ended by a power failure.
const LIVES: u32 = 10;

#[test]
fn nothing_acknowledged_is_lost_at_200_random_power_failures() {
    for seed in 0..200 / u64::from(LIVES) {
        let mut random = random_from(seed);
        let mut disk = Disk::default();
        let mut rooms: HashMap<String, Room> = HashMap::new();

        for life in 0..LIVES {
            let context = format!("seed {seed}, life {life}");
            disk.cut_power_after(20 + random() % 600);
            live(&disk, life, &mut rooms, &mut random, &context);
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
    context: &str,
) {
    let witness = Arc::new(Witness::default());
    let Some(broker) = open(disk, witness.clone()) else {
        assert!(
            disk.is_dark(),
            "{context}: a store opens while there is power"
        );
        return;
    };
    let caller = Caller(&broker);
    for burst in 0.. {
        let waits: Vec<_> = (0..random() % 40)
            .map(|n| {
                let name = name(random());
                let len = if random().is_multiple_of(64) {
                    30_000
                } else {
                    random() % 300
                };
                let text = format!("{life}-{burst}-{n}-{}", "x".repeat(len as usize));
                let wait = caller.begin(publication(&name, &text));
                (name, text, wait)
            })
            .collect();
        if random().is_multiple_of(8) {
            // It may well be refused: there is no power.
            let _ = caller.clear("cleared");
        }
        for (name, text, wait) in waits {
            note(rooms.entry(name).or_default(), text, wait, context);
        }
        if disk.is_dark() {
            break;
        }
    }
    drop(broker);
    for (name, room) in rooms {
        for publication in witness.delivered(name) {
            let text = texts(std::slice::from_ref(&publication)).remove(0);
            let twice = room.delivered.insert(publication.position.seq, text);
            assert_eq!(twice, None, "{context}: {name}: a seq is delivered once");
        }
    }
}

fn note(room: &mut Room, text: String, wait: Receiver<Result<Published, Refusal>>, context: &str) {
    if let Ok(published) = answer(wait) {
        let epoch = published.position.epoch;
        assert_eq!(*room.epoch.get_or_insert(epoch), epoch, "{context}");
        room.acknowledged.insert(text, published);
    }
}

/// What clients know holds on what is left.
fn check(disk: &Disk, rooms: &HashMap<String, Room>, context: &str) {
    let broker = open(disk, Arc::default()).expect("what is left can be opened");
    let caller = Caller(&broker);
    for (name, room) in rooms {
        let context = format!("{context}: {name}");
        let page = caller.history(name).unwrap();
        let (last, count) = (page.position.seq, page.publications.len() as u64);
        let keeps_all = name != "small" && name != "cleared";
        assert!(
            room.epoch.is_none_or(|epoch| epoch == page.position.epoch),
            "{context}: another epoch"
        );
        assert_eq!(
            seqs(&page.publications),
            (last - count + 1..=last).collect::<Vec<_>>(),
            "{context}"
        );
        assert!(
            count == last || !keeps_all,
            "{context} keeps {count} of {last}"
        );
        let kept = texts(&page.publications);
        for (&seq, text) in &room.delivered {
            assert!(seq <= last, "{context} lost {seq}, which was delivered");
            let index = (seq + count).checked_sub(last + 1);
            assert!(
                index.is_none_or(|index| &kept[index as usize] == text),
                "{context} has another message as {seq}"
            );
        }
        for (text, published) in &room.acknowledged {
            let seq = published.position.seq;
            assert_eq!(
                room.delivered.get(&seq),
                Some(text),
                "{context}: what is acknowledged was delivered"
            );
            if is_keyed(text) {
                let repeat = caller.submit(publication(name, text)).unwrap();
                assert_eq!(repeat, *published, "{context} forgot a key");
            }
        }
    }
    broker.close();
}

fn publication(room: &str, text: &str) -> Submission {
    if is_keyed(text) {
        keyed(room, text, &text[..text.len().min(40)], now())
    } else {
        submission(room, text, now())
    }
}

/// Every other message has a key.
fn is_keyed(text: &str) -> bool {
    text.len().is_multiple_of(2)
}

/// Enough rooms that each commit moves some from the journal to their blocks.
fn name(random: u64) -> String {
    match random % 80 {
        0..5 => "small".into(),
        5..10 => "cleared".into(),
        n => format!("room{n}"),
    }
}

fn open(disk: &Disk, witness: Arc<Witness>) -> Option<StoreBroker<Witness>> {
    let small = RoomPolicy {
        history: limits(5),
        ..RoomPolicy::new(Durability::Durable)
    };
    let large = RoomPolicy {
        history: HistoryLimits {
            bytes_max: usize::MAX,
            ..limits(usize::MAX)
        },
        ..RoomPolicy::new(Durability::Durable)
    };
    let policies = Arc::new(Policies::new(vec![(Pattern::new("small"), small)], large));
    let store = Store::open_on(Arc::new(disk.clone()), StoreConfig::new("disk")).ok()?;
    Some(store.into_broker(witness, policies, 1, Arc::new(())))
}
