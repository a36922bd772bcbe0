//! What an observer is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nuncio_hub::{End, Member, MemoryBroker, Observer, RoomKey, Rooms};
use nuncio_model::{HistoryLimits, Namespace, Publication, RoomLimits, UserId};

use crate::hall::Hall;
use crate::wire::Wire;

#[test]
fn a_session_is_told_of_from_its_first_room_to_the_end_of_its_grace() {
    let (mut hall, heard) = observed();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    hall.publish("lobby", 1);

    hall.node.disconnect(&ann, End::Ended, hall.now);

    assert_eq!(
        heard.take(),
        [
            "online ann",
            "occupied lobby",
            "joined lobby ann",
            "published lobby",
            "left lobby ann",
            "vacated lobby"
        ]
    );
    hall.wait(GRACE);
    assert_eq!(heard.take(), ["offline ann"]);
}

#[test]
fn a_lost_session_that_comes_back_in_time_neither_vacates_its_room_nor_goes_offline() {
    let (mut hall, heard) = observed();
    let ann = hall.enter("ann");
    hall.join(&ann, "lobby");
    heard.take();

    hall.node.disconnect(&ann, End::Lost, hall.now);
    let again = hall.enter("ann");
    hall.join(&again, "lobby");
    hall.wait(GRACE);

    assert_eq!(heard.take(), ["left lobby ann", "joined lobby ann"]);
    hall.node.disconnect(&again, End::Lost, hall.now);
    assert_eq!(heard.take(), ["left lobby ann"]);
    hall.wait(GRACE);
    assert_eq!(heard.take(), ["vacated lobby", "offline ann"]);
}

#[test]
fn who_joins_again_or_shares_a_user_is_no_news() {
    let (hall, heard) = observed();
    let (ann, other) = (hall.enter("ann"), hall.enter("ann"));
    hall.join(&ann, "lobby");
    heard.take();

    hall.join(&ann, "lobby");
    assert_eq!(heard.take(), [""; 0]);
    hall.join(&other, "lobby");
    assert_eq!(heard.take(), ["joined lobby ann"]);
    hall.leave(&ann, "lobby");
    assert_eq!(heard.take(), ["left lobby ann"]);
}

const GRACE: Duration = Duration::from_secs(6);

fn observed() -> (Hall, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let idle_max = MemoryBroker::<Rooms<Wire>>::IDLE_MAX;
    let observer = Some(heard.clone() as Arc<dyn Observer>);
    let hall = Hall::observed(
        RoomLimits::default(),
        HistoryLimits::default(),
        idle_max,
        observer,
    );
    (hall, heard)
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Heard {
    fn joined(&self, room: &RoomKey, member: Member<'_>) {
        self.note(format!("joined {} {}", &*room.room, &**member.user));
    }

    fn left(&self, room: &RoomKey, member: Member<'_>) {
        self.note(format!("left {} {}", &*room.room, &**member.user));
    }

    fn occupied(&self, room: &RoomKey) {
        self.note(format!("occupied {}", &*room.room));
    }

    fn vacated(&self, room: &RoomKey) {
        self.note(format!("vacated {}", &*room.room));
    }

    fn online(&self, _: &Namespace, user: &UserId) {
        self.note(format!("online {}", &**user));
    }

    fn offline(&self, _: &Namespace, user: &UserId) {
        self.note(format!("offline {}", &**user));
    }

    fn published(&self, publication: &Arc<Publication>) {
        self.note(format!("published {}", &*publication.room));
    }
}
