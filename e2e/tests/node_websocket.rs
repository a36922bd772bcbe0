//! The echo of the examples beside the same server written with `ws` in Node.

use nuncio_e2e::{example, program};

#[test]
fn a_client_cannot_tell_it_from_a_server_in_node() {
    let example = example::build("ws_echo");
    program::node_test_with("browser", "websocket.test.mjs", "EXAMPLE_BIN", &example);
}
