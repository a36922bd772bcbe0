//! RFC 6455 and RFC 7692 as a sans-IO state machine: bytes in, messages out, and back.
