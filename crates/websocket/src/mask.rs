//! Masking of client frames (RFC 6455 §5.3).

/// Whether a frame is masked: a client masks every frame with a fresh unpredictable key, a server masks none (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// What a server sends.
    None,
    /// What a client sends. The key must come from a strong source of randomness, anew for each frame (RFC 6455 §10.3).
    Key([u8; 4]),
}

/// Masks or unmasks `bytes` in place; `offset` is the place of `bytes[0]` in the frame's payload.
pub(crate) fn apply(bytes: &mut [u8], key: [u8; 4], offset: u64) {
    let key = rotate(key, offset);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, tail) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

fn rotate(mut key: [u8; 4], offset: u64) -> [u8; 4] {
    key.rotate_left((offset % 4) as usize);
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6455 §5.7: the masked "Hello".
    #[test]
    fn the_masked_hello_of_the_rfc_is_unmasked() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];

        apply(&mut bytes, [0x37, 0xfa, 0x21, 0x3d], 0);

        assert_eq!(&bytes, b"Hello");
    }

    proptest! {
        #[test]
        fn a_payload_masked_in_pieces_equals_the_octet_by_octet_rule(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), key: [u8; 4], cut in 0_usize..100,
        ) {
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            let cut = cut.min(bytes.len());
            let mut masked = bytes;

            let (head, tail) = masked.split_at_mut(cut);
            apply(head, key, 0);
            apply(tail, key, cut as u64);

            prop_assert_eq!(masked, expected);
        }
    }
}
