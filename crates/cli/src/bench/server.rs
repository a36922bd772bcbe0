//! The server under test: started fresh for each measurement, or one that runs already.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::Pid;
use tempfile::TempDir;

use super::backend::KEY;
use super::process::on_core;

/// Which server is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// Command line that starts the server; `{port}` is filled in, and its settings are in the environment (`NUNCIO_SERVER_LISTEN`, …).
    /// Without it, this program's own `serve`.
    #[arg(long, value_name = "COMMAND", conflicts_with = "url")]
    server: Option<String>,
    /// Measure a server that runs already, its limits lifted, e.g. `ws://127.0.0.1:8080`; its `--pid` is needed too.
    #[arg(long, requires = "pid")]
    url: Option<String>,
    /// Process of the server at `--url`.
    #[arg(long, requires = "url")]
    pid: Option<i32>,
    /// Token that every connection uses. Without it, each gets a user and a token of its own from `POST /demo/token`.
    #[arg(long)]
    pub(crate) token: Option<String>,
}

impl ServerArgs {
    /// The server to start or to find.
    pub(crate) fn subject(&self) -> Result<Subject> {
        if let (Some(url), Some(pid)) = (&self.url, self.pid) {
            let pid = Pid::from_raw(pid).with_context(|| format!("{pid} is no process"))?;
            return Ok(Subject::Running {
                address: address_of(url)?,
                pid,
            });
        }
        match &self.server {
            Some(line) => Ok(Subject::command(line)),
            None => Subject::this_program(),
        }
    }
}

/// How to come by a server.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// Program and arguments, with `{port}` to be filled in.
    Command(Vec<String>),
    /// It runs and is left running.
    Running { address: SocketAddr, pid: Pid },
}

impl Subject {
    /// The server that a command line starts.
    pub(crate) fn command(line: &str) -> Self {
        Self::Command(line.split_whitespace().map(str::to_owned).collect())
    }

    fn this_program() -> Result<Self> {
        let program = std::env::current_exe()?
            .to_str()
            .context("this program's path is not UTF-8")?
            .to_owned();
        Ok(Self::Command(vec![program, "serve".into()]))
    }

    /// A floor: it takes its port and nothing else.
    pub(crate) fn floor(program: &Path) -> Result<Self> {
        if !program.exists() {
            bail!(
                "there is no {}: cargo build --release -p nuncio-benches",
                program.display()
            );
        }
        let program = program
            .to_str()
            .context("the floor's path is not UTF-8")?
            .to_owned();
        Ok(Self::Command(vec![program, "{port}".into()]))
    }

    /// Starts it, or finds it, and waits until it accepts connections.
    pub(crate) fn start(&self, terms: &Terms<'_>) -> Result<Server> {
        match self {
            Self::Running { address, pid } => Ok(Server {
                address: *address,
                pid: *pid,
                spawned: None,
            }),
            Self::Command(line) => spawn(line, terms),
        }
    }
}

/// What a started server is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// Where rooms keep their history.
    pub(crate) history: History,
    /// A folder for its configuration, data and log is made in here, and removed with the server.
    pub(crate) folder: &'a Path,
    /// The one core it may use; `None` for all.
    pub(crate) core: Option<usize>,
}

/// Where the measured rooms keep their history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// As the targets for memory and processor time want it.
    Memory,
    /// In the embedded store.
    Durable,
}

/// A server that accepts connections. One that was started here ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pid: Pid,
    spawned: Option<Spawned>,
}

#[derive(Debug)]
struct Spawned {
    child: Child,
    folder: TempDir,
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // It fails only for a process that has ended, and then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(line: &[String], terms: &Terms<'_>) -> Result<Server> {
    let folder = tempfile::Builder::new()
        .prefix("nuncio-bench-")
        .tempdir_in(terms.folder)?;
    let address = free_address()?;
    let mut command = command(line, address)?;
    let log = File::create(folder.path().join("log"))?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir(folder.path())
        .envs(settings(address, terms.history));
    let child = on_core(terms.core, || command.spawn())?
        .with_context(|| format!("starting {command:?}"))?;

    let pid = Pid::from_child(&child);
    let mut spawned = Spawned { child, folder };
    spawned.wait_until_it_accepts(address)?;
    Ok(Server {
        address,
        pid,
        spawned: Some(spawned),
    })
}

fn command(line: &[String], address: SocketAddr) -> Result<Command> {
    let (program, arguments) = line
        .split_first()
        .context("an empty command line for the server")?;
    // It runs in a folder of its own, where a relative path would lead elsewhere; a bare name is looked up in the PATH.
    let program = if program.contains('/') {
        fs::canonicalize(program).with_context(|| format!("there is no {program}"))?
    } else {
        program.into()
    };
    let mut command = Command::new(program);
    command.args(
        arguments
            .iter()
            .map(|word| word.replace("{port}", &address.port().to_string())),
    );
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NUNCIO_")) {
        command.env_remove(name);
    }
    Ok(command)
}

impl Spawned {
    fn wait_until_it_accepts(&mut self, address: SocketAddr) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > START_MAX {
                let state = ended.map_or_else(
                    || "does not accept connections".to_owned(),
                    |status| format!("ended: {status}"),
                );
                bail!("the server {state}\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Server {
    /// `failure` with what the server wrote, where it was started here.
    pub(crate) fn explain(&self, failure: anyhow::Error) -> anyhow::Error {
        match self.spawned.as_ref().map(Spawned::log) {
            Some(log) if !log.is_empty() => failure.context(format!("the server's log:\n{log}")),
            _ => failure,
        }
    }
}

/// The settings of a measured server: the demo, which gives tokens to whoever asks, and no limit that a load would meet. Its
/// data is in the folder where it runs.
fn settings(listen: SocketAddr, history: History) -> [(&'static str, String); 8] {
    let store = match history {
        History::Memory => "false",
        History::Durable => "true",
    };
    [
        ("NUNCIO_SERVER_LISTEN", listen.to_string()),
        ("NUNCIO_STORE_ENABLED", store.to_owned()),
        ("NUNCIO_LIMITS_RATE_PER_SECOND", "0".to_owned()),
        ("NUNCIO_LIMITS_SESSIONS_PER_USER", "1000000".to_owned()),
        ("NUNCIO_LOG_LEVEL", "warn".to_owned()),
        ("NUNCIO_STREAMS_POLL_WAIT", "1h".to_owned()),
        (
            "NUNCIO_ROOMS",
            format!(r#"[{{ pattern = "{QUIET}-*", presence = false }}]"#),
        ),
        (
            "NUNCIO_API_KEYS",
            format!(r#"[{{ name = "bench", key = "{KEY}", scopes = ["publish"] }}]"#),
        ),
    ]
}

/// What the names of rooms begin with that announce nobody.
pub(crate) const QUIET: &str = "quiet";

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn address_of(url: &str) -> Result<SocketAddr> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    host.to_socket_addrs()
        .with_context(|| format!("{url}: expected host:port"))?
        .next()
        .with_context(|| format!("{host} has no address"))
}

const START_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_the_address_of_its_host_and_port() {
        assert_eq!(
            address_of("ws://127.0.0.1:8080/ws").unwrap(),
            SocketAddr::from(([127, 0, 0, 1], 8080))
        );
        assert!(address_of("ws://127.0.0.1").is_err());
    }

    #[test]
    fn a_missing_floor_says_how_to_build_it() {
        let error = Subject::floor(Path::new("/nowhere/floor_plain")).unwrap_err();

        assert!(
            error
                .to_string()
                .contains("cargo build --release -p nuncio-benches"),
            "{error}"
        );
    }
}
