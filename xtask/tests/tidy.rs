//! How the code looks: a ratchet that refuses worse and does not demand perfect.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::path::Path;
use std::process::Command;

/// Lines of one source file, without the tests at its foot.
const LINES_MAX: usize = 500;

#[test]
fn no_source_file_is_too_long_to_be_read_in_one_pass() {
    let mut faults = Vec::new();
    for path in sources().iter().filter(|path| !is_test(path)) {
        let lines = source_lines(&read(path));
        if lines > LINES_MAX {
            faults.push(format!(
                "{path}: {lines} lines, at most {LINES_MAX} are allowed"
            ));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn nothing_is_left_for_later_and_no_test_is_ignored() {
    // Written in two parts, so that this file does not contain them.
    let banned = [
        ["todo", "!("],
        ["unimplemented", "!("],
        ["#[ig", "nore"],
        ["dbg", "!("],
    ];
    let mut faults = Vec::new();
    for path in sources() {
        let text = read(&path);
        for banned in banned.map(|parts| parts.concat()) {
            if let Some(line) = text.lines().position(|line| line.contains(&banned)) {
                faults.push(format!("{path}:{}: {banned}", line + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    for path in sources() {
        let name = path.rsplit('/').next().unwrap();
        assert!(
            ![
                "utils.rs",
                "util.rs",
                "helpers.rs",
                "helper.rs",
                "common.rs",
                "misc.rs"
            ]
            .contains(&name),
            "{path}: name it after what is in it"
        );
    }
}

/// Paths of all Rust files under version control, from the root.
fn sources() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "*.rs"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "git lists the files");
    let paths = String::from_utf8(output.stdout).unwrap();
    let paths: Vec<_> = paths
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).exists())
        .map(str::to_owned)
        .collect();
    assert!(paths.len() > 100, "{} files", paths.len());
    paths
}

fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "tests.rs" | "e2e" | "benches" | "fuzz"))
}

/// Lines before the tests at the foot.
fn source_lines(text: &str) -> usize {
    let tests = text.find("\n#[cfg(test)]\nmod tests {");
    text[..tests.unwrap_or(text.len())].lines().count()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
