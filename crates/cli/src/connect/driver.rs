//! Runs between lines, connection and screen until the end.

use std::future::pending;
use std::io;
use std::time::Instant;

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::CLOSE_TIMEOUT;
use super::course::{Course, Next, Readiness, Verdict};
use super::exit::Exit;
use super::happening::{Ending, Happening};
use super::input::{self, Dialect, Input};
use super::screen::Screen;
use super::source::{Line, Reading, Source};
use super::talk::{Talk, Told};

/// One run.
pub(super) struct Driver {
    dialect: Dialect,
    talk: Talk,
    course: Course,
    source: Source,
    screen: Screen,
    signals: Signals,
    /// Set when we close: how it will have ended, and when that takes too long.
    farewell: Option<(Exit, Instant)>,
}

/// What came first.
enum Came {
    Told(Told),
    Line(Line),
    Signal(u8),
    Deadline,
}

impl Driver {
    /// # Errors
    /// When signals cannot be listened for.
    pub(super) fn new(
        dialect: Dialect,
        talk: Talk,
        course: Course,
        source: Source,
        screen: Screen,
    ) -> Result<Self> {
        Ok(Self {
            dialect,
            talk,
            course,
            source,
            screen,
            signals: Signals::new()?,
            farewell: None,
        })
    }

    /// Runs to the end, and gives the terminal back.
    pub(super) async fn run(mut self) -> Exit {
        let exit = loop {
            if let Some(exit) = self.step().await {
                break exit;
            }
        };
        self.screen.finish();
        exit
    }

    /// One thing that is to be done, or that happens; the exit at the end.
    async fn step(&mut self) -> Option<Exit> {
        let deadline = match self.farewell {
            Some((_, deadline)) => Some(deadline),
            None => match self.course.poll(Instant::now(), self.readiness()) {
                Next::Do(input) => return self.perform(input),
                Next::End(verdict) => return self.end(verdict),
                Next::Wait(deadline) => deadline,
            },
        };
        match self.wait(deadline).await {
            Came::Told(Told::Happening(happening)) => self.handle_happening(&happening),
            Came::Told(Told::Progress) => None,
            Came::Told(Told::Failed(problem)) => self.fail(problem),
            Came::Told(Told::End(ending)) => Some(self.handle_end(&ending)),
            Came::Line(line) => self.handle_line(line),
            Came::Signal(number) => self.leave(Exit::Signal(number)),
            Came::Deadline => match self.farewell {
                Some((exit, deadline)) if deadline <= Instant::now() => Some(exit),
                Some(_) | None => None,
            },
        }
    }

    async fn wait(&mut self, deadline: Option<Instant>) -> Came {
        let reads = self.source.is_typed() || self.course.wants_line() && self.talk.takes();
        tokio::select! {
            told = self.talk.next() => Came::Told(told),
            line = self.source.next(), if reads => Came::Line(line),
            number = self.signals.next() => Came::Signal(number),
            () = until(deadline) => Came::Deadline,
        }
    }

    fn readiness(&self) -> Readiness {
        Readiness {
            takes: self.talk.takes(),
            unanswered: self.talk.unanswered(),
        }
    }

    fn handle_happening(&mut self, happening: &Happening) -> Option<Exit> {
        if let Some(text) = happening.message() {
            self.course.handle_message(&text);
        }
        self.show(happening)
    }

    fn handle_end(&mut self, ending: &Ending) -> Exit {
        if let Some((exit, _)) = self.farewell {
            return exit;
        }
        let (exit, why) = self.course.handle_end(ending, Instant::now());
        if let Some(why) = why {
            let _ = self.show(&Happening::Problem(why));
        }
        exit
    }

    fn handle_line(&mut self, line: Line) -> Option<Exit> {
        match line {
            Line::Text(text, _) if text.is_empty() && self.source.is_typed() => None,
            Line::Text(text, reading) => {
                let input = match reading {
                    Reading::Command => input::parse(self.dialect, &text),
                    Reading::Message => input::message(self.dialect, &text),
                };
                match input {
                    Ok(input @ (Input::Quit | Input::Help)) => self.perform(input),
                    Ok(input) => self.queue(input),
                    Err(error) => self.show(&Happening::Problem(error.to_string())),
                }
            }
            Line::End if self.source.is_typed() => {
                self.source = Source::None;
                self.leave(Exit::Done)
            }
            Line::End => {
                self.source = Source::None;
                self.course.handle_end_of_lines();
                None
            }
            Line::Interrupted => self.leave(Exit::Done),
            Line::Failed(why) => {
                let shown = self.show(&Happening::Problem(why));
                shown.or_else(|| self.leave(Exit::Usage))
            }
        }
    }

    fn queue(&mut self, input: Input) -> Option<Exit> {
        let waits = self.source.is_typed() && !self.talk.takes();
        self.course.handle_line(input);
        match waits {
            true => self.show(&Happening::Notice(
                "Not connected: the line waits".to_owned(),
            )),
            false => None,
        }
    }

    fn perform(&mut self, input: Input) -> Option<Exit> {
        match input {
            Input::Quit => self.leave(Exit::Done),
            Input::Help => self.show(&Happening::Notice(input::help(self.dialect))),
            input => match self.talk.perform(input) {
                Ok(()) => None,
                Err(problem) => self.fail(problem),
            },
        }
    }

    /// A line could not be done. A person sees it and goes on, a script ends.
    fn fail(&mut self, problem: String) -> Option<Exit> {
        let shown = self.show(&Happening::Problem(problem));
        if self.source.is_typed() {
            return shown;
        }
        shown.or_else(|| self.leave(Exit::Unmet))
    }

    fn end(&mut self, verdict: Verdict) -> Option<Exit> {
        match verdict {
            Verdict::Done => self.leave(Exit::Done),
            Verdict::Unmet(why) => {
                let shown = self.show(&Happening::Problem(why));
                shown.or_else(|| self.leave(Exit::Unmet))
            }
        }
    }

    /// Closes with 1000 and waits for the answer; whoever asks a second time does not want to wait.
    fn leave(&mut self, exit: Exit) -> Option<Exit> {
        if self.farewell.is_some() {
            return Some(exit);
        }
        self.talk.close(1000, "");
        self.farewell = Some((exit, Instant::now() + CLOSE_TIMEOUT));
        None
    }

    /// A reader that has gone away, as `head` does, has what it wanted.
    fn show(&mut self, happening: &Happening) -> Option<Exit> {
        match self.screen.show(happening) {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => match self.farewell {
                Some(_) => None,
                None => self.leave(Exit::Done),
            },
            Err(error) => {
                eprintln!("nuncio: what came cannot be written: {error}");
                Some(Exit::Lost)
            }
        }
    }
}

/// The signals that ask a program to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT,
            _ = self.terminate.recv() => SIGTERM,
        }
    }
}

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
