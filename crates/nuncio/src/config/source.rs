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
use super::{CheckedConfig, Config, Mode};

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

/// Variables that are no keys: the command line reads these.
const OTHER_VARIABLES: [&str; 4] = [
    "NUNCIO_CONFIG",
    "NUNCIO_API",
    "NUNCIO_API_KEY",
    "NUNCIO_TOKEN",
];

impl Config {
    /// Reads the configuration. Without a file and without secrets it is the [demo](Self::demo), with what variables and flags change in it.
    ///
    /// # Errors
    /// [`Problems`], all at once: what cannot be read, is not known, or has the wrong kind. What holds between values is looked at by
    /// [`check`](Self::check).
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let (config, problems) = Self::gather(sources);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems(problems))
        }
    }

    /// Reads the configuration and checks it.
    ///
    /// # Errors
    /// [`Problems`]: what [`load`](Self::load) and what [`check`](Self::check) finds, all at once.
    pub fn load_checked(sources: &Sources) -> Result<CheckedConfig, Problems> {
        let (config, mut problems) = Self::gather(sources);
        let unread: Vec<String> = problems.iter().flat_map(Problem::keys).collect();
        match config.check() {
            Ok(config) if problems.is_empty() => Ok(config),
            Ok(_) => Err(Problems(problems)),
            Err(Problems(more)) => {
                // A value that could not be read is its default here: what does not hold for that is nobody's fault.
                let is_new = |problem: &Problem| !problem.keys().any(|key| unread.contains(&key));
                problems.extend(more.into_iter().filter(is_new));
                Err(Problems(problems))
            }
        }
    }

    /// Reads everything, as far as it can be read.
    fn gather(sources: &Sources) -> (Self, Vec<Problem>) {
        let mut config = Self::default();
        let text = match sources.file.as_deref().map(read) {
            Some(Ok(text)) => Some(text),
            Some(Err(problem)) => return (Self::demo(), vec![problem]),
            None => None,
        };
        let mut problems = Vec::new();
        config.apply(sources, text.as_deref(), &mut problems);
        let names_secrets = |problem: &Problem| problem.keys().any(|key| key.starts_with("auth."));
        let has_secrets = !config.auth.secrets.is_empty()
            || config.auth.secrets_file.is_some()
            || problems.iter().any(names_secrets);
        if text.is_none() && !has_secrets {
            // The same values once more, over other defaults; what is wrong with them is known already.
            config = Self::demo();
            config.apply(sources, None, &mut Vec::new());
        }
        (config, problems)
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
                // A table that is no section holds keys that nobody knows: the section's own name is what is wrong.
                DeValue::Table(_) if Self::is_no_key(&key) => {
                    let suggestion = suggest(&key, Self::section_names());
                    problems.push(Problem::UnknownSection {
                        place: at,
                        section: key,
                        suggestion,
                    });
                }
                value => match plain(Spanned::new(span, value)) {
                    Ok(value) => self.assign(&key, Raw::Value(&value), at, problems),
                    Err(message) => problems.push(Problem::Syntax { place: at, message }),
                },
            }
        }
    }

    pub(crate) fn apply_variable(&mut self, name: &str, value: &str, problems: &mut Vec<Problem>) {
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
mod tests;
