//! A column's value: the server's text, read as the type that its column has in an event.
//!
//! Pure and total: a text gives a value, an absence with its reason, or [`Malformed`]; never a guess, never a panic.
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

pub mod array;
pub mod binary;
pub mod decimal;
pub mod number;
pub mod temporal;

use change::{Absence, ColumnType, Reason, Value};

/// The text does not follow the grammar of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads the server's text as a value of `kind`; what has to be computed is put in `scratch`. Only what becomes text in
/// the event is checked to be UTF-8: all other grammars are ASCII.
pub fn read<'v>(kind: ColumnType, bytes: &'v [u8], scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    let counted = |found: Result<i64, Outcome>| match found {
        Ok(number) => Ok(Value::Long(number)),
        Err(outcome) => outcome.value(bytes),
    };
    match kind {
        ColumnType::Text => utf8(bytes).map(Value::Text),
        ColumnType::Long => number::long(bytes).map(Value::Long),
        ColumnType::Boolean => number::boolean(bytes).map(Value::Boolean),
        ColumnType::Float => number::float(utf8(bytes)?).map(Value::Float),
        ColumnType::Double => number::double(utf8(bytes)?).map(Value::Double),
        ColumnType::Decimal { precision, scale } => match decimal::read(bytes, precision, scale, scratch) {
            Ok(()) => Ok(Value::Bytes(scratch)),
            Err(outcome) => outcome.value(bytes),
        },
        ColumnType::Uuid => number::uuid(utf8(bytes)?).map(Value::Text),
        ColumnType::Bytes => {
            number::bytea(bytes, scratch)?;
            Ok(Value::Bytes(scratch))
        }
        ColumnType::Date => counted(temporal::date(bytes)),
        ColumnType::Time => counted(temporal::time(bytes).map_err(Outcome::from)),
        ColumnType::LocalTimestamp => counted(temporal::timestamp(bytes, false)),
        ColumnType::Timestamp => counted(temporal::timestamp(bytes, true)),
        ColumnType::Array { element, separator } => array::read(element, separator, utf8(bytes)?, scratch),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

/// Why a text gives no typed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A value of the type that the event's form does not hold.
    Absent(Reason),
    Malformed,
}

impl Outcome {
    fn value(self, bytes: &[u8]) -> Result<Value<'_>, Malformed> {
        match self {
            Self::Absent(reason) => Ok(Value::Absent(Absence { reason, text: Some(utf8(bytes)?) })),
            Self::Malformed => Err(Malformed),
        }
    }
}

impl From<Malformed> for Outcome {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}
