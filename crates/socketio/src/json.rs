//! A walk over JSON text that is passed on as it came, not parsed into values and written again.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::decode::DecodeError;

/// Accepts one JSON text of bounded nesting.
pub(crate) fn check(text: &[u8], depth_max: usize) -> Result<(), DecodeError> {
    let depth = depth(text);
    if depth > depth_max {
        return Err(DecodeError::TooDeep { max: depth_max });
    }
    std::str::from_utf8(text).map_err(|_| DecodeError::Json)?;
    serde_json::from_slice::<IgnoredAny>(text).map_err(|_| DecodeError::Json)?;
    Ok(())
}

/// The deepest nesting of brackets outside strings.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

/// A string's value, `None` when it holds half a surrogate pair.
pub(crate) fn unescape(quoted: &[u8]) -> Option<Cow<'_, str>> {
    if quoted.contains(&b'\\') {
        return serde_json::from_slice(quoted).ok().map(Cow::Owned);
    }
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// Walks over checked JSON, one token at a time. On other text it gives nonsense but ends and never panics.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next token begins, and its first byte; 0 at the end.
    pub(crate) fn peek(&mut self) -> u8 {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied().unwrap_or(0)
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Steps into an array or object.
    pub(crate) fn enter(&mut self) {
        self.peek();
        self.at += 1;
    }

    /// Whether one more element or member follows; steps over the comma, or out over `close`.
    pub(crate) fn has_more(&mut self, close: u8) -> bool {
        let byte = self.peek();
        if byte == b',' {
            self.at += 1;
        }
        if byte == close {
            self.at += 1;
        }
        byte != close && byte != 0
    }

    /// A member's name, quotes included; steps over the colon.
    pub(crate) fn key(&mut self) -> &'a [u8] {
        let key = self.value();
        if self.peek() == b':' {
            self.at += 1;
        }
        key
    }

    /// Any value, as it is written.
    pub(crate) fn value(&mut self) -> &'a [u8] {
        self.peek();
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth == 0 => break,
                b']' | b'}' => depth -= 1,
                b'"' => self.step_over_string(),
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
            if depth == 0 && matches!(byte, b']' | b'}' | b'"') {
                break;
            }
        }
        let end = self.at.min(self.text.len());
        if end == start {
            // Nothing that could be a value: step on, so that every walk ends.
            self.at += 1;
        }
        &self.text[start..end]
    }

    /// Stops at the closing quote.
    fn step_over_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => return,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        assert_eq!(depth(br#"["[[[[\"[[",{"a":[]}]"#), 3);
        assert_eq!(check(b"[[[]]]", 2), Err(DecodeError::TooDeep { max: 2 }));
        assert_eq!(check(b"[[[]]]", 3), Ok(()));
    }

    #[test]
    fn only_one_complete_json_text_is_accepted() {
        for text in [
            "[1",
            "[1]]",
            "{}{}",
            "[01]",
            "nul",
            "",
            "[\"a]",
            "[\"\u{1}\"]",
        ] {
            assert_eq!(
                check(text.as_bytes(), 9),
                Err(DecodeError::Json),
                "{text:?}"
            );
        }
    }

    #[test]
    fn values_are_cut_out_as_they_are_written() {
        let mut cursor = Cursor::new(br#" [ "a\"]" , {"k" : [1,"}"]},-1.5e3 ,null] "#);
        let mut values = Vec::new();
        cursor.enter();
        while cursor.has_more(b']') {
            values.push(std::str::from_utf8(cursor.value()).unwrap());
        }
        assert_eq!(
            values,
            [r#""a\"]""#, r#"{"k" : [1,"}"]}"#, "-1.5e3", "null"]
        );
    }
}
