//! Ten thousand upgrades of the official Socket.IO client, twice: `e2e/socketio/upgrades.long.mjs`, against the program.

use nuncio_e2e::program::node_test_in;

#[test]
fn ten_thousand_upgrades_lose_nothing_and_leave_nothing_behind() {
    node_test_in("socketio", "upgrades.long.mjs");
}
