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
pub mod decimal;
pub mod number;
pub mod temporal;

use change::{Absence, ColumnType, Reason, Value};

/// The text does not follow the grammar of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads `text` as a value of `kind`; what has to be computed is put in `scratch`.
pub fn read<'v>(kind: ColumnType, text: &'v str, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    let counted = |found: Result<i64, Outcome>| match found {
        Ok(number) => Ok(Value::Long(number)),
        Err(outcome) => outcome.value(text),
    };
    match kind {
        ColumnType::Text => Ok(Value::Text(text)),
        ColumnType::Long => number::long(text).map(Value::Long),
        ColumnType::Boolean => number::boolean(text).map(Value::Boolean),
        ColumnType::Float => number::float(text).map(Value::Float),
        ColumnType::Double => number::double(text).map(Value::Double),
        ColumnType::Decimal { precision, scale } => match decimal::read(text, precision, scale, scratch) {
            Ok(()) => Ok(Value::Bytes(scratch)),
            Err(outcome) => outcome.value(text),
        },
        ColumnType::Uuid => number::uuid(text).map(Value::Text),
        ColumnType::Bytes => {
            number::bytea(text, scratch)?;
            Ok(Value::Bytes(scratch))
        }
        ColumnType::Date => counted(temporal::date(text)),
        ColumnType::Time => counted(temporal::time(text).map_err(Outcome::from)),
        ColumnType::LocalTimestamp => counted(temporal::timestamp(text, false)),
        ColumnType::Timestamp => counted(temporal::timestamp(text, true)),
        ColumnType::Array { element, separator } => array::read(element, separator, text, scratch),
    }
}

/// Why a text gives no typed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A value of the type that the event's form does not hold.
    Absent(Reason),
    Malformed,
}

impl Outcome {
    fn value(self, text: &str) -> Result<Value<'_>, Malformed> {
        match self {
            Self::Absent(reason) => Ok(Value::Absent(Absence { reason, text: Some(text) })),
            Self::Malformed => Err(Malformed),
        }
    }
}

impl From<Malformed> for Outcome {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}
