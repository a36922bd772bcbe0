//! Official clients of every version against handlers in Rust: `e2e/socketio/judge.test.mjs`.

use std::path::Path;

use nuncio_e2e::program::node_test_with;

#[test]
fn clients_of_every_version_meet_handlers_in_rust() {
    let judged = Path::new(env!("CARGO_BIN_EXE_judged"));
    node_test_with("socketio", "judge.test.mjs", "SERVER_BIN", judged);
}
