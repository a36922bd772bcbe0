//! The protocol by its documents: encoding, decoding, the server's connection in both revisions, the client's.

mod client;
mod decoding;
mod encoding;
mod parsers;
mod peer;
mod properties;
mod server_v4;
mod server_v5;
