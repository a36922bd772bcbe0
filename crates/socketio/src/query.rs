//! The query that a v4 client puts behind a namespace: `/admin?token=1234` (protocol v4, "CONNECT").

use bytes::{BufMut, Bytes, BytesMut};

use crate::namespace::Namespace;
use crate::payload::put_string;

/// The bare namespace, and its query as a JSON object of strings.
pub(crate) fn split(namespace: &Namespace) -> (Namespace, Bytes) {
    match namespace.as_str().split_once('?') {
        Some((path, query)) => (Namespace::new(path), to_json(query)),
        None => (namespace.clone(), Bytes::from_static(b"{}")),
    }
}

fn to_json(query: &str) -> Bytes {
    let mut json = BytesMut::new();
    json.put_u8(b'{');
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if json.len() > 1 {
            json.put_u8(b',');
        }
        put_string(&mut json, &decode(key));
        json.put_u8(b':');
        put_string(&mut json, &decode(value));
    }
    json.put_u8(b'}');
    json.freeze()
}

/// Percent escapes, and `+` for a space (WHATWG URL, "application/x-www-form-urlencoded").
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) if let Some(value) = hex_pair(*high, *low) => {
                decoded.push(value);
                rest = after;
            }
            (&byte, _) => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digits = [high, low];
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_an_object_of_strings() {
        let cases = [
            (
                "/admin?token=1234&uid=a%20b+c",
                "/admin",
                r#"{"token":"1234","uid":"a b c"}"#,
            ),
            ("/admin", "/admin", "{}"),
            ("/admin?", "/admin", "{}"),
            ("/?x=%22%zz%", "/", r#"{"x":"\"%zz%"}"#),
        ];
        for (text, path, json) in cases {
            let (namespace, auth) = split(&Namespace::new(text));
            assert_eq!((namespace.as_str(), &auth[..]), (path, json.as_bytes()));
        }
    }
}
