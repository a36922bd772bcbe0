//! A place in the order of a namespace whose clients may recover their connection state.

use std::fmt;
use std::str::FromStr;

use crate::{Epoch, IdError};

/// After the message with number `ordinal` in the order domain's `epoch`; ordinal 0 is before the first.
///
/// Socket.IO clients get it as the last argument of each event, written `epoch.ordinal`, and give the newest back when they reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offset {
    /// Which numbering `ordinal` belongs to.
    pub epoch: Epoch,
    /// Counts from 1, over all messages of the domain.
    pub ordinal: u64,
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.ordinal)
    }
}

impl FromStr for Offset {
    type Err = IdError;

    /// Only what [`Display`](fmt::Display) writes: the reference's clients keep the last text of any event, which may be anything.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (epoch, ordinal) = text.split_once('.').ok_or(IdError::of("offset"))?;
        let offset = Self {
            epoch: epoch.parse()?,
            ordinal: ordinal.parse().map_err(|_| IdError::of("offset"))?,
        };
        if offset.to_string() == text {
            Ok(offset)
        } else {
            Err(IdError::of("offset"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_reads_back_from_its_text_and_nothing_else_does() {
        let offset = Offset {
            epoch: Epoch::from_random(7),
            ordinal: 12,
        };
        let text = offset.to_string();

        assert_eq!(text.parse(), Ok(offset));
        for wrong in ["", "hi", "12", ".", &text[1..], &format!("{text}x")] {
            assert!(wrong.parse::<Offset>().is_err(), "{wrong}");
        }
        let padded = text.replace(".12", ".012");
        assert!(padded.parse::<Offset>().is_err(), "{padded}");
        let signed = text.replace(".12", ".+12");
        assert!(signed.parse::<Offset>().is_err(), "{signed}");
    }
}
