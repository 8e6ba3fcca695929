//! Keys of rows as texts that are equal where the log's bytes of the key are, whichever road a row came: the stream's touched
//! keys are compared with those of copied rows, and a copy goes on behind the last one.
//!
//! Numbers, times and addresses are their own text, labels their number (the server orders them by it), and everything that
//! has a collation or none the hexadecimal digits of its bytes: two texts can be one key for the server, but the log's images
//! always hold the bytes of the row as it is stored, so the same row has the same bytes on both roads.

use crate::catalog;
use crate::row::Image;
use crate::value::{self, Meaning, fixed};
use crate::wire::cell::Cell;
use crate::wire::reader::{big, little};

/// The parts of a key, in key order.
pub(crate) type Key = Vec<String>;

/// The part of a key that these bytes are; `None`: they are no value of their type.
fn part(meaning: &Meaning, bytes: &[u8]) -> Option<String> {
    let text = |out: Vec<u8>| String::from_utf8(out).ok();
    let mut out = Vec::new();
    match meaning {
        Meaning::Enum(_) | Meaning::Set(_) => Some(little(bytes).to_string()),
        Meaning::Printed(printed) if matches!(**printed, Meaning::Enum(_) | Meaning::Set(_)) => text(bytes.to_vec()),
        Meaning::Bits(_) => Some(big(bytes).to_string()),
        Meaning::Text(_) | Meaning::Bytes | Meaning::Packed(_) => Some(digits(bytes)),
        Meaning::Padded(length) => {
            let mut scratch = Vec::new();
            fixed::padded(bytes, usize::from(*length), &mut scratch).ok().map(digits)
        }
        _ => {
            value::text(meaning, bytes, &mut out).ok()?;
            text(out)
        }
    }
}

fn digits(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(2 * bytes.len());
    bytes.iter().for_each(|byte| fixed::hexadecimal(*byte, &mut out));
    String::from_utf8(out).unwrap_or_default()
}

/// The key of a row: each part from the first image that has it. `None` when none has, or the table has no key.
pub(crate) fn parts(images: &[&Image]) -> Option<Key> {
    let shape = images.first()?.shape();
    let owner = |at: usize| images.iter().find(|image| matches!(image.cells.get(at), Some(Cell::Bytes { .. })));
    let part = |&at: &usize| part(shape.meanings.get(at)?, owner(at)?.bytes_of(at));
    let parts: Key = shape.table.key.iter().map(part).collect::<Option<_>>()?;
    (!parts.is_empty()).then_some(parts)
}

/// The parts as bytes that are equal where the parts are.
pub(crate) fn bytes(key: &Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    for part in key {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// A part in SQL: of the column's own type and character set, so that the server compares it by the column's collation and
/// with its index.
pub(crate) fn literal(meaning: &Meaning, part: &str) -> String {
    let meaning = match meaning {
        Meaning::Printed(meaning) => meaning,
        meaning => meaning,
    };
    match meaning {
        Meaning::Text(charset) => format!("_{} x{}", charset.name(), catalog::literal(part)),
        Meaning::Bytes | Meaning::Padded(_) | Meaning::Packed(_) => format!("x{}", catalog::literal(part)),
        Meaning::Integer { .. } | Meaning::Decimal { .. } | Meaning::Enum(_) | Meaning::Set(_) | Meaning::Bits(_)
            if part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.')) =>
        {
            part.to_owned()
        }
        Meaning::Float | Meaning::Double if part.parse::<f64>().is_ok() => {
            format!("{part}{}", if part.contains('e') { "" } else { "e0" })
        }
        _ => catalog::literal(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::charset::Charset;
    use crate::value::temporal::Form;

    /// What the log has, what a query prints, the part and its literal.
    fn same(meaning: &Meaning, log: &[u8], printed: &[u8], expected: &str, sql: &str) {
        let copied = Meaning::Printed(Box::new(meaning.clone()));
        let copied = if matches!(meaning, Meaning::Text(_) | Meaning::Padded(_)) { meaning.clone() } else { copied };
        assert_eq!(part(meaning, log).as_deref(), Some(expected));
        assert_eq!(part(&copied, printed).as_deref(), Some(expected));
        assert_eq!(literal(&copied, expected), sql);
    }

    #[test]
    fn both_roads_give_one_key() {
        same(&Meaning::Integer { width: 4, unsigned: false }, &[0xff; 4], b"-1", "-1", "-1");
        same(&Meaning::Integer { width: 2, unsigned: true }, &[42, 0], b"00042", "42", "42");
        same(&Meaning::Decimal { precision: 4, scale: 2 }, &[0x80, 50], b"00.50", "0.50", "0.50");
        same(&Meaning::Text(Charset::Latin1), b"\xe9'", b"\xe9'", "e927", "_latin1 x'e927'");
        same(&Meaning::Text(Charset::Utf8), b"", b"", "", "_utf8mb4 x''");
        same(&Meaning::Padded(3), &[1], &[1, 0, 0], "010000", "x'010000'");
        same(&Meaning::Enum(vec!["a".to_owned()]), &[1], b"1", "1", "1");
        same(&Meaning::Temporal(Form::Date), &[0, 0, 0], b"0000-00-00", "0000-00-00", "'0000-00-00'");
        same(
            &Meaning::Uuid,
            &[0x12],
            b"12000000-0000-0000-0000-000000000000",
            "12000000-0000-0000-0000-000000000000",
            "'12000000-0000-0000-0000-000000000000'",
        );
        same(
            &Meaning::Float,
            &0.1f32.to_le_bytes(),
            b"0.10000000149011612",
            "0.10000000149011612",
            "0.10000000149011612e0",
        );
    }

    #[test]
    fn what_a_checkpoint_says_cannot_leave_its_literal() {
        let number = Meaning::Integer { width: 4, unsigned: false };
        assert_eq!(literal(&number, "1 or 1"), "'1 or 1'");
        assert_eq!(literal(&Meaning::Bytes, "00' or '"), "x'00'' or '''");
        assert_eq!(literal(&Meaning::Double, "1 or"), "'1 or'");
    }
}
