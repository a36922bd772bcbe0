//! What `nuncio check-config` says, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn without_anything_configured_the_demo_is_shown() {
    let folder = tempfile::tempdir().unwrap();

    let output = nuncio(folder.path(), &["check-config"], &[]);

    let text = stdout(&output);
    assert!(output.status.success(), "{output:?}");
    assert!(text.starts_with("# OK (the demo"), "{text}");
    assert!(
        text.contains("listen = \"127.0.0.1:8080\"") && text.contains("echo = true"),
        "{text}"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "checking makes no files"
    );
}

#[test]
fn the_file_of_the_folder_is_read_and_its_secrets_are_hidden() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("nuncio.toml"),
        "[auth]\nsecrets = [\"do-not-print-me-do-not-print-me-0\"]\n[limits]\nmessage_bytes = \"1MiB\"\n",
    )
    .unwrap();

    let output = nuncio(folder.path(), &["check-config"], &[]);

    let text = stdout(&output);
    assert!(
        text.starts_with("# OK (nuncio.toml)") && text.contains("message_bytes = \"1MiB\""),
        "{text}"
    );
    assert!(!text.contains("do-not-print-me"), "{text}");
}

#[test]
fn what_is_shown_is_a_configuration_that_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let secret = ("NUNCIO_AUTH_SECRETS", "01234567890123456789012345678901");
    let flags = [
        "check-config",
        "--set",
        "limits.rate_burst=7",
        "--listen",
        "127.0.0.1:9",
    ];
    let first = stdout(&nuncio(folder.path(), &flags, &[secret]));
    fs::write(folder.path().join("nuncio.toml"), &first).unwrap();

    let second = stdout(&nuncio(folder.path(), &["check-config"], &[secret]));

    assert!(
        first.contains("rate_burst = 7") && first.contains("listen = \"127.0.0.1:9\""),
        "{first}"
    );
    let values = |text: &str| text.split_once('\n').map(|(_, values)| values.to_owned());
    assert_eq!(values(&second), values(&first));
}

#[test]
fn all_problems_are_told_at_once_and_the_exit_code_is_2() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("my.toml"),
        "[server]\nlissten = \"x\"\npath = 7\n",
    )
    .unwrap();

    let output = nuncio(
        folder.path(),
        &[
            "check-config",
            "--config",
            "my.toml",
            "--set",
            "log.format=xml",
        ],
        &[("NUNCIO_AUTH_ISUER", "me")],
    );

    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for part in [
        "5 problems",
        "my.toml:2: there is no key \"server.lissten\"; did you mean server.listen?",
        "my.toml:3: server.path: \"7\" is not a text in quotes",
        "there is no variable \"NUNCIO_AUTH_ISUER\"; did you mean NUNCIO_AUTH_ISSUER?",
        "--set log.format: log.format: \"xml\" is not \"text\" or \"json\"",
        "auth.secrets = []: no token can be checked",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_reference_is_the_page_of_the_documentation() {
    let folder = tempfile::tempdir().unwrap();

    let output = nuncio(folder.path(), &["check-config", "--reference"], &[]);

    assert!(stdout(&output).starts_with("# Configuration\n"));
}

fn nuncio(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuncio"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCIO_"))
    {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .args(arguments)
        .envs(variables.iter().copied());
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
