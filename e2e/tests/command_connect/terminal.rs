//! On a terminal: the editor, its history, and what comes while one types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nuncio_e2e::program::program;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;

use crate::peer::{Peer, Visitor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_is_sent_kept_and_recalled() {
    let peer = Peer::listen().await;
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&[&peer.url()], &state);
    let before = terminal.modes();
    let mut server = peer.accept().await;
    terminal.until("Connected to");

    terminal.type_in("hello\r");
    answer(&mut server, "hello").await;
    terminal.until("< hello");
    // The arrow up, then Enter.
    terminal.type_in("\u{1b}[A\r");
    answer(&mut server, "hello").await;
    terminal.type_in("/binary 0102\r");
    assert_eq!(server.receive().await, Message::binary(vec![1, 2]));
    terminal.type_in("{\"type\":\"auth\",\"token\":\"s3cret\"}\r");
    assert!(server.receive().await.is_text());
    terminal.type_in("/nonsense\r");
    terminal.until("no command \"/nonsense\"");
    // Ctrl-D.
    terminal.type_in("\u{4}");
    let frame = server.echo().await;

    assert_eq!(frame.map(|frame| u16::from(frame.code)), Some(1000));
    terminal.until("Closed with 1000 (normal closure)");
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(terminal.modes(), before, "the terminal is as it was");
    let history = std::fs::read_to_string(state.path().join("nuncio/connect_history")).unwrap();
    assert!(
        history.contains("hello") && history.contains("/binary 0102"),
        "{history}"
    );
    assert!(!history.contains("s3cret"), "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_one_types_is_shown_above_the_line() {
    let peer = Peer::listen().await;
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&[&peer.url(), "--no-history"], &state);
    let mut server = peer.accept().await;
    terminal.until("Connected to");
    terminal.type_in("half a li");
    terminal.until("half a li");

    server.send("news").await;
    terminal.until("< news");
    terminal.until_after("< news", "half a li");
    terminal.type_in("ne\r");

    assert_eq!(server.receive().await, Message::text("half a line"));
    // The last words of a server are seen before the end.
    server.send("last words").await;
    server.close(1011, "").await;
    assert_eq!(terminal.end(), Some(5));
    let seen = terminal.seen();
    assert!(
        seen.contains("< last words") && seen.contains("Closed with 1011"),
        "{seen}"
    );
    assert!(!state.path().join("nuncio/connect_history").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_closes_and_a_second_one_does_not_wait() {
    let peer = Peer::listen().await;
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&[&peer.url()], &state);
    let silent = peer.accept().await;
    terminal.until("Connected to");

    terminal.type_in("\u{3}");
    terminal.type_in("\u{3}");

    assert_eq!(terminal.end(), Some(0));
    drop(silent);
}

async fn answer(server: &mut Visitor, text: &str) {
    let message = server.receive().await;
    assert_eq!(message, Message::text(text));
    server.send(message).await;
}

/// The program on a pseudo-terminal, and what it has shown.
struct Terminal {
    keyboard: File,
    screen: OwnedFd,
    shown: Arc<(Mutex<Vec<u8>>, Condvar)>,
    process: Child,
}

impl Terminal {
    fn start(args: &[&str], state: &TempDir) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let screen = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&screen, size).unwrap();
        let end = || Stdio::from(screen.try_clone().unwrap());
        let process = Command::new(program())
            .arg("connect")
            .args(args)
            .env("XDG_STATE_HOME", state.path())
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .env_remove("NUNCIO_TOKEN")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keyboard = File::from(keyboard);
        let shown = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        watch(keyboard.try_clone().unwrap(), shown.clone());
        Self {
            keyboard,
            screen,
            shown,
            process,
        }
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn until(&self, text: &str) {
        self.until_seen(text, |seen| seen.contains(text));
    }

    /// Waits until the second text is shown after the first one.
    fn until_after(&self, first: &str, second: &str) {
        self.until_seen(second, |seen| {
            seen.find(first)
                .is_some_and(|place| seen[place..].contains(second))
        });
    }

    fn until_seen(&self, what: &str, has: impl Fn(&str) -> bool) {
        let (shown, changed) = &*self.shown;
        let seen = shown.lock().unwrap();
        let lacks = |seen: &mut Vec<u8>| !has(&String::from_utf8_lossy(seen));
        let (seen, waited) = changed.wait_timeout_while(seen, LONGEST, lacks).unwrap();
        assert!(
            !waited.timed_out(),
            "no {what:?} in {:?}",
            String::from_utf8_lossy(&seen)
        );
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.shown.0.lock().unwrap()).into_owned()
    }

    fn modes(&self) -> String {
        let modes = tcgetattr(&self.screen).unwrap();
        format!(
            "{:?} {:?} {:?}",
            modes.input_modes, modes.output_modes, modes.local_modes
        )
    }

    /// Waits for the end, and until all that was shown is seen.
    fn end(&mut self) -> Option<i32> {
        let code = self.process.wait().unwrap().code();
        rustix::io::write(&self.screen, END.as_bytes()).unwrap();
        self.until(END);
        code
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads what is shown, in a thread that ends with the terminal.
fn watch(mut keyboard: File, shown: Arc<(Mutex<Vec<u8>>, Condvar)>) {
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = keyboard.read(&mut piece) {
            shown.0.lock().unwrap().extend_from_slice(&piece[..count]);
            shown.1.notify_all();
        }
    });
}

/// Written by the test behind the program's last words.
const END: &str = "[the end of the test]";

const LONGEST: Duration = Duration::from_secs(30);
