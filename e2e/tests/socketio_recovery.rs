//! Connection state recovery by the official Socket.IO client: `e2e/socketio/recovery.test.mjs`, against the program.

use nuncio_e2e::program::node_test_in;

#[test]
fn official_clients_get_what_they_missed() {
    node_test_in("socketio", "recovery.test.mjs");
}
