//! Row images: cells over an event's rows, read one column at a time when somebody asks.

use std::ops::Range;
use std::sync::Arc;

use change::{Absence, Reason, Row, Value, ValueError};

use crate::json;
use crate::table::Shape;
use crate::value::{self, Malformed, Meaning};
use crate::wire::cell::Cell;

/// One image of a row, over a buffer that it shares with the other image and with the stream.
#[derive(Debug)]
pub struct Image {
    bytes: Arc<Vec<u8>>,
    /// Where the row data begins in the buffer: cells count from there.
    base: usize,
    /// A cell per column, as [`Images::next_row`](crate::wire::rows::Images::next_row) fills them.
    pub cells: Vec<Cell>,
    /// Why columns that the image does not have show no value.
    missing: Reason,
    shape: Arc<Shape>,
    /// The old documents of cells that are changes, by column.
    old: Vec<(usize, Cell)>,
    /// Texts of key columns, one behind the other.
    texts: String,
    places: Vec<(usize, Range<usize>)>,
}

impl Image {
    /// An image without cells. `missing` is what columns have that the image does not: [`Reason::KeyOnly`] for an old
    /// image, [`Reason::Unchanged`] for a new one.
    pub fn new(bytes: Arc<Vec<u8>>, shape: Arc<Shape>, missing: Reason) -> Self {
        Self {
            bytes,
            base: 0,
            cells: Vec::new(),
            missing,
            shape,
            old: Vec::new(),
            texts: String::new(),
            places: Vec::new(),
        }
    }

    /// Reads from this buffer from now on; the row data begin at `base`.
    pub fn attach(&mut self, bytes: &Arc<Vec<u8>>, base: usize, shape: &Arc<Shape>) {
        if !Arc::ptr_eq(&self.bytes, bytes) {
            self.bytes = Arc::clone(bytes);
        }
        if !Arc::ptr_eq(&self.shape, shape) {
            self.shape = Arc::clone(shape);
        }
        self.base = base;
        self.cells.clear();
    }

    /// What a new image lacks and the old one has: columns that `binlog_row_image` left out, and the documents that
    /// changes apply to.
    pub fn complete(&mut self, before: &Self) {
        self.old.clear();
        for (column, (cell, old)) in self.cells.iter_mut().zip(&before.cells).enumerate() {
            match cell {
                Cell::Missing => *cell = *old,
                Cell::Changes { .. } => self.old.push((column, *old)),
                Cell::Null | Cell::Bytes { .. } => {}
            }
        }
    }

    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Whether a value of a new image is not known: it was left out, or is a change to a document that is.
    pub(crate) fn lacks_values(&self) -> bool {
        let unknown =
            |at: usize| !matches!(self.old.iter().find(|(column, _)| *column == at), Some((_, Cell::Bytes { .. })));
        self.cells.iter().enumerate().any(|(at, cell)| match cell {
            Cell::Missing => true,
            Cell::Changes { .. } => unknown(at),
            Cell::Null | Cell::Bytes { .. } => false,
        })
    }

    /// Whether columns are missing.
    pub fn is_partial(&self) -> bool {
        self.cells.contains(&Cell::Missing)
    }

    /// Prepares [`Row::text`] of the key's columns, as far as their key is a text of another type. To be called once the
    /// cells are there.
    ///
    /// # Errors
    ///
    /// A key value that has no text.
    pub fn prepare_key(&mut self) -> Result<(), ValueError> {
        let shape = Arc::clone(&self.shape);
        let mut texts = std::mem::take(&mut self.texts).into_bytes();
        texts.clear();
        self.places.clear();
        for &column in &shape.table.key {
            let (Some(meaning), Some(Cell::Bytes { start, length })) =
                (shape.meanings.get(column), self.cells.get(column))
            else {
                continue;
            };
            // Nobody asks for the text of a type whose typed form is total.
            let form = meaning.form();
            if form.in_key() == form {
                continue;
            }
            let from = texts.len();
            let bytes = self.raw(*start, *length);
            value::text(meaning, bytes, &mut texts).map_err(|Malformed| self.error(column, bytes))?;
            self.places.push((column, from..texts.len()));
        }
        // Every text was written as UTF-8.
        self.texts = String::from_utf8(texts).unwrap_or_default();
        Ok(())
    }

    /// The bytes of a column that has some.
    pub fn bytes_of(&self, index: usize) -> &[u8] {
        match self.cells.get(index) {
            Some(Cell::Bytes { start, length }) => self.raw(*start, *length),
            _ => &[],
        }
    }

    fn raw(&self, start: usize, length: usize) -> &[u8] {
        let start = self.base.saturating_add(start);
        self.bytes.get(start..start.saturating_add(length)).unwrap_or_default()
    }

    #[cold]
    fn error(&self, index: usize, excerpt: &[u8]) -> ValueError {
        let table = &self.shape.table;
        match table.columns.get(index) {
            Some(column) => ValueError::new(&table.name, &column.name, &column.sql_type, excerpt),
            None => ValueError::new(&table.name, &format!("number {}", index.saturating_add(1)), "", excerpt),
        }
    }

    /// A document that the log holds as changes to the old one.
    fn changed<'v>(&self, index: usize, changes: &[u8], scratch: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        let bytes = match self.old.iter().find(|(column, _)| *column == index) {
            Some((_, Cell::Bytes { start, length })) => self.raw(*start, *length),
            _ => return Err(self.error(index, b"(changes to a document that the log does not have)")),
        };
        scratch.clear();
        json::diff::write(bytes, changes, scratch).map_err(|Malformed| self.error(index, changes))?;
        std::str::from_utf8(scratch).map(Value::Text).map_err(|_| self.error(index, changes))
    }
}

impl Row for Image {
    fn value<'v>(&'v self, index: usize, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        match (self.cells.get(index), self.shape.meanings.get(index)) {
            (Some(Cell::Bytes { start, length }), Some(meaning)) => {
                let bytes = self.raw(*start, *length);
                // Most values are texts, which are themselves; out of another function a value is copied.
                if let Meaning::Text(charset) = meaning
                    && let Some(text) = charset.borrowed(bytes)
                {
                    return Ok(Value::Text(text));
                }
                value::read(meaning, bytes, scratch).map_err(|Malformed| self.error(index, bytes))
            }
            (Some(Cell::Null), Some(_)) => Ok(Value::Null),
            (Some(Cell::Missing), Some(_)) => Ok(Value::Absent(Absence { reason: self.missing, text: None })),
            (Some(Cell::Changes { start, length }), Some(Meaning::Json)) => {
                self.changed(index, self.raw(*start, *length), scratch)
            }
            _ => Err(self.error(index, b"(no such column)")),
        }
    }

    fn is_unchanged(&self, index: usize) -> bool {
        self.missing == Reason::Unchanged && self.cells.get(index) == Some(&Cell::Missing)
    }

    fn text(&self, index: usize) -> Option<&str> {
        let (_, place) = self.places.iter().find(|(column, _)| *column == index)?;
        self.texts.get(place.clone())
    }
}
