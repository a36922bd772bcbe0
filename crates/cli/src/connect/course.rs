//! The course of a run: which line is next, what is waited for, and when it is over. Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::exit::Exit;
use super::happening::Ending;
use super::input::Input;
use super::pattern::Pattern;
use super::script::Step;

/// Where a run stands.
#[derive(Debug)]
pub(super) struct Course {
    rules: Rules,
    steps: VecDeque<Step>,
    /// Whether more lines may come.
    lines: Lines,
    state: State,
    /// Messages that no expectation has looked at yet, while expectations are left.
    seen: VecDeque<String>,
    count: u64,
    expect_timeout: Duration,
}

/// What was asked for on the command line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// End after so many messages.
    pub(super) count: Option<u64>,
    /// How long to stay after the last line; `None` means that nobody said so.
    pub(super) wait: Option<Stay>,
    /// How long an expectation waits.
    pub(super) timeout: Duration,
}

/// How long to stay after the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// So long.
    For(Duration),
    /// Until the server closes.
    Forever,
}

/// Whether lines may follow those that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Somebody types, or a pipe is open.
    Open,
    /// That was all.
    Ended,
}

#[derive(Debug)]
enum State {
    /// The next line may go.
    Free,
    Expecting {
        pattern: Pattern,
        deadline: Instant,
    },
    ExpectingClose {
        code: Option<u16>,
        deadline: Instant,
    },
    Pausing {
        until: Instant,
    },
    /// All is sent; answers to calls may be on their way.
    Answering {
        deadline: Instant,
    },
    /// All is said.
    Staying {
        until: Option<Instant>,
    },
    Over(Verdict),
}

/// How a run turned out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As asked for.
    Done,
    /// Something that was expected did not come.
    Unmet(String),
}

/// What is next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Do this.
    Do(Input),
    /// Nothing until then, or until something happens.
    Wait(Option<Instant>),
    /// Close.
    End(Verdict),
}

/// Whether the connection takes something, and whether answers are outstanding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readiness {
    pub(super) takes: bool,
    pub(super) unanswered: usize,
}

impl Course {
    pub(super) fn new(rules: Rules, steps: Vec<Step>, lines: Lines) -> Self {
        Self {
            expect_timeout: rules.timeout,
            rules,
            steps: steps.into(),
            lines,
            state: State::Free,
            seen: VecDeque::new(),
            count: 0,
        }
    }

    /// A line was typed or came through the pipe.
    pub(super) fn handle_line(&mut self, input: Input) {
        self.steps.push_back(Step::Do(input));
    }

    /// No more lines come.
    pub(super) const fn handle_end_of_lines(&mut self) {
        self.lines = Lines::Ended;
    }

    /// Whether a line of the pipe may be read: no more are kept than go out.
    pub(super) fn wants_line(&self) -> bool {
        self.lines == Lines::Open && self.steps.is_empty()
    }

    /// A message came.
    pub(super) fn handle_message(&mut self, text: &str) {
        self.count += 1;
        if self.rules.count == Some(self.count) {
            self.state = State::Over(Verdict::Done);
        }
        match &self.state {
            State::Expecting { pattern, .. } => {
                if pattern.matches(text) {
                    self.state = State::Free;
                }
            }
            State::Free
            | State::ExpectingClose { .. }
            | State::Pausing { .. }
            | State::Answering { .. }
            | State::Staying { .. }
            | State::Over(_) => self.remember(text),
        }
    }

