//! The reference page, made of the keys.

use std::fmt::Write as _;

use super::{Config, assignment};

const INTRODUCTION: &str = r#"# Configuration

Nothing needs to be configured to try nuncio: without a file and without secrets it runs as a demo on this machine.
For anything else give it a secret, and say what its tokens grant.

```toml
# nuncio.toml
[server]
listen = "0.0.0.0:8080"
origins = ["https://app.example.com"]

[auth]
secrets = ["put the output of 'openssl rand -base64 32' here"]

[grants]
rooms = [{ rooms = "chat:*", allow = ["join", "publish", "presence", "history", "typing"] }]
```

Settings come from four places; each one replaces what came before it:

1. the defaults below;
2. the file: `--config <file>`, or `NUNCIO_CONFIG`, or `nuncio.toml` in the current folder;
3. environment variables: `NUNCIO_` and the key in capitals, its dots as underscores: `NUNCIO_LIMITS_MESSAGE_BYTES=65536`;
4. flags: `--set limits.message_bytes=65536`, and those with a name of their own, such as `--listen`.

In variables and flags, lists have commas between their items (`a,b`) or are TOML arrays (`["a", "b"]`); an empty text means an empty list, or
that the key is not set. A key or `NUNCIO_` variable that does not exist is an error, with the name that was probably meant. Only
the variables that Kubernetes makes for a service called `nuncio` (`NUNCIO_PORT`, `NUNCIO_SERVICE_HOST` and the like) are passed over.
`nuncio check-config` says what is wrong, all at once, or shows what holds, with the secrets hidden.

A **duration** is a number of seconds, or a number with `ms`, `s`, `m`, `h` or `d`: `"500ms"`, `"30s"`. A **size** is a number of bytes, or one with `KiB`,
`MiB`, `GiB`, `kB`, `MB` or `GB`. A **pattern** of names has `*` for any run of characters: `chat:*`, `*`.

## Tokens

A token is a JSON Web Token signed with HS256. `sub` is the user; `exp`, `nbf`, `iss`, `aud`, `iat` and `jti` mean what RFC 7519 says. The claim `nuncio` says what it
grants; what it leaves out comes from the section `grants` below, and `[]` grants nothing:

```json
{
  "sub": "ann", "exp": 1900000000,
  "nuncio": {
    "ns": ["/"],
    "grants": [{ "rooms": "chat:*", "allow": ["join", "publish", "presence", "history", "typing"] }],
    "private": ["*"],
    "join": ["chat:lobby"],
    "info": { "name": "Ann" }
  }
}
```

`nuncio token --user ann` mints one for development.

## The demo

Without a configuration file and without secrets, nuncio is a demo: whoever asks `POST /demo/token` for a name gets a token that grants everything, the
echo endpoint is on, and the secret behind the tokens is kept in the data folder (`demo-secret`), so that a page survives a restart of the server.
Of that secret the demo makes a key for the server API too, unless `api.keys` names some: commands such as `nuncio rooms` find it in the same folder ([the command line](command-line.md)).
It refuses to listen on an address that other machines can reach, and to be asked by any other name than this machine's own.
"#;

/// The reference page in Markdown: `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in Config::default().sections() {
        let _ = write!(page, "\n## `{}`\n\n{}\n\n", section.name(), section.about());
        page += "| key | default | what |\n| --- | --- | --- |\n";
        for (key, value) in section.keys().iter().zip(section.values()) {
            let name = key.name.rsplit('.').next().unwrap_or(&key.name);
            let default = match assignment("", value.as_ref()).strip_prefix(" = ") {
                Some(value) => format!("`{}`", value.trim_end()),
                None => "not set".to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{name}` | {default} | *{}.* {} |",
                key.kind, key.doc
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn the_page_in_the_documentation_is_what_the_keys_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

        let page = std::fs::read_to_string(path).unwrap();

        assert!(
            page == reference(),
            "docs/configuration.md is behind the code: `cargo run -- check-config --reference > docs/configuration.md` renews it"
        );
    }

    #[test]
    fn the_example_in_the_introduction_is_good_once_it_has_a_secret_of_its_own() {
        let example = INTRODUCTION
            .split("```toml\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let config =
            |text: &str| Config::from_toml(text, std::path::Path::new("nuncio.toml")).unwrap();

        let copied = config(example.unwrap()).check().unwrap_err().to_string();
        let own = config(&example.unwrap().replace(Secret::EXAMPLE, &"s".repeat(32)));

        assert!(copied.contains("everybody knows"), "{copied}");
        own.check().unwrap();
    }
}
