//! The program on a pseudo-terminal, as somebody would see it who sits before it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::PATIENCE;

/// A program whose input and output are a terminal; it is killed when it is dropped.
pub struct Terminal {
    keyboard: File,
    /// The program's side, kept open so that its modes can be looked at.
    device: OwnedFd,
    output: Receiver<Vec<u8>>,
    shown: String,
    program: Child,
}

impl Terminal {
    /// Starts a program on a terminal of this size.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the program does not start.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let controller =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&controller).expect("it is ours");
        unlockpt(&controller).expect("it is ours");
        let name = ptsname(&controller, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let device = open(name.as_c_str(), flags, Mode::empty()).expect("it can be opened");
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&device, size).expect("it has a size");
        let end = || File::from(device.try_clone().expect("a descriptor"));
        let program = command
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the program starts");
        let keyboard = File::from(controller);
        let mut screen = keyboard.try_clone().expect("a descriptor");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard,
            device,
            output,
            shown: String::new(),
            program,
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("the terminal is there");
    }

    /// Waits until what is seen now has a text, and returns the lines.
    ///
    /// # Panics
    /// When it never has.
    pub fn wait_for(&mut self, text: &str) -> Vec<String> {
        self.wait_until(text, |lines| lines.iter().any(|line| line.contains(text)))
    }

    /// Waits until what is seen now is as it should be, which `what` says in words.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_until(&mut self, what: &str, is: impl Fn(&[String]) -> bool) -> Vec<String> {
        let late = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines();
            if is(&lines) {
                return lines;
            }
            let left = late.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.shown += &String::from_utf8_lossy(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} is not seen in\n{}", lines.join("\n"))
                }
            }
        }
    }

    /// Waits for the end of the program, and returns all that it wrote.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let late = Instant::now() + PATIENCE;
        let status = loop {
            while let Ok(bytes) = self.output.try_recv() {
                self.shown += &String::from_utf8_lossy(&bytes);
            }
            if let Some(status) = self.program.try_wait().expect("it is ours") {
                break status;
            }
            assert!(Instant::now() < late, "the program goes on");
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        // What it wrote last is read by a thread of its own, which ends only with the terminal.
        while let Ok(bytes) = self
            .output
            .recv_timeout(std::time::Duration::from_millis(200))
        {
            self.shown += &String::from_utf8_lossy(&bytes);
        }
        (status, std::mem::take(&mut self.shown))
    }

    /// Whether lines are edited by the terminal and shown as they are typed, as a shell leaves it.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.device).expect("the terminal is there");
        let wanted = LocalModes::ICANON | LocalModes::ECHO;
        modes.local_modes.contains(wanted)
    }

    /// What is seen, without colours: of a program that draws screens, the last that is whole, from the corner to where the rest is cleared.
    fn lines(&self) -> Vec<String> {
        let draws = self.shown.contains("\x1b[H");
        let all = if draws { 0 } else { self.shown.len() };
        let end = self.shown.rfind("\x1b[J").unwrap_or(all);
        let frame = self.shown[..end].rsplit("\x1b[H").next();
        let frame = frame.unwrap_or_default();
        plain(frame).lines().map(str::to_owned).collect()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// A text without what commands the terminal (ECMA-48 §5.4), and with plain line ends.
pub fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|sign: char| ('\x40'..='\x7e').contains(&sign));
        plain += end.map_or("", |end| &part[end + 1..]);
    }
    plain.replace("\r\n", "\n")
}
