//! `nuncio` as a user starts and ends it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

#[test]
fn without_arguments_it_is_the_demo_and_says_so() {
    let demo = Demo::start();

    let page = demo.request("GET / HTTP/1.1", "");
    let token = demo.request("POST /demo/token HTTP/1.1", r#"{"name":"ann"}"#);

    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(token.contains(r#"{"token":"#), "{token}");
    assert!(demo.notice.contains("This is the demo"), "{}", demo.notice);
}

#[test]
fn a_token_of_the_command_line_is_let_in() {
    let demo = Demo::start();
    let minted = nuncio(demo.folder.path())
        .args(["token", "--user", "ann"])
        .output()
        .unwrap();
    let token = String::from_utf8(minted.stdout).unwrap();

    let good = demo.upgrade(&format!("/ws?token={}", token.trim()), "", "");
    let bad = demo.upgrade("/ws?token=not.a.token", "", "Invalid token");

    assert!(good.starts_with("HTTP/1.1 101 "), "{good}");
    assert!(
        bad.starts_with("HTTP/1.1 401 ") && bad.contains("Invalid token"),
        "{bad}"
    );
}

#[test]
fn a_page_of_another_origin_is_refused_before_the_upgrade() {
    let demo = Demo::start();

    let foreign = demo.upgrade("/ws", "Origin: https://evil.test", "not allowed");

    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
}

#[test]
fn sigterm_and_sigint_end_it_in_good_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut demo = Demo::start();
        demo.request("GET /healthz HTTP/1.1", "");

        kill_process(demo.pid(), signal).unwrap();

        assert!(demo.child.wait().unwrap().success(), "{signal:?}");
        let mut log = String::new();
        demo.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert!(log.contains("Server closed"), "{log}");
    }
}

#[test]
fn the_demo_does_not_listen_where_other_machines_reach_it() {
    let folder = tempfile::tempdir().unwrap();

    let output = nuncio(folder.path())
        .args(["serve", "--listen", "0.0.0.0:0"])
        .output()
        .unwrap();

    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("set auth.secrets") && text.contains("127.0.0.1"),
        "{text}"
    );
}

#[test]
fn an_address_in_use_is_named_with_the_way_out() {
    let demo = Demo::start();
    let folder = tempfile::tempdir().unwrap();

    let output = nuncio(folder.path())
        .args(["--listen", &demo.address])
        .output()
        .unwrap();

    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&demo.address) && text.contains("--listen"),
        "{text}"
    );
}

/// A server on a free port, in a folder of its own; it ends with the test.
struct Demo {
    folder: TempDir,
    child: Child,
    address: String,
    notice: String,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = nuncio(folder.path())
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let notice: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
        let notice = notice.join("\n");
        let after = notice
            .split_once("http://")
            .expect("the notice has the address")
            .1;
        let address = after.split_once('/').unwrap().0.to_owned();
        Self {
            folder,
            child,
            address,
            notice,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Asks for a WebSocket; a refusal is read as far as `reason`.
    fn upgrade(&self, target: &str, header: &str, reason: &str) -> String {
        let headers = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            header,
        ];
        let headers = headers.join("\r\n");
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let end = if header.is_empty() {
            "\r\n"
        } else {
            "\r\n\r\n"
        };
        write!(
            stream,
            "GET {target} HTTP/1.1\r\nHost: {}\r\n{headers}{end}",
            self.address
        )
        .unwrap();
        let mut response = String::new();
        let mut packet = [0; 4096];
        while !(response.contains("\r\n\r\n") && response.contains(reason)) {
            let len = stream.read(&mut packet).unwrap();
            assert!(len > 0, "{response}");
            response += &String::from_utf8_lossy(&packet[..len]);
        }
        response
    }

    fn request(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{head}\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        String::from_utf8_lossy(&response).into_owned()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nuncio(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuncio"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCIO_"))
    {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}
