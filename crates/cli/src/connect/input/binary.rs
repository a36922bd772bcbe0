//! Bytes as they are written in a line.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::InputError;

/// Where the bytes of a message come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connect) enum Source {
    /// They stood in the line.
    Bytes(Bytes),
    /// All that this file has.
    File(PathBuf),
    /// All that standard input has.
    Stdin,
}

impl Source {
    /// Reads `hex:…`, `0x…`, `base64:…`, `@file`; without a prefix hex where it is hex, else base64.
    pub(super) fn parse(word: &str) -> Result<Self, InputError> {
        if let Some(path) = word.strip_prefix('@') {
            return Ok(Self::File(path.into()));
        }
        let refuse = |why: &str| InputError::Binary {
            word: word.to_owned(),
            why: why.to_owned(),
        };
        let explicit = word
            .strip_prefix("hex:")
            .or_else(|| word.strip_prefix("0x"));
        if let Some(digits) = explicit {
            let bytes = hex(digits);
            return bytes.ok_or_else(|| refuse("hex has two digits for each byte"));
        }
        if let Some(text) = word.strip_prefix("base64:") {
            return base64(text).ok_or_else(|| refuse("base64 has letters, digits, + / - _ and ="));
        }
        let neither = "it is neither; say which with hex: or base64:";
        hex(word)
            .or_else(|| base64(word))
            .ok_or_else(|| refuse(neither))
    }
}

fn hex(digits: &str) -> Option<Source> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| char::from(byte).to_digit(16))
        .map(|digit| digit.and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let is_whole = pairs.remainder().is_empty();
    let bytes: Vec<u8> = pairs.map(|pair| pair[0] << 4 | pair[1]).collect();
    is_whole.then(|| Source::Bytes(bytes.into()))
}

fn base64(text: &str) -> Option<Source> {
    let alphabet = if text.contains(['-', '_']) {
        &base64::alphabet::URL_SAFE
    } else {
        &base64::alphabet::STANDARD
    };
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(alphabet, config).decode(text).ok()?;
    Some(Source::Bytes(bytes.into()))
}
