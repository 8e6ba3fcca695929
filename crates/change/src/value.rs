//! One column's value, borrowed from the bytes that the database sent.

use crate::Array;

/// A value on its way from the wire to an event. It borrows from the receive buffer or from the caller's scratch buffer
/// and is never stored.
///
/// Which variant a column yields is fixed by its [`ColumnType`](crate::ColumnType), except that every column may yield
/// `Null` or `Absent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// The database's value is not NULL, but the event cannot carry it: see [`Absence`].
    Absent(Absence<'a>),
    /// `ColumnType::Boolean`.
    Boolean(bool),
    /// `ColumnType::Long` and every type that counts something: days for `Date`, microseconds for `Time`,
    /// `LocalTimestamp` and `Timestamp` (since 1970-01-01, proleptic Gregorian).
    Long(i64),
    /// `ColumnType::Float`; NaN and infinities as they are.
    Float(f32),
    /// `ColumnType::Double`; NaN and infinities as they are.
    Double(f64),
    /// `ColumnType::Text` and `ColumnType::Uuid`: the server's own text, UTF-8.
    Text(&'a str),
    /// `ColumnType::Bytes`; for `ColumnType::Decimal` the unscaled number at the column's scale, two's complement,
    /// big-endian, as few bytes as hold it (at least one).
    Bytes(&'a [u8]),
    /// `ColumnType::Array`.
    Array(Array<'a>),
}

/// Why an event shows null although the database's value is not NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence<'a> {
    pub reason: Reason,
    /// The value's own text, where the log carries it.
    pub text: Option<&'a str>,
}

/// The reasons that appear in the `absent` field of an event, by their published names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The log does not carry the value, because the statement did not change it (an unchanged TOAST value).
    Unchanged,
    /// The log carries only the replica identity of the old row.
    KeyOnly,
    /// `infinity` or `-infinity` in a date or timestamp.
    Infinity,
    /// `NaN` or an infinity in a numeric column.
    NotANumber,
    /// The value lies outside what the event's type can hold.
    OutOfRange,
    /// An array of more than one dimension, or one that does not begin at 1.
    Dimensions,
    /// A date with a zero for its month or day (`0000-00-00`, `2024-00-15`), which MySQL can be told to accept.
    ZeroDate,
    /// Bytes in a text column that are no text in its character set; `text` is their hexadecimal digits.
    NotText,
}

impl Reason {
    /// The name that consumers see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::KeyOnly => "key-only",
            Self::Infinity => "infinity",
            Self::NotANumber => "nan",
            Self::OutOfRange => "out-of-range",
            Self::Dimensions => "dimensions",
            Self::ZeroDate => "zero-date",
            Self::NotText => "not-text",
        }
    }

    /// Every reason, for documentation and tests.
    pub const ALL: [Self; 8] = [
        Self::Unchanged,
        Self::KeyOnly,
        Self::Infinity,
        Self::NotANumber,
        Self::OutOfRange,
        Self::Dimensions,
        Self::ZeroDate,
        Self::NotText,
    ];
}
