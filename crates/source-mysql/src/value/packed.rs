//! Columns that MariaDB compresses (types 140 and 141): one byte, perhaps a length and a zlib stream (MariaDB
//! `sql/field_comp.cc`).
//!
//! The byte is 0 before text as it is. Else its upper half is the method (8: zlib), bit 3 says that the stream has no zlib
//! wrapper, and the lower three how many bytes the length has, greatest byte first. An empty text has no byte at all.

use change::Value;

use super::Malformed;
use super::charset::Charset;
use crate::wire::compressed::inflate_exactly;
use crate::wire::reader::{Reader, big};

/// The longest LONGBLOB that a packet can carry.
const LONGEST: usize = 1 << 30;

/// Reads a text, or bytes where there is no character set.
pub fn read<'v>(charset: Option<Charset>, bytes: &'v [u8], scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    let plain = match bytes.split_first() {
        None => bytes,
        Some((0, plain)) => plain,
        Some((head, rest)) => {
            inflate(*head, rest, scratch)?;
            return Ok(match charset {
                None => Value::Bytes(scratch),
                Some(charset) => converted(charset, scratch),
            });
        }
    };
    Ok(match charset {
        None => Value::Bytes(plain),
        Some(charset) => super::text_value(charset, plain, scratch),
    })
}

fn inflate(head: u8, rest: &[u8], scratch: &mut Vec<u8>) -> Result<(), Malformed> {
    if head & 0xf0 != 0x80 {
        return Err(Malformed);
    }
    let mut reader = Reader::new("compressed column", rest);
    let length = reader.take(usize::from(head & 7)).map_err(|_| Malformed)?;
    let wrapped = head & 8 == 0;
    inflate_exactly("compressed column", reader.rest(), wrapped, big(length), LONGEST, scratch).map_err(|_| Malformed)
}

fn converted(charset: Charset, scratch: &mut Vec<u8>) -> Value<'_> {
    if !charset.is_utf8() {
        let plain = std::mem::take(scratch);
        if charset.append(&plain, scratch).is_none() {
            return super::not_text(&plain, scratch);
        }
    }
    if std::str::from_utf8(scratch).is_err() {
        let plain = std::mem::take(scratch);
        return super::not_text(&plain, scratch);
    }
    std::str::from_utf8(scratch).map_or(Value::Null, Value::Text)
}
