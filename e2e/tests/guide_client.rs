//! The first clients that a guide to WebSockets shows, in Node and in a page: `e2e/browser/guide.test.mjs`, against the program.

use nuncio_e2e::program::node_test;

#[test]
fn the_clients_of_a_guide_are_answered() {
    node_test("guide.test.mjs");
}
