//! The connection's comings and goings: connect, authenticate or resume, lose, wait, end.

use std::time::{Duration, Instant};

use nuncio_model::{CallId, CloseCode, Command, Secret};
use nuncio_protocol::{Incoming, JoinForm};

use super::{Action, CallError, Credential, EndReason, Event, Phase, Session, Step};

impl Session {
    pub(super) fn connect(&mut self) {
        self.phase = Phase::Connecting;
        self.actions.push_back(Action::Connect);
    }

    pub(super) fn abort(&mut self, now: Instant, random: u64) {
        self.actions.push_back(Action::Abort);
        self.handle_closed(CloseCode::ABNORMAL, "no answer", now, random);
    }

    /// Keeps what survives the connection.
    pub(super) fn lose(&mut self, code: CloseCode, reason: &str, now: Instant) {
        if let Phase::Online { since } = self.phase
            && now.saturating_duration_since(since) >= self.config.stable_after
        {
            self.backoff.reset();
        }
        if !code.resumable() {
            self.resume = None;
        }
        self.heartbeat = None;
        self.joins.clear();
        self.joins_paused_until = None;
        for room in self.rooms.values_mut() {
            room.handle_lost();
        }
        let settled = self.calls.handle_lost();
        self.settle(settled);
        let reason = reason.to_owned();
        self.tell(Event::Offline { code, reason });
    }

    pub(super) fn wait(&mut self, at_least: Duration, now: Instant, random: u64) {
        let Some(jitter) = self.backoff.next_delay(random) else {
            let attempts = self.backoff.attempts();
            return self.end(EndReason::Attempts { attempts });
        };
        let delay = at_least + jitter;
        self.phase = Phase::Waiting { until: now + delay };
        self.tell(Event::Waiting { delay });
    }

    pub(super) fn end(&mut self, reason: EndReason) {
        self.phase = Phase::Ended;
        let settled = self.calls.end();
        self.settle(settled);
        for ticket in std::mem::take(&mut self.joiners).into_values().flatten() {
            let ended = Action::Settle(ticket, Err(CallError::Ended));
            self.actions.push_back(ended);
        }
        self.tell(Event::Ended(reason));
    }

    pub(super) fn send_resume(&mut self, resume: String) -> Step {
        let id = self.calls.next_id();
        let seen = self.rooms.iter();
        let rooms = seen
            .filter_map(|(name, room)| Some((name.clone(), room.position()?)))
            .collect();
        self.send(&Incoming::Resume {
            id: Some(CallId::Number(id)),
            resume: resume.into(),
            rooms,
        });
        Step::Resume { id }
    }

    /// Authenticates with the token that is there, or asks for one first.
    pub(super) fn send_auth(&mut self) -> Step {
        match (self.config.credential, self.token.take()) {
            (Credential::Request, _) => Step::Auth,
            (Credential::Token, None) => {
                self.actions.push_back(Action::AskToken);
                Step::AskToken
            }
            (Credential::Token, Some(token)) => {
                let text = token.reveal().into();
                self.send(&Incoming::Auth {
                    id: None,
                    token: text,
                });
                self.token_offered = Some(token);
                Step::Auth
            }
        }
    }

    pub(super) fn send_refresh(&mut self, token: Secret) {
        let id = self.calls.next_id();
        self.send(&Incoming::Command {
            id: Some(CallId::Number(id)),
            command: Command::Refresh {
                token: token.clone(),
            },
            form: JoinForm::One,
        });
        self.token_offered = Some(token);
    }
}
