//! Compression of messages (RFC 7692), always without context takeover.
//!
//! A window kept from one message to the next would cost 48 KB to 380 KB for each connection. Without it one [`Inflater`] and one
//! [`Deflater`] serve all connections of a thread, and one compressed frame serves all receivers with the same window.

use std::fmt;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::FrameError;

/// What both sides agreed on for `permessage-deflate` (RFC 7692 §7.1). Both never take over a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateParams {
    /// The largest window the server may compress with (`server_max_window_bits`).
    pub server_window: WindowBits,
    /// The largest window the client may compress with (`client_max_window_bits`).
    pub client_window: WindowBits,
}

/// The size of an LZ77 window as a power of two: 9 (512 bytes) to 15 (32 KiB).
///
/// RFC 7692 §7.1.2 also knows 8. zlib cannot compress with a window of 256 bytes (it takes 9 in secret, which the peer could
/// not read), so an offer that demands 8 of the compressing side is declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// The smallest window that zlib compresses with, 512 bytes.
    pub const MIN: Self = Self(9);
    /// The largest window, 32 KiB: what a side uses that was not asked for less.
    pub const MAX: Self = Self(15);

    /// The window of `2^bits` bytes; `None` below 9 or above 15.
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            9..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// The power of two.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Inflates the messages of any number of connections, one after the other. Make one for each thread.
///
/// Costs 48 KB once the first compressed message came, and nothing before. The last message stays in memory until the next
/// one; beyond 64 KiB its room is then given back.
#[derive(Debug, Default)]
pub struct Inflater {
    state: Option<Decompress>,
    output: Vec<u8>,
}

impl Inflater {
    /// An inflater that owns no memory yet.
    pub const fn new() -> Self {
        Self {
            state: None,
            output: Vec::new(),
        }
    }

    /// Inflates the payload of one message, joined from all its frames (RFC 7692 §7.2.2).
    ///
    /// # Errors
    ///
    /// [`FrameError::TooBig`] as soon as `bytes_max` is passed, [`FrameError::Deflate`] when the data is corrupt.
    /// The inflater is good for the next message after both.
    pub fn inflate(&mut self, payload: &[u8], bytes_max: u64) -> Result<&[u8], FrameError> {
        release(&mut self.output);
        let state = self.state.get_or_insert_with(|| Decompress::new(false));
        state.reset(false);
        for part in [payload, &FLUSH_TAIL] {
            inflate_part(state, part, &mut self.output, bytes_max)?;
        }
        Ok(&self.output)
    }
}

fn inflate_part(
    state: &mut Decompress,
    mut input: &[u8],
    output: &mut Vec<u8>,
    bytes_max: u64,
) -> Result<(), FrameError> {
    loop {
        make_room(output, input.len(), bytes_max);
        let (read_before, written_before) = (state.total_in(), output.len());
        let status = state
            .decompress_vec(input, output, FlushDecompress::Sync)
            .map_err(|_| FrameError::Deflate)?;
        let read = (state.total_in() - read_before) as usize;
        input = &input[read..];
        if output.len() as u64 > bytes_max {
            return Err(FrameError::TooBig {
                len: output.len() as u64,
                max: bytes_max,
            });
        }
        if status == Status::StreamEnd {
            // A final block is legal (RFC 7692 §7.2.3.4); what follows it starts afresh.
            state.reset(false);
        }
        let is_stuck = read == 0 && output.len() == written_before;
        if is_stuck || (input.is_empty() && output.len() < output.capacity()) {
            return Ok(());
        }
    }
}

/// Grows `output` when it is full, at most to one byte more than the limit: that byte shows that the limit is passed.
fn make_room(output: &mut Vec<u8>, input_len: usize, bytes_max: u64) {
    if output.len() < output.capacity() {
        return;
    }
    let wanted = output
        .len()
        .max(input_len.saturating_mul(4))
        .max(OUTPUT_BYTES_MIN);
    let left = usize::try_from(bytes_max.saturating_add(1))
        .unwrap_or(usize::MAX)
        .saturating_sub(output.len());
    output.reserve_exact(wanted.min(left).max(1));
}

