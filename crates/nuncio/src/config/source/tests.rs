use std::time::Duration;

use super::*;

#[test]
fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nuncio.toml");
    std::fs::write(
        &file,
        "[limits]\nrooms_per_session = 1\ncalls_in_flight = 1\nrate_burst = 1\n",
    )
    .unwrap();
    let sources = Sources {
        file: Some(file),
        variables: variables(&[
            ("NUNCIO_LIMITS_CALLS_IN_FLIGHT", "2"),
            ("NUNCIO_LIMITS_RATE_BURST", "2"),
        ]),
        flags: vec!["limits.rate_burst=3".into()],
    };

    let limits = Config::load(&sources).unwrap().limits;

    assert_eq!(
        (
            limits.rooms_per_session,
            limits.calls_in_flight,
            limits.rate_burst
        ),
        (1, 2, 3)
    );
    assert_eq!(limits.sessions_per_user, 100, "the rest is the default");
}

#[test]
fn an_unknown_key_is_named_with_its_file_and_line_and_what_was_meant() {
    let problems =
        problems_of("[server]\nlisten = \"127.0.0.1:1\"\n\n[limits]\nmesage_bytes = 1\n");

    assert_eq!(
        problems,
        "nuncio.toml:5: there is no key \"limits.mesage_bytes\"; did you mean limits.message_bytes?"
    );
}

#[test]
fn an_unknown_section_is_one_problem_and_not_one_for_each_key() {
    let problems = problems_of("[limit]\nmessage_bytes = 1\nrate_burst = 2\n");

    assert_eq!(
        problems,
        "nuncio.toml:1: there is no section [limit]; did you mean [limits]?"
    );
}

