//! Official clients of Socket.IO 2.x and 3.x, with MessagePack and with compression: `e2e/socketio/versions.test.mjs`, against the program.

use nuncio_e2e::program::node_test_in;

#[test]
fn clients_of_every_version_meet_in_the_same_rooms() {
    node_test_in("socketio", "versions.test.mjs");
}
