//! Chromium against the program: the page at `/`, and the official Socket.IO client's bundle.

use nuncio_e2e::program::node_test;

#[test]
fn the_page_chats_and_survives_its_server() {
    node_test("chat.test.mjs");
}

#[test]
fn the_official_socketio_bundle_shares_rooms_with_native_clients() {
    node_test("socketio.test.mjs");
}

#[test]
fn an_event_source_misses_and_repeats_nothing() {
    node_test("events.test.mjs");
}
