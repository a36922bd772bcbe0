//! The sections about Socket.IO.

use std::time::Duration;

use nuncio_transport::{Parser, ParserRule, Protocols, SocketIoOptions};
use toml::Value;

use super::section::{Key, Section, section};
use super::setting::{ByteSize, Raw, Setting, Wrong, text_settings};

section! {
    /// The endpoint for Socket.IO clients: 3.x, 4.x and, when allowed, 2.x.
    SocketIoConfig in "socketio" {
        /// Whether it exists.
        enabled: bool = true,
        /// Its path; clients know it as their `path` option.
        path: String = SocketIoOptions::default().path,
        /// Pause between pings.
        ping_interval: Duration = SocketIoOptions::default().ping_interval,
        /// How long a client may take to answer one.
        ping_timeout: Duration = SocketIoOptions::default().ping_timeout,
        /// How long a client may take to join its first namespace.
        connect_timeout: Duration = SocketIoOptions::default().connect_timeout,
        /// Largest message or POST body accepted; clients are told. `limits.message_bytes` is for native clients only.
        max_payload: ByteSize = ByteSize(SocketIoOptions::default().payload_bytes_max),
        /// Whether clients 2.x are let in too (Engine.IO 3). They have no `auth`: their token comes in the query, a header or a cookie.
        allow_eio3: bool = SocketIoOptions::default().protocols == Protocols::V3AndV4,
        /// How packets are encoded: `auto`, as the client's first packet is; `default` or `msgpack` for all clients, as the reference's `parser` option.
        parser: ParserRule = SocketIoOptions::default().parser,
        /// Whether the WebSockets of clients may ask for compression (permessage-deflate). The section `deflate` is for native clients only.
        deflate: bool = SocketIoOptions::default().deflate.is_some(),
        /// Packets below this many bytes are sent as they are.
        deflate_threshold: ByteSize = ByteSize::kib(1),
    }
}

text_settings! {
    ParserRule, "`auto`, `default` or `msgpack`", r#""auto", "default" or "msgpack""#,
        |text| match text {
            "auto" => Some(Self::AsClient),
            "default" => Some(Self::Only(Parser::Default)),
            "msgpack" => Some(Self::Only(Parser::MessagePack)),
            _ => None,
        },
        |rule| match rule {
            Self::AsClient => "auto",
            Self::Only(Parser::Default) => "default",
            Self::Only(Parser::MessagePack) => "msgpack",
        }.to_owned();
}
