//! The whole server against outside judges. What tests share: a server of their own, and a client that is not ours.

pub mod client;
pub mod server;

pub use client::Client;
pub use server::TestServer;
