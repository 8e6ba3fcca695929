//! One chunk on its way into the stream: row after row, then the progress that they make.

use std::sync::Arc;

use change::{Transaction, ValueError};
use copying::{Touched, Verdict};

use super::progress::Key;
use super::worker::{Reach, Rows};
use crate::error::Error;
use crate::row::Image;
use crate::wire::reader::Reader;
use crate::wire::tuple::{self, Cell};

/// A chunk that is being published.
pub(crate) struct Publishing {
    /// Index of its task.
    pub(crate) task: usize,
    pub(crate) rows: Rows,
    touched: Touched<u32>,
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
    pub(crate) fn new(task: usize, rows: Rows, touched: Touched<u32>) -> Self {
        let mut image = Image::new(Arc::clone(&rows.bytes), Arc::clone(&rows.table));
        image.place(0, &rows.table);
        let transaction = Transaction { id: format!("snapshot:{}", rows.snapshot), commit_time: rows.taken };
        Self { task, rows, touched, image, transaction, next: 0, published: 0, again: Vec::new(), stage: Stage::Table }
    }

    /// Moves to the next row that nothing newer was seen of; `false` at the end.
    pub(crate) fn next_row(&mut self) -> Result<bool, Error> {
        while let Some(&start) = self.rows.starts.get(self.next) {
            self.next += 1;
            self.image.place(start, &self.rows.table);
            let row = self.rows.bytes.get(start..).unwrap_or_default();
            tuple::read_values(&mut Reader::new("data row", row), &self.rows.binary, &mut self.image.cells)
                .map_err(Error::wire("reading a copied row"))?;
            let refused = |error: ValueError| Error::stop(error.to_string(), "repair the value in the table");
            self.image.check_key().map_err(refused)?;
            let verdict = if self.touched.is_empty() {
                Verdict::Publish
            } else {
                let key = key(&[&self.image]).unwrap_or_default();
                self.touched.judge(&key, &self.rows.snapshot)
            };
            match verdict {
                Verdict::Publish => {
                    self.published += 1;
                    return Ok(true);
                }
                Verdict::Drop => {}
                Verdict::ReadAgain => self.again.extend(texts(&[&self.image])),
            }
        }
        Ok(false)
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.rows.reach
    }
}

/// The texts of the key's columns, each from the first image that has it. `None` when none has.
fn parts<'a>(images: &'a [&'a Image]) -> Option<impl Iterator<Item = &'a [u8]>> {
    let table = &images.first()?.table;
    let owner = |at: usize| images.iter().find(|image| matches!(image.cells.get(at), Some(Cell::Text { .. })));
    let found: Option<Vec<_>> = table.key.iter().map(|&at| Some(owner(at)?.bytes_of(at))).collect();
    Some(found?.into_iter())
}

/// The key as bytes that are equal where the texts of its columns are.
pub(crate) fn key(images: &[&Image]) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(32);
    for bytes in parts(images)? {
        key.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        key.extend_from_slice(bytes);
    }
    Some(key)
}

pub(crate) fn texts(images: &[&Image]) -> Option<Key> {
    Some(parts(images)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect())
}
