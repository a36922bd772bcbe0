//! The load of a fan-out: one room, a window of publishes in flight, and the server's processor time while it lasts.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::arrival::Arrival;
use super::call::{self, Dialect};
use super::flight::Flight;
use super::process::cpu_time;
use super::server::Server;
use super::swarm::{Entry, STALL_MAX, Swarm};
use super::token::Tokens;

/// One server under one load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadPlan {
    /// Members of the room.
    pub(crate) members: usize,
    /// Bytes of each message's content.
    pub(crate) content_bytes: usize,
    /// Publishes in flight.
    pub(crate) window: u32,
    /// Members that publish, in turns.
    pub(crate) publishers: usize,
    /// What they speak.
    pub(crate) dialect: Dialect,
    /// How long; a fifth more goes before, to warm up.
    pub(crate) span: Duration,
}

/// How members are let in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Admission<'a> {
    /// A floor asks for no token.
    Free,
    /// By this token, or by one of their own from the server.
    Token(Option<&'a str>),
}

/// What one measurement gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The server's processor time, user and system.
    pub(crate) us_per_delivery: f64,
    /// What the server and this generator reached together.
    pub(crate) deliveries_per_second: f64,
}

impl LoadPlan {
    /// Fills the room, warms up, and counts.
    pub(crate) fn measure(&self, server: &Server, admission: Admission<'_>) -> Result<Sample> {
        let tokens = match admission {
            Admission::Free => Tokens::None,
            Admission::Token(shared) => {
                Tokens::obtain(shared, server.address, self.members, || {})?
            }
        };
        let mut swarm = Swarm::new(server.address, self.dialect)?;
        let entries = (0..self.members).map(|member| Entry {
            token: tokens.of(member),
            room: ROOM,
        });
        swarm.open(entries, || {})?;

        let mut load = Load::new(swarm, self);
        load.run(self.span / 5)?;
        let (completed, cpu, start) = (
            load.flight.completed(),
            cpu_time(server.pid)?,
            Instant::now(),
        );
        load.run(self.span)?;
        let (elapsed, cpu) = (start.elapsed(), cpu_time(server.pid)? - cpu);
        let deliveries = (load.flight.completed() - completed) as f64 * self.members as f64;
        ensure!(
            deliveries > 0.0,
            "no publish reached every member within {:?}",
            self.span
        );
        Ok(Sample {
            us_per_delivery: cpu.as_secs_f64() * 1e6 / deliveries,
            deliveries_per_second: deliveries / elapsed.as_secs_f64(),
        })
    }
}

/// Keeps the window full: whatever completed in one turn of the loop is published anew in one send per publisher.
struct Load {
    swarm: Swarm,
    flight: Flight,
    content: String,
    dialect: Dialect,
    /// What each publisher sends next.
    frames: Vec<Vec<u8>>,
}

impl Load {
    fn new(swarm: Swarm, plan: &LoadPlan) -> Self {
        Self {
            flight: Flight::new(swarm.len(), plan.window.into()),
            swarm,
            content: format!("\"{}\"", "x".repeat(plan.content_bytes)),
            dialect: plan.dialect,
            frames: vec![Vec::new(); plan.publishers],
        }
    }

    /// Publishes for `span`, then waits until everything has landed.
    fn run(&mut self, span: Duration) -> Result<()> {
        let start = Instant::now();
        let mut last_progress = start;
        loop {
            if start.elapsed() < span {
                self.publish()?;
            } else if self.flight.is_landed() {
                return Ok(());
            }
            let before = self.flight.completed();
            let flight = &mut self.flight;
            self.swarm.poll(
                Duration::from_millis(100),
                |member, arrival| match arrival {
                    Arrival::Publication => flight.delivered(member),
                    Arrival::Ack(_) => flight.acknowledged(),
                    Arrival::Open
                    | Arrival::AuthOk
                    | Arrival::Ping(_)
                    | Arrival::EnginePing
                    | Arrival::Close(_)
                    | Arrival::Refused(_)
                    | Arrival::Other => {}
                },
            )?;
            if self.flight.completed() > before {
                last_progress = Instant::now();
            }
            ensure!(
                last_progress.elapsed() < STALL_MAX,
                "the server fell silent with publishes in flight"
            );
        }
    }

    fn publish(&mut self) -> Result<()> {
        while let Some(number) = self.flight.begin() {
            let publisher = (number % self.frames.len() as u64) as usize;
            self.dialect.push_publish(
                &mut self.frames[publisher],
                ROOM,
                &self.content,
                call::PUBLISH_ID_FIRST + number,
            );
        }
        for (publisher, frames) in self.frames.iter_mut().enumerate() {
            if !frames.is_empty() {
                self.swarm.send(publisher, frames)?;
                frames.clear();
            }
        }
        Ok(())
    }
}

const ROOM: &str = "bench";
