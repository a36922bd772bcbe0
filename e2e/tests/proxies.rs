//! Behind Debian's nginx, with the configurations of `docs/proxies.md` as they stand there.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nuncio_e2e::{Client, TestServer};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

const PAGE: &str = include_str!("../../docs/proxies.md");

/// What visitors may watch.
const PUBLIC: &str = r#"grants.anonymous=[{ rooms = "news:*", allow = ["join", "history"] }]"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_works_with_tls_at_nginx() {
    let (files, server, nginx) = at_nginx().await;

    every_transport(&files, &server, &nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_works_with_tls_at_nuncio() {
    let files = Files::make("nuncio.internal");
    let certificate = format!(
        "server.tls.certificate={}",
        files.path("certificate.pem").display()
    );
    let key = format!("server.tls.key={}", files.path("key.pem").display());
    let server = TestServer::set(&["server.trusted_proxies=127.0.0.1", &certificate, &key]).await;
    let nginx = Nginx::start(
        &files,
        "## TLS at nuncio",
        &[
            ("10.0.0.5:8443", &server.address.to_string()),
            ("/etc/ssl/nuncio-ca.pem", &files.text("certificate.pem")),
        ],
    );

    every_transport(&files, &server, &nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_killed_and_resumed_misses_and_repeats_nothing_in_three_rooms() {
    const KILLS: usize = 12;
    let (files, server, nginx) = at_nginx().await;
    let url = server.url("bob");
    let publishing = tokio::spawn(async move {
        let (mut bob, _) = Client::enter(&url).await;
        let mut last = 0;
        for turn in 0..1500 {
            let room = ["news:a", "news:b", "news:c"][turn % 3];
            last = bob.publish(room, "news").await["seq"].as_u64().unwrap();
        }
        last
    });
    let mut seen = Seen::default();

    for kill in 0..KILLS {
        let mut curl = Curl::start(&files, &nginx, seen.id.as_deref());
        for _ in 0..=kill * 3 {
            seen.take(&curl.line().await);
        }
        curl.process.kill().await.unwrap();
    }
    let last = publishing.await.unwrap();
    let mut curl = Curl::start(&files, &nginx, seen.id.as_deref());
    while !seen.has_all(last) {
        seen.take(&curl.line().await);
    }
}

async fn at_nginx() -> (Files, TestServer, Nginx) {
    let files = Files::make("localhost");
    let server = TestServer::set(&[
        PUBLIC,
        "server.trusted_proxies=127.0.0.1",
        "limits.rate_per_second=0",
        "history.messages=10000",
    ])
    .await;
    let upstream = [("127.0.0.1:8080", &*server.address.to_string())];
    let nginx = Nginx::start(&files, "## TLS at nginx", &upstream);
    (files, server, nginx)
}

/// Runs the clients in Node against the proxy, and looks into its log.
async fn every_transport(files: &Files, server: &TestServer, nginx: &Nginx) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let mut node = Command::new("node");
    node.args(["--test", "proxies.test.mjs"])
        .current_dir(folder)
        .env("PROXY", format!("https://localhost:{}", nginx.port))
        .env("TOKEN_ANN", server.token("ann"))
        .env("TOKEN_BOB", server.token("bob"))
        .env("NODE_EXTRA_CA_CERTS", files.path("certificate.pem"));
    let status = tokio::task::spawn_blocking(move || node.status().unwrap())
        .await
        .unwrap();

    assert!(status.success(), "{}", files.read("error.log"));
    let log = files.read("access.log");
    assert!(log.contains("GET /sse"), "{log}");
    assert!(!log.contains("token"), "a token is in the log: {log}");
}

/// A folder with a certificate and what nginx writes.
struct Files(TempDir);

impl Files {
    fn make(name: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let names = [
            name.to_owned(),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(files.path("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(files.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// nginx with one of the configurations of the page.
struct Nginx {
    port: u16,
    process: Child,
}

impl Nginx {
    fn start(files: &Files, chapter: &str, replacements: &[(&str, &str)]) -> Self {
        let address = free_address();
        let listen = format!("listen {address} ssl;");
        let (certificate, key) = (files.text("certificate.pem"), files.text("key.pem"));
        let log = files.text("access.log");
        let mut config = PAGE
            .split(chapter)
            .nth(1)
            .and_then(|rest| rest.split("```nginx\n").nth(1)?.split("```").next())
            .unwrap()
            .to_owned();
        let own = [
            ("listen 443 ssl;", &*listen),
            ("/etc/ssl/chat.example.com.pem", &certificate),
            ("/etc/ssl/chat.example.com.key", &key),
            ("/var/log/nginx/nuncio.log", &log),
        ];
        for (from, to) in own.iter().chain(replacements) {
            assert!(config.contains(from), "{from} is not in\n{config}");
            config = config.replace(from, to);
        }
        let (pid, errors) = (files.text("nginx.pid"), files.text("error.log"));
        let whole = format!(
            "daemon off;\npid {pid};\nerror_log {errors};\nevents {{}}\nhttp {{\n{config}\n}}\n"
        );
        std::fs::write(files.path("nginx.conf"), whole).unwrap();
        let mut process = Command::new("nginx")
            .args(["-c", &files.text("nginx.conf"), "-e", &errors])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is installed: cargo xtask install");
        while std::net::TcpStream::connect(address).is_err() {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", files.read("error.log"));
            std::thread::yield_now();
        }
        Self {
            port: address.port(),
            process,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM ends the workers too.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// `curl -N` on three rooms.
struct Curl {
    process: tokio::process::Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Curl {
    fn start(files: &Files, nginx: &Nginx, last_id: Option<&str>) -> Self {
        let port = nginx.port;
        let mut command = tokio::process::Command::new("curl");
        command
            .args(["-sSN", "--cacert", &files.text("certificate.pem")])
            .arg(format!(
                "https://localhost:{port}/sse?room=news:a&room=news:b&room=news:c"
            ))
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(id) = last_id {
            command.args(["-H", &format!("Last-Event-ID: {id}")]);
        }
        let mut process = command
            .spawn()
            .expect("curl is installed: cargo xtask install");
        let stdout = process.stdout.take().unwrap();
        Self {
            process,
            lines: BufReader::new(stdout).lines(),
        }
    }

    async fn line(&mut self) -> String {
        tokio::time::timeout(nuncio_e2e::PATIENCE, self.lines.next_line())
            .await
            .expect("something comes")
            .unwrap()
            .expect("the stream goes on")
    }
}

/// What `curl` wrote, line by line: an id counts once its event is whole.
#[derive(Default)]
struct Seen {
    id: Option<String>,
    coming: Option<String>,
    rooms: std::collections::BTreeMap<String, u64>,
}

impl Seen {
    fn take(&mut self, line: &str) {
        if let Some(id) = line.strip_prefix("id: ") {
            if self.rooms.is_empty() {
                self.begin(id);
            }
            self.coming = Some(id.to_owned());
        } else if let Some(data) = line.strip_prefix("data: ") {
            self.message(&serde_json::from_str(data).unwrap());
            self.id = self.coming.take().or(self.id.take());
        }
    }

    /// Where the rooms stand at first: `epoch.seq` of each.
    fn begin(&mut self, id: &str) {
        for (room, place) in ["news:a", "news:b", "news:c"].iter().zip(id.split(',')) {
            let (_, seq) = place.split_once('.').unwrap();
            self.rooms.insert((*room).to_owned(), seq.parse().unwrap());
        }
    }

    fn message(&mut self, message: &serde_json::Value) {
        let room = message["roomId"].as_str().unwrap().to_owned();
        if message["type"] == "room:position" {
            assert_eq!(message["recovered"], true, "{message}");
        } else {
            let last = self.rooms.get_mut(&room).unwrap();
            *last += 1;
            assert_eq!(message["seq"], *last, "missed or repeated: {message}");
        }
    }

    fn has_all(&self, last: u64) -> bool {
        !self.rooms.is_empty() && self.rooms.values().all(|seq| *seq == last)
    }
}
