//! The header `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
//!
//! ```text
//! extension-list  = 1#( token *( ";" token [ "=" ( token | quoted-string ) ] ) )
//! ```

use std::borrow::Cow;

use super::is_token_byte;

/// One extension with its parameters, as offered or accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    pub(super) params: Vec<Param<'a>>,
}

/// One parameter; `client_max_window_bits` may stand without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<Cow<'a, str>>,
}

/// Reads one header line; `None` when it breaks the grammar.
pub(super) fn parse(line: &[u8]) -> Option<Vec<Extension<'_>>> {
    let mut rest = Scanner { bytes: line };
    let mut extensions = Vec::new();
    loop {
        rest.skip_spaces();
        match rest.bytes.first() {
            None => return Some(extensions),
            // A list may have empty items (RFC 9110 §5.6.1.2).
            Some(b',') => rest.skip(),
            Some(_) => {
                extensions.push(rest.extension()?);
                if !rest.bytes.is_empty() && !rest.take(b',') {
                    return None;
                }
            }
        }
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn extension(&mut self) -> Option<Extension<'a>> {
        let name = self.token()?;
        let mut params = Vec::new();
        while self.take(b';') {
            params.push(self.param()?);
        }
        Some(Extension { name, params })
    }

    fn param(&mut self) -> Option<Param<'a>> {
        let name = self.token()?;
        let value = if self.take(b'=') {
            Some(self.value()?)
        } else {
            None
        };
        Some(Param { name, value })
    }

    fn value(&mut self) -> Option<Cow<'a, str>> {
        if !self.take(b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = String::new();
        loop {
            let byte = self.next_byte()?;
            match byte {
                b'"' => break,
                b'\\' => value.push(self.next_byte()?.into()),
                byte => value.push(byte.into()),
            }
        }
        // The value after unescaping must be a token (RFC 6455 §9.1).
        super::is_token(value.as_bytes()).then_some(Cow::Owned(value))
    }

    fn token(&mut self) -> Option<&'a str> {
        self.skip_spaces();
        let len = self
            .bytes
            .iter()
            .take_while(|byte| is_token_byte(**byte))
            .count();
        let (token, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        std::str::from_utf8(token)
            .ok()
            .filter(|token| !token.is_empty())
    }

    fn take(&mut self, wanted: u8) -> bool {
        self.skip_spaces();
        let found = self.bytes.first() == Some(&wanted);
        if found {
            self.skip();
        }
        found
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    fn skip(&mut self) {
        self.bytes = &self.bytes[1..];
    }

    fn skip_spaces(&mut self) {
        self.bytes = self.bytes.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &str) -> Option<String> {
        let extensions = parse(line.as_bytes())?;
        Some(
            extensions
                .iter()
                .map(shown_extension)
                .collect::<Vec<_>>()
                .join(" | "),
        )
    }

    fn shown_extension(extension: &Extension<'_>) -> String {
        let params = extension.params.iter().map(|param| match &param.value {
            Some(value) => format!(" {}:{value}", param.name),
            None => format!(" {}", param.name),
        });
        extension.name.to_owned() + &params.collect::<String>()
    }

    /// RFC 6455 §9.1, the examples.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        assert_eq!(shown("foo").unwrap(), "foo");
        assert_eq!(shown("bar; baz=2").unwrap(), "bar baz:2");
        assert_eq!(shown("foo, bar; baz=2").unwrap(), "foo | bar baz:2");
        assert_eq!(shown("deflate-stream").unwrap(), "deflate-stream");
        assert_eq!(
            shown("mux; max-channels=4; flow-control, deflate-stream").unwrap(),
            "mux max-channels:4 flow-control | deflate-stream"
        );
        assert_eq!(shown("private-extension").unwrap(), "private-extension");
    }

    #[test]
    fn a_value_may_be_quoted() {
        assert_eq!(shown("a; b=\"10\"; c").unwrap(), "a b:10 c");
        assert_eq!(shown("a; b=\"1\\0\"").unwrap(), "a b:10");
    }

    #[test]
    fn spaces_and_empty_items_do_not_matter() {
        assert_eq!(shown(" , a ;b = 1,,\tc, ").unwrap(), "a b:1 | c");
        assert_eq!(shown("").unwrap(), "");
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for line in [
            "a b",
            "a;",
            "a; b=",
            "a; =1",
            ";",
            "a; b=\"1",
            "a; b=\"\"",
            "a; b=\"1 2\"",
            "a=1",
            "a; b=1 2",
            "é",
        ] {
            assert_eq!(shown(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn random_lines_never_panic(line in proptest::collection::vec(prop_oneof![Just(b';'), Just(b','), Just(b'='), Just(b'"'), Just(b'\\'), any::<u8>()], 0..40)) {
            let _ = parse(&line);
        }
    }
}
