//! What a table looks like at one point of the log.

use std::fmt;

/// A table's qualified name: schema and table in PostgreSQL, database and table in MySQL and MariaDB.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// The shape of a table. Two tables that are equal give the same schema text, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    pub name: TableName,
    /// In the order of the row images.
    pub columns: Vec<Column>,
    /// Indexes into `columns` that make up the Kafka key, in key order; empty: the table has no key.
    pub key: Vec<usize>,
    pub identity: Identity,
    /// What no other table has, not even one that takes over the name (PostgreSQL: the OID). `None`: the log does not say.
    pub relation: Option<u32>,
}

/// How much of the old row the log carries (PostgreSQL `REPLICA IDENTITY`, MySQL `binlog_row_image`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The primary key's columns.
    Default,
    /// The columns of a unique index.
    Index,
    /// The whole row.
    Full,
    /// Nothing: the log has no updates or deletes of this table.
    Nothing,
}

impl Identity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Index => "index",
            Self::Full => "full",
            Self::Nothing => "nothing",
        }
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
    /// The type as the server prints it (`numeric(12,2)`, `character varying(20)`, `mood`); kept as a schema property.
    pub sql_type: String,
    /// The labels of an enum (or of an array of one) in their order, as far as they are known; kept as a schema property.
    pub labels: Vec<String>,
    /// Whether the column admits NULL, where that is known; kept as a schema property, never used for encoding.
    pub nullable: Option<bool>,
    /// What stays the same when the column is renamed or retyped, and never comes back after it is dropped (PostgreSQL:
    /// `attnum`). `None`: the database has no such thing, or it is not proven that the catalogue shows the table of the log.
    pub number: Option<u32>,
}

/// The form that a column's values take in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    Boolean,
    Long,
    Float,
    Double,
    /// Values beyond `precision` digits are [`Absent`](crate::Value::Absent) (`OutOfRange`). 1 ≤ precision, scale ≤ precision.
    Decimal {
        precision: u32,
        scale: u32,
    },
    Text,
    /// Lower case, with hyphens.
    Uuid,
    Bytes,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since midnight, 0 ..= 86 400 000 000.
    Time,
    /// Microseconds since 1970-01-01T00:00:00 without a zone.
    LocalTimestamp,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// One dimension, counted from 1, or empty; NULLs among the elements. An element that its form cannot hold makes the
    /// whole value [`Absent`](crate::Value::Absent) for its reason, any other shape makes it so for `Dimensions`.
    Array {
        element: Element,
        /// What stands between two elements in the source's own text. An event does not show it.
        separator: u8,
    },
}

/// The form of an array's elements: a [`ColumnType`] that is not itself an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    Boolean,
    Long,
    Float,
    Double,
    Decimal { precision: u32, scale: u32 },
    Text,
    Uuid,
    Bytes,
    Date,
    Time,
    LocalTimestamp,
    Timestamp,
}

impl Element {
    pub const fn form(self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Boolean,
            Self::Long => ColumnType::Long,
            Self::Float => ColumnType::Float,
            Self::Double => ColumnType::Double,
            Self::Decimal { precision, scale } => ColumnType::Decimal { precision, scale },
            Self::Text => ColumnType::Text,
            Self::Uuid => ColumnType::Uuid,
            Self::Bytes => ColumnType::Bytes,
            Self::Date => ColumnType::Date,
            Self::Time => ColumnType::Time,
            Self::LocalTimestamp => ColumnType::LocalTimestamp,
            Self::Timestamp => ColumnType::Timestamp,
        }
    }
}

impl ColumnType {
    /// This form as that of an array's elements. An array in an array is its text.
    pub const fn as_element(self) -> Element {
        match self {
            Self::Boolean => Element::Boolean,
            Self::Long => Element::Long,
            Self::Float => Element::Float,
            Self::Double => Element::Double,
            Self::Decimal { precision, scale } => Element::Decimal { precision, scale },
            Self::Text | Self::Array { .. } => Element::Text,
            Self::Uuid => Element::Uuid,
            Self::Bytes => Element::Bytes,
            Self::Date => Element::Date,
            Self::Time => Element::Time,
            Self::LocalTimestamp => Element::LocalTimestamp,
            Self::Timestamp => Element::Timestamp,
        }
    }

    /// A key has no `absent` to fall back on: types with values that no typed form holds take their text form there.
    pub const fn in_key(self) -> Self {
        match self {
            Self::Date
            | Self::Time
            | Self::LocalTimestamp
            | Self::Timestamp
            | Self::Decimal { .. }
            | Self::Array { .. } => Self::Text,
            other => other,
        }
    }
}
