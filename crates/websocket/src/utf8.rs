//! UTF-8 in pieces (RFC 6455 §8.1): each piece is judged when it arrives, a character cut by a piece's end waits for its rest.

use crate::FrameError;

/// The head of a character whose rest has not arrived: at most 3 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CutCharacter {
    bytes: [u8; 3],
    len: u8,
}

impl CutCharacter {
    /// Appends `piece` to `text` as far as it is whole characters and keeps the rest.
    ///
    /// Fails at the first byte after which the text can no longer become UTF-8.
    pub(crate) fn push(&mut self, mut piece: &[u8], text: &mut String) -> Result<(), FrameError> {
        while self.len > 0 {
            let Some((first, rest)) = piece.split_first() else {
                return Ok(());
            };
            self.complete(*first, text)?;
            piece = rest;
        }
        match simdutf8::compat::from_utf8(piece) {
            Ok(whole) => text.push_str(whole),
            Err(error) if error.error_len().is_some() => return Err(FrameError::TextNotUtf8),
            Err(error) => {
                let (whole, cut) = piece.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(whole).map_err(|_| FrameError::TextNotUtf8)?);
                self.keep(cut);
            }
        }
        Ok(())
    }

    pub(crate) fn len(self) -> usize {
        usize::from(self.len)
    }

    /// Adds one byte to the cut character.
    fn complete(&mut self, byte: u8, text: &mut String) -> Result<(), FrameError> {
        let len = self.len();
        let mut character = [0; 4];
        character[..len].copy_from_slice(&self.bytes[..len]);
        character[len] = byte;
        let character = &character[..=len];
        match std::str::from_utf8(character) {
            Ok(whole) => {
                text.push_str(whole);
                self.len = 0;
            }
            Err(error) if error.error_len().is_some() => return Err(FrameError::TextNotUtf8),
            Err(_) => self.keep(character),
        }
        Ok(())
    }

    /// An unfinished character has at most 3 bytes: the fourth either completes it or makes it invalid.
    fn keep(&mut self, cut: &[u8]) {
        self.bytes[..cut.len()].copy_from_slice(cut);
        self.len = cut.len() as u8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_taken(bytes: &[u8]) -> (usize, CutCharacter, String) {
        let (mut cut, mut text) = (CutCharacter::default(), String::new());
        let taken = bytes
            .iter()
            .take_while(|byte| cut.push(&[**byte], &mut text).is_ok())
            .count();
        (taken, cut, text)
    }

    #[test]
    fn the_state_is_at_most_8_bytes() {
        assert!(size_of::<CutCharacter>() <= 8);
    }

    #[test]
    fn a_character_beyond_the_last_code_point_fails_at_its_second_byte() {
        let (taken, ..) = bytes_taken(&[0xf4, 0x90, 0x80, 0x80]);

        assert_eq!(taken, 1);
    }

    #[test]
    fn a_surrogate_fails_at_its_second_byte() {
        let (taken, ..) = bytes_taken(&[0xed, 0xa0, 0x80]);

        assert_eq!(taken, 1);
    }

    #[test]
    fn an_overlong_slash_fails_at_its_first_byte() {
        let (taken, ..) = bytes_taken(&[0xc0, 0xaf]);

        assert_eq!(taken, 0);
    }

    #[test]
    fn a_character_of_four_bytes_may_come_byte_by_byte() {
        let (taken, cut, text) = bytes_taken("a𝄞z".as_bytes());

        assert_eq!((taken, cut.len(), text.as_str()), (6, 0, "a𝄞z"));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_text_or_the_same_refusal(bytes in mostly_utf8(), cuts in proptest::collection::vec(1_usize..9, 0..40)) {
            let (mut cut, mut text) = (CutCharacter::default(), String::new());
            let mut rest = &bytes[..];
            let mut outcome = Ok(());
            for len in cuts.into_iter().chain([usize::MAX]) {
                let (piece, after) = rest.split_at(len.min(rest.len()));
                outcome = outcome.and_then(|()| cut.push(piece, &mut text));
                rest = after;
            }

            match std::str::from_utf8(&bytes) {
                Ok(whole) => prop_assert_eq!((outcome, cut.len(), text.as_str()), (Ok(()), 0, whole)),
                Err(error) if error.error_len().is_none() => prop_assert_eq!((outcome, cut.len() > 0), (Ok(()), true)),
                Err(_) => prop_assert_eq!(outcome, Err(FrameError::TextNotUtf8)),
            }
        }
    }

    fn mostly_utf8() -> impl Strategy<Value = Vec<u8>> {
        (
            "\\PC{0,30}",
            proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
            0_usize..3,
        )
            .prop_map(|(text, damage, cut)| {
                let mut bytes = text.into_bytes();
                if let Some((place, byte)) = damage.filter(|_| !bytes.is_empty()) {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
                bytes.truncate(bytes.len().saturating_sub(cut));
                bytes
            })
    }
}
