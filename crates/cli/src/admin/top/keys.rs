//! Keys out of what a terminal sends.

/// A key that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Sign(char),
    Enter,
    Escape,
    Backspace,
    /// Ctrl-C, which the terminal hands over as a byte.
    Interrupt,
}

/// The keys in what was read at once. An arrow or function key comes as several bytes after an escape, and is none of ours.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    if bytes.len() > 1 && bytes[0] == b'\x1b' {
        return Vec::new();
    }
    String::from_utf8_lossy(bytes)
        .chars()
        .filter_map(key)
        .collect()
}

fn key(sign: char) -> Option<Key> {
    match sign {
        '\x03' | '\x04' => Some(Key::Interrupt),
        '\r' | '\n' => Some(Key::Enter),
        '\x1b' => Some(Key::Escape),
        '\x7f' | '\x08' => Some(Key::Backspace),
        sign if sign.is_control() || sign == '\u{fffd}' => None,
        sign => Some(Key::Sign(sign)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_sends_is_read_as_keys() {
        assert_eq!(keys(b"q"), [Key::Sign('q')]);
        assert_eq!(keys("ä/".as_bytes()), [Key::Sign('ä'), Key::Sign('/')]);
        assert_eq!(keys(b"\x1b"), [Key::Escape]);
        assert_eq!(keys(b"\x1b[A"), []);
        assert_eq!(
            keys(b"\x7f\r\x03"),
            [Key::Backspace, Key::Enter, Key::Interrupt]
        );
    }
}
