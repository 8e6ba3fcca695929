//! A row as the log shows it: columns are decoded one at a time, when somebody asks.

use crate::{TableName, Value};

/// One row image. Decoding is lazy and borrows: nothing is allocated per column.
pub trait Row {
    /// The value of the column at `index` (the position in [`Table::columns`](crate::Table::columns)).
    ///
    /// `scratch` is overwritten when the value has to be computed (a decimal, a `bytea`); the result may borrow from it.
    /// Asking twice gives the same answer.
    fn value<'v>(&'v self, index: usize, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError>;

    /// Whether the log leaves the column out because nothing changed it: its value is absent for
    /// [`Reason::Unchanged`](crate::Reason::Unchanged). Decodes nothing.
    fn is_unchanged(&self, index: usize) -> bool;

    /// The server's own text of the column at `index`, whatever its type: what a key holds where no typed form is total.
    /// `None` for NULL and for a value that the log does not carry.
    fn text(&self, index: usize) -> Option<&str>;
}

/// A value whose text does not follow the grammar of its type. Never skipped: the stream stops, because guessing would
/// invent data.
///
/// One pointer wide, because the result of every value is as large as its error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ValueError(Box<Malformed>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of {table} ({sql_type}) holds a text that is not a value of its type: {excerpt:?}")]
struct Malformed {
    table: String,
    column: String,
    sql_type: String,
    excerpt: String,
}

impl ValueError {
    /// `sql_type` as the server names it. At most 64 characters of the offending text are kept.
    pub fn new(table: &TableName, column: &str, sql_type: &str, text: &[u8]) -> Self {
        Self(Box::new(Malformed {
            table: table.to_string(),
            column: column.to_owned(),
            sql_type: sql_type.to_owned(),
            excerpt: String::from_utf8_lossy(text).chars().take(64).collect(),
        }))
    }
}
