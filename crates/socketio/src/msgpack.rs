//! The MessagePack parser (`socket.io-msgpack-parser`): one binary message a packet, a map of
//! `type`, `nsp`, `data` and `id`.
//!
//! The data is carried over between MessagePack and the JSON text with placeholders that [`Payload`] holds, so
//! that the rest of the server knows one form only.

mod read;
mod write;

use std::borrow::Cow;

use bytes::Bytes;

use crate::decode::{self, DecodeError, ID_MAX};
use crate::encode::Type;
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::packet::Packet;
use crate::payload::Payload;
use read::Reader;
use write::Writer;

pub(crate) fn write_packet(
    kind: Type,
    namespace: &Namespace,
    id: Option<u64>,
    payload: &Payload,
) -> Bytes {
    let mut writer = Writer::new(payload.attachments());
    let has_data = !payload.json().is_empty();
    writer.map(2 + usize::from(id.is_some()) + usize::from(has_data));
    writer.string("type");
    writer.unsigned(u64::from(kind.number()));
    if has_data {
        writer.string("data");
        writer.json(payload.json());
    }
    if let Some(id) = id {
        writer.string("id");
        writer.unsigned(id);
    }
    writer.string("nsp");
    writer.string(namespace.as_str());
    writer.finish()
}

pub(crate) fn read_packet(bytes: &Bytes, limits: &Limits) -> Result<Packet, DecodeError> {
    let mut reader = Reader::new(bytes, limits);
    let (mut kind, mut namespace, mut id, mut data) = (None, None, None, Payload::default());
    for _ in 0..reader.map_len()? {
        match reader.string()? {
            "type" => kind = reader.unsigned()?,
            "nsp" => namespace = Some(reader.string()?),
            "id" => id = reader.unsigned()?,
            "data" => data = reader.payload()?,
            _ => reader.skip()?,
        }
    }
    reader.end()?;
    // Clients 2.x number events with binary data as the default parser does.
    let kind = kind
        .and_then(|kind| u8::try_from(kind).ok())
        .filter(|kind| *kind <= 6);
    let kind = kind.ok_or(DecodeError::Type)?;
    if id.is_some_and(|id| id > ID_MAX) {
        return Err(DecodeError::Id);
    }
    let namespace = checked_namespace(namespace.ok_or(DecodeError::Data)?, limits)?;
    let body = decode::body(kind, id, data)?;
    Ok(Packet { namespace, body })
}

/// The parser of clients 2.x (`socket.io-msgpack-parser` 2.x) writes CONNECT and DISCONNECT as JSON: `{"type":0,"nsp":"/chat"}`.
pub(crate) fn read_text(text: &[u8], limits: &Limits) -> Result<Packet, DecodeError> {
    #[derive(serde::Deserialize)]
    struct Plain<'a> {
        r#type: u8,
        #[serde(borrow)]
        nsp: Cow<'a, str>,
    }
    let packet: Plain<'_> = serde_json::from_slice(text).map_err(|_| DecodeError::Unexpected)?;
    let namespace = checked_namespace(&packet.nsp, limits)?;
    match packet.r#type {
        0 | 1 => Ok(Packet {
            namespace,
            body: decode::body(packet.r#type, None, Payload::default())?,
        }),
        _ => Err(DecodeError::Unexpected),
    }
}

