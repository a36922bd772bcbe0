//! `nuncio tail` as a script reads it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};

use nuncio_e2e::backend::ADMIN;
use nuncio_e2e::command::{beside, nuncio, run};
use nuncio_e2e::luck::Luck;
use nuncio_e2e::{Backend, Program};
use serde_json::{Value, json};

use crate::start;

/// A command that goes on while the test does; it is killed with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_with_the_history_that_is_asked_for() {
    let server = start().await;
    let backend = Backend::new(&server, ADMIN);
    for content in 1..=5 {
        backend
            .done("/publish", json!({"roomId": "a", "content": content}))
            .await;
    }
    let tail = |more: &[&str]| {
        let done = run(nuncio(&server, ADMIN, &[&["tail", "a"], more].concat()));
        assert_eq!(done.code, 0, "{done:?}");
        done
    };
    let contents = |rows: &[Value]| -> Vec<u64> {
        rows.iter()
            .map(|row| row["content"].as_u64().unwrap())
            .collect()
    };

    let all = tail(&["--max", "5"]).json();
    assert_eq!(contents(&all), [1, 2, 3, 4, 5]);
    assert_eq!(contents(&tail(&["-n", "2", "--max", "2"]).json()), [4, 5]);
    let since = format!("{}.3", all[3]["epoch"].as_str().unwrap());
    assert_eq!(
        contents(&tail(&["--since", &since, "--max", "2"]).json()),
        [4, 5]
    );
    let table = tail(&["-n", "1", "--max", "1", "--format", "table"]);
    assert!(table.out.ends_with("a #5: 5\n"), "{table:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_had_enough_ends_it() {
    let server = start().await;
    let backend = Backend::new(&server, ADMIN);
    backend
        .done("/publish", json!({"roomId": "a", "content": 1}))
        .await;
    let mut command = nuncio(&server, ADMIN, &["tail", "a"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut tail = Running(child);

    let mut line = String::new();
    let mut out = BufReader::new(tail.0.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let late = std::time::Instant::now() + nuncio_e2e::PATIENCE;
    let status = loop {
        backend
            .done("/publish", json!({"roomId": "a", "content": 2}))
            .await;
        if let Some(status) = tail.0.try_wait().unwrap() {
            break status;
        }
        assert!(std::time::Instant::now() < late, "it goes on");
    };

    assert_eq!(status.code(), Some(0));
}

/// Messages of the run.
const MESSAGES: u64 = 600;
/// The server is killed after so many of them each time.
const KILLED_EVERY: u64 = 150;

#[test]
fn a_server_that_is_killed_while_somebody_publishes_costs_the_reader_nothing() {
    let mut server = Program::start(&["limits.rate_per_second=0"]);
    let max = MESSAGES.to_string();
    let mut tail = start_piped(&server, &["tail", "jobs", "--max", &max]);
    let mut publisher = start_piped(&server, &["publish", "jobs", "--lines", "--json"]);
    let mut lines = publisher.0.stdin.take().unwrap();
    let mut read = BufReader::new(tail.0.stdout.take().unwrap()).lines();
    let mut luck = Luck::new(7);

    let mut seen: Vec<Value> = Vec::new();
    let mut said = 0;
    while (seen.len() as u64) < MESSAGES {
        let burst = (said + 1 + luck.below(20) as u64).min(MESSAGES);
        say(&mut lines, said + 1..=burst);
        let is_time = said / KILLED_EVERY < burst / KILLED_EVERY && burst < MESSAGES;
        said = burst;
        if is_time {
            server.kill();
            server.start_again();
        }
        // Before the next burst everything is there, so that each kill meets a tail that follows.
        while (seen.len() as u64) < said {
            let line = read.next().expect("the tail goes on").unwrap();
            seen.push(serde_json::from_str(&line).unwrap());
        }
    }
    drop(lines);

    let contents: Vec<_> = seen
        .iter()
        .map(|row| row["content"].as_u64().unwrap())
        .collect();
    let seqs: Vec<_> = seen
        .iter()
        .map(|row| row["seq"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (1..=MESSAGES).collect();
    assert_eq!(contents, expected);
    assert_eq!(seqs, expected, "nothing is published twice either");
    assert_eq!(tail.0.wait().unwrap().code(), Some(0));
    assert_eq!(publisher.0.wait().unwrap().code(), Some(0));
}

fn start_piped(server: &Program, arguments: &[&str]) -> Running {
    let mut command = beside(server, arguments);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

fn say(lines: &mut ChildStdin, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        writeln!(lines, "{number}").unwrap();
    }
}

#[test]
fn a_gap_that_cannot_be_filled_is_told() {
    let mut server = Program::start(&["store.enabled=false"]);
    run(beside(&server, &["publish", "a", "one"]));
    let mut command = beside(&server, &["tail", "a"]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tail = Running(command.spawn().unwrap());
    let mut out = BufReader::new(tail.0.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&out.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["content"], "one");

    server.kill();
    server.start_again();

    let gap = next();
    assert_eq!(
        (&gap["type"], &gap["recovered"]),
        (&json!("room:position"), &json!(false))
    );
    run(beside(&server, &["publish", "a", "two"]));
    assert_eq!(next()["content"], "two");
    tail.0.kill().unwrap();
    let mut told = String::new();
    std::io::Read::read_to_string(tail.0.stderr.as_mut().unwrap(), &mut told).unwrap();
    assert!(told.contains("messages in a may be missing here"), "{told}");
}