/// Compresses messages for any number of connections, one after the other. Make one for each thread.
///
/// Costs 251 KB to 380 KB for each window size in use, and nothing before the first compressed message.
#[derive(Debug)]
pub struct Deflater {
    level: flate2::Compression,
    states: [Option<Compress>; 7],
    output: Vec<u8>,
}

impl Deflater {
    /// A deflater of level 1: 4.5 µs for a chat message of 120 bytes where level 6 takes 8.9 µs to save a tenth of its length.
    pub const fn new() -> Self {
        Self::with_level(1)
    }

    /// A deflater of a level from 1 (fastest) to 9 (smallest).
    ///
    /// # Panics
    ///
    /// When `level` is not between 1 and 9: level 0 does not compress.
    pub const fn with_level(level: u32) -> Self {
        assert!(level >= 1 && level <= 9, "deflate levels are 1 to 9");
        Self {
            level: flate2::Compression::new(level),
            states: [const { None }; 7],
            output: Vec::new(),
        }
    }

    /// Compresses one message with a window of at most `window`, without the flush tail (RFC 7692 §7.2.1).
    pub fn deflate(&mut self, payload: &[u8], window: WindowBits) -> &[u8] {
        release(&mut self.output);
        let slot = &mut self.states[usize::from(window.0 - WindowBits::MIN.0)];
        let state =
            slot.get_or_insert_with(|| Compress::new_with_window_bits(self.level, false, window.0));
        state.reset();
        deflate_flushed(state, payload, &mut self.output);
        self.output
            .strip_suffix(&FLUSH_TAIL)
            .unwrap_or(&self.output)
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

fn deflate_flushed(state: &mut Compress, payload: &[u8], output: &mut Vec<u8>) {
    loop {
        let rest = &payload[state.total_in() as usize..];
        output.reserve(rest.len() / 2 + OUTPUT_BYTES_MIN);
        state
            .compress_vec(rest, output, FlushCompress::Sync)
            .expect("a fresh compressor takes any input");
        // Room left over means that the flush is complete.
        if output.len() < output.capacity() && state.total_in() == payload.len() as u64 {
            return;
        }
    }
}

/// Empties `output` and gives back the room of an unusually long message.
fn release(output: &mut Vec<u8>) {
    output.clear();
    output.shrink_to(OUTPUT_BYTES_KEPT);
}

/// The empty block that ends a flush; it is not sent (RFC 7692 §7.2.1).
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

const OUTPUT_BYTES_MIN: usize = 256;

const OUTPUT_BYTES_KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

    /// RFC 7692 §7.2.3.1 and §7.2.3.2.
    #[test]
    fn the_compressed_hello_of_the_rfc_is_inflated_any_number_of_times() {
        let mut inflater = Inflater::new();

        for _ in 0..3 {
            assert_eq!(inflater.inflate(&HELLO, 5), Ok(&b"Hello"[..]));
        }
    }

    /// RFC 7692 §7.2.3.2: without context takeover the second "Hello" cannot refer to the first.
    #[test]
    fn a_reference_to_an_earlier_message_is_refused() {
        let mut inflater = Inflater::new();
        assert_eq!(inflater.inflate(&HELLO, 5), Ok(&b"Hello"[..]));

        assert_eq!(
            inflater.inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00], 5),
            Err(FrameError::Deflate)
        );
    }

    /// RFC 7692 §7.2.3.3.
    #[test]
    fn a_block_without_compression_is_inflated() {
        let payload = [
            0x00, 0x05, 0x00, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o', 0x00,
        ];

        assert_eq!(Inflater::new().inflate(&payload, 5), Ok(&b"Hello"[..]));
    }

    /// RFC 7692 §7.2.3.4.
    #[test]
    fn a_final_block_is_inflated() {
        let payload = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];

        assert_eq!(Inflater::new().inflate(&payload, 5), Ok(&b"Hello"[..]));
    }

    /// RFC 7692 §7.2.3.5.
    #[test]
    fn two_blocks_in_one_message_are_inflated() {
        let payload = [
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ];

        assert_eq!(Inflater::new().inflate(&payload, 5), Ok(&b"Hello"[..]));
    }

    /// RFC 7692 §7.2.3.6.
    #[test]
    fn an_empty_message_is_one_zero_byte() {
        assert_eq!(Deflater::new().deflate(b"", WindowBits::MAX), [0x00]);
        assert_eq!(Inflater::new().inflate(&[0x00], 0), Ok(&b""[..]));
    }

    /// RFC 7692 §8: a small frame must not become a large message.
    #[test]
    fn a_bomb_fails_at_the_limit_and_never_holds_more() {
        let bomb = Deflater::new()
            .deflate(&vec![0; 10_000_000], WindowBits::MAX)
            .to_vec();
        let mut inflater = Inflater::new();

        assert_eq!(
            inflater.inflate(&bomb, 1000),
            Err(FrameError::TooBig {
                len: 1001,
                max: 1000
            })
        );

        assert!(inflater.output.capacity() <= 1001);
        assert_eq!(inflater.inflate(&HELLO, 5), Ok(&b"Hello"[..]));
    }

    #[test]
    fn a_message_of_exactly_the_limit_passes() {
        for len in [0, 1, 255, 256, 257, 1023, 1024, 1025, 65_536] {
            let payload = vec![b'x'; len];
            let deflated = Deflater::new().deflate(&payload, WindowBits::MAX).to_vec();

            assert_eq!(
                Inflater::new().inflate(&deflated, len as u64),
                Ok(&payload[..])
            );
            if len > 0 {
                let max = len as u64 - 1;
                assert_eq!(
                    Inflater::new().inflate(&deflated, max),
                    Err(FrameError::TooBig {
                        len: len as u64,
                        max
                    })
                );
            }
        }
    }

    #[test]
    fn room_for_a_long_message_is_given_back_at_the_next() {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        let long = deflater
            .deflate(&vec![7; 1_000_000], WindowBits::MAX)
            .to_vec();
        inflater.inflate(&long, 1_000_000).unwrap();

        inflater.inflate(&HELLO, 5).unwrap();

        assert!(inflater.output.capacity() <= OUTPUT_BYTES_KEPT);
    }

    /// RFC 7692 §7.1.2: a peer that keeps only the agreed window must be able to follow every reference.
    #[test]
    fn no_reference_reaches_beyond_the_window() {
        // Each run of 32 numbers comes twice in a row, and again 8 KiB later.
        let text: Vec<u8> = (0..20_000_u32)
            .flat_map(|i| (i / 64 * 32 % 1024 + i % 32).to_be_bytes())
            .collect();
        for bits in 9..=15 {
            for level in [1, 2, 6, 9] {
                let deflated = Deflater::with_level(level)
                    .deflate(&text, WindowBits::new(bits).unwrap())
                    .to_vec();

                assert!(deflated.len() < text.len());
                assert_eq!(
                    inflate_with_window(&deflated, bits),
                    text,
                    "window {bits}, level {level}"
                );
            }
        }
    }

    /// Inflates into a small buffer, so that only the window remembers what came before.
    fn inflate_with_window(deflated: &[u8], bits: u8) -> Vec<u8> {
        let mut state = Decompress::new_with_window_bits(false, bits);
        let (mut inflated, mut piece) = (Vec::new(), [0; 64]);
        let input = [deflated, &FLUSH_TAIL].concat();
        loop {
            let (read, written) = (state.total_in() as usize, state.total_out());
            state
                .decompress(&input[read..], &mut piece, FlushDecompress::Sync)
                .unwrap();
            let len = (state.total_out() - written) as usize;
            if len == 0 {
                return inflated;
            }
            inflated.extend_from_slice(&piece[..len]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_deflated_inflates_to_the_same(
            payload in proptest::collection::vec(prop_oneof![Just(0_u8), Just(b'a'), any::<u8>()], 0..1000), bits in 9_u8..=15, level in 1_u32..=9,
        ) {
            let mut deflater = Deflater::with_level(level);
            let deflated = deflater.deflate(&payload, WindowBits::new(bits).unwrap()).to_vec();

            let mut inflater = Inflater::new();
            prop_assert_eq!(inflater.inflate(&deflated, payload.len() as u64), Ok(&payload[..]));
        }

        #[test]
        fn random_bytes_never_panic_nor_pass_the_limit(payload in proptest::collection::vec(any::<u8>(), 0..500), max in 0_u64..2000) {
            if let Ok(inflated) = Inflater::new().inflate(&payload, max) {
                prop_assert!(inflated.len() as u64 <= max);
            }
        }
    }
}