#[test]
fn a_known_key_in_the_wrong_section_is_found() {
    let problems = problems_of("[server]\nmessage_bytes = 1\n");

    assert!(
        problems.ends_with("did you mean limits.message_bytes?"),
        "{problems}"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let sources = Sources {
        variables: variables(&[
            ("NUNCIO_LIMITS_RATE_BURST", "many"),
            ("NUNCIO_LIMTS_RATE_BURST", "3"),
        ]),
        flags: vec!["heartbeat.interval".into(), "heartbeat.timeout=soon".into()],
        ..Sources::default()
    };

    let problems = Config::load(&sources).unwrap_err().to_string();

    assert!(problems.starts_with("4 problems:"), "{problems}");
    assert!(
        problems.contains(
            "NUNCIO_LIMITS_RATE_BURST: limits.rate_burst: \"many\" is not a whole number"
        ),
        "{problems}"
    );
    assert!(
        problems.contains(
            "no variable \"NUNCIO_LIMTS_RATE_BURST\"; did you mean NUNCIO_LIMITS_RATE_BURST?"
        ),
        "{problems}"
    );
    assert!(
        problems.contains("write it as section.key=value"),
        "{problems}"
    );
    assert!(
        problems.contains("--set heartbeat.timeout: heartbeat.timeout: \"soon\" is not a duration"),
        "{problems}"
    );
}

#[test]
fn a_syntax_error_names_the_line_and_does_not_quote_it() {
    let problems = problems_of("[auth]\nsecrets = [\"0123456789-do-not-print-me-0123456789]\n");

    assert!(problems.starts_with("nuncio.toml:2: "), "{problems}");
    assert!(!problems.contains("do-not-print-me"), "{problems}");
}

#[test]
fn no_problem_with_a_secret_shows_it() {
    for text in [
        "[auth]\nsecrets = [4711471147114711]",
        "[auth]\nsecrets = { a = \"4711471147114711\" }",
        "[auth]\nsecrets = 4711471147114711",
    ] {
        assert!(
            !problems_of(text).contains("47114711"),
            "{}",
            problems_of(text)
        );
    }
    for variable in ["[\"4711471147114711", "[4711471147114711]"] {
        let sources = Sources {
            variables: variables(&[("NUNCIO_AUTH_SECRETS", variable)]),
            ..Sources::default()
        };
        let problems = Config::load(&sources).unwrap_err().to_string();
        assert!(!problems.contains("47114711"), "{problems}");
    }
}

#[test]
fn the_same_key_can_be_set_in_the_file_by_a_variable_and_by_a_flag() {
    let file = Config::from_toml(
        "[[rooms]]\npattern = \"tmp:*\"\nhistory = \"none\"\n[heartbeat]\ninterval = \"5s\"\n[server]\norigins = [\"https://a.example\"]\n[server.tls]\ncertificate = \"c.pem\"",
        Path::new("nuncio.toml"),
    )
    .unwrap();
    let variables = Sources {
        variables: variables(&[
            (
                "NUNCIO_ROOMS",
                "[{ pattern = \"tmp:*\", history = \"none\" }]",
            ),
            ("NUNCIO_HEARTBEAT_INTERVAL", "5"),
            ("NUNCIO_SERVER_ORIGINS", "https://a.example"),
            ("NUNCIO_SERVER_TLS_CERTIFICATE", "c.pem"),
            ("PATH", "/bin"),
        ]),
        ..Sources::default()
    };
    let flags = Sources {
        flags: [
            "rooms=[{ pattern = \"tmp:*\", history = \"none\" }]",
            "heartbeat.interval=5000ms",
            "server.origins=https://a.example",
            "server.tls.certificate=c.pem",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Sources::default()
    };

    for config in [
        Config::load(&variables).unwrap(),
        Config::load(&flags).unwrap(),
    ] {
        assert_eq!(config.rooms, file.rooms);
        assert_eq!(config.heartbeat.interval, Duration::from_secs(5));
        assert_eq!(config.server.origins, file.server.origins);
        assert_eq!(config.tls, file.tls);
    }
}

#[test]
fn variables_of_a_kubernetes_service_called_nuncio_are_no_mistakes() {
    let sources = Sources {
        variables: variables(&[
            ("NUNCIO_SERVICE_HOST", "10.0.0.1"),
            ("NUNCIO_SERVICE_PORT", "80"),
            ("NUNCIO_SERVICE_PORT_HTTP", "80"),
            ("NUNCIO_PORT", "tcp://10.0.0.1:80"),
            ("NUNCIO_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("NUNCIO_CONFIG", "x.toml"),
        ]),
        ..Sources::default()
    };

    assert_eq!(Config::load(&sources), Ok(Config::demo()));
}

#[test]
fn the_demo_is_what_remains_without_a_file_and_without_secrets() {
    let changed = Sources {
        flags: vec!["server.listen=127.0.0.1:9".into()],
        ..Sources::default()
    };
    let configured = Sources {
        variables: variables(&[("NUNCIO_AUTH_SECRETS", "01234567890123456789012345678901")]),
        ..Sources::default()
    };

    let demo = Config::load(&changed).unwrap();
    assert_eq!(
        (demo.mode(), demo.server.echo, demo.server.listen.port()),
        (Mode::Demo, true, 9)
    );
    let configured = Config::load(&configured).unwrap();
    assert_eq!(
        (configured.mode(), configured.server.echo),
        (Mode::Configured, false)
    );
    assert!(
        configured.grants.rooms.is_empty(),
        "nothing of the demo's grants is left"
    );
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    let sources = Sources {
        file: Some("/nowhere/nuncio.toml".into()),
        ..Sources::default()
    };

    let problems = Config::load(&sources).unwrap_err().to_string();

    assert!(
        problems.starts_with("/nowhere/nuncio.toml: ") && problems.contains("--config"),
        "{problems}"
    );
}

fn problems_of(text: &str) -> String {
    Config::from_toml(text, Path::new("nuncio.toml"))
        .unwrap_err()
        .to_string()
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn what_cannot_be_read_and_what_does_not_hold_is_told_at_once() {
    let sources = Sources {
        flags: [
            "limits.rooms_per_session=0",
            "heartbeat.interval=soon",
            "metrics.listen=0.0.0.0:9090",
            "limits.mesage_bytes=1",
        ]
        .map(str::to_owned)
        .into(),
        ..Sources::default()
    };

    let problems = Config::load_checked(&sources).unwrap_err().to_string();

    for said in [
        "4 problems:",
        "--set heartbeat.interval: heartbeat.interval: \"soon\" is not a duration",
        "did you mean limits.message_bytes?",
        "limits.rooms_per_session = 0: nothing could ever pass",
        "metrics.listen = 0.0.0.0:9090: other machines reach this address",
    ] {
        assert!(problems.contains(said), "{said:?} in:\n{problems}");
    }
}

#[test]
fn a_secret_that_was_misspelt_is_not_missing_too() {
    let sources = Sources {
        variables: vec![("NUNCIO_AUTH_SECRET".to_owned(), "x".repeat(32))],
        flags: vec!["auth.secret=none".to_owned()],
        ..Sources::default()
    };

    let problems = Config::load_checked(&sources).unwrap_err().to_string();

    assert!(
        problems.contains("did you mean auth.secrets?"),
        "{problems}"
    );
    assert!(!problems.contains("no token can be checked"), "{problems}");
}
