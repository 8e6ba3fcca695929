//! A column's value: the bytes of a cell, read as the type that its column has.
//!
//! Pure and total: bytes give a value, an absence with its reason, or [`Malformed`]; never a guess, never a panic.
#![deny(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests may"
    )
)]

pub mod charset;
pub mod decimal;
pub mod fixed;
pub mod float;
pub mod label;
pub mod number;
pub mod packed;
pub mod printed;
pub mod temporal;

use change::{Absence, ColumnType, Reason, Value};

use crate::json;
use crate::wire::reader::little;
use charset::Charset;
use temporal::Form;

/// The bytes are not a value of their column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What the bytes of a column's cells mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    Integer {
        /// Bytes: 1, 2, 3, 4 or 8.
        width: u8,
        unsigned: bool,
    },
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Year,
    Bits(u16),
    Temporal(Form),
    Text(Charset),
    Bytes,
    /// BINARY(n).
    Padded(u16),
    Enum(Vec<String>),
    Set(Vec<String>),
    /// MySQL's binary form of JSON.
    Json,
    Uuid,
    Inet4,
    Inet6,
    /// A column that MariaDB compresses; None: of bytes.
    Packed(Option<Charset>),
    /// Not the log's bytes, but what the server prints where it is asked for the value.
    Printed(Box<Meaning>),
}

impl Meaning {
    /// The form that the values take in an event.
    pub fn form(&self) -> ColumnType {
        match self {
            Self::Integer { width: 8, unsigned: true } => ColumnType::Decimal { precision: 20, scale: 0 },
            Self::Integer { .. } | Self::Year | Self::Temporal(Form::OldTime | Form::Time(_)) => ColumnType::Long,
            Self::Float => ColumnType::Float,
            Self::Double => ColumnType::Double,
            Self::Decimal { precision, scale } => {
                ColumnType::Decimal { precision: (*precision).into(), scale: (*scale).into() }
            }
            Self::Bits(1) => ColumnType::Boolean,
            Self::Bits(_) | Self::Bytes | Self::Padded(_) | Self::Packed(None) => ColumnType::Bytes,
            Self::Temporal(Form::Date) => ColumnType::Date,
            Self::Temporal(Form::OldDateTime | Form::DateTime(_)) => ColumnType::LocalTimestamp,
            Self::Temporal(Form::OldTimestamp | Form::Timestamp(_)) => ColumnType::Timestamp,
            Self::Text(_)
            | Self::Enum(_)
            | Self::Set(_)
            | Self::Json
            | Self::Inet4
            | Self::Inet6
            | Self::Packed(Some(_)) => ColumnType::Text,
            Self::Uuid => ColumnType::Uuid,
            Self::Printed(meaning) => meaning.form(),
        }
    }
}

/// Reads the bytes of a cell; what has to be computed is put in `scratch`.
///
/// # Errors
///
/// [`Malformed`]: going on would guess.
pub fn read<'v>(meaning: &'v Meaning, bytes: &'v [u8], scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    match meaning {
        Meaning::Integer { width, unsigned } if bytes.len() == usize::from(*width) => {
            number::integer(bytes, *unsigned, scratch)
        }
        Meaning::Integer { .. } => Err(Malformed),
        Meaning::Text(charset) => Ok(text_value(*charset, bytes, scratch)),
        Meaning::Decimal { precision, scale } => {
            decimal::read(bytes, *precision, *scale, scratch)?;
            Ok(Value::Bytes(scratch))
        }
        Meaning::Temporal(form) => form.read(bytes)?.value(form.fraction(), scratch),
        Meaning::Float => float(bytes).map(Value::Float),
        Meaning::Double => double(bytes).map(Value::Double),
        Meaning::Year => number::year(bytes).map(Value::Long),
        Meaning::Bits(count) => number::bits(bytes, *count),
        Meaning::Bytes => Ok(Value::Bytes(bytes)),
        Meaning::Padded(length) => fixed::padded(bytes, (*length).into(), scratch).map(Value::Bytes),
        Meaning::Enum(labels) => label::enumeration(bytes, labels),
        Meaning::Set(labels) => label::set(bytes, labels, scratch),
        Meaning::Json => written(scratch, |out| json::text::write(bytes, out)),
        Meaning::Uuid => written(scratch, |out| fixed::uuid(bytes, out)),
        Meaning::Inet4 => written(scratch, |out| fixed::inet4(bytes, out)),
        Meaning::Inet6 => written(scratch, |out| fixed::inet6(bytes, out)),
        Meaning::Packed(charset) => packed::read(*charset, bytes, scratch),
        Meaning::Printed(meaning) => printed::read(meaning, bytes, scratch),
    }
}

