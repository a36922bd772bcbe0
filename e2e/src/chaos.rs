//! Many clients, bad luck, and a check of everything they were promised.
//!
//! Members publish in their rooms while sockets are cut at random and the server is killed and started again on the same data. Each
//! member rejoins as a good client does; a ledger compares what all of them saw and were told.

mod ledger;
mod member;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::luck::Luck;
use crate::program::Program;
use ledger::Ledger;
use member::{Counts, Member, Progress};

/// How bad the luck is, and for how many.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Members in all.
    pub members: usize,
    /// Rooms, which the members share evenly.
    pub rooms: usize,
    /// How long they publish.
    pub time: Duration,
    /// Mean pause between two publications of a member.
    pub publish_pause: Duration,
    /// Pause between two cuts of a random member's socket.
    pub cut_pause: Duration,
    /// How often the server is killed and started again, evenly over the time.
    pub kills: u32,
}

/// What happened, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Report {
    /// Publications that were acknowledged.
    pub acknowledged: usize,
    /// Publications in the final histories.
    pub published: usize,
    /// What the members counted, added up.
    pub counts: Counts,
    /// Sockets that were cut.
    pub cuts: usize,
    /// How long the last member took to know everything after the last publication.
    pub settled_in: Duration,
    /// Broken promises, in words; there must be none.
    pub findings: Vec<String>,
}

/// Histories that hold the whole run, and no limit on a member's rate.
const SETTINGS: [&str; 4] = [
    "limits.rate_per_second=0",
    "history.messages=100000",
    "history.bytes=64MiB",
    "server.parked_ttl=10s",
];

/// How long the members may take to know everything, once nothing is published any more.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// What the members are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Publish.
    Publishing,
    /// Repeat what was not acknowledged, and listen.
    Settling,
    /// Leave.
    Over,
}

/// Runs the plan against a server of its own.
///
/// # Panics
/// When the server does not start, or a member's task panics.
pub async fn run(plan: Plan) -> Report {
    let mut server = Program::start(&SETTINGS);
    let ledger = Arc::new(Ledger::new(plan.rooms));
    let (phase, phases) = watch::channel(Phase::Publishing);
    let (mut crowd, mut tasks) = (Vec::new(), Vec::new());
    for index in 0..plan.members {
        let member = Member::new(
            index,
            &plan,
            server.address,
            Arc::clone(&ledger),
            phases.clone(),
        );
        crowd.push((member.room(), member.cut(), member.progress()));
        tasks.push(tokio::spawn(member.run()));
    }

    let cuts = misfortune(&plan, &mut server, &crowd).await;
    phase.send_replace(Phase::Settling);
    let settled_in = settle(&crowd, &ledger).await;
    member::check_histories(server.address, &ledger, plan.rooms).await;
    phase.send_replace(Phase::Over);
    let mut counts = Counts::default();
    for task in tasks {
        counts.add(&task.await.expect("a member does not panic"));
    }
    let (acknowledged, published, findings) = ledger.verdict();
    Report {
        acknowledged,
        published,
        counts,
        cuts,
        settled_in,
        findings,
    }
}

/// Of each member: its room, how to cut it, how far it is.
type Crowd = [(usize, Arc<Notify>, Arc<Progress>)];

/// Cuts sockets and kills the server until the time is over. Returns the number of cuts.
async fn misfortune(plan: &Plan, server: &mut Program, crowd: &Crowd) -> usize {
    let begin = Instant::now();
    let mut luck = Luck::new(1);
    let mut cuts = 0;
    for round in 1..=plan.kills + 1 {
        let end = begin + plan.time * round / (plan.kills + 1);
        while Instant::now() < end {
            sleep_until(end.min(Instant::now() + plan.cut_pause)).await;
            crowd[luck.below(crowd.len())].1.notify_one();
            cuts += 1;
        }
        if round <= plan.kills {
            tokio::task::block_in_place(|| {
                server.kill();
                server.start_again();
            });
        }
    }
    cuts
}

/// Waits until everything is acknowledged and everybody has seen it, or for as long as that may take.
async fn settle(crowd: &Crowd, ledger: &Ledger) -> Duration {
    let begin = Instant::now();
    loop {
        let newest = ledger.newest();
        let late = crowd.iter().filter(|(room, _, progress)| {
            progress.waits.load(Ordering::Relaxed)
                || progress.seq.load(Ordering::Relaxed) < newest[*room]
        });
        let late = late.count();
        if late == 0 {
            return begin.elapsed();
        }
        if begin.elapsed() > SETTLE_MAX {
            ledger.found(format!(
                "{late} members still miss something after {SETTLE_MAX:?}"
            ));
            return begin.elapsed();
        }
        sleep(Duration::from_millis(50)).await;
    }
}
