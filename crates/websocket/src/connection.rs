//! One side of an open WebSocket connection: what arrives, and the closing handshake.

use std::borrow::Cow;

use bytes::Bytes;

use crate::message::{Arrival, PartialMessage};
use crate::unfinished::{CutHeader, Frame, Unfinished, advance};
use crate::{
    CloseCode, DeflateParams, Event, FrameError, Header, Inflater, Mask, MessageKind, Opcode,
    encode_close,
};

/// One side of an open connection, after the opening handshake.
///
/// It reads frames and keeps the state of the closing handshake. It sends nothing by itself:
///
/// 1. Give every piece that was read to [`receive`](Self::receive) until it answers `None`.
/// 2. Answer an [`Event::Ping`] with [`encode_pong`](crate::encode_pong), if [`may_send`](Self::may_send).
/// 3. Answer an [`Event::Close`] and an error with [`close`](Self::close), send what it returns, and end the TCP connection
///    when [`state`](Self::state) is [`State::Closed`]. The server ends it first (RFC 6455 §7.1.1).
///
/// Between messages it owns no heap memory; of a message that is cut by the end of the input it keeps what came.
#[derive(Debug)]
pub struct Connection {
    message_bytes_max: u64,
    unfinished: Option<Box<Unfinished>>,
    deflate: Option<DeflateParams>,
    role: Role,
    state: State,
}

impl Connection {
    /// A connection whose opening handshake is done.
    pub const fn new(role: Role, config: ConnectionConfig) -> Self {
        let ConnectionConfig {
            message_bytes_max,
            deflate,
        } = config;
        Self {
            message_bytes_max,
            unfinished: None,
            deflate,
            role,
            state: State::Open,
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next message or control frame.
    ///
    /// `None` means that the input is used up. Masked bytes are unmasked in place. A message that is one frame and lies in the
    /// input as a whole is borrowed from there; a compressed one is borrowed from the `inflater`; one that came in pieces is
    /// owned. After a close frame or an error all further input is dropped (RFC 6455 §5.5.1, §7.1.7).
    ///
    /// # Errors
    ///
    /// Any [`FrameError`]; the connection must then be closed with [`FrameError::close_code`]. A bad text fails at its first bad
    /// byte, and a message that is too long before its bytes are kept.
    pub fn receive<'a, 'i: 'a>(
        &mut self,
        input: &mut &'i mut [u8],
        inflater: &'a mut Inflater,
    ) -> Result<Option<Event<'a>>, FrameError> {
        if !self.state.reads() {
            *input = &mut [];
            return Ok(None);
        }
        let outcome = self.poll_event(input, inflater);
        match outcome {
            Err(_) | Ok(Some(Event::Close { .. })) => self.stop_reading(),
            Ok(
                Some(Event::Text(_) | Event::Binary(_) | Event::Ping(_) | Event::Pong(_)) | None,
            ) => self.free_when_idle(),
        }
        outcome
    }

    /// Takes what has arrived of a message whose end is still to come, once [`receive`](Self::receive) answered `None` and when it
    /// is `len_min` bytes at least: for messages that are larger than what one wants to keep. The rest follows by further
    /// calls, and the last of it as the [`Event`]. A text is cut between characters; a compressed message is never cut.
    pub fn take_piece(&mut self, len_min: usize) -> Option<(MessageKind, Vec<u8>)> {
        let unfinished = self.unfinished.as_mut()?;
        let piece = unfinished.message.as_mut()?.take(len_min.max(1))?;
        unfinished.taken += piece.1.len() as u64;
        Some(piece)
    }

    /// Encodes the close frame to send, at first call; `None` when one was sent before, for there is only one.
    ///
    /// To answer an [`Event::Close`] give its code and no reason (RFC 6455 §5.5.1). See [`encode_close`] for the arguments.
    pub fn close(&mut self, code: Option<CloseCode>, reason: &str, mask: Mask) -> Option<Bytes> {
        self.state = match self.state {
            State::Open => State::CloseSent,
            State::CloseReceived => State::Closed,
            State::CloseSent | State::Closed => return None,
        };
        Some(encode_close(code, reason, mask))
    }

    /// Where the closing handshake stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether messages, pings and pongs may still be sent: nothing follows a close frame, sent or received (RFC 6455 §5.5.1).
    pub const fn may_send(&self) -> bool {
        match self.state {
            State::Open => true,
            State::CloseSent | State::CloseReceived | State::Closed => false,
        }
    }

