//! What is wrong with a configuration: all of it at once, each with its place and the way out.

use std::fmt;
use std::path::PathBuf;

use nuncio_model::quote;

use super::setting::Wrong;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In an environment variable.
    Variable(String),
    /// On the command line; only the key, for the value may be a secret.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--set {key}"),
        }
    }
}

/// One thing that is wrong. The message says what to do, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No key has this name.
    #[error("{place}: there is no key {}{}", quote(.key), did_you_mean(.suggestion.as_deref()))]
    UnknownKey {
        /// Where it was written.
        place: Place,
        /// The whole name as written.
        key: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
    },
    /// No section has this name.
    #[error("{place}: there is no section [{section}]{}", did_you_mean(.suggestion.as_ref().map(|name| format!("[{name}]")).as_deref()))]
    UnknownSection {
        /// Where it was written.
        place: Place,
        /// The name as written.
        section: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
    },
    /// No variable of ours has this name.
    #[error("there is no variable {}{}", quote(.name), did_you_mean(.suggestion.as_deref()))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
    },
    /// The value cannot be read.
    #[error("{place}: {key}: {wrong}")]
    Value {
        /// Where it was written.
        place: Place,
        /// The key.
        key: String,
        /// What was found and what is wanted.
        wrong: Wrong,
    },
    /// The file is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where reading stopped.
        place: Place,
        /// What the parser says, without quoting the line.
        message: String,
    },
    /// A file cannot be read.
    #[error("{}: {error}; {remedy}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why, in the words of the system.
        error: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A `--set` without `=`.
    #[error("--set {}: write it as section.key=value, for example limits.rooms_per_session=20", quote(.0))]
    NotAssigned(String),
    /// A value that was read, but cannot hold: alone or beside another.
    #[error("{key} = {found}: {fault}")]
    Rule {
        /// The key.
        key: &'static str,
        /// Its value, or what stands for it.
        found: String,
        /// Why it cannot hold, and the way out.
        fault: String,
    },
}

impl Problem {
    /// The keys that it is about, those among them that were probably meant.
    pub(crate) fn keys(&self) -> impl Iterator<Item = String> + use<> {
        let (key, meant) = match self {
            Self::UnknownKey {
                key, suggestion, ..
            } => (Some(key.clone()), suggestion.clone()),
            Self::Value { key, .. } => (Some(key.clone()), None),
            Self::Rule { key, .. } => (Some((*key).to_owned()), None),
            Self::UnknownSection { .. }
            | Self::UnknownVariable { .. }
            | Self::Syntax { .. }
            | Self::Unreadable { .. }
            | Self::NotAssigned(_) => (None, None),
        };
        key.into_iter().chain(meant)
    }

    pub(crate) fn rule(
        key: &'static str,
        found: impl fmt::Display,
        fault: impl fmt::Display,
    ) -> Self {
        Self::Rule {
            key,
            found: found.to_string(),
            fault: fault.to_string(),
        }
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// Everything that is wrong, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => write!(f, "{only}"),
            several => {
                write!(f, "{} problems:", several.len())?;
                several
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}
