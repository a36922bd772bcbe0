//! The connection's comings and goings: open, lose, wait, close.

use std::time::Instant;

use nuncio_engineio::client::CloseReason;
use nuncio_socketio::Namespace;

use super::line::{CLOSE_TIMEOUT, Line};
use super::socket::Stage;
use super::{Action, Conversation, Phase, Then, connect_error};
use crate::socketio::{DisconnectReason, Event, Reconnection};

impl Conversation {
    /// A socket wants to connect: on the connection that is there, on the one that comes, or on a new one.
    pub(super) fn begin(&mut self, namespace: &Namespace, now: Instant) {
        match self.phase {
            Phase::Idle => self.open_line(now),
            Phase::Open(_) => self.ask_auth(namespace),
            Phase::Waiting { .. } | Phase::Opening(_) | Phase::Closing { .. } => {}
        }
    }

    pub(super) fn open_line(&mut self, now: Instant) {
        self.connections += 1;
        self.frames_unsent = 0;
        self.failure = None;
        self.phase = Phase::Opening(Line::new(&self.config, self.transport, now));
    }

    pub(super) fn ask_auth(&mut self, namespace: &Namespace) {
        if let Some(socket) = self.sockets.get_mut(namespace) {
            socket.stage = Stage::Authenticating;
            self.actions.push_back(Action::AskAuth(namespace.clone()));
        }
    }

    pub(super) fn reconnect(&mut self, now: Instant) {
        let attempt = self.backoff.attempts();
        self.attempt = Some(attempt);
        self.tell_active(&Event::ReconnectAttempt { attempt });
        self.open_line(now);
    }

    pub(super) fn handle_opened(&mut self) {
        if let Phase::Opening(line) = std::mem::replace(&mut self.phase, Phase::Idle) {
            self.phase = Phase::Open(line);
        }
        self.backoff.reset();
        if let Some(attempt) = self.attempt.take() {
            self.tell_active(&Event::Reconnect { attempt });
        }
        for namespace in self.active() {
            self.ask_auth(&namespace);
        }
    }

    /// The connection is over, or did not come about.
    pub(super) fn handle_closed(&mut self, reason: CloseReason, now: Instant) {
        self.actions.push_back(Action::Abort);
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Opening(_) => self.handle_failed_attempt(reason, now),
            Phase::Open(_) => {
                self.lose(DisconnectReason::of(reason), now);
                self.wait(now);
            }
            Phase::Closing {
                then: Then::Wait, ..
            } => self.wait(now),
            Phase::Closing {
                then: Then::Open, ..
            } if !self.active().is_empty() => {
                self.open_line(now);
            }
            Phase::Closing { .. } | Phase::Idle | Phase::Waiting { .. } => {}
        }
    }

    pub(super) fn handle_failed_attempt(&mut self, reason: CloseReason, now: Instant) {
        let has_next = self.transport + 1 < self.config.transports.len();
        if self.config.try_all_transports && has_next && reason != CloseReason::ForcedClose {
            self.transport += 1;
            return self.open_line(now);
        }
        self.transport = 0;
        let failure = self.failure.take();
        let message = failure.unwrap_or_else(|| reason.as_str().to_owned());
        self.tell_active(&connect_error(message, true));
        self.wait(now);
    }

    /// Joined sockets are told; all active ones wait for the next connection.
    pub(super) fn lose(&mut self, reason: DisconnectReason, now: Instant) {
        for namespace in self.active() {
            let Some(socket) = self.sockets.get_mut(&namespace) else {
                continue;
            };
            let was_joined = socket.stage == Stage::Joined;
            socket.handle_left(Stage::Wanted, now);
            if was_joined {
                let active = self.config.reconnection == Reconnection::On;
                self.tell(&namespace, Event::Disconnect { reason, active });
            }
        }
    }

    /// Waits for the next attempt, if there is to be one.
    pub(super) fn wait(&mut self, now: Instant) {
        self.attempt = None;
        if self.config.reconnection == Reconnection::Off || self.active().is_empty() {
            return;
        }
        let luck = self.next_luck();
        match self.backoff.next_delay(luck) {
            Some(delay) => self.phase = Phase::Waiting { until: now + delay },
            None => {
                self.backoff.reset();
                self.tell_active(&Event::ReconnectFailed);
            }
        }
    }

    /// Without an active socket the connection ends, and no attempt follows.
    pub(super) fn close_if_unused(&mut self, now: Instant) {
        if !self.active().is_empty() {
            return;
        }
        self.attempt = None;
        self.backoff.reset();
        if let Phase::Waiting { .. } = self.phase {
            self.phase = Phase::Idle;
        }
        self.close(Then::Open, now);
        self.pump(now);
    }

    pub(super) fn close(&mut self, then: Then, now: Instant) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Opening(mut line) | Phase::Open(mut line) => {
                line.engine.close();
                let until = now + CLOSE_TIMEOUT;
                self.phase = Phase::Closing { line, until, then };
            }
            other @ (Phase::Idle | Phase::Waiting { .. } | Phase::Closing { .. }) => {
                self.phase = other;
            }
        }
    }

    /// The next random number (splitmix64).
    pub(super) fn next_luck(&mut self) -> u64 {
        self.luck = self.luck.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.luck;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
