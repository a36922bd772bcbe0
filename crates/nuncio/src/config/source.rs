//! Where settings come from: a file, the environment, the command line. Each one replaces what came before it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::problem::{Place, Problem, Problems};
use super::setting::Raw;
use super::suggest::suggest;
use super::{Config, Mode};

/// What a configuration is read from, in rising precedence.
///
/// ```
/// use nuncio::config::{Config, Sources};
///
/// let sources = Sources {
///     variables: vec![("NUNCIO_LIMITS_ROOMS_PER_SESSION".into(), "7".into())],
///     flags: vec!["limits.rooms_per_session=8".into()],
///     ..Sources::default()
/// };
/// assert_eq!(Config::load(&sources).unwrap().limits.rooms_per_session, 8);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file; it must exist.
    pub file: Option<PathBuf>,
    /// Environment variables. Those that do not start with `NUNCIO_` are passed over.
    pub variables: Vec<(String, String)>,
    /// Assignments `section.key=value`.
    pub flags: Vec<String>,
}

/// Variables that are no keys: the command line reads this one.
const OTHER_VARIABLES: [&str; 1] = ["NUNCIO_CONFIG"];

impl Config {
    /// Reads the configuration. Without a file and without secrets it is the [demo](Self::demo), with what variables and flags change in it.
    ///
    /// # Errors
    /// [`Problems`], all at once: what cannot be read, is not known, or has the wrong kind. What holds between values is looked at by
    /// [`check`](Self::check).
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let text = match sources.file.as_deref().map(read) {
            Some(Ok(text)) => Some(text),
            Some(Err(problem)) => return Err(Problems(vec![problem])),
            None => None,
        };
        let mut config = Self::default();
        config.apply(sources, text.as_deref(), &mut problems);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let has_secrets = !config.auth.secrets.is_empty() || config.auth.secrets_file.is_some();
        if text.is_none() && !has_secrets {
            // The same values once more, over other defaults: they were read without a problem.
            config = Self::demo();
            config.apply(sources, None, &mut problems);
        }
        Ok(config)
    }

    /// Reads the text of a configuration file; `path` is its name in messages.
    ///
    /// # Errors
    /// [`Problems`], as [`load`](Self::load).
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, Problems> {
        let mut config = Self {
            mode: Mode::Configured,
            ..Self::default()
        };
        let mut problems = Vec::new();
        config.apply_file(text, path, &mut problems);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems(problems))
        }
    }

    fn apply(&mut self, sources: &Sources, text: Option<&str>, problems: &mut Vec<Problem>) {
        if let (Some(path), Some(text)) = (&sources.file, text) {
            self.apply_file(text, path, problems);
        }
        for (name, value) in &sources.variables {
            self.apply_variable(name, value, problems);
        }
        for flag in &sources.flags {
            self.apply_flag(flag, problems);
        }
    }

    fn apply_file(&mut self, text: &str, path: &Path, problems: &mut Vec<Problem>) {
        let place = |span: Option<Range<usize>>| Place::File {
            path: path.to_owned(),
            line: 1 + text[..span.map_or(0, |span| span.start.min(text.len()))]
                .matches('\n')
                .count(),
        };
        match DeTable::parse(text) {
            Ok(table) => self.apply_table(table.into_inner(), "", &place, problems),
            Err(error) => problems.push(Problem::Syntax {
                place: place(error.span()),
                // Not the whole error: it quotes the line, which may hold a secret.
                message: error.message().to_owned(),
            }),
        }
    }

    fn apply_table(
        &mut self,
        table: DeTable<'_>,
        section: &str,
        place: &dyn Fn(Option<Range<usize>>) -> Place,
        problems: &mut Vec<Problem>,
    ) {
        for (name, value) in table {
            let key = match section {
                "" => name.get_ref().to_string(),
                section => format!("{section}.{}", name.get_ref()),
            };
            let at = place(Some(name.span()));
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(table) if Self::is_section(&key) => {
                    self.apply_table(table, &key, place, problems);
                }
                value => match plain(Spanned::new(span, value)) {
                    Ok(value) => self.assign(&key, Raw::Value(&value), at, problems),
                    Err(message) => problems.push(Problem::Syntax { place: at, message }),
                },
            }
        }
    }

    fn apply_variable(&mut self, name: &str, value: &str, problems: &mut Vec<Problem>) {
        if !name.starts_with("NUNCIO_") || OTHER_VARIABLES.contains(&name) || is_service_link(name)
        {
            return;
        }
        let keys = Self::keys();
        match keys.iter().find(|key| key.variable() == name) {
            Some(key) => self.assign(
                &key.name,
                Raw::Text(value),
                Place::Variable(name.to_owned()),
                problems,
            ),
            None => problems.push(Problem::UnknownVariable {
                name: name.to_owned(),
                suggestion: suggest(name, keys.iter().map(|key| key.variable())),
            }),
        }
    }

    fn apply_flag(&mut self, flag: &str, problems: &mut Vec<Problem>) {
        match flag.split_once('=') {
            Some((key, value)) => {
                let key = key.trim();
                self.assign(key, Raw::Text(value), Place::Flag(key.to_owned()), problems);
            }
            None => problems.push(Problem::NotAssigned(flag.to_owned())),
        }
    }

    fn assign(&mut self, key: &str, raw: Raw<'_>, place: Place, problems: &mut Vec<Problem>) {
        let key = key.to_owned();
        match self.set(&key, raw) {
            Some(Ok(())) => {}
            Some(Err(wrong)) => problems.push(Problem::Value { place, key, wrong }),
            None => {
                let suggestion = suggest(&key, Self::keys().into_iter().map(|key| key.name));
                problems.push(Problem::UnknownKey {
                    place,
                    key,
                    suggestion,
                });
            }
        }
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path).map_err(|error| Problem::Unreadable {
        path: path.to_owned(),
        error: error.to_string(),
        remedy: "name a file that exists with --config, or leave the flag out",
    })
}

fn plain(value: Spanned<DeValue<'_>>) -> Result<Value, String> {
    Value::deserialize(value.into_deserializer())
        .map_err(|error: toml::de::Error| error.message().to_owned())
}

/// Kubernetes puts these into every container beside a service that is called nuncio.
fn is_service_link(name: &str) -> bool {
    let link = name.strip_prefix("NUNCIO_").unwrap_or_default();
    link == "PORT"
        || link == "SERVICE_HOST"
        || link.starts_with("SERVICE_PORT")
        || link
            .strip_prefix("PORT_")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
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

        assert!(
            problems.starts_with("nuncio.toml:1: there is no key \"limit\""),
            "{problems}"
        );
        assert!(!problems.contains('\n'), "{problems}");
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
            problems
                .contains("--set heartbeat.timeout: heartbeat.timeout: \"soon\" is not a duration"),
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
}
