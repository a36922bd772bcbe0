//! The Rust client against the server: cut connections, killed servers, and a thousand that come back.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nuncio_client::model::{Json, RoomName};
use nuncio_client::{Client, Config, Event, Events, JoinFrom};
use nuncio_e2e::luck::Luck;
use nuncio_e2e::program::raise_file_limit;
use nuncio_e2e::{Cable, PATIENCE, Program, http};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep, timeout};

const MEMBERS: usize = 6;
const ROOMS: [&str; 3] = ["a", "b", "c"];
const CUTS: usize = 200;
const RESTARTS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_200_cuts_and_20_kills_nothing_is_lost_repeated_or_reordered() {
    let settings = ["limits.rate_per_second=0", "history.messages=100000"];
    let mut server = block_in_place(|| Program::start(&settings));
    let cable = Cable::to(server.address).await;
    let mut members = Vec::new();
    for n in 0..MEMBERS {
        members.push(Member::enter(&server, &cable, n).await);
    }

    let (mut luck, mut publishing) = (Luck::new(7), JoinSet::new());
    for cut in 1..=CUTS {
        for burst in 0..3 {
            let client = members[luck.below(MEMBERS)].client.clone();
            let room = ROOMS[luck.below(ROOMS.len())];
            publishing.spawn(publish(client, room, format!("{cut}.{burst}")));
        }
        sleep(luck.around(Duration::from_millis(30))).await;
        cable.cut(luck.below(MEMBERS));
        if cut % (CUTS / RESTARTS) == 0 {
            block_in_place(|| {
                server.kill();
                server.start_again();
            });
        }
    }
    let mut stored: HashMap<&str, Vec<(u64, String)>> = HashMap::new();
    for (room, seq, content) in publishing.join_all().await {
        stored.entry(room).or_default().push((seq, content));
    }

    for messages in stored.values_mut() {
        messages.sort();
        let seqs: Vec<_> = messages.iter().map(|(seq, _)| *seq).collect();
        let all: Vec<_> = (1..=messages.len() as u64).collect();
        assert_eq!(seqs, all, "each is stored once");
    }
    for member in &members {
        member.until_heard(&stored).await;
    }
    for member in members {
        member.client.close().await.unwrap();
        member.listening.await.unwrap();
    }
}

/// Of each room: the numbers and contents of its messages, in the order in which they came.
type Heard = Arc<Mutex<HashMap<String, Vec<(u64, String)>>>>;

/// A client in all rooms, and what it has heard in each.
struct Member {
    client: Client,
    heard: Heard,
    listening: tokio::task::JoinHandle<()>,
}

impl Member {
    async fn enter(server: &Program, cable: &Cable, n: usize) -> Self {
        let mut config = config(server, cable, &format!("user-{n}")).await;
        config.session.backoff.delay_first = Duration::from_millis(100);
        config.session.backoff.delay_max = Duration::from_secs(1);
        config.session.queue_max = 10_000;
        let (client, events) = Client::start(config);
        let heard = Heard::default();
        let listening = tokio::spawn(listen(events, Arc::clone(&heard)));
        for room in ROOMS {
            let room = RoomName::parse(room).unwrap();
            let joined = timeout(PATIENCE, client.join(&room, JoinFrom::Now)).await;
            joined.unwrap().unwrap();
        }
        Self {
            client,
            heard,
            listening,
        }
    }

    /// Waits until it has heard as much as was stored, and compares.
    async fn until_heard(&self, stored: &HashMap<&str, Vec<(u64, String)>>) {
        let deadline = Instant::now() + Duration::from_secs(30);
        for (room, messages) in stored {
            loop {
                let heard = self.heard.lock().unwrap().get(*room).cloned();
                let heard = heard.unwrap_or_default();
                if heard.len() >= messages.len() || Instant::now() > deadline {
                    assert_eq!(heard, *messages, "in {room}");
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn listen(mut events: Events, heard: Heard) {
    while let Some(event) = events.next().await {
        match event {
            Event::Message(message) => {
                let said = (message.seq, message.content.as_str().to_owned());
                let mut heard = heard.lock().unwrap();
                heard
                    .entry(message.room.to_string())
                    .or_default()
                    .push(said);
            }
            Event::Gap { .. } => panic!("{event:?}"),
            _ => {}
        }
    }
}

async fn publish(
    client: Client,
    room: &'static str,
    content: String,
) -> (&'static str, u64, String) {
    let name = RoomName::parse(room).unwrap();
    let content = Json::of(&content);
    // Longer than the client tries by itself: a server may be down for as long as its program takes to start on a busy machine.
    for _ in 0..10 {
        if let Ok(published) = client.publish(&name, content.clone()).await {
            return (room, published.position.seq, content.as_str().to_owned());
        }
    }
    panic!("{content:?} was not published");
}

/// Many that lose the same server, with the pauses that clients have by default.
const CROWD: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_of_a_killed_server_come_back_spread_out() {
    raise_file_limit();
    let settings = ["limits.sessions_per_user=2000"];
    let mut server = block_in_place(|| Program::start(&settings));
    let cable = Cable::to(server.address).await;
    let config = config(&server, &cable, "everybody").await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(Client::start(config.clone()));
    }
    for (_, events) in &mut crowd {
        online(events, PATIENCE).await;
    }
    cable.attempts();

    block_in_place(|| server.kill());
    sleep(Duration::from_secs(5)).await;
    block_in_place(|| server.start_again());
    let back = Instant::now();
    for (_, events) in &mut crowd {
        online(events, Duration::from_secs(60)).await;
    }

    let took = back.elapsed();
    let attempts = cable.attempts();
    let busiest = attempts
        .iter()
        .enumerate()
        .map(|(n, from)| {
            let until = *from + Duration::from_millis(100);
            attempts[n..].partition_point(|at| *at < until)
        })
        .max();
    println!(
        "{} attempts, at most {busiest:?} in 100 ms, all back after {took:?}",
        attempts.len()
    );
    assert!(
        busiest.unwrap() * 100 <= attempts.len() * 15,
        "{busiest:?} in 100 ms"
    );
    assert!(took <= Duration::from_secs(35), "{took:?}");
}

async fn online(events: &mut Events, patience: Duration) {
    let online = async {
        while let Some(event) = events.next().await {
            if let Event::Online { .. } = event {
                return;
            }
        }
        panic!("the client ended");
    };
    timeout(patience, online).await.unwrap();
}

/// A client of the server at the other end of the cable.
async fn config(server: &Program, cable: &Cable, name: &str) -> Config {
    let body = serde_json::json!({ "name": name }).to_string();
    let headers = [("Content-Type", "application/json")];
    let answer = http::ask(server.address, "POST", "/demo/token", &headers, &body).await;
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    Config::new(format!("ws://{}/ws", cable.address)).token(move || {
        let token = token.clone();
        async move { Some(token) }
    })
}
