//! The ways in which Socket.IO clients are written to, each an encoder of the hub.

use nuncio_engineio::{BinarySupport, Protocol};
use nuncio_hub::EncoderId;
use nuncio_socketio::Parser;
use nuncio_websocket::WindowBits;

/// How a Socket.IO client is written to: clients with the same form get the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The revision of Engine.IO: in v3 a type byte stands before binary messages.
    pub protocol: Protocol,
    /// Whether binary messages are sent as they are.
    pub binary: BinarySupport,
    /// How packets are encoded.
    pub parser: Parser,
    /// The window to compress with, where that was agreed; `None` while the client polls.
    pub window: Option<WindowBits>,
}

impl Form {
    /// Whether its clients know connection state recovery: those of protocol 5 do.
    pub fn recovers(self) -> bool {
        self.protocol == Protocol::V4
    }

    /// What most clients get: Engine.IO 4 and the default parser, nothing compressed.
    pub const DEFAULT: Self = Self {
        protocol: Protocol::V4,
        binary: BinarySupport::Bytes,
        parser: Parser::Default,
        window: None,
    };

    /// Its encoder: three bits for the window, three for the rest.
    pub const fn encoder(self) -> EncoderId {
        let window = match self.window {
            Some(window) => window.bits() - WINDOW_BASE,
            None => 0,
        };
        let v3 = matches!(self.protocol, Protocol::V3) as u8;
        let base64 = matches!(self.binary, BinarySupport::Base64) as u8;
        let msgpack = matches!(self.parser, Parser::MessagePack) as u8;
        EncoderId(FIRST + (v3 << 3 | base64 << 4 | msgpack << 5 | window))
    }

    /// The form of an encoder; `None` for those of other clients.
    pub fn of(encoder: EncoderId) -> Option<Self> {
        let bits = encoder.0.checked_sub(FIRST).filter(|bits| *bits < COUNT)?;
        let is_set = |bit: u8| bits & 1 << bit != 0;
        Some(Self {
            protocol: if is_set(3) {
                Protocol::V3
            } else {
                Protocol::V4
            },
            binary: if is_set(4) {
                BinarySupport::Base64
            } else {
                BinarySupport::Bytes
            },
            parser: if is_set(5) {
                Parser::MessagePack
            } else {
                Parser::Default
            },
            window: WindowBits::new((bits & 7) + WINDOW_BASE),
        })
    }
}

/// The encoders before it are those of native clients.
const FIRST: u8 = 8;
const COUNT: u8 = 64;
/// Windows have 9 to 15 bits.
const WINDOW_BASE: u8 = 8;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_form_has_an_encoder_of_its_own() {
        let forms: Vec<_> = (0..=u8::MAX)
            .filter_map(|encoder| Form::of(EncoderId(encoder)))
            .collect();
        let encoders: HashSet<_> = forms.iter().map(|form| form.encoder()).collect();

        assert_eq!((forms.len(), encoders.len()), (64, 64));
        for form in forms {
            assert_eq!(Form::of(form.encoder()), Some(form));
        }
    }

    #[test]
    fn native_encoders_are_no_form() {
        for encoder in (0..8).chain(72..=u8::MAX) {
            assert_eq!(Form::of(EncoderId(encoder)), None);
        }
    }
}
