//! What all members saw and all authors were told, and where it does not fit together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// One account for each room.
pub(super) struct Ledger {
    rooms: Vec<Mutex<Account>>,
    findings: Mutex<Vec<String>>,
}

/// What is known of one room.
#[derive(Default)]
struct Account {
    epoch: Option<String>,
    /// By `seq`: the id and the content that somebody saw.
    seen: BTreeMap<u64, (String, String)>,
    /// By content: the `seq` and the id that its author was told.
    acknowledged: HashMap<String, (u64, String)>,
    published: usize,
}

/// Findings that are kept in words; more are of no use to a reader.
const FINDINGS_MAX: usize = 50;

impl Ledger {
    pub(super) fn new(rooms: usize) -> Self {
        Self {
            rooms: (0..rooms).map(|_| Mutex::default()).collect(),
            findings: Mutex::default(),
        }
    }

    /// A promise was broken.
    pub(super) fn found(&self, finding: String) {
        let mut findings = locked(&self.findings);
        if findings.len() < FINDINGS_MAX {
            findings.push(finding);
        }
    }

    /// A member saw a publication: for everybody it must be the same one.
    pub(super) fn saw(&self, room: usize, message: &Value) {
        let publication = (text(&message["id"]), text(&message["content"]));
        let seq = message["seq"].as_u64().unwrap_or_default();
        let mut account = locked(&self.rooms[room]);
        let known = account
            .seen
            .entry(seq)
            .or_insert_with(|| publication.clone());
        if *known != publication {
            let finding =
                format!("room {room}, seq {seq}: one saw {known:?}, another {publication:?}");
            drop(account);
            self.found(finding);
        }
    }

    /// A member was told the room's epoch: it must be the same one for the whole run.
    pub(super) fn heard_epoch(&self, room: usize, epoch: &str) {
        let mut account = locked(&self.rooms[room]);
        let known = account.epoch.get_or_insert_with(|| epoch.to_owned());
        if known != epoch {
            let finding = format!("room {room}: epoch {known} became {epoch}");
            drop(account);
            self.found(finding);
        }
    }

    /// An author was told that its publication is stored.
    pub(super) fn acknowledged(&self, room: usize, content: &str, reply: &Value) {
        self.heard_epoch(room, &text(&reply["epoch"]));
        let told = (
            reply["seq"].as_u64().unwrap_or_default(),
            text(&reply["id"]),
        );
        let mut account = locked(&self.rooms[room]);
        let known = account
            .acknowledged
            .entry(content.to_owned())
            .or_insert_with(|| told.clone());
        if *known != told {
            let finding =
                format!("room {room}: {content} was acknowledged as {known:?} and as {told:?}");
            drop(account);
            self.found(finding);
        }
    }

    /// The newest `seq` of each room that anybody was told of.
    pub(super) fn newest(&self) -> Vec<u64> {
        let newest = |account: &Mutex<Account>| {
            let account = locked(account);
            let acknowledged = account.acknowledged.values().map(|(seq, _)| *seq).max();
            account
                .seen
                .keys()
                .next_back()
                .copied()
                .max(acknowledged)
                .unwrap_or_default()
        };
        self.rooms.iter().map(newest).collect()
    }

    /// The whole history of a room, from its first message, as a newcomer reads it at the end.
    pub(super) fn check_history(&self, room: usize, messages: &[Value]) {
        let mut account = locked(&self.rooms[room]);
        account.published = messages.len();
        let mut wrong = Vec::new();
        let mut places: HashMap<String, u64> = HashMap::new();
        for (index, message) in messages.iter().enumerate() {
            let (seq, id, content) = (
                index as u64 + 1,
                text(&message["id"]),
                text(&message["content"]),
            );
            if message["seq"] != seq {
                wrong.push(format!(
                    "history of room {room}: seq {} where {seq} belongs",
                    message["seq"]
                ));
            }
            if account
                .seen
                .get(&seq)
                .is_some_and(|seen| *seen != (id.clone(), content.clone()))
            {
                wrong.push(format!(
                    "history of room {room}: seq {seq} is not what was seen"
                ));
            }
            if let Some(first) = places.insert(content.clone(), seq) {
                wrong.push(format!(
                    "history of room {room}: {content} stands at {first} and at {seq}"
                ));
            }
            let told = account.acknowledged.get(&content);
            if told.is_some_and(|told| *told != (seq, id.clone())) {
                wrong.push(format!("history of room {room}: {content} was acknowledged as {told:?}, and is {seq} {id}"));
            }
        }
        for content in account
            .acknowledged
            .keys()
            .filter(|content| !places.contains_key(*content))
        {
            wrong.push(format!(
                "history of room {room}: {content} was acknowledged, and is lost"
            ));
        }
        drop(account);
        wrong.into_iter().for_each(|finding| self.found(finding));
    }

    /// How many publications were acknowledged, how many are in the histories, and what is wrong.
    pub(super) fn verdict(&self) -> (usize, usize, Vec<String>) {
        let accounts = || self.rooms.iter().map(locked);
        let acknowledged = accounts().map(|account| account.acknowledged.len()).sum();
        let published = accounts().map(|account| account.published).sum();
        (acknowledged, published, locked(&self.findings).clone())
    }
}

/// A string of the protocol; anything else reads as empty, and fits nothing.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_faultless_room_has_no_findings() {
        let ledger = told_twice();

        ledger.check_history(0, &[message(1, "a"), message(2, "b")]);

        assert_eq!(ledger.verdict(), (2, 2, Vec::new()));
    }

    #[test]
    fn each_broken_promise_is_found() {
        let broken: [&[Value]; 4] = [
            &[message(1, "a")],
            &[message(1, "b"), message(2, "a")],
            &[message(1, "a"), message(3, "b")],
            &[message(1, "a"), message(2, "b"), message(3, "a")],
        ];

        for history in broken {
            let ledger = told_twice();
            ledger.check_history(0, history);
            assert!(!ledger.verdict().2.is_empty(), "{history:?}");
        }
    }

    #[test]
    fn members_that_saw_different_things_are_found() {
        let ledger = Ledger::new(1);
        ledger.saw(0, &message(1, "a"));

        ledger.saw(0, &message(1, "b"));

        assert_eq!(ledger.verdict().2.len(), 1);
    }

    fn told_twice() -> Ledger {
        let ledger = Ledger::new(1);
        for (seq, content) in [(1, "a"), (2, "b")] {
            let reply = json!({"epoch": "e", "seq": seq, "id": content});
            ledger.acknowledged(0, content, &reply);
        }
        ledger
    }

    fn message(seq: u64, content: &str) -> Value {
        json!({"seq": seq, "id": content, "content": content})
    }
}
