//! Heartbeats of one server-side connection (protocol v4 and v3, "Heartbeat").
//!
//! In v4 the server pings and the client has `ping_timeout` to answer. In v3 the client pings, at the latest every
//! `ping_interval + ping_timeout`. Time comes in as `now`; nothing here reads a clock.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::packet::Protocol;

/// Decides when to ping and when to give up on a silent client.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    phase: Phase,
}

/// `Waiting` is left by time, `Pinged` by a pong or by time. v3 knows only `Listening`.
#[derive(Debug, Clone)]
enum Phase {
    Waiting { ping_at: Instant },
    Pinged { dead_at: Instant, grace: Grace },
    Listening { dead_at: Instant },
}

/// The first packet that is no pong moves the deadline once: the pong may stand behind it in a slow upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grace {
    Left,
    Used,
}

/// What time brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    Ping,
    Dead,
}

/// Whether a packet is a pong, as far as the deadline is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Pong,
    OtherPacket,
}

impl Heartbeat {
    pub(crate) fn new(now: Instant, protocol: Protocol, config: &Config) -> Self {
        let phase = match protocol {
            Protocol::V4 => Phase::Waiting {
                ping_at: now + config.ping_interval,
            },
            Protocol::V3 => Phase::Listening {
                dead_at: now + silence_max(config),
            },
        };
        Self { phase }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        match self.phase {
            Phase::Waiting { ping_at } => ping_at,
            Phase::Pinged { dead_at, .. } | Phase::Listening { dead_at } => dead_at,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, config: &Config) -> Option<Beat> {
        if now < self.poll_timeout() {
            return None;
        }
        match self.phase {
            Phase::Waiting { ping_at } => {
                // Counted from the plan, so that a timer a few milliseconds late does not add up; but a driver
                // that slept for long leaves the client at least half of its time.
                let dead_at = (ping_at + config.ping_timeout).max(now + config.ping_timeout / 2);
                self.phase = Phase::Pinged {
                    dead_at,
                    grace: Grace::Left,
                };
                Some(Beat::Ping)
            }
            Phase::Pinged { .. } | Phase::Listening { .. } => Some(Beat::Dead),
        }
    }

    /// Any packet from a v4 client. A pong also postpones the next ping, asked for or not.
    pub(crate) fn handle_packet(&mut self, now: Instant, sign: Sign, config: &Config) {
        match (&mut self.phase, sign) {
            (Phase::Waiting { .. } | Phase::Pinged { .. }, Sign::Pong) => {
                self.phase = Phase::Waiting {
                    ping_at: now + config.ping_interval,
                };
            }
            (
                Phase::Pinged {
                    dead_at,
                    grace: grace @ Grace::Left,
                },
                Sign::OtherPacket,
            ) => {
                *dead_at = now + config.ping_timeout;
                *grace = Grace::Used;
            }
            (
                Phase::Pinged {
                    grace: Grace::Used, ..
                }
                | Phase::Waiting { .. },
                Sign::OtherPacket,
            )
            | (Phase::Listening { .. }, Sign::Pong | Sign::OtherPacket) => {}
        }
    }

    /// A ping from a v3 client.
    pub(crate) fn handle_ping(&mut self, now: Instant, config: &Config) {
        if let Phase::Listening { dead_at } = &mut self.phase {
            *dead_at = now + silence_max(config);
        }
    }

    /// The transport changed: whatever was expected on the old one is expected anew on the new one.
    pub(crate) fn handle_upgrade(&mut self, now: Instant, config: &Config) {
        match &mut self.phase {
            Phase::Waiting { .. } => {}
            Phase::Pinged { dead_at, .. } => *dead_at = now + config.ping_timeout,
            Phase::Listening { dead_at } => *dead_at = now + silence_max(config),
        }
    }
}

fn silence_max(config: &Config) -> Duration {
    config.ping_interval + config.ping_timeout
}
