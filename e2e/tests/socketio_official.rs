//! The official Socket.IO client over each of its transports: `e2e/socketio/official.test.mjs`, against the program.

use nuncio_e2e::program::node_test_in;

#[test]
fn official_clients_meet_native_ones_in_the_same_rooms() {
    node_test_in("socketio", "official.test.mjs");
}
