//! Socket.IO: packets of both parsers, and one connection.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nuncio_socketio::server::{Config, Connection, Output, Refusal};
use nuncio_socketio::{Decoder, Frame, Limits, Packet, Parser, ParserRule, Protocol};

/// One instant for all inputs, so that they do the same each time.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A text packet, whose attachments follow in lines: what is a packet survives encoding and decoding again.
pub fn text(bytes: &[u8]) {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let Some(Ok(text)) = lines.next().map(std::str::from_utf8) else {
        return;
    };
    let head = Frame::Text(Bytes::copy_from_slice(text.as_bytes()));
    let attachments = lines.map(|line| Frame::Binary(Bytes::copy_from_slice(line)));
    survives(Parser::Default, std::iter::once(head).chain(attachments));
}

/// A packet of the MessagePack parser.
pub fn msgpack(bytes: &[u8]) {
    let frame = Frame::Binary(Bytes::copy_from_slice(bytes));
    survives(Parser::MessagePack, std::iter::once(frame));
}

/// One connection: the lines are messages; a line that begins with `t` is time, with `b` an attachment. What it sends is well-formed.
pub fn connection(bytes: &[u8]) {
    let Some((choice, script)) = bytes.split_first() else {
        return;
    };
    let protocol = if choice % 2 == 0 {
        Protocol::V5
    } else {
        Protocol::V4
    };
    let mut now = *BEGIN;
    let mut config = Config::default();
    config.parser = match choice / 2 % 3 {
        0 => ParserRule::AsClient,
        1 => ParserRule::Only(Parser::Default),
        _ => ParserRule::Only(Parser::MessagePack),
    };
    let mut connection = Connection::new(now, Arc::new(config), protocol);
    for line in script.split(|&byte| byte == b'\n') {
        match line {
            [b't', rest @ ..] => {
                now += Duration::from_secs(rest.len() as u64);
                connection.handle_timeout(now);
            }
            [b'b', rest @ ..] => connection.handle_binary(Bytes::copy_from_slice(rest)),
            text if std::str::from_utf8(text).is_ok() => {
                connection.handle_text(now, Bytes::copy_from_slice(text));
            }
            _ => {}
        }
        decide(&mut connection);
    }
}

/// Lets every second namespace in, and takes all outputs. A client that has left meanwhile did not ask any more.
fn decide(connection: &mut Connection) {
    while let Some(output) = connection.poll_output() {
        let Output::Connect { namespace, .. } = output else {
            continue;
        };
        if namespace.as_str().len() % 2 == 1 {
            let accepted = connection.accept(&namespace, "sid", None).is_ok();
            assert_eq!(connection.is_joined(&namespace), accepted);
        } else {
            let _ = connection.refuse(&namespace, Refusal::UnknownNamespace);
            assert!(!connection.is_joined(&namespace));
        }
    }
}

fn survives(parser: Parser, frames: impl Iterator<Item = Frame>) {
    let Some(packet) = decode(parser, frames) else {
        return;
    };
    // What is encoded has the type digit of Engine.IO before its text.
    let frames = packet
        .encode(parser)
        .into_frames()
        .map(|frame| match frame {
            Frame::Text(text) => Frame::Text(text.slice(1..)),
            Frame::Binary(bytes) => Frame::Binary(bytes),
        });
    let again = decode(parser, frames);
    assert_eq!(again, Some(packet));
}

/// The first packet of the frames, if they are one.
fn decode(parser: Parser, frames: impl Iterator<Item = Frame>) -> Option<Packet> {
    let (mut decoder, limits) = (Decoder::default(), Limits::default());
    for frame in frames {
        let decoded = match frame {
            Frame::Text(text) => decoder.decode_text(*BEGIN, text, parser, &limits),
            Frame::Binary(bytes) => decoder.decode_binary(bytes, parser, &limits),
        };
        if let Some(packet) = decoded.ok()? {
            return Some(packet);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    #[test]
    fn text_packets() {
        let seeds: [&[u8]; 7] = [
            br#"2["hello",1,{"a":[null]}]"#,
            br#"2/admin,456["x"]"#,
            br#"0/chat,{"token":"t"}"#,
            br#"51-["b",{"_placeholder":true,"num":0}]"#,
            b"\n\x01\x02\x03",
            br#"4{"message":"no"}"#,
            br#"31["ok"]"#,
        ];

        corpus::run(&seeds, text);
    }

    #[test]
    fn messagepack_packets() {
        let seeds: [&[u8]; 4] = [
            b"\x83\xa4type\x02\xa4data\x92\xa5hello\x01\xa3nsp\xa1/",
            b"\x84\xa4type\x03\xa4data\x91\xc4\x02\x01\x02\xa2id\x07\xa3nsp\xa2/a",
            b"\x83\xa4type\x00\xa4data\x80\xa3nsp\xa1/",
            b"\xdf\xff\xff\xff\xff",
        ];

        corpus::run(&seeds, msgpack);
    }

    #[test]
    fn scripts_of_a_connection() {
        let seeds: [&[u8]; 8] = [
            b"\x000\n",
            b"0/a,{}\n",
            b"0/ab,\n",
            b"2[\"x\"]\n",
            b"27[\"x\",1]\n",
            b"51-[\"b\",{\"_placeholder\":true,\"num\":0}]\nb123\n",
            b"tttttttttttttttttttttttttttttttttttttttttttttttttt\n",
            b"1\n",
        ];

        corpus::run(&seeds, connection);
    }
}
