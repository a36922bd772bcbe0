//! The page at `/` in Chromium: `e2e/browser/chat.test.mjs`, against the program.

use nuncio_e2e::program::node_test;

#[test]
fn the_page_chats_and_survives_its_server() {
    node_test("chat.test.mjs");
}