    /// The side of the connection.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What was agreed on compression.
    pub const fn deflate(&self) -> Option<DeflateParams> {
        self.deflate
    }

    /// Heap memory in bytes that waits for the rest of a message; 0 between messages.
    pub fn heap_bytes(&self) -> usize {
        self.unfinished.as_deref().map_or(0, |unfinished| {
            size_of::<Unfinished>() + unfinished.heap_bytes()
        })
    }

    fn poll_event<'a, 'i: 'a>(
        &mut self,
        input: &mut &'i mut [u8],
        inflater: &'a mut Inflater,
    ) -> Result<Option<Event<'a>>, FrameError> {
        let Some(arrival) = self.poll_arrival(input)? else {
            return Ok(None);
        };
        arrival
            .into_event(inflater, self.message_bytes_max)
            .map(Some)
    }

    fn poll_arrival<'i>(
        &mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Arrival<'i>>, FrameError> {
        while let Some(mut frame) = self.poll_frame(input)? {
            let chunk = frame.take_chunk(input);
            let arrival = match frame.header.opcode {
                Opcode::Text => self.handle_data(frame, MessageKind::Text, chunk)?,
                Opcode::Binary | Opcode::Continuation => {
                    self.handle_data(frame, MessageKind::Binary, chunk)?
                }
                Opcode::Close | Opcode::Ping | Opcode::Pong => self.handle_control(frame, chunk)?,
            };
            if arrival.is_some() {
                return Ok(arrival);
            }
        }
        Ok(None)
    }

    /// The frame that the front of the input belongs to.
    fn poll_frame(&mut self, input: &mut &mut [u8]) -> Result<Option<Frame>, FrameError> {
        if input.is_empty() {
            return Ok(None);
        }
        if let Some(frame) = self
            .unfinished
            .as_mut()
            .and_then(|unfinished| unfinished.frame.take())
        {
            return Ok(Some(frame));
        }
        let Some(header) = self.poll_header(input)? else {
            return Ok(None);
        };
        self.check(&header)?;
        let frame = Frame::new(header);
        if input.is_empty() && header.len > 0 {
            // Nothing of the payload is there: nothing has begun that would have to be kept.
            self.unfinished.get_or_insert_default().frame = Some(frame);
            return Ok(None);
        }
        Ok(Some(frame))
    }

    fn poll_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, FrameError> {
        let Some(unfinished) = &mut self.unfinished else {
            return self.poll_fresh_header(input);
        };
        let cut_len = unfinished.header.len();
        let joined = unfinished.header.joined(input);
        match Header::parse(joined.as_slice())? {
            Some((header, header_len)) => {
                unfinished.header = CutHeader::default();
                advance(input, header_len - cut_len);
                Ok(Some(header))
            }
            None => {
                unfinished.header = joined;
                *input = &mut [];
                Ok(None)
            }
        }
    }

    /// Reads a head where nothing is kept from earlier input.
    fn poll_fresh_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, FrameError> {
        let Some((header, header_len)) = Header::parse(input)? else {
            self.unfinished.get_or_insert_default().header = CutHeader::default().joined(input);
            *input = &mut [];
            return Ok(None);
        };
        advance(input, header_len);
        Ok(Some(header))
    }

    /// The rules that depend on what was agreed and on what came before.
    fn check(&self, header: &Header) -> Result<(), FrameError> {
        match (self.role, header.mask) {
            (Role::Server, Mask::None) => return Err(FrameError::Unmasked),
            (Role::Client, Mask::Key(_)) => return Err(FrameError::Masked),
            (Role::Server, Mask::Key(_)) | (Role::Client, Mask::None) => {}
        }
        if header.compressed && self.deflate.is_none() {
            return Err(FrameError::ReservedBits { bits: 0b100 });
        }
        let unfinished = self.unfinished.as_ref();
        let begun = unfinished.and_then(|unfinished| unfinished.message.as_ref());
        let taken = unfinished.map_or(0, |unfinished| unfinished.taken);
        match (header.opcode, begun) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong | Opcode::Continuation, _)
                if header.compressed =>
            {
                Err(FrameError::CompressionBitMisplaced)
            }
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Ok(()),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(FrameError::MessageInsideMessage),
            (Opcode::Continuation, None) => Err(FrameError::ContinuationOutsideMessage),
            (Opcode::Text | Opcode::Binary, None) => self.check_len(header.len, header.compressed),
            (Opcode::Continuation, Some(message)) => self.check_len(
                taken
                    .saturating_add(message.len())
                    .saturating_add(header.len),
                message.is_compressed(),
            ),
        }
    }

    /// Refuses a message as soon as a frame announces more than the limit. Incompressible data grows when it is deflated, so
    /// a compressed message may be an eighth longer on the wire.
    fn check_len(&self, len: u64, compressed: bool) -> Result<(), FrameError> {
        let max = self.message_bytes_max;
        let wire_max = if compressed {
            max.saturating_add(max / 8).saturating_add(64)
        } else {
            max
        };
        if len > wire_max {
            Err(FrameError::TooBig { len, max })
        } else {
            Ok(())
        }
    }

    fn handle_data<'i>(
        &mut self,
        frame: Frame,
        kind: MessageKind,
        chunk: &'i [u8],
    ) -> Result<Option<Arrival<'i>>, FrameError> {
        let Header {
            fin,
            compressed,
            opcode,
            ..
        } = frame.header;
        if fin && opcode != Opcode::Continuation && frame.is_whole(chunk) {
            return Arrival::whole(kind, compressed, chunk).map(Some);
        }
        let unfinished = self.unfinished.get_or_insert_default();
        let message = unfinished
            .message
            .get_or_insert_with(|| PartialMessage::new(kind, compressed));
        message.append(chunk)?;
        if !frame.is_complete() {
            unfinished.frame = Some(frame);
            return Ok(None);
        }
        if !fin {
            return Ok(None);
        }
        unfinished.taken = 0;
        unfinished
            .message
            .take()
            .map(PartialMessage::finish)
            .transpose()
    }

    fn handle_control<'i>(
        &mut self,
        frame: Frame,
        chunk: &'i [u8],
    ) -> Result<Option<Arrival<'i>>, FrameError> {
        let opcode = frame.header.opcode;
        if frame.is_whole(chunk) {
            return Event::control(opcode, Cow::Borrowed(chunk))
                .map(Arrival::Event)
                .map(Some);
        }
        let unfinished = self.unfinished.get_or_insert_default();
        unfinished.control.extend_from_slice(chunk);
        if !frame.is_complete() {
            unfinished.frame = Some(frame);
            return Ok(None);
        }
        let payload = std::mem::take(&mut unfinished.control);
        Event::control(opcode, Cow::Owned(payload))
            .map(Arrival::Event)
            .map(Some)
    }

    fn stop_reading(&mut self) {
        self.unfinished = None;
        self.state = match self.state {
            State::Open | State::CloseReceived => State::CloseReceived,
            State::CloseSent | State::Closed => State::Closed,
        };
    }

    fn free_when_idle(&mut self) {
        if self
            .unfinished
            .as_ref()
            .is_some_and(|unfinished| unfinished.is_idle())
        {
            self.unfinished = None;
        }
    }
}

