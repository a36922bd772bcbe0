//! The guide's chat, driven by the backends under `examples/` alone.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use nuncio_e2e::server::free_address;
use nuncio_e2e::{Client, PATIENCE, program};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

#[tokio::test]
async fn the_chat_is_driven_by_a_backend_in_python() {
    let backend = Example::start("python3", "backend-python/backend.py").await;

    chat(backend).await;
}

#[tokio::test]
async fn the_chat_is_driven_by_a_backend_in_node() {
    let backend = Example::start("node", "backend-node/backend.mjs").await;

    chat(backend).await;
}

async fn chat(mut backend: Example) {
    let url = |session: &str| format!("ws://{}/ws?token={session}", backend.address);
    let stranger = nuncio_e2e::http::upgrade(backend.address, "/ws?token=stranger", &[]).await;
    assert_eq!((stranger.status, &*stranger.text()), (401, "Log in first"));

    let (mut ann, entered) = Client::enter(&url("session-of-ann")).await;
    assert_eq!(entered["user"]["sub"], "ann");
    let welcome = ann.expect("chat:message").await;
    assert_eq!(welcome["content"], "Welcome, ann!");
    assert!(
        welcome["userId"].is_null(),
        "the backend says it by the API"
    );
    ann.join("staff").await;
    let (mut bob, _) = Client::enter(&url("session-of-bob")).await;

    let refused = bob
        .refused(json!({"type": "room:join", "roomId": "staff"}))
        .await;
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("FORBIDDEN"), &json!("Staff only"))
    );
    bob.publish("lobby", "damn it").await;
    let rewritten =
        ann.find(|message| message["userId"] == "bob" && message["type"] == "chat:message");
    assert_eq!(rewritten.await["content"], "**** it");
    let sum = bob
        .call(json!({"type": "event", "event": "add", "data": [1, 2, 3]}))
        .await;
    assert_eq!(sum["data"], 6);

    bob.close().await;
    assert_eq!(backend.line().await, "disconnected bob 1005");
    ann.close().await;
    assert_eq!(backend.line().await, "disconnected ann 1005", "each once");
    assert_eq!(backend.stop().await, Vec::<String>::new());
}

/// An example at work, with the server beside it.
struct Example {
    address: SocketAddr,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _folder: tempfile::TempDir,
}

impl Example {
    async fn start(interpreter: &str, file: &str) -> Self {
        let (address, backend) = (free_address(), free_address());
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let folder = tempfile::tempdir().unwrap();
        let hooks = format!("http://{backend}/hooks");
        let on = r#"on=["connect","join","publish","call"]"#;
        let server = tokio::task::spawn_blocking(program::program).await.unwrap();
        let mut process = Command::new(interpreter)
            .arg(examples.join(file))
            .env("NUNCIO", server)
            .env("BACKEND", backend.to_string())
            .env("API", format!("http://{address}/api/v1"))
            .env("NUNCIO_SERVER_LISTEN", address.to_string())
            .env("NUNCIO_STORE_PATH", folder.path().join("data"))
            .env("NUNCIO_LOG_LEVEL", "error")
            .env("NUNCIO_HOOKS_RULES", format!("[{{{on},url=\"{hooks}\"}}]"))
            .env("NUNCIO_HOOKS_EVENTS", format!("[{{url=\"{hooks}\"}}]"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let example = Self {
            address,
            process,
            lines,
            _folder: folder,
        };
        example.wait_until_ready().await;
        example
    }

    async fn wait_until_ready(&self) {
        let deadline = tokio::time::Instant::now() + 3 * PATIENCE;
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the example does not start"
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// The next line that it prints.
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line());
        line.await.unwrap().unwrap().unwrap()
    }

    /// Ends it and its server, and returns what it still printed.
    async fn stop(mut self) -> Vec<String> {
        let pid = Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let mut rest = Vec::new();
        while let Ok(Some(line)) = self.lines.next_line().await {
            rest.push(line);
        }
        self.process.wait().await.unwrap();
        rest
    }
}
