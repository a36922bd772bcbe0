//! Bytes as people read them.

use std::fmt::Write as _;

/// Sixteen bytes a line with their place and their letters; at most [`BYTES_MAX`], then how many more there are.
pub(super) fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes[..bytes.len().min(BYTES_MAX)].chunks(16).enumerate() {
        let digits = line.iter().map(|byte| format!("{byte:02x} "));
        let digits: String = digits.collect();
        let letters = line.iter().map(|&byte| match byte {
            0x20..=0x7e => char::from(byte),
            _ => '.',
        });
        let letters: String = letters.collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:08x}  {digits:<48} {letters}", number * 16);
    }
    if bytes.len() > BYTES_MAX {
        let _ = writeln!(text, "  … {} bytes more", bytes.len() - BYTES_MAX);
    }
    text
}

/// As much as fits on a screen. For all of it there is `--binary-out`.
const BYTES_MAX: usize = 256;
