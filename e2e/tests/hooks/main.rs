//! Hooks against a backend that is none of ours: what it decides, what it is told, and what happens when it fails.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod carriers;
mod commands;
mod connect;
mod events;
mod examples;
mod failure;
mod https;
mod order;
