use super::*;
use crate::config::{ByteSize, RoomRule};

#[test]
fn the_demo_refuses_an_address_that_other_machines_reach_and_says_what_to_do() {
    let mut demo = Config::demo();
    demo.server.listen = "0.0.0.0:8080".parse().unwrap();

    let problem = demo.check().unwrap_err().to_string();

    assert!(
        problem.starts_with("server.listen = 0.0.0.0:8080: "),
        "{problem}"
    );
    assert!(
        problem.contains("NUNCIO_AUTH_SECRETS") && problem.contains("127.0.0.1"),
        "{problem}"
    );
}

#[test]
fn the_demo_on_this_machine_is_good_and_keeps_its_secret_with_the_data() {
    let checked = Config::demo().check().unwrap();

    assert_eq!(checked.keys, Keys::Demo("./nuncio-data/demo-secret".into()));
    assert!(checked.workers >= 1);
}

#[test]
fn a_configuration_without_secrets_is_told_where_they_go() {
    let problem = Config::default().check().unwrap_err().to_string();

    assert!(
        problem.contains("auth.secrets = []") && problem.contains("openssl rand"),
        "{problem}"
    );
}

#[test]
fn a_short_secret_is_refused_without_being_shown() {
    let mut config = configured();
    config.auth.secrets.push(Secret::new("hunter2"));

    let problem = config.check().unwrap_err().to_string();

    assert!(
        problem.contains("secret 2") && problem.contains("7 bytes"),
        "{problem}"
    );
    assert!(!problem.contains("hunter2"), "{problem}");
}

#[test]
fn secrets_of_the_file_come_after_those_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    std::fs::write(&path, format!("# old\n\n  {}  \n", "o".repeat(32))).unwrap();
    let mut config = configured();
    config.auth.secrets_file = Some(path);

    let checked = config.check().unwrap();

    let expected = vec![Secret::new(&"s".repeat(32)), Secret::new(&"o".repeat(32))];
    assert_eq!(checked.keys, Keys::Secrets(expected));
}

#[test]
fn a_missing_secrets_file_is_one_problem() {
    let mut config = Config::default();
    config.auth.secrets_file = Some("/nowhere/secrets".into());

    let problems = config.check().unwrap_err();

    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(
        problems
            .to_string()
            .starts_with("auth.secrets_file = \"/nowhere/secrets\": "),
        "{problems}"
    );
}

#[test]
fn all_that_does_not_hold_is_told_at_once() {
    let mut config = configured();
    config.server.path = "ws".to_owned();
    config.server.workers = 100_000;
    config.server.head_bytes_max = ByteSize(10);
    config.limits.outbox_bytes = ByteSize(1);
    config.limits.rate_burst = 0;
    config.heartbeat.interval = Duration::ZERO;
    config.presence.page_max = 0;
    config.log.level = "loud".to_owned();
    config.tls.certificate = Some("/nowhere/cert.pem".into());
    config.store.enabled = false;
    config.rooms.0 = vec![RoomRule {
        history: Some(HistoryMode::Durable),
        ..RoomRule::new("*")
    }];

    let problems = config.check().unwrap_err();

    let keys: Vec<&str> = problems
        .0
        .iter()
        .map(|problem| match problem {
            Problem::Rule { key, .. } => *key,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(
        keys,
        [
            "server.path",
            "server.workers",
            "server.head_bytes_max",
            "presence.page_max",
            "heartbeat.interval",
            "limits.outbox_bytes",
            "limits.rate_burst",
            "rooms",
            "log.level",
            "server.tls.certificate",
        ]
    );
}

#[test]
fn certificate_and_key_must_be_readable_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = configured();
    config.tls.certificate = Some(folder.path().to_owned());
    config.tls.key = Some("/nowhere/key.pem".into());

    let problems = config.check().unwrap_err().to_string();

    assert!(problems.contains("this is no file"), "{problems}");
    assert!(
        problems.contains("server.tls.key = \"/nowhere/key.pem\": No such file"),
        "{problems}"
    );
}

#[test]
fn a_path_that_is_taken_is_refused() {
    for path in ["/", "/metrics", "/api/v1", "/a b", "/ws/", ""] {
        let mut config = configured();
        config.server.path = path.to_owned();
        assert!(config.check().is_err(), "{path:?}");
    }
}

#[test]
fn every_limit_of_the_core_has_a_key() {
    let mut config = configured();
    config.limits.message_bytes = ByteSize(1001);
    config.limits.outbox_bytes = ByteSize(1002);
    config.auth.leeway = Duration::from_secs(1003);
    config.limits.rate_control_factor = 1004;
    config.presence.typing_timeout = Duration::from_secs(1005);
    config.history.bytes = ByteSize(1006);

    let checked = config.check().unwrap();

    assert_eq!(checked.connection.message_bytes_max, 1001);
    assert_eq!(checked.connection.outbox_bytes_max, 1002);
    assert_eq!(checked.connection.clock_leeway.as_secs(), 1003);
    assert_eq!(checked.rate.control_factor, 1004);
    assert_eq!(checked.room.typing_timeout.as_secs(), 1005);
    assert_eq!(checked.history.bytes_max, 1006);
}

fn configured() -> Config {
    let mut config = Config::default();
    config.auth.secrets = vec![Secret::new(&"s".repeat(32))];
    config
}

#[test]
fn a_cookie_that_would_break_its_header_is_refused() {
    let mut config = configured();
    config.socketio_cookie.name = Some("io; Domain=evil".to_owned());
    let name = config.clone().check().unwrap_err().to_string();
    config.socketio_cookie.name = Some("io".to_owned());
    config.socketio_cookie.path = Some("/\r\nX: y".to_owned());

    let path = config.check().unwrap_err().to_string();

    assert!(name.starts_with("socketio.cookie.name = "), "{name}");
    assert!(path.starts_with("socketio.cookie.path = "), "{path}");
}