fn checked_namespace(name: &str, limits: &Limits) -> Result<Namespace, DecodeError> {
    let (len, max) = (name.len(), limits.namespace_bytes_max);
    if len > max {
        return Err(DecodeError::NamespaceTooLong { len, max });
    }
    Ok(Namespace::new(name))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::packet::{Body, Parser};

    /// What notepack.io, the reference's encoder, makes of
    /// `["hello",1,-1,1.5,true,null,undefined,<01 02 03>,{"a":[]}]` in a packet of type 2.
    const NOTEPACK: &str = "83 a474797065 02 a464617461 99 a568656c6c6f 01 ff cb3ff8000000000000 c3 c0 c0 c403010203 81a16190 a36e7370 a12f";

    #[test]
    fn a_packet_of_the_reference_is_read_and_written_alike() {
        let packet = read(NOTEPACK).unwrap();

        let Body::Event { id: None, event } = &packet.body else {
            panic!("{packet:?}")
        };
        assert_eq!(event.name(), "hello");
        assert_eq!(
            event.args_json(),
            r#"1,-1,1.5,true,null,null,{"_placeholder":true,"num":0},{"a":[]}"#
        );
        assert_eq!(event.payload().attachments(), [&[1, 2, 3][..]]);
        let frame = packet.encode(Parser::MessagePack);
        assert_eq!(frame.head(), &crate::encode::Frame::Binary(hex(NOTEPACK)));
    }

    #[test]
    fn numbers_are_written_in_the_reference_widths() {
        let data =
            r#"["n",300,70000,5000000000,-200,-40000,-3000000000,1152921504606846976,1e300]"#;
        let payload = Payload::new(data, Vec::new());

        let bytes = write_packet(Type::Event, &Namespace::MAIN, None, &payload);

        let expected =
            "83 a474797065 02 a464617461 99 a16e cd012c ce00011170 cf000000012a05f200 d1ff38
            d2ffff63c0 d3ffffffff4d2fa200 cf1000000000000000 cb7e37e43c8800759c a36e7370 a12f";
        assert_eq!(bytes, hex(expected));
    }

    #[test]
    fn dates_become_the_text_that_json_has() {
        for (bytes, text) in [
            ("d6 ff 00000000", "1970-01-01T00:00:00.000Z"),
            ("d7 ff 1d535300499602d2", "2009-02-13T23:31:30.123Z"),
            ("d7 00 0000011f71fb04cb", "2009-02-13T23:31:30.123Z"),
            (
                "c7 0c ff 00000000 ffffffff7c558180",
                "1900-01-01T00:00:00.000Z",
            ),
        ] {
            let packet = read(&format!(
                "83 a474797065 02 a36e7370 a12f a464617461 92 a164 {bytes}"
            ));
            let Ok(Packet {
                body: Body::Event { event, .. },
                ..
            }) = packet
            else {
                panic!("{packet:?}")
            };
            assert_eq!(event.args_json(), format!("\"{text}\""));
        }
    }

    #[test]
    fn undefined_and_numbers_json_lacks_become_null() {
        let data = "94 a161 d40000 cb7ff8000000000000 cb7ff0000000000000";
        let packet = read(&format!("83 a474797065 02 a36e7370 a12f a464617461 {data}")).unwrap();

        let Body::Event { event, .. } = packet.body else {
            panic!()
        };
        assert_eq!(event.args_json(), "null,null,null");
    }

    #[test]
    fn unknown_members_and_undefined_ids_are_passed_over() {
        let options = "a76f7074696f6e73 81 a8636f6d7072657373 c3";
        let packet = read(&format!(
            "85 a474797065 03 {options} a26964 d40000 a464617461 90 a36e7370 a22f61"
        ));

        let packet = packet.unwrap();
        assert_eq!(packet.namespace.as_str(), "/a");
        assert!(matches!(packet.body, Body::Ack { id: None, .. }));
    }

    #[test]
    fn packets_that_are_not_the_protocols_are_refused() {
        for (bytes, error) in [
            ("", DecodeError::Json),
            ("c0", DecodeError::Json),
            ("80", DecodeError::Type),
            ("82 a474797065 07 a36e7370 a12f", DecodeError::Type),
            ("82 a474797065 02 a36e7370 a12f", DecodeError::Data),
            ("81 a474797065 01", DecodeError::Data),
            ("82 a474797065 01 a36e7370 a12f 00", DecodeError::Json),
            (
                "83 a474797065 02 a36e7370 a12f a464617461 dd ffffffff",
                DecodeError::Json,
            ),
            (
                "83 a474797065 02 a36e7370 a12f a464617461 c6 ffffffff",
                DecodeError::Json,
            ),
            (
                "83 a474797065 02 a36e7370 a12f a464617461 c1",
                DecodeError::Json,
            ),
            (
                "83 a474797065 02 a36e7370 a12f a464617461 91 a7636f6e6e656374",
                DecodeError::Data,
            ),
        ] {
            assert_eq!(read(bytes).unwrap_err(), error, "{bytes}");
        }
    }

    #[test]
    fn what_clients_2x_write_otherwise_is_read_too() {
        // `socket.io-msgpack-parser` 2.2.1: JSON for CONNECT and DISCONNECT, type 5 for `["x", <01>]`.
        let limits = Limits::default();
        let connect = read_text(br#"{"type":0,"nsp":"/chat?token=1"}"#, &limits).unwrap();
        assert_eq!(connect.namespace.as_str(), "/chat?token=1");
        assert_eq!(connect.body, Body::Connect(Bytes::new()));
        let disconnect = read_text(br#"{"type":1,"nsp":"/"}"#, &limits).unwrap();
        assert_eq!(disconnect.body, Body::Disconnect);
        let event = read("83 a474797065 05 a464617461 92 a178 c40101 a36e7370 a12f").unwrap();
        assert!(matches!(event.body, Body::Event { id: None, .. }));

        for text in ["", "0", "{}", r#"{"type":2,"nsp":"/","data":["x"]}"#] {
            let refused = read_text(text.as_bytes(), &limits);
            assert_eq!(refused, Err(DecodeError::Unexpected), "{text}");
        }
        let long = format!(r#"{{"type":0,"nsp":"/{}"}}"#, "x".repeat(5_000));
        assert!(matches!(
            read_text(long.as_bytes(), &limits),
            Err(DecodeError::NamespaceTooLong { .. })
        ));
    }

    #[test]
    fn nesting_and_attachments_are_bounded() {
        let nested = format!(
            "83 a474797065 03 a36e7370 a12f a464617461 {}c0",
            "91".repeat(101)
        );
        assert_eq!(read(&nested), Err(DecodeError::TooDeep { max: 100 }));
        let binaries = "c400".repeat(11);
        let many = format!("83 a474797065 03 a36e7370 a12f a464617461 9b {binaries}");
        assert_eq!(
            read(&many),
            Err(DecodeError::TooManyAttachments { count: 11, max: 10 })
        );
    }

    #[test]
    fn an_object_that_looks_like_a_placeholder_is_no_attachment() {
        let forged = "82 ac5f706c616365686f6c646572 c3 a36e756d 00";
        let data = format!("94 a161 c40101 {forged} c40102");
        let packet = read(&format!("83 a474797065 02 a36e7370 a12f a464617461 {data}"));

        assert_eq!(packet, Err(DecodeError::Placeholder));
    }

    fn read(text: &str) -> Result<Packet, DecodeError> {
        read_packet(&hex(text), &Limits::default())
    }

    fn hex(text: &str) -> Bytes {
        let digits: Vec<char> = text
            .chars()
            .filter(|digit| !digit.is_whitespace())
            .collect();
        let bytes = digits.chunks(2).map(|pair| {
            u8::from_str_radix(&String::from_iter(pair), 16).expect("the test writes hex digits")
        });
        bytes.collect::<BytesMut>().freeze()
    }
}
