//! Reference servers as processes of their own, which can be killed, stopped, and started again on the same port: that of
//! Socket.IO (`e2e/socketio/reference.mjs`), and `ws` (`e2e/socketio/ws.mjs`).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A running reference server; it is killed when it is dropped.
pub struct Reference {
    /// Where it listens, also after a restart.
    pub address: SocketAddr,
    script: &'static str,
    options: String,
    process: Child,
}

impl Reference {
    /// Starts Socket.IO with options of `new Server(…)`, and waits until it listens.
    ///
    /// # Panics
    /// When it does not; its packages are installed by `cargo xtask install`.
    pub fn start(options: &Value) -> Self {
        Self::run("reference.mjs", options)
    }

    /// Starts `ws` with options of `new WebSocketServer(…)`, and waits until it listens.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn websocket(options: &Value) -> Self {
        Self::run("ws.mjs", options)
    }

    fn run(script: &'static str, options: &Value) -> Self {
        let options = options.to_string();
        let (process, port) = spawn(script, 0, &options);
        Self {
            script,
            address: ([127, 0, 0, 1], port).into(),
            options,
            process,
        }
    }

    /// Kills it (SIGKILL).
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        self.process
            .wait()
            .expect("the server was started by this process");
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_again(&mut self) {
        (self.process, _) = spawn(self.script, self.address.port(), &self.options);
    }

    /// Freezes it (SIGSTOP): its connections stay, and nothing is said on them. It can be killed, not woken.
    ///
    /// # Panics
    /// When it has ended.
    pub fn freeze(&self) {
        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::STOP).expect("the server runs");
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(script: &str, port: u16, options: &str) -> (Child, u16) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("socketio");
    let mut process = Command::new("node")
        .args([script, &port.to_string(), options])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut line = String::new();
    let output = process.stdout.take().expect("it is piped");
    let read = BufReader::new(output).read_line(&mut line);
    read.expect("its output can be read");
    let port = line.trim().parse();
    (process, port.expect("the reference server says its port"))
}
