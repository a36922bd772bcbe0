//! JSON in, with the place and the way out of whatever is wrong.

use nuncio_model::quote;
use serde::de::DeserializeOwned;

use super::failure::{Code, Failure};
use crate::config::suggest;

/// Reads one value. Only when it cannot be read, it is read again to tell where.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|_| told::<T>(text))
}

/// Reads one command, by the rules that hold for messages of clients.
pub(super) fn parse_command<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    nuncio_protocol::check_json(text)?;
    // Serde would also take an array of the fields' values.
    if !text.trim_start().starts_with('{') {
        return Err(Failure::invalid("a command must be an object"));
    }
    parse(text)
}

fn told<T: DeserializeOwned>(text: &str) -> Failure {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        // What follows the value is no part of it.
        return Failure::new(Code::ParseError, "Invalid JSON");
    };
    let path = error.path().to_string();
    let inner = error.into_inner();
    if inner.is_syntax() || inner.is_eof() {
        return Failure::new(Code::ParseError, "Invalid JSON");
    }
    Failure::invalid(sentence(&path, &inner.to_string()))
}

/// Serde's words as a sentence of ours.
fn sentence(path: &str, error: &str) -> String {
    // "… at line 1 column 9": the body is rarely kept in lines.
    let error = error
        .rsplit_once(" at line ")
        .map_or(error, |(error, _)| error);
    let mut names = error.split('`').skip(1).step_by(2);
    let kind = match error {
        _ if error.starts_with("unknown field") => "field",
        _ if error.starts_with("unknown variant") => "value",
        _ if error.starts_with("missing field") => {
            let place = joined(path, names.next().unwrap_or_default());
            return format!("{place} is missing");
        }
        _ if path == "." => return error.to_owned(),
        _ => return format!("{path}: {error}"),
    };
    let unknown = names.next().unwrap_or_default().to_owned();
    let known: Vec<_> = names.map(str::to_owned).collect();
    let meant = suggest(&unknown, known.iter().cloned())
        .map_or_else(String::new, |name| format!("; did you mean {name}?"));
    // The path of an unknown field has the field already.
    let place = match path.strip_suffix(&unknown).unwrap_or(path) {
        "." | "" => String::new(),
        place => format!("{}: ", place.trim_end_matches('.')),
    };
    let known = known.join(", ");
    format!(
        "{place}there is no {kind} {}, only {known}{meant}",
        quote(&unknown)
    )
}

fn joined(path: &str, name: &str) -> String {
    if path == "." {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        room_id: nuncio_model::RoomName,
        #[serde(default)]
        except: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        rooms: Vec<nuncio_model::RoomName>,
        kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        Kept,
        Volatile,
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_was_meant() {
        for (text, told) in [
            (
                r#"{"roomid":"a"}"#,
                r#"there is no field "roomid", only roomId, except; did you mean roomId?"#,
            ),
            (r"{}", "roomId is missing"),
            (
                r#"{"roomId":7}"#,
                "roomId: invalid type: integer `7`, expected a string",
            ),
            (r#"{"roomId":""}"#, "roomId: room id is empty"),
            (
                r#"{"roomId":"a","except":{"rooms":["b",""]}}"#,
                "except.rooms[1]: room id is empty",
            ),
            (
                r#"{"roomId":"a","except":{"kind":"kept"}}"#,
                "except.rooms is missing",
            ),
            (
                r#"{"roomId":"a","except":{"room":[]}}"#,
                r#"except: there is no field "room", only rooms, kind; did you mean rooms?"#,
            ),
            (
                r#"{"roomId":"a","except":{"kind":"kapt"}}"#,
                r#"except.kind: there is no value "kapt", only kept, volatile; did you mean kept?"#,
            ),
            (
                "[]",
                "invalid length 0, expected struct Outer with 2 elements",
            ),
        ] {
            let failure = parse::<Outer>(text).unwrap_err();

            assert_eq!(failure.code, Code::InvalidMessage, "{text}");
            assert_eq!(failure.message, told, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_a_parse_error() {
        for text in ["", "{", "{\"roomId\":\"a\"} x", "nonsense"] {
            assert_eq!(
                parse::<Outer>(text).unwrap_err().code,
                Code::ParseError,
                "{text}"
            );
        }
    }
}
