//! Row images: cells over the received bytes, read one column at a time.

use std::sync::Arc;

use change::{Absence, Column, ColumnType, Reason, Row, Table, Value, ValueError};

use crate::lsn::Lsn;
use crate::value;
use crate::wire::tuple::Cell;

/// One image of a row, over a buffer that it shares with the other image and with the stream.
pub(crate) struct Image {
    bytes: Arc<Vec<u8>>,
    /// Where the message begins.
    base: usize,
    pub(crate) cells: Vec<Cell>,
    pub(crate) table: Arc<Table>,
}

impl Image {
    pub(crate) fn new(nothing: Arc<Vec<u8>>, table: Arc<Table>) -> Self {
        Self { bytes: nothing, base: 0, cells: Vec::new(), table }
    }

    /// Reads from another buffer from now on.
    pub(crate) fn attach(&mut self, bytes: Arc<Vec<u8>>) {
        self.bytes = bytes;
        self.cells.clear();
    }

    pub(crate) fn place(&mut self, base: usize, table: &Arc<Table>) {
        self.base = base;
        if !Arc::ptr_eq(&self.table, table) {
            self.table = Arc::clone(table);
        }
    }

    fn raw(&self, start: usize, length: usize) -> &[u8] {
        let start = self.base + start;
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    /// The text of a column that has one.
    pub(crate) fn bytes_of(&self, index: usize) -> &[u8] {
        match self.cells.get(index) {
            Some(Cell::Text { start, length }) => self.raw(*start, *length),
            _ => &[],
        }
    }

    #[cold]
    fn error(&self, index: usize, excerpt: &[u8]) -> ValueError {
        let table = &self.table.name;
        match self.table.columns.get(index) {
            Some(column) => ValueError::new(table, &column.name, &column.sql_type, excerpt),
            None => ValueError::new(table, &format!("number {}", index + 1), "", excerpt),
        }
    }

    /// Makes [`Row::text`] total for the key: its texts are UTF-8.
    pub(crate) fn check_key(&self) -> Result<(), ValueError> {
        for index in &self.table.key {
            if let Some(Cell::Text { start, length }) = self.cells.get(*index)
                && let bytes = self.raw(*start, *length)
                && std::str::from_utf8(bytes).is_err()
            {
                return Err(self.error(*index, bytes));
            }
        }
        Ok(())
    }
}

impl Row for Image {
    fn value<'v>(&'v self, index: usize, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        let absent = |reason| Ok(Value::Absent(Absence { reason, text: None }));
        match (self.cells.get(index), self.table.columns.get(index)) {
            (Some(Cell::Text { start, length }), Some(column)) => {
                let bytes = self.raw(*start, *length);
                // Most values are texts, which are themselves; out of another function a value is copied.
                if column.kind == ColumnType::Text
                    && let Ok(text) = std::str::from_utf8(bytes)
                {
                    return Ok(Value::Text(text));
                }
                value::read(column.kind, bytes, scratch).map_err(|_| self.error(index, bytes))
            }
            (Some(Cell::Binary { start, length }), Some(column)) => {
                let bytes = self.raw(*start, *length);
                value::binary::read(column.kind, bytes, scratch).map_err(|_| self.error(index, bytes))
            }
            (Some(Cell::Null), Some(_)) => Ok(Value::Null),
            (Some(Cell::Unchanged), Some(_)) => absent(Reason::Unchanged),
            (Some(Cell::NotInKey), Some(_)) => absent(Reason::KeyOnly),
            _ => Err(self.error(index, b"(no such column)")),
        }
    }

    fn is_unchanged(&self, index: usize) -> bool {
        matches!(self.cells.get(index), Some(Cell::Unchanged))
    }

    fn text(&self, index: usize) -> Option<&str> {
        match self.cells.get(index) {
            Some(Cell::Text { start, length }) => std::str::from_utf8(self.raw(*start, *length)).ok(),
            _ => None,
        }
    }
}

/// The `source` block of a change.
#[derive(Default)]
pub(crate) struct SourceRow {
    pub(crate) table: Option<Arc<Table>>,
    /// `None` for a row of a snapshot.
    pub(crate) xid: Option<u32>,
    pub(crate) lsn: Lsn,
    pub(crate) origin: Option<(String, Lsn)>,
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
        column("schema", ColumnType::Text, false),
        column("table", ColumnType::Text, false),
        column("txId", ColumnType::Long, true),
        column("lsn", ColumnType::Long, true),
        column("xmin", ColumnType::Long, true),
        column("origin", ColumnType::Text, true),
        column("origin_lsn", ColumnType::Long, true),
    ]
}

fn number(lsn: Lsn) -> Value<'static> {
    i64::try_from(lsn.0).map_or(Value::Null, Value::Long)
}

impl Row for SourceRow {
    fn value<'v>(&'v self, index: usize, _: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        Ok(match index {
            2 => self.xid.map_or(Value::Null, |xid| Value::Long(xid.into())),
            3 => number(self.lsn),
            6 => self.origin.as_ref().map_or(Value::Null, |(_, lsn)| number(*lsn)),
            _ => self.text(index).map_or(Value::Null, Value::Text),
        })
    }

    fn is_unchanged(&self, _: usize) -> bool {
        false
    }

    fn text(&self, index: usize) -> Option<&str> {
        match index {
            0 => self.table.as_ref().map(|table| table.name.schema.as_str()),
            1 => self.table.as_ref().map(|table| table.name.table.as_str()),
            5 => self.origin.as_ref().map(|(name, _)| name.as_str()),
            _ => None,
        }
    }
}