    /// An answer may come before the script gets to expecting it.
    fn remember(&mut self, text: &str) {
        let expects = self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Expect(_)));
        if expects {
            self.seen.push_back(text.to_owned());
            let mut bytes: usize = self.seen.iter().map(String::len).sum();
            while self.seen.len() > SEEN_MAX || bytes > SEEN_BYTES_MAX {
                let oldest = self.seen.pop_front();
                bytes -= oldest.map_or(bytes, |oldest| oldest.len());
            }
        }
    }

    /// What is next. Called again after everything that happens.
    pub(super) fn poll(&mut self, now: Instant, ready: Readiness) -> Next {
        loop {
            match &self.state {
                State::Free if !ready.takes => return Next::Wait(None),
                State::Free => match self.steps.pop_front() {
                    Some(Step::Do(input)) => return Next::Do(input),
                    Some(step) => self.begin(step, now),
                    None if self.lines == Lines::Open => return Next::Wait(None),
                    None => {
                        let deadline = now + self.rules.timeout;
                        self.state = State::Answering { deadline };
                    }
                },
                State::Expecting { pattern, deadline } if *deadline <= now => {
                    let unmet = format!("{pattern} did not come within {:?}", self.expect_timeout);
                    self.state = State::Over(Verdict::Unmet(unmet));
                }
                State::ExpectingClose { deadline, .. } if *deadline <= now => {
                    let unmet =
                        format!("the server did not close within {:?}", self.expect_timeout);
                    self.state = State::Over(Verdict::Unmet(unmet));
                }
                State::Expecting { deadline, .. } | State::ExpectingClose { deadline, .. } => {
                    return Next::Wait(Some(*deadline));
                }
                State::Pausing { until } if *until <= now => self.state = State::Free,
                State::Pausing { until } => return Next::Wait(Some(*until)),
                State::Answering { deadline } if ready.unanswered > 0 && *deadline > now => {
                    return Next::Wait(Some(*deadline));
                }
                State::Answering { .. } if ready.unanswered > 0 => {
                    let unmet = format!("{} answers did not come", ready.unanswered);
                    self.state = State::Over(Verdict::Unmet(unmet));
                }
                State::Answering { .. } => self.stay(now),
                State::Staying { until: Some(until) } if *until <= now => {
                    self.state = State::Over(self.verdict());
                }
                State::Staying { until } => return Next::Wait(*until),
                State::Over(verdict) => return Next::End(verdict.clone()),
            }
        }
    }

    fn begin(&mut self, step: Step, now: Instant) {
        let deadline = now + self.expect_timeout;
        match step {
            Step::Expect(pattern) => {
                let found = self.seen.iter().position(|text| pattern.matches(text));
                match found {
                    Some(place) => drop(self.seen.drain(..=place)),
                    None => {
                        self.seen.clear();
                        self.state = State::Expecting { pattern, deadline };
                    }
                }
            }
            Step::ExpectClose(code) => self.state = State::ExpectingClose { code, deadline },
            Step::Wait(pause) => self.state = State::Pausing { until: now + pause },
            Step::Timeout(timeout) => self.expect_timeout = timeout,
            Step::Do(input) => self.steps.push_front(Step::Do(input)),
        }
    }

    /// All is said. Whoever counts messages waits for them; whoever expected something has it.
    fn stay(&mut self, now: Instant) {
        let until = match (self.rules.wait, self.rules.count) {
            (Some(Stay::For(time)), _) => Some(now + time),
            (Some(Stay::Forever), _) | (None, Some(_)) => None,
            (None, None) => Some(now),
        };
        self.state = State::Staying { until };
    }

    fn verdict(&self) -> Verdict {
        match self.rules.count {
            Some(wanted) if self.count < wanted => {
                Verdict::Unmet(format!("{} messages came, not {wanted}", self.count))
            }
            Some(_) | None => Verdict::Done,
        }
    }

    /// The conversation has ended by itself. What that means depends on what was still to come.
    pub(super) fn handle_end(&mut self, ending: &Ending, now: Instant) -> (Exit, Option<String>) {
        self.settle(now);
        match (&self.state, ending) {
            (
                State::ExpectingClose { code: None, .. },
                Ending::ByServer { .. } | Ending::PutOut,
            ) => {
                return self.after_close();
            }
            (
                State::ExpectingClose {
                    code: Some(wanted), ..
                },
                Ending::ByServer { code },
            ) => {
                if code == wanted {
                    return self.after_close();
                }
                return (
                    Exit::Unmet,
                    Some(format!("close code {wanted} was expected")),
                );
            }
            (
                State::Expecting { pattern, .. },
                Ending::ByUs | Ending::ByServer { .. } | Ending::PutOut,
            ) => {
                let unmet = format!("{pattern} did not come before the end");
                return (Exit::Unmet, Some(unmet));
            }
            _ => {}
        }
        let exit = Exit::of(ending);
        let is_early = !self.steps.is_empty() && self.lines == Lines::Ended;
        match self.verdict() {
            Verdict::Unmet(why) if exit == Exit::Done => (Exit::Unmet, Some(why)),
            _ if exit == Exit::Done && is_early => self.after_close(),
            Verdict::Done | Verdict::Unmet(_) => (exit, None),
        }
    }

    /// Takes the steps that need no connection, up to the first that is not met: the end may come before their turn.
    fn settle(&mut self, now: Instant) {
        while let State::Free | State::Pausing { .. } = self.state {
            match self.steps.front() {
                Some(Step::Expect(pattern)) => {
                    let Some(place) = self.seen.iter().position(|text| pattern.matches(text))
                    else {
                        return;
                    };
                    self.seen.drain(..=place);
                }
                Some(Step::ExpectClose(code)) => {
                    let code = *code;
                    self.state = State::ExpectingClose {
                        code,
                        deadline: now,
                    };
                }
                Some(Step::Wait(_) | Step::Timeout(_)) => {}
                Some(Step::Do(_)) | None => return,
            }
            self.steps.pop_front();
        }
    }

    /// The end came as it should; lines that are left had nobody to go to.
    fn after_close(&self) -> (Exit, Option<String>) {
        if self.steps.is_empty() {
            return (Exit::Done, None);
        }
        let left = format!("the connection ended with {} lines to go", self.steps.len());
        (Exit::Unmet, Some(left))
    }
}

/// Messages that wait for an expectation, at most; the oldest go.
const SEEN_MAX: usize = 1000;

/// Their bytes, at most: as much as one message may have.
const SEEN_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
