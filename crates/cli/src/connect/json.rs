//! JSON as it was written: its tokens, so that keys keep their order and numbers their spelling.

/// A piece of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{` or `[`.
    Open(&'a str),
    /// `}` or `]`.
    Close(&'a str),
    /// `:`.
    Colon,
    /// `,`.
    Comma,
    /// A string that names a field, with its quotes.
    Key(&'a str),
    /// A string, with its quotes.
    Text(&'a str),
    /// A number.
    Number(&'a str),
    /// `true`, `false`, `null`.
    Literal(&'a str),
}

impl<'a> Token<'a> {
    /// As it was written.
    pub(super) const fn text(self) -> &'a str {
        match self {
            Self::Open(text)
            | Self::Close(text)
            | Self::Key(text)
            | Self::Text(text)
            | Self::Number(text)
            | Self::Literal(text) => text,
            Self::Colon => ":",
            Self::Comma => ",",
        }
    }
}

/// The tokens of a text, without the white space between them; `None` unless it is one JSON value.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => string_len(rest),
            '{' | '[' | '}' | ']' | ':' | ',' => 1,
            _ => rest
                .find(|next: char| next.is_ascii_whitespace() || ",:]}".contains(next))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(len);
        rest = after.trim_start();
        tokens.push(match first {
            '"' if rest.starts_with(':') => Token::Key(token),
            '"' => Token::Text(token),
            '{' | '[' => Token::Open(token),
            '}' | ']' => Token::Close(token),
            ':' => Token::Colon,
            ',' => Token::Comma,
            't' | 'f' | 'n' => Token::Literal(token),
            _ => Token::Number(token),
        });
    }
    Some(tokens)
}

/// The length of the string that a text begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// The text with the values of these fields of the outermost object hidden.
pub(super) fn without_secrets(text: &str, fields: &[&str]) -> String {
    let Some(tokens) = tokens(text) else {
        return text.to_owned();
    };
    let (mut hidden, mut depth, mut hides) = (String::with_capacity(text.len()), 0, false);
    for token in tokens {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close(_) => depth -= 1,
            Token::Key(key) => hides = depth == 1 && fields.contains(&key.trim_matches('"')),
            Token::Text(_) if hides => {
                hidden.push_str("\"…\"");
                hides = false;
                continue;
            }
            Token::Colon => {}
            Token::Comma | Token::Text(_) | Token::Number(_) | Token::Literal(_) => hides = false,
        }
        hidden.push_str(token.text());
    }
    hidden
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_keep_their_order_and_numbers_their_spelling() {
        let text = r#" { "b" : 1.50e2 , "a": [ "x\"]:" , null, -0 ] } "#;

        let all: String = tokens(text).unwrap().into_iter().map(Token::text).collect();

        assert_eq!(all, r#"{"b":1.50e2,"a":["x\"]:",null,-0]}"#);
        assert_eq!(tokens("{} {}"), None);
        assert_eq!(tokens("hello"), None);
    }

    #[test]
    fn secrets_are_hidden_in_the_message_and_not_in_what_people_wrote() {
        let auth = r#"{"type": "auth", "token": "s3cret", "id": 1}"#;
        let hidden = without_secrets(auth, &["token", "resume"]);
        assert_eq!(hidden, r#"{"type":"auth","token":"…","id":1}"#);

        let chat = r#"{"type":"chat:message","content":{"token":"of love"}}"#;
        assert_eq!(without_secrets(chat, &["token"]), chat);
        assert_eq!(without_secrets("no JSON", &["token"]), "no JSON");
    }

    proptest! {
        #[test]
        fn the_tokens_are_the_text_but_for_white_space(value in any_json(3)) {
            let text = serde_json::to_string_pretty(&value).unwrap();

            let all: String = tokens(&text).unwrap().into_iter().map(Token::text).collect();

            prop_assert_eq!(all, value.to_string());
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}:,\"\\\\a0 -]{0,20}") {
            let _ = tokens(&text);
            let _ = without_secrets(&text, &["a"]);
        }
    }

    fn any_json(depth: u32) -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "\\PC{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map("\\PC{0,4}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
