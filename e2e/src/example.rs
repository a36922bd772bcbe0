//! A program of the folder `examples`, as a process of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The secret that examples are given as `JWT_SECRET`.
pub const SECRET: &str = "a secret of at least thirty-two bytes";

/// A running example; it is killed when it is dropped.
pub struct Example {
    /// Where it listens.
    pub address: SocketAddr,
    process: Child,
}

impl Example {
    /// Builds and starts an example, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(name: &str) -> Self {
        let address = free_address();
        let process = Command::new(build(name))
            .arg(address.to_string())
            .env("NUNCIO_SERVER_LISTEN", address.to_string())
            .env("JWT_SECRET", SECRET)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the example starts");
        let mut example = Self { address, process };
        let late = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            let ended = example.process.try_wait().expect("it is our process");
            assert!(ended.is_none(), "{name} ended: {ended:?}");
            assert!(Instant::now() < late, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        example
    }

    /// Interrupts it, as Ctrl+C does.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn interrupt(&self) {
        use rustix::process::{Pid, Signal, kill_process};

        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::INT).expect("it is our process");
    }

    /// Waits for its end: whether it ended well.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn ended_well(&mut self) -> bool {
        self.process.wait().expect("it is our process").success()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Builds an example, and says where it is.
///
/// # Panics
/// When it does not build.
pub fn build(name: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--package", "nuncio", "--message-format=json"])
        .args(["--example", name])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{name} does not build");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().expect("it is a program")
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}
