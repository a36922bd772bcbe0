//! Answers to polls made smaller, for clients that say what they can read (RFC 9110 §8.4, §12.5.3).

use std::cmp::Reverse;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderMap, header};

/// How an answer is made smaller, and from how many bytes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shrink {
    coding: Coding,
    threshold: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

impl Shrink {
    /// The coding that the client likes best of the two there are; of those it likes alike, the one it names first.
    pub(super) fn accepted(headers: &HeaderMap, threshold: usize) -> Option<Self> {
        let rank_of = |wanted: &str| {
            let mut named = codings(headers).enumerate();
            named
                .find(|(_, (name, _))| name.eq_ignore_ascii_case(wanted))
                .map(|(index, (_, weight))| (weight, Reverse(index)))
        };
        let ranked = [Coding::Deflate, Coding::Gzip]
            .into_iter()
            .filter_map(|coding| {
                let rank = rank_of(coding.as_str()).or_else(|| rank_of("*"))?;
                (rank.0 > 0).then_some((rank, coding))
            });
        let (_, coding) = ranked.max_by_key(|(rank, _)| *rank)?;
        Some(Self { coding, threshold })
    }

    /// The bytes, and their content coding where they became fewer.
    pub(super) fn apply(self, body: Bytes) -> (Bytes, Option<&'static str>) {
        if body.len() < self.threshold {
            return (body, None);
        }
        match self.coding.encode(&body) {
            Ok(small) if small.len() < body.len() => (small.into(), Some(self.coding.as_str())),
            Ok(_) | Err(_) => (body, None),
        }
    }
}

impl Coding {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// As fast as it goes: it is done where other connections wait. HTTP's `deflate` is the zlib format (RFC 9110 §8.4.1.2).
    fn encode(self, body: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()
            }
        }
    }
}

/// The codings that a request accepts with their weights in thousandths; one that is malformed counts nothing.
fn codings(headers: &HeaderMap) -> impl Iterator<Item = (&str, u16)> {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|item| {
            let (name, params) = item.split_once(';').unwrap_or((item, ""));
            let weight = match params.trim().split_once('=') {
                Some(("q" | "Q", weight)) => thousandths(weight.trim()),
                Some(_) => 0,
                None => 1000,
            };
            (name.trim(), weight)
        })
}

fn thousandths(weight: &str) -> u16 {
    match weight.parse::<f32>() {
        Ok(weight @ 0.0..=1.0) => (weight * 1000.0) as u16,
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::{GzDecoder, ZlibDecoder};
    use http::HeaderValue;

    use super::*;

    fn accepted(line: &'static str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
        Shrink::accepted(&headers, 0).map(|shrink| shrink.coding.as_str())
    }

    #[test]
    fn the_client_chooses_by_weight_then_by_order() {
        for (line, chosen) in [
            ("gzip, deflate, br", Some("gzip")),
            ("deflate, gzip", Some("deflate")),
            ("gzip;q=0.5, deflate;q=0.8", Some("deflate")),
            ("GZIP ; q=1.0", Some("gzip")),
            ("*", Some("gzip")),
            ("gzip;q=0, *", Some("deflate")),
            ("*;q=0.5, deflate", Some("deflate")),
            ("br, identity", None),
            ("gzip;q=0", None),
            ("gzip;q=2, deflate;q=x", None),
            ("", None),
        ] {
            assert_eq!(accepted(line), chosen, "{line}");
        }
        assert_eq!(Shrink::accepted(&HeaderMap::new(), 0), None);
    }

    #[test]
    fn a_body_from_the_threshold_on_is_what_it_was_once_decoded() {
        let body = Bytes::from(vec![b'x'; 2_000]);
        for coding in [Coding::Gzip, Coding::Deflate] {
            let threshold = body.len();
            let (small, said) = Shrink { coding, threshold }.apply(body.clone());

            assert_eq!(said, Some(coding.as_str()));
            assert!(small.len() < 100, "{} bytes", small.len());
            let mut decoded = Vec::new();
            match coding {
                Coding::Gzip => GzDecoder::new(&small[..]).read_to_end(&mut decoded),
                Coding::Deflate => ZlibDecoder::new(&small[..]).read_to_end(&mut decoded),
            }
            .expect("it is well-formed");
            assert_eq!(decoded, body);
        }
    }

    #[test]
    fn a_small_body_and_one_that_does_not_shrink_stay_as_they_are() {
        let noise: Bytes = (0..=255).collect();
        let (coding, threshold) = (Coding::Gzip, 256);
        for body in [Bytes::from(vec![b'x'; 255]), noise] {
            let (same, said) = Shrink { coding, threshold }.apply(body.clone());
            assert_eq!((same, said), (body, None));
        }
    }
}
