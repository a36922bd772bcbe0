//! What a connection keeps while a head, a frame or a message is cut by the end of the input.

use crate::message::PartialMessage;
use crate::{Header, Mask, mask};

/// All that a connection ever keeps of the input. It is freed as soon as nothing is cut.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    pub(crate) header: CutHeader,
    pub(crate) frame: Option<Frame>,
    pub(crate) control: Vec<u8>,
    pub(crate) message: Option<PartialMessage>,
    /// Bytes of the message that were handed out before its end.
    pub(crate) taken: u64,
}

impl Unfinished {
    pub(crate) fn is_idle(&self) -> bool {
        self.header.len == 0 && self.frame.is_none() && self.message.is_none()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.control.capacity() + self.message.as_ref().map_or(0, PartialMessage::heap_bytes)
    }
}

/// A frame and how many bytes of its payload came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    received: u64,
}

impl Frame {
    /// A frame of which only the head came.
    pub(crate) const fn new(header: Header) -> Self {
        Self {
            header,
            received: 0,
        }
    }

    /// Splits this frame's part off the front of the input and unmasks it.
    pub(crate) fn take_chunk<'i>(&mut self, input: &mut &'i mut [u8]) -> &'i [u8] {
        let missing = self.header.len - self.received;
        let len = usize::try_from(missing).map_or(input.len(), |missing| missing.min(input.len()));
        let chunk = advance(input, len);
        if let Mask::Key(key) = self.header.mask {
            mask::apply(chunk, key, self.received);
        }
        self.received += len as u64;
        chunk
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.received == self.header.len
    }

    pub(crate) fn is_whole(&self, chunk: &[u8]) -> bool {
        self.header.len == chunk.len() as u64
    }
}

/// The bytes of a head that is cut by the end of the input.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CutHeader {
    bytes: [u8; Header::BYTES_MAX],
    len: u8,
}

impl CutHeader {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    /// This and as much of the input as a head can need.
    pub(crate) fn joined(mut self, input: &[u8]) -> Self {
        let start = self.len();
        let added = input.len().min(Header::BYTES_MAX - start);
        self.bytes[start..start + added].copy_from_slice(&input[..added]);
        self.len += added as u8;
        self
    }
}

pub(crate) fn advance<'i>(input: &mut &'i mut [u8], len: usize) -> &'i mut [u8] {
    let (front, rest) = std::mem::take(input).split_at_mut(len);
    *input = rest;
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_message_costs_little_beside_its_bytes() {
        assert!(
            size_of::<Unfinished>() <= 128,
            "{} bytes",
            size_of::<Unfinished>()
        );
    }
}