/// Appends the server's own text of a cell, whatever its type: what `CAST(column AS CHAR)` gives, bytes as they are. For a
/// key, whose typed form is not total for some types.
///
/// # Errors
///
/// [`Malformed`], also for a text that has no characters.
pub fn text(meaning: &Meaning, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match meaning {
        Meaning::Integer { unsigned: true, .. } => out.extend_from_slice(little(bytes).to_string().as_bytes()),
        Meaning::Integer { .. } => out.extend_from_slice(number::signed(bytes).to_string().as_bytes()),
        Meaning::Decimal { precision, scale } => decimal::text(bytes, *precision, *scale, out)?,
        Meaning::Temporal(form) => form.read(bytes)?.text(form.fraction(), out),
        Meaning::Float => float::double(f64::from(float(bytes)?), out),
        Meaning::Double => float::double(double(bytes)?, out),
        Meaning::Year => out.extend_from_slice(format!("{:04}", number::year(bytes)?).as_bytes()),
        Meaning::Printed(meaning) => printed::text(meaning, bytes, out)?,
        _ => {
            let mut scratch = Vec::new();
            match read(meaning, bytes, &mut scratch)? {
                Value::Text(text) => out.extend_from_slice(text.as_bytes()),
                Value::Bytes(bytes) => out.extend_from_slice(bytes),
                Value::Boolean(flag) => out.push(u8::from(flag).saturating_add(b'0')),
                _ => return Err(Malformed),
            }
        }
    }
    Ok(())
}

fn float(bytes: &[u8]) -> Result<f32, Malformed> {
    bytes.try_into().map(f32::from_le_bytes).map_err(|_| Malformed)
}

fn double(bytes: &[u8]) -> Result<f64, Malformed> {
    bytes.try_into().map(f64::from_le_bytes).map_err(|_| Malformed)
}

/// A text that is written anew.
fn written(
    scratch: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<Value<'_>, Malformed> {
    scratch.clear();
    write(scratch)?;
    std::str::from_utf8(scratch).map(Value::Text).map_err(|_| Malformed)
}

/// A text; where the bytes are none in its character set, the value is absent and its text is their hexadecimal digits.
fn text_value<'v>(charset: Charset, bytes: &'v [u8], scratch: &'v mut Vec<u8>) -> Value<'v> {
    if let Some(text) = charset.borrowed(bytes) {
        return Value::Text(text);
    }
    scratch.clear();
    if charset.append(bytes, scratch).is_none() {
        return not_text(bytes, scratch);
    }
    std::str::from_utf8(scratch).map_or(Value::Null, Value::Text)
}

/// Bytes that are no text, as the server would write them in SQL.
fn not_text<'v>(bytes: &[u8], scratch: &'v mut Vec<u8>) -> Value<'v> {
    scratch.clear();
    scratch.extend_from_slice(b"0x");
    for byte in bytes {
        fixed::hexadecimal(*byte, scratch);
    }
    Value::Absent(Absence { reason: Reason::NotText, text: std::str::from_utf8(scratch).ok() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn value(meaning: &Meaning, bytes: &[u8]) -> Result<String, Malformed> {
        read(meaning, bytes, &mut vec![7]).map(|value| format!("{value:?}"))
    }

    #[test]
    fn what_is_no_text_is_absent_with_its_bytes() {
        let absent = "Absent(Absence { reason: NotText, text: Some(\"0xff41\") })";
        assert_eq!(value(&Meaning::Text(Charset::Utf8), &[0xff, 0x41]).unwrap(), absent);
        assert_eq!(value(&Meaning::Packed(Some(Charset::Utf8)), &[0, 0xff, 0x41]).unwrap(), absent);
        assert_eq!(value(&Meaning::Text(Charset::Latin1), &[0xe9]).unwrap(), "Text(\"é\")");
    }

    #[test]
    fn compressed_columns() {
        let deflated = |text: &[u8]| {
            let head = vec![0x81, u8::try_from(text.len()).unwrap()];
            let mut encoder = flate2::write::ZlibEncoder::new(head, flate2::Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let bytes = deflated(b"abc\xe9");
        assert_eq!(value(&Meaning::Packed(Some(Charset::Latin1)), &bytes).unwrap(), "Text(\"abcé\")");
        assert_eq!(value(&Meaning::Packed(None), &bytes).unwrap(), "Bytes([97, 98, 99, 233])");
        assert!(value(&Meaning::Packed(Some(Charset::Utf8)), &bytes).unwrap().contains("0x616263e9"));
        assert_eq!(value(&Meaning::Packed(None), &[]).unwrap(), "Bytes([])");
        assert_eq!(value(&Meaning::Packed(None), &[0, 1]).unwrap(), "Bytes([1])");
        for cut in 1..bytes.len() {
            assert!(value(&Meaning::Packed(None), &bytes[..cut]).is_err(), "{cut}");
        }
        assert!(value(&Meaning::Packed(None), &[0x11, 1]).is_err());
    }

    #[test]
    fn lengths_have_to_fit() {
        assert!(value(&Meaning::Integer { width: 4, unsigned: false }, &[0; 3]).is_err());
        assert!(value(&Meaning::Float, &[0; 8]).is_err() && value(&Meaning::Double, &[0; 4]).is_err());
        assert_eq!(value(&Meaning::Padded(3), &[1]).unwrap(), "Bytes([1, 0, 0])");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            let labels = vec!["a".to_owned(), "b".to_owned()];
            for meaning in [
                Meaning::Integer { width: 8, unsigned: true },
                Meaning::Decimal { precision: 30, scale: 9 },
                Meaning::Bits(9),
                Meaning::Padded(9),
                Meaning::Enum(labels.clone()),
                Meaning::Set(labels),
                Meaning::Json,
                Meaning::Uuid,
                Meaning::Inet6,
                Meaning::Packed(Some(Charset::Gbk)),
            ] {
                value(&meaning, &bytes).ok();
                text(&meaning, &bytes, &mut Vec::new()).ok();
            }
        }
    }
}
