//! The `source` block of a change.

use std::sync::Arc;

use change::{Column, ColumnType, Row, Table, Value, ValueError};

/// Where a row stands in the log.
#[derive(Default)]
pub(crate) struct SourceRow {
    pub(crate) table: Option<Arc<Table>>,
    /// Of the server that executed the transaction first.
    pub(crate) server_id: u32,
    /// The transaction's number, where it has one.
    pub(crate) gtid: Option<String>,
    pub(crate) file: String,
    /// Where the rows event begins in the file; of a compressed transaction, where that begins.
    pub(crate) offset: u64,
    /// Number of the row in its event, from 0.
    pub(crate) row: i64,
}

impl SourceRow {
    pub(crate) fn place(&mut self, table: &Arc<Table>) {
        if self.table.as_ref().is_none_or(|known| !Arc::ptr_eq(known, table)) {
            self.table = Some(Arc::clone(table));
        }
    }
}

/// The columns of the `source` block, after those that every source has.
pub(crate) fn source_columns() -> Vec<Column> {
    let column = |name: &str, kind, nullable| Column {
        name: name.to_owned(),
        kind,
        sql_type: String::new(),
        labels: Vec::new(),
        nullable: Some(nullable),
        number: None,
    };
    vec![
        column("table", ColumnType::Text, true),
        column("server_id", ColumnType::Long, false),
        column("gtid", ColumnType::Text, true),
        column("file", ColumnType::Text, false),
        column("pos", ColumnType::Long, false),
        column("row", ColumnType::Long, false),
        column("thread", ColumnType::Long, true),
        column("query", ColumnType::Text, true),
    ]
}

impl Row for SourceRow {
    fn value<'v>(&'v self, index: usize, _: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        Ok(match index {
            1 => Value::Long(self.server_id.into()),
            4 => i64::try_from(self.offset).map_or(Value::Null, Value::Long),
            5 => Value::Long(self.row),
            _ => self.text(index).map_or(Value::Null, Value::Text),
        })
    }

    fn is_unchanged(&self, _: usize) -> bool {
        false
    }

    fn text(&self, index: usize) -> Option<&str> {
        match index {
            0 => self.table.as_ref().map(|table| table.name.table.as_str()),
            2 => self.gtid.as_deref(),
            3 => Some(&self.file),
            _ => None,
        }
    }
}
