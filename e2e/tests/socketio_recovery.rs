//! Connection state recovery by the official Socket.IO client, against the program and against handlers in Rust.

use std::path::Path;

use nuncio_e2e::program::{node_test_in, node_test_with};

#[test]
fn official_clients_get_what_they_missed() {
    node_test_in("socketio", "recovery.test.mjs");
}

#[test]
fn official_clients_of_a_rust_program_get_what_they_missed() {
    let program = Path::new(env!("CARGO_BIN_EXE_recovering"));
    let file = "recovery_program.test.mjs";
    node_test_with("socketio", file, "SERVER_BIN", program);
}

#[test]
fn nobody_misses_anything_through_cuts_and_kills() {
    node_test_in("socketio", "recovery_chaos.test.mjs");
}
