//! JSON text with placeholders -> MessagePack.

use bytes::{BufMut, Bytes, BytesMut};

use crate::json::{self, Cursor};
use crate::payload::index;

/// Writes MessagePack in the shortest forms, as the reference's encoder does.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: BytesMut,
    attachments: &'a [Bytes],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(attachments: &'a [Bytes]) -> Self {
        Self {
            out: BytesMut::new(),
            attachments,
        }
    }

    pub(crate) fn finish(self) -> Bytes {
        self.out.freeze()
    }

    pub(crate) fn map(&mut self, len: usize) {
        let head = container_head(0x80, 0xde, len);
        self.out.put_slice(&head);
    }

    pub(crate) fn string(&mut self, text: &str) {
        match (u8::try_from(text.len()), u16::try_from(text.len())) {
            (Ok(len @ 0..32), _) => self.out.put_u8(0xa0 | len),
            (Ok(len), _) => self.out.put_slice(&[0xd9, len]),
            (Err(_), Ok(len)) => {
                self.out.put_u8(0xda);
                self.out.put_u16(len);
            }
            (Err(_), Err(_)) => {
                self.out.put_u8(0xdb);
                self.out.put_u32(len32(text.len()));
            }
        }
        self.out.put_slice(text.as_bytes());
    }

    pub(crate) fn unsigned(&mut self, value: u64) {
        match value {
            0..=0x7f => self.out.put_u8(value.to_be_bytes()[7]),
            0x80..=0xff => self.out.put_slice(&[0xcc, value.to_be_bytes()[7]]),
            0x100..=0xffff => self.tagged(0xcd, &value.to_be_bytes()[6..]),
            0x1_0000..=0xffff_ffff => self.tagged(0xce, &value.to_be_bytes()[4..]),
            _ => self.tagged(0xcf, &value.to_be_bytes()),
        }
    }

    fn negative(&mut self, value: i64) {
        let bytes = value.to_be_bytes();
        match value {
            -32.. => self.out.put_u8(bytes[7]),
            -0x80..-32 => self.tagged(0xd0, &bytes[7..]),
            -0x8000..-0x80 => self.tagged(0xd1, &bytes[6..]),
            -0x8000_0000..-0x8000 => self.tagged(0xd2, &bytes[4..]),
            _ => self.tagged(0xd3, &bytes),
        }
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.out.put_u8(tag);
        self.out.put_slice(bytes);
    }

    fn binary(&mut self, bytes: &[u8]) {
        match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
            (Ok(len), _) => self.out.put_slice(&[0xc4, len]),
            (Err(_), Ok(len)) => {
                self.out.put_u8(0xc5);
                self.out.put_u16(len);
            }
            (Err(_), Err(_)) => {
                self.out.put_u8(0xc6);
                self.out.put_u32(len32(bytes.len()));
            }
        }
        self.out.put_slice(bytes);
    }

    /// Writes checked JSON; a placeholder becomes its attachment.
    pub(crate) fn json(&mut self, text: &[u8]) {
        self.value(&mut Cursor::new(text));
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) {
        match cursor.peek() {
            b'[' => self.array(cursor),
            b'{' => self.object(cursor),
            b'"' => self.text(cursor.value()),
            b't' => self.literal(cursor, 0xc3),
            b'f' => self.literal(cursor, 0xc2),
            b'n' => self.literal(cursor, 0xc0),
            _ => self.number(cursor.value()),
        }
    }

    fn literal(&mut self, cursor: &mut Cursor<'_>, byte: u8) {
        cursor.value();
        self.out.put_u8(byte);
    }

    /// Half a surrogate pair has no form in MessagePack: the text as it is written stands for it.
    fn text(&mut self, quoted: &[u8]) {
        match json::unescape(quoted) {
            Some(text) => self.string(&text),
            None => self.string(&String::from_utf8_lossy(quoted)),
        }
    }

    fn number(&mut self, text: &[u8]) {
        let text = std::str::from_utf8(text).unwrap_or_default();
        if let Ok(value) = text.parse::<u64>() {
            self.unsigned(value);
        } else if let Ok(value @ ..0) = text.parse::<i64>() {
            self.negative(value);
        } else {
            let value = text.parse::<f64>().unwrap_or(f64::NAN);
            self.tagged(0xcb, &value.to_be_bytes());
        }
    }

    fn array(&mut self, cursor: &mut Cursor<'_>) {
        let at = self.out.len();
        let mut len = 0;
        cursor.enter();
        while cursor.has_more(b']') {
            self.value(cursor);
            len += 1;
        }
        self.insert(at, &container_head(0x90, 0xdc, len));
    }

    fn object(&mut self, cursor: &mut Cursor<'_>) {
        let at = self.out.len();
        let (mut len, mut is_placeholder, mut number) = (0, false, None);
        cursor.enter();
        while cursor.has_more(b'}') {
            let key = cursor.key();
            self.text(key);
            cursor.peek();
            let mut ahead = cursor.clone();
            self.value(cursor);
            match key {
                br#""_placeholder""# => is_placeholder = ahead.value() == b"true",
                br#""num""# => number = index(ahead.value()),
                _ => {}
            }
            len += 1;
        }
        match number.and_then(|number| self.attachments.get(number)) {
            Some(bytes) if is_placeholder => {
                self.out.truncate(at);
                self.binary(bytes);
            }
            Some(_) | None => self.insert(at, &container_head(0x80, 0xde, len)),
        }
    }

    /// The length is known only after the elements: they make room for it. Costs one move of what was written.
    fn insert(&mut self, at: usize, head: &[u8]) {
        self.out.put_slice(head);
        self.out[at..].rotate_right(head.len());
    }
}

/// The head of an array or map: `fix | len`, or a tag and two or four bytes.
fn container_head(fix: u8, tag16: u8, len: usize) -> smallvec::SmallVec<[u8; 8]> {
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..16), _) => smallvec::smallvec![fix | len],
        (_, Ok(len)) => {
            let [high, low] = len.to_be_bytes();
            smallvec::smallvec![tag16, high, low]
        }
        (_, Err(_)) => {
            let mut head = smallvec::smallvec![tag16 + 1];
            head.extend_from_slice(&len32(len).to_be_bytes());
            head
        }
    }
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).expect("no payload holds four gigabytes")
}
