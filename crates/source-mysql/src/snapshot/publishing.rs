//! One chunk on its way into the stream: row after row, then the progress that they make.

use std::sync::Arc;

use change::{Reason, Transaction, ValueError};
use copying::{Touched, Verdict};

use super::fence::Mark;
use super::key::{self, Key};
use super::worker::{Reach, Rows};
use crate::error::Error;
use crate::row::Image;
use crate::wire::WireError;
use crate::wire::cell::Cell;
use crate::wire::reader::Reader;

/// A chunk that is being published.
pub(crate) struct Publishing {
    /// Index of its task.
    pub(crate) task: usize,
    pub(crate) rows: Rows,
    touched: Touched<Mark>,
    pub(crate) image: Image,
    pub(crate) transaction: Transaction,
    next: usize,
    pub(crate) published: u64,
    /// Rows that have to be read once more.
    pub(crate) again: Vec<Key>,
    pub(crate) stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Table,
    Begin,
    Rows,
    Commit,
    Over,
}

/// What the stream returns for a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Table,
    Begin,
    Row,
    Progress,
    Commit,
}

impl Publishing {
    pub(crate) fn new(task: usize, rows: Rows, touched: Touched<Mark>) -> Self {
        let image = Image::new(Arc::clone(&rows.bytes), Arc::clone(&rows.shape), Reason::Unchanged);
        let transaction = Transaction { id: format!("snapshot:{}", rows.high), commit_time: rows.taken };
        Self { task, rows, touched, image, transaction, next: 0, published: 0, again: Vec::new(), stage: Stage::Table }
    }

    /// Moves to the next row that nothing newer was seen of; `false` at the end.
    pub(crate) fn next_row(&mut self) -> Result<bool, Error> {
        while let Some(&start) = self.rows.starts.get(self.next) {
            self.next += 1;
            let end = self.rows.starts.get(self.next).copied().unwrap_or(self.rows.bytes.len());
            self.image.attach(&self.rows.bytes, start, &self.rows.shape);
            let row = self.rows.bytes.get(start..end).unwrap_or_default();
            cells(row, self.rows.shape.table.columns.len(), &mut self.image.cells)
                .map_err(Error::wire("reading a copied row"))?;
            let refused = |error: ValueError| Error::stop(error.to_string(), "repair the value in the table");
            self.image.prepare_key().map_err(refused)?;
            let verdict = if self.touched.is_empty() {
                Verdict::Publish
            } else {
                let key = key::parts(&[&self.image]).as_ref().map(key::bytes).unwrap_or_default();
                self.touched.judge(&key, &self.rows.seen)
            };
            match verdict {
                Verdict::Publish => {
                    self.published += 1;
                    return Ok(true);
                }
                Verdict::Drop => {}
                Verdict::ReadAgain => self.again.extend(key::parts(&[&self.image])),
            }
        }
        Ok(false)
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.rows.reach
    }
}

/// Takes a row of a query's answer apart.
pub(super) fn cells(row: &[u8], columns: usize, cells: &mut Vec<Cell>) -> Result<(), WireError> {
    const NULL: u8 = 0xfb;
    let mut reader = Reader::new("copied row", row);
    cells.clear();
    for _ in 0..columns {
        if reader.peek().first() == Some(&NULL) {
            reader.u8()?;
            cells.push(Cell::Null);
            continue;
        }
        let length = reader.lenenc_size()?;
        cells.push(Cell::Bytes { start: reader.offset(), length });
        reader.take(length)?;
    }
    reader.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_exactly_their_columns() {
        let mut found = Vec::new();
        cells(b"\x01a\xfb\x00", 3, &mut found).unwrap();
        assert_eq!(found, [Cell::Bytes { start: 1, length: 1 }, Cell::Null, Cell::Bytes { start: 4, length: 0 }]);
        assert!(cells(b"\x01a\xfb\x00", 2, &mut found).is_err() && cells(b"\x01a", 2, &mut found).is_err());
    }
}
