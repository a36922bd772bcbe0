//! Completions, by a real shell, and manual pages, by a real formatter.

use std::io::Write as _;
use std::process::{Command, Stdio};

use nuncio_e2e::command::{bare, run};

/// What bash offers for a line whose last word is begun.
fn completed(script: &str, line: &str) -> Vec<String> {
    let words: Vec<_> = line.split(' ').collect();
    let program = format!(
        "{script}\nCOMP_WORDS=({line}); COMP_CWORD={}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}\n\
         _nuncio nuncio '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let output = Command::new("bash")
        .args(["-c", &program])
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let script = run(bare(&["completions", "bash"])).out;

    assert_eq!(completed(&script, "nuncio pub"), ["publish"]);
    assert_eq!(completed(&script, "nuncio pres"), ["presence"]);
    let flags = completed(&script, "nuncio disconnect --e");
    assert_eq!(flags, ["--everyone"]);
    assert_eq!(completed(&script, "nuncio rooms --format t"), ["table"]);
    let commands = completed(&script, "nuncio t");
    for command in ["tail", "token", "top"] {
        assert!(
            commands.iter().any(|offered| offered == command),
            "{commands:?}"
        );
    }
}

#[test]
fn every_shell_has_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(bare(&["completions", shell]));

        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.out.contains("idempotency-key"), "{shell}");
    }
}

#[test]
fn every_page_of_the_manual_is_formatted_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");

    let done = run(bare(&["man", "--out", pages.to_str().unwrap()]));

    assert_eq!(done.code, 0, "{done:?}");
    let mut names = Vec::new();
    for page in std::fs::read_dir(&pages).unwrap() {
        let path = page.unwrap().path();
        let roff = std::fs::read_to_string(&path).unwrap();
        assert!(roff.contains(".TH"), "{path:?}");
        check_by_groff(&roff);
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    for name in [
        "nuncio.1",
        "nuncio-publish.1",
        "nuncio-top.1",
        "nuncio-bench-idle.1",
    ] {
        assert!(
            names.iter().any(|written| written == name),
            "{name}: {names:?}"
        );
    }
    let one = run(bare(&["man", "tail"]));
    assert!(one.out.contains("nuncio\\-tail"), "{one:?}");
}

/// Where it is not installed, the rest of the test holds alone.
fn check_by_groff(roff: &str) {
    let groff = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut groff) = groff else {
        return;
    };
    groff
        .stdin
        .take()
        .unwrap()
        .write_all(roff.as_bytes())
        .unwrap();
    let output = groff.wait_with_output().unwrap();
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && warnings.is_empty(), "{warnings}");
}

#[test]
fn help_of_these_commands_shows_nothing_that_is_the_servers() {
    for command in ["rooms", "publish", "tail", "top"] {
        let help = run(bare(&[command, "--help"])).out;

        assert!(
            help.contains("--key-file") && !help.contains("--listen"),
            "{help}"
        );
    }
    assert!(run(bare(&["serve", "--help"])).out.contains("--listen"));
}
