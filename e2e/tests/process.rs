//! The program as it is run: what it prints, and how signals end it.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nuncio_e2e::program::program;
use nuncio_e2e::{Client, http};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

#[tokio::test]
async fn it_prints_its_address_and_serves_the_demo_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &[]).await;

    let page = http::get(server.address, "/").await;
    assert_eq!(page.status, 200);
    let (mut ann, _) = Client::enter(&server.url("ann").await).await;
    ann.join("lobby").await;
    ann.publish("lobby", "Hello").await;
    assert!(folder.path().join("nuncio-data").is_dir());
}

#[tokio::test]
async fn sigterm_and_sigint_end_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let server = Running::start(folder.path(), &[]).await;
        let (mut ann, _) = Client::enter(&server.url("ann").await).await;
        ann.publish("lobby", "kept").await;

        server.signal(signal);

        ann.expect("reconnect").await;
        assert_eq!(ann.closed().await.0, 1012);
        assert_eq!(server.ended().await.code(), Some(0), "{signal:?}");
        let server = Running::start(folder.path(), &[]).await;
        let (mut ann, _) = Client::enter(&server.url("ann").await).await;
        assert_eq!(ann.publish("lobby", "next").await["seq"], 2);
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &["server.drain_rate=1"]).await;
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(Client::enter(&server.url(&format!("u{n}")).await).await.0);
    }

    server.signal(Signal::TERM);
    // Twenty at one a second: it is far from done when the first is told.
    let told = clients
        .iter_mut()
        .map(|client| Box::pin(client.expect("reconnect")));
    futures_util::future::select_all(told).await;
    let start = Instant::now();
    server.signal(Signal::TERM);

    assert_eq!(server.ended().await.code(), Some(130));
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn the_demo_refuses_a_public_address_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();

    let output = command(folder.path(), &["server.listen=0.0.0.0:0"])
        .output()
        .await
        .unwrap();

    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("server.listen") && said.contains("auth.secrets"),
        "{said}"
    );
}

#[tokio::test]
async fn a_second_server_on_the_same_data_says_so_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Running::start(folder.path(), &[]).await;

    let second = command(folder.path(), &["server.listen=127.0.0.1:0"])
        .output()
        .await
        .unwrap();

    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use"));
}

struct Running {
    address: SocketAddr,
    child: Child,
}

impl Running {
    async fn start(folder: &Path, settings: &[&str]) -> Self {
        let mut settings = settings.to_vec();
        settings.push("server.listen=127.0.0.1:0");
        let mut child = command(folder, &settings)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        let line = line.expect("it gets ready").unwrap().expect("it says so");
        let url = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("http://"));
        let address = url.expect("an address").trim_end_matches('/').parse();
        Self {
            address: address.unwrap(),
            child,
        }
    }

    /// The endpoint with a token that the demo gave.
    async fn url(&self, user: &str) -> String {
        let body = format!(r#"{{"name":"{user}"}}"#);
        let answer = http::ask(self.address, "POST", "/demo/token", &[], &body)
            .await
            .json();
        format!(
            "ws://{}/ws?token={}",
            self.address,
            answer["token"].as_str().unwrap()
        )
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it runs");
        kill_process(Pid::from_raw(id.cast_signed()).unwrap(), signal).unwrap();
    }

    async fn ended(mut self) -> ExitStatus {
        let ended = tokio::time::timeout(nuncio_e2e::PATIENCE, self.child.wait()).await;
        ended.expect("it ends").unwrap()
    }
}

fn command(folder: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(program());
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
        .current_dir(folder)
        .env("NUNCIO_LOG_LEVEL", "warn")
        .kill_on_drop(true);
    command
}
