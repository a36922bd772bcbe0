//! MessagePack -> JSON text with placeholders.

use bytes::{BufMut, Bytes, BytesMut};

use crate::decode::DecodeError;
use crate::limits::Limits;
use crate::payload::{Payload, check_placeholders, put_placeholder, put_string};

/// Reads one MessagePack document. Every length is checked against what is left before anything is allocated.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
    limits: &'a Limits,
}

/// A value without its contents: those of arrays and maps follow.
#[derive(Debug)]
enum Token<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    String(&'a str),
    Binary(Bytes),
    Array(usize),
    Map(usize),
    Extension(i8, &'a [u8]),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a Bytes, limits: &'a Limits) -> Self {
        Self {
            bytes,
            at: 0,
            limits,
        }
    }

    pub(crate) fn map_len(&mut self) -> Result<usize, DecodeError> {
        match self.token()? {
            Token::Map(len) => Ok(len),
            _ => Err(DecodeError::Json),
        }
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        match self.token()? {
            Token::String(text) => Ok(text),
            _ => Err(DecodeError::Json),
        }
    }

    /// An integer that is not negative; nil and undefined are `None`.
    pub(crate) fn unsigned(&mut self) -> Result<Option<u64>, DecodeError> {
        match self.token()? {
            Token::Unsigned(value) => Ok(Some(value)),
            Token::Nil | Token::Extension(0, [0]) => Ok(None),
            _ => Err(DecodeError::Id),
        }
    }

    /// Any value; undefined is no data at all.
    pub(crate) fn payload(&mut self) -> Result<Payload, DecodeError> {
        let (mut json, mut attachments) = (BytesMut::new(), Vec::new());
        let before = self.at;
        if let Token::Nil | Token::Extension(0, [0]) = self.token()? {
            return Ok(Payload::default());
        }
        self.at = before;
        let forged = self.value(&mut json, &mut attachments, 1)?;
        if forged && !attachments.is_empty() {
            check_placeholders(&json, 0)?;
        }
        Ok(Payload::new(json, attachments))
    }

    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        self.value(&mut BytesMut::new(), &mut Vec::new(), 1)
            .map(drop)
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(DecodeError::Json)
        }
    }

    /// Appends a value as JSON. `true` when an object has a member named `_placeholder`, which may be a forgery.
    fn value(
        &mut self,
        json: &mut BytesMut,
        attachments: &mut Vec<Bytes>,
        depth: usize,
    ) -> Result<bool, DecodeError> {
        match self.token()? {
            Token::Nil => json.put_slice(b"null"),
            Token::Bool(true) => json.put_slice(b"true"),
            Token::Bool(false) => json.put_slice(b"false"),
            Token::Unsigned(value) => json.put_slice(value.to_string().as_bytes()),
            Token::Negative(value) => json.put_slice(value.to_string().as_bytes()),
            Token::Float(value) => put_float(json, value),
            Token::String(text) => put_string(json, text),
            Token::Binary(bytes) => self.attach(json, attachments, bytes)?,
            Token::Array(len) => return self.array(json, attachments, len, depth),
            Token::Map(len) => return self.object(json, attachments, len, depth),
            Token::Extension(kind, bytes) => put_extension(json, kind, bytes)?,
        }
        Ok(false)
    }

    fn attach(
        &self,
        json: &mut BytesMut,
        attachments: &mut Vec<Bytes>,
        bytes: Bytes,
    ) -> Result<(), DecodeError> {
        let max = self.limits.attachments_max;
        if attachments.len() >= max {
            let count = attachments.len() as u64 + 1;
            return Err(DecodeError::TooManyAttachments { count, max });
        }
        put_placeholder(json, attachments.len());
        attachments.push(bytes);
        Ok(())
    }

    fn array(
        &mut self,
        json: &mut BytesMut,
        attachments: &mut Vec<Bytes>,
        len: usize,
        depth: usize,
    ) -> Result<bool, DecodeError> {
        self.check_depth(depth)?;
        let mut forged = false;
        json.put_u8(b'[');
        for index in 0..len {
            if index > 0 {
                json.put_u8(b',');
            }
            forged |= self.value(json, attachments, depth + 1)?;
        }
        json.put_u8(b']');
        Ok(forged)
    }

    fn object(
        &mut self,
        json: &mut BytesMut,
        attachments: &mut Vec<Bytes>,
        len: usize,
        depth: usize,
    ) -> Result<bool, DecodeError> {
        self.check_depth(depth)?;
        let mut forged = false;
        json.put_u8(b'{');
        for index in 0..len {
            if index > 0 {
                json.put_u8(b',');
            }
            let key = self.string()?;
            forged |= key == "_placeholder";
            put_string(json, key);
            json.put_u8(b':');
            forged |= self.value(json, attachments, depth + 1)?;
        }
        json.put_u8(b'}');
        Ok(forged)
    }

    fn check_depth(&self, depth: usize) -> Result<(), DecodeError> {
        let max = self.limits.depth();
        if depth > max {
            Err(DecodeError::TooDeep { max })
        } else {
            Ok(())
        }
    }

    fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        let token = match self.byte()? {
            byte @ 0x00..=0x7f => Token::Unsigned(u64::from(byte)),
            byte @ 0x80..=0x8f => Token::Map(usize::from(byte & 0x0f)),
            byte @ 0x90..=0x9f => Token::Array(usize::from(byte & 0x0f)),
            byte @ 0xa0..=0xbf => self.text(usize::from(byte & 0x1f))?,
            0xc0 => Token::Nil,
            0xc1 => return Err(DecodeError::Json),
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            tag @ 0xc4..=0xc6 => self.binary(1 << (tag - 0xc4))?,
            tag @ 0xc7..=0xc9 => {
                let len = self.len(1 << (tag - 0xc7))?;
                self.extension(len)?
            }
            0xca => Token::Float(f64::from(f32::from_be_bytes(self.bytes_exact()?))),
            0xcb => Token::Float(f64::from_be_bytes(self.bytes_exact()?)),
            tag @ 0xcc..=0xcf => Token::Unsigned(self.integer(1 << (tag - 0xcc))?),
            tag @ 0xd0..=0xd3 => self.signed(1 << (tag - 0xd0))?,
            tag @ 0xd4..=0xd8 => self.extension(1 << (tag - 0xd4))?,
            tag @ 0xd9..=0xdb => {
                let len = self.len(1 << (tag - 0xd9))?;
                self.text(len)?
            }
            tag @ 0xdc..=0xdd => Token::Array(self.len(2 << (tag - 0xdc))?),
            tag @ 0xde..=0xdf => Token::Map(self.len(2 << (tag - 0xde))?),
            byte @ 0xe0..=0xff => Token::Negative(i64::from(byte.cast_signed())),
        };
        Ok(token)
    }

    fn binary(&mut self, width: usize) -> Result<Token<'a>, DecodeError> {
        let len = self.len(width)?;
        let start = self.at;
        self.take(len)?;
        Ok(Token::Binary(self.bytes.slice(start..start + len)))
    }

    fn text(&mut self, len: usize) -> Result<Token<'a>, DecodeError> {
        std::str::from_utf8(self.take(len)?)
            .map(Token::String)
            .map_err(|_| DecodeError::Json)
    }

    fn extension(&mut self, len: usize) -> Result<Token<'a>, DecodeError> {
        let kind = self.byte()?.cast_signed();
        Ok(Token::Extension(kind, self.take(len)?))
    }

    fn signed(&mut self, width: usize) -> Result<Token<'a>, DecodeError> {
        let raw = self.integer(width)?;
        let shift = 64 - 8 * width;
        let value = (raw << shift).cast_signed() >> shift;
        Ok(u64::try_from(value).map_or(Token::Negative(value), Token::Unsigned))
    }

    fn len(&mut self, width: usize) -> Result<usize, DecodeError> {
        let len = usize::try_from(self.integer(width)?).map_err(|_| DecodeError::Json)?;
        // Every element takes a byte at least.
        if len > self.bytes.len() - self.at {
            Err(DecodeError::Json)
        } else {
            Ok(len)
        }
    }

    fn integer(&mut self, width: usize) -> Result<u64, DecodeError> {
        Ok(self
            .take(width)?
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.bytes_exact()?;
        Ok(byte)
    }

    fn bytes_exact<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Json)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(len).ok_or(DecodeError::Json)?;
        let taken = self.bytes.get(self.at..end).ok_or(DecodeError::Json)?;
        self.at = end;
        Ok(taken)
    }
}

