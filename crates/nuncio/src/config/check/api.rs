//! The keys of the server API.

use nuncio_model::quote;

use super::{Config, Problem, unreadable};
use crate::config::{ApiKey, Secret};

impl Config {
    /// All keys, from the section and from its file.
    pub(super) fn check_api(&self, problems: &mut Vec<Problem>) -> Vec<ApiKey> {
        let mut keys = self.api.keys.clone();
        if let Some(path) = &self.api.keys_file {
            match std::fs::read_to_string(path).map(|text| ApiKey::read_file(&text)) {
                Ok(Ok(more)) => keys.extend(more),
                Ok(Err(fault)) => {
                    let path = quote(&path.to_string_lossy()).to_string();
                    problems.push(Problem::rule("api.keys_file", path, fault));
                }
                Err(error) => problems.push(unreadable("api.keys_file", path, &error)),
            }
        }
        for (index, key) in keys.iter().enumerate() {
            if let Some(fault) = fault_of(key, &keys[..index]) {
                let found = format!("{{ name = {}, key = {} }}", quote(&key.name), Secret::MASK);
                problems.push(Problem::rule("api.keys", found, fault));
            }
        }
        keys
    }
}

fn fault_of(key: &ApiKey, before: &[ApiKey]) -> Option<String> {
    let secret = key.key.as_bytes();
    let fault = if key.name.is_empty() || key.name.chars().any(char::is_control) {
        "a key needs a name for the log, without control characters".to_owned()
    } else if secret == Secret::EXAMPLE.as_bytes() {
        "this is the example of the documentation, which everybody knows: use the output of `openssl rand -base64 32`".to_owned()
    } else if secret.len() < Secret::BYTES_MIN {
        format!(
            "{} bytes can be guessed, at least {} are needed: make one with `openssl rand -base64 32`",
            secret.len(),
            Secret::BYTES_MIN
        )
    } else if !secret.iter().all(u8::is_ascii_graphic) {
        "a key is sent in a header: use letters, digits and signs of ASCII, without spaces"
            .to_owned()
    } else if key.scopes.is_empty() {
        "it may do nothing: list what it may do in scopes".to_owned()
    } else if before.iter().any(|other| other.name == key.name) {
        "two keys have this name: the log could not tell them apart".to_owned()
    } else if before.iter().any(|other| other.key == key.key) {
        "another name has the same key: make one with `openssl rand -base64 32`".to_owned()
    } else {
        return None;
    };
    Some(fault)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const AUTH: &str = "[auth]\nsecrets = [\"a secret of at least thirty-two bytes\"]\n[api]\n";

    #[test]
    fn a_key_that_is_short_known_twice_there_or_good_for_nothing_is_refused() {
        let key = |name: &str, key: &str, scopes: &str| {
            format!("{{ name = \"{name}\", key = \"{key}\", scopes = [{scopes}] }}")
        };
        let (long, read) = ("k".repeat(32), "\"read\"");
        for (keys, told) in [
            (key("a", "short", read), "5 bytes can be guessed"),
            (key("a", Secret::EXAMPLE, read), "everybody knows"),
            (key("a", &"k ".repeat(32), read), "without spaces"),
            (key("", &long, read), "needs a name"),
            (key("a", &long, ""), "may do nothing"),
            (
                key("a", &long, read) + "," + &key("a", &"l".repeat(32), read),
                "two keys",
            ),
            (
                key("a", &long, read) + "," + &key("b", &long, read),
                "the same key",
            ),
        ] {
            let config = Config::from_toml(&format!("{AUTH}keys = [{keys}]"), Path::new("t"));

            let problems = config.unwrap().check().unwrap_err().to_string();

            assert!(problems.contains(told), "{told}: {problems}");
            assert!(!problems.contains(&long), "{problems}");
        }
    }

    #[test]
    fn keys_of_the_section_and_of_its_file_are_good_together() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let more = format!(
            "[[keys]]\nname = \"b\"\nkey = \"{}\"\nscopes = [\"admin\"]",
            "l".repeat(32)
        );
        std::fs::write(&file, more).unwrap();
        let text = format!(
            "{AUTH}keys_file = \"{}\"\nkeys = [{{ name = \"a\", key = \"{}\", scopes = [\"read\"] }}]",
            file.path().display(),
            "k".repeat(32)
        );

        let checked = Config::from_toml(&text, Path::new("t"))
            .unwrap()
            .check()
            .unwrap();

        let names: Vec<_> = checked.api_keys.iter().map(|key| &*key.name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