/// The side of the connection that this endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads masked frames and sends unmasked ones.
    Server,
    /// Reads unmasked frames and sends masked ones.
    Client,
}

/// The closing handshake (RFC 6455 §7).
///
/// ```text
///              close()                     close frame
///   Open ----------------> CloseSent ------- or error ------> Closed
///     |                                                          ^
///     +-- close frame ---> CloseReceived --------- close() ------+
///         or error
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Both sides may send.
    Open,
    /// This side has sent its close frame and still reads.
    CloseSent,
    /// The peer has sent its close frame, or an error ended the reading: this side owes its close frame.
    CloseReceived,
    /// Nothing is left to send or to read: end the TCP connection.
    Closed,
}

impl State {
    const fn reads(self) -> bool {
        match self {
            Self::Open | Self::CloseSent => true,
            Self::CloseReceived | Self::Closed => false,
        }
    }
}

/// The bounds of one connection and what was agreed in its opening handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// The longest message accepted, in bytes after inflation. Default 64 KiB: chat-sized; raise it for files. A longer one is
    /// refused with 1009. The number of its fragments is not limited.
    pub message_bytes_max: u64,
    /// The compression agreed on. Default none.
    pub deflate: Option<DeflateParams>,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            message_bytes_max: 64 * 1024,
            deflate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_can_move_between_threads() {
        fn assert_send<T: Send>() {}

        assert_send::<Connection>();
        assert_send::<Inflater>();
        assert_send::<crate::Deflater>();
    }
}
