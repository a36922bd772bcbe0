//! What `nuncio token` mints, the server believes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use nuncio::auth::{AuthError, Authenticator};
use nuncio::config::{Config, Secret};
use nuncio_model::{Identity, Right};

const SECRET: &str = "a secret of the tests of 32 bytes or more";

#[test]
fn tokens_of_the_demo_are_signed_with_the_secret_that_its_server_uses() {
    let folder = tempfile::tempdir().unwrap();
    let output = nuncio(folder.path(), &["token", "--user", "ann"]);

    let mut demo = Config::demo();
    demo.store.path = folder.path().join("nuncio-data");
    let ann = verify(&demo, &output).unwrap();

    assert_eq!(ann.user.as_str(), "ann");
    assert!(ann.grants.rights("lobby").has(Right::Publish));
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_token_grants_what_the_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = format!("auth.secrets={SECRET}");
    let output = nuncio(
        folder.path(),
        &[
            "token",
            "--set",
            &secrets,
            "-u",
            "bot",
            "--room",
            "news:*",
            "--room",
            "lobby",
            "--allow",
            "join,publish",
            "--private",
            "*",
            "--join",
            "lobby",
            "--namespace",
            "/chat",
            "--ttl",
            "15m",
            "--info",
            r#"{"name": "Bot"}"#,
        ],
    );

    let mut config = Config::default();
    config.auth.secrets = vec![Secret::new(SECRET)];
    let bot = verify(&config, &output).unwrap();

    for room in ["news:today", "lobby"] {
        let rights = bot.grants.rights(room);
        assert!(
            rights.has(Right::Join) && rights.has(Right::Publish) && !rights.has(Right::History),
            "{room}"
        );
    }
    assert_eq!(bot.grants.namespaces[0].as_str(), "/chat");
    assert!(bot.grants.check_private("ann").is_ok());
    assert_eq!(
        (bot.join.len(), bot.profile.unwrap().as_str()),
        (1, r#"{"name": "Bot"}"#)
    );
    assert_eq!(bot.exp.unwrap() - bot.iat.unwrap(), 15 * 60);
}

#[test]
fn a_token_that_grants_no_room_comes_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = format!("auth.secrets={SECRET}");

    let output = nuncio(
        folder.path(),
        &["token", "--user", "ann", "--set", &secrets],
    );

    assert!(output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("add --room"),
        "{output:?}"
    );
}

#[test]
fn a_wrong_argument_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, named) in [
        (["token", "--user", "", "--ttl", "1h"], "user id is empty"),
        (
            ["token", "--user", "ann", "--ttl", "soon"],
            "is not a duration",
        ),
        (["token", "--user", "ann", "--info", "{"], "EOF"),
        (
            ["token", "--user", "ann", "--join", "nuncio:x"],
            "is reserved",
        ),
    ] {
        let output = nuncio(folder.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(named), "{text}");
    }
    let allow = nuncio(
        folder.path(),
        &["token", "--user", "ann", "--room", "*", "--allow", "fly"],
    );
    assert!(
        String::from_utf8_lossy(&allow.stderr).contains("a right is join"),
        "{allow:?}"
    );
}

fn nuncio(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuncio"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCIO_"))
    {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn verify(config: &Config, output: &Output) -> Result<Identity, AuthError> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let token = std::str::from_utf8(&output.stdout).unwrap().trim();
    let config = config.clone().check().unwrap();
    Authenticator::from_config(&config)
        .unwrap()
        .verify(token, now)
}
