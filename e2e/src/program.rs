//! The `nuncio` program as a process of its own, which can be killed and started again on the same data.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running demo server with a port and a data folder of its own; it is killed when it is dropped.
pub struct Program {
    /// Where it listens, also after a restart.
    pub address: SocketAddr,
    program: PathBuf,
    folder: TempDir,
    settings: Vec<String>,
    process: Child,
}

/// How long a start may take, the recovery of the data included.
const START_MAX: Duration = Duration::from_secs(30);

impl Program {
    /// Starts the demo with settings such as `limits.rate_per_second=0`, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_another(program(), settings)
    }

    /// The same with another program that takes the same settings.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_another(program: &Path, settings: &[&str]) -> Self {
        let address = free_address();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings: Vec<String> =
            settings.iter().map(|&setting| setting.to_owned()).collect();
        settings.push(format!("server.listen={address}"));
        let process = spawn(program, &folder, &settings);
        let mut program = Self {
            address,
            program: program.to_owned(),
            folder,
            settings,
            process,
        };
        program.wait_until_ready();
        program
    }

    /// Kills it (SIGKILL), as a power cut would.
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

    /// Stops it (SIGTERM), as an operator does, and waits until it has said goodbye.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub fn stop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};

        // An error means that it has ended already.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        self.process
            .wait()
            .expect("the server was started by this process");
    }

    /// Starts it again on the same data and the same port, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn start_again(&mut self) {
        self.process = spawn(&self.program, &self.folder, &self.settings);
        self.wait_until_ready();
    }

    /// Where it runs, and keeps its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of the page.
    pub fn page(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The URL of a WebSocket endpoint such as `/ws`.
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    fn wait_until_ready(&mut self) {
        let late = Instant::now() + START_MAX;
        while !self.is_listening() {
            let ended = self
                .process
                .try_wait()
                .expect("the server was started by this process");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(
                Instant::now() < late,
                "the server is not ready after {START_MAX:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// It listens only once its data is recovered.
    fn is_listening(&self) -> bool {
        std::net::TcpStream::connect(self.address).is_ok()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a file of tests in `e2e/browser` against the program, with the output shown.
///
/// # Panics
/// When a test fails, or the folder's packages are not installed (`cargo xtask install`).
pub fn node_test(file: &str) {
    node_test_in("browser", file);
}

/// The same for a file in another folder of `e2e`.
///
/// # Panics
/// As [`node_test`].
pub fn node_test_in(folder: &str, file: &str) {
    node_test_with(folder, file, "SERVER_BIN", program());
}

/// The same against another program, which the file knows by a variable.
///
/// # Panics
/// As [`node_test`].
pub fn node_test_with(folder: &str, file: &str, variable: &str, program: &Path) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let status = Command::new("node")
        .args(["--test", "--test-reporter=spec", file])
        .current_dir(folder)
        .env(variable, program)
        .stdin(Stdio::null())
        .status()
        .expect("node starts");
    assert!(status.success(), "{file}: {status}");
}

/// Lets this process open as many files as the machine allows it: each connection is one.
///
/// # Panics
/// When the system refuses even that.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may be the hard one");
}

/// The program: what `SERVER_BIN` names, or what Cargo builds now.
///
/// # Panics
/// When it cannot be built.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("SERVER_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--package", "nuncio-cli", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "nuncio does not build");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().expect("the package has a program")
}

fn spawn(program: &Path, folder: &TempDir, settings: &[String]) -> Child {
    let mut command = Command::new(program);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
        .current_dir(folder.path())
        .env("NUNCIO_LOG_LEVEL", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the server's program starts")
}

pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}
