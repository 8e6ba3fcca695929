//! One row's change, and the transaction that it belongs to.

use std::sync::Arc;

use crate::{Row, Table};

/// What happened to a row (or, for `Truncate`, to a table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Insert,
    Update,
    Delete,
    Truncate,
    /// A row that was there already, copied from the table.
    Read,
    /// Something that an application wrote into the log itself.
    Message,
}

/// A transaction that the server has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The database's own name for it, as it appears in the event (`571:24023128` in PostgreSQL: xid, then commit LSN).
    pub id: String,
    /// Commit time, microseconds since 1970-01-01T00:00:00Z, by the database's clock.
    pub commit_time: i64,
}

/// A committed change, borrowed from the source until its next step.
pub struct Change<'a> {
    pub kind: Kind,
    pub table: &'a Arc<Table>,
    pub transaction: &'a Transaction,
    /// The old row: `None` for inserts and truncates, and for updates whose key did not change under replica identity
    /// `default` or `index`.
    pub before: Option<&'a dyn Row>,
    /// `before` holds only the columns of the replica identity; all others answer [`Absent`](crate::Value::Absent)
    /// with reason `KeyOnly`.
    pub before_is_key_only: bool,
    /// The new row: `None` for deletes and truncates. The row itself for reads, the message for messages.
    pub after: Option<&'a dyn Row>,
    /// Number of this change in its transaction, from 1, over all captured tables.
    pub total_order: u64,
    /// Number of this change among its table's changes in its transaction, from 1.
    pub table_order: u64,
    /// The values of the `source` block's own columns, as [`SourceInfo::columns`](crate::SourceInfo::columns) lists them.
    pub source: &'a dyn Row,
}