/// JSON has no NaN and no infinity; JavaScript writes null for them.
fn put_float(json: &mut BytesMut, value: f64) {
    match serde_json::Number::from_f64(value) {
        Some(number) => json.put_slice(number.to_string().as_bytes()),
        None => json.put_slice(b"null"),
    }
}

/// What the reference's encoder has for `undefined` (type 0, one byte) and dates (type -1, formerly type 0).
fn put_extension(json: &mut BytesMut, kind: i8, bytes: &[u8]) -> Result<(), DecodeError> {
    let millis = match (kind, bytes) {
        (0, [_]) => {
            json.put_slice(b"null");
            return Ok(());
        }
        (0, _) => big_endian(bytes)?,
        (-1, [_, _, _, _]) => big_endian(bytes)? * 1_000,
        (-1, [_, _, _, _, _, _, _, _]) => {
            let packed = big_endian(bytes)?.cast_unsigned();
            let (nanos, seconds) = (packed >> 34, packed & ((1 << 34) - 1));
            i64::try_from(seconds * 1_000 + nanos / 1_000_000).map_err(|_| DecodeError::Json)?
        }
        (-1, [nanos @ .., _, _, _, _, _, _, _, _]) => {
            let seconds = big_endian(&bytes[nanos.len()..])?;
            let millis = big_endian(nanos)? / 1_000_000;
            seconds
                .checked_mul(1_000)
                .and_then(|s| s.checked_add(millis))
                .ok_or(DecodeError::Json)?
        }
        (_, _) => return Err(DecodeError::Json),
    };
    put_date(json, millis)
}

/// Four or eight bytes; four are unsigned, as all of MessagePack's are.
fn big_endian(bytes: &[u8]) -> Result<i64, DecodeError> {
    match (<[u8; 4]>::try_from(bytes), <[u8; 8]>::try_from(bytes)) {
        (Ok(bytes), _) => Ok(i64::from(u32::from_be_bytes(bytes))),
        (Err(_), Ok(bytes)) => Ok(i64::from_be_bytes(bytes)),
        (Err(_), Err(_)) => Err(DecodeError::Json),
    }
}

/// `"2009-02-13T23:31:30.123Z"`, as JavaScript's `toJSON` writes a date; within the years 0 to 9999.
fn put_date(json: &mut BytesMut, millis: i64) -> Result<(), DecodeError> {
    let (days, in_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return Err(DecodeError::Json);
    }
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1_000 % 60, in_day % 1_000);
    let text =
        format!("\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z\"");
    json.put_slice(text.as_bytes());
    Ok(())
}

/// The Gregorian date of a day counted from 1970-01-01. Years begin in March here, so that the leap day is last; eras
/// are 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}
