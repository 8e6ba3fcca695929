//! Rows events, returned row by row; and TRUNCATE, which is a statement about all rows.

use std::ops::Range;
use std::sync::Arc;

use change::{Kind, TableName, ValueError};

use super::events::LARGEST;
use super::{DOING, Event, InFlight, Known, Running, disorder};
use crate::declared;
use crate::error::Error;
use crate::row::Image;
use crate::snapshot::Part;
use crate::table::{Shape, ShapeError};
use crate::wire::cell::{Cell, Extent};
use crate::wire::header::EventType;
use crate::wire::rows::{NO_TABLE, Rows, RowsKind};
use crate::wire::{Framed, WireError};

/// A rows event that is being returned. What its rows are read from is kept by places, as they outlive each call.
pub(super) struct Reading {
    table: u64,
    kind: EventType,
    /// The event's body.
    buffer: Arc<Vec<u8>>,
    body: Range<usize>,
    /// The rows, where they had to be inflated.
    inflated: Option<Arc<Vec<u8>>>,
    /// Where the rows begin in the buffer that they are in, and how many bytes they have.
    base: usize,
    length: usize,
    /// Where the rows behind the batch begin in the rows.
    next: usize,
    row: i64,
    /// Where the event begins in the server's files.
    offset: u64,
    /// Copies know already that the next row has moved.
    noted: bool,
}

/// Rows that were found in their event together, as an event says at its head what holds for all its rows.
#[derive(Default)]
pub(super) struct Batch {
    kind: Option<Kind>,
    /// A cell for each column of each row.
    before: Vec<Cell>,
    after: Vec<Cell>,
    columns: usize,
    rows: usize,
    /// The next one.
    at: usize,
}

/// A batch ends behind the row with which it has so many cells.
const CELLS: usize = 4096;

impl Batch {
    fn clear(&mut self) {
        (self.at, self.rows) = (0, 0);
    }

    fn is_empty(&self) -> bool {
        self.at == self.rows
    }

    /// Takes the next rows of an event; the offset of those behind them.
    fn fill(&mut self, rows: &Rows<'_>, extents: &[Extent], from: usize) -> Result<usize, WireError> {
        let Self { kind, before, after, columns, rows: count, at } = self;
        (*columns, *count, *at) = (extents.len(), 0, 0);
        *kind = Some(match rows.kind {
            RowsKind::Write => Kind::Insert,
            RowsKind::Update => Kind::Update,
            RowsKind::Delete => Kind::Delete,
        });
        before.clear();
        after.clear();
        let mut images = rows.images_from(extents, from)?;
        while before.len() + after.len() < CELLS && images.append_row(before, after)? {
            *count += 1;
        }
        Ok(images.offset())
    }

    /// What the next row is, with its cells.
    fn show(&self, before: &mut Image, after: &mut Image) -> Option<Kind> {
        let kind = self.kind.filter(|_| !self.is_empty())?;
        let row = self.at * self.columns..(self.at + 1) * self.columns;
        for (image, cells) in [(before, &self.before), (after, &self.after)] {
            image.cells.clear();
            image.cells.extend_from_slice(cells.get(row.clone()).unwrap_or_default());
        }
        Some(kind)
    }
}

/// Where a part of a buffer lies in it, behind `base`.
pub(super) fn place_in(buffer: &[u8], base: usize, part: &[u8]) -> Range<usize> {
    // Addresses are compared, never followed.
    let start = part.as_ptr().addr().saturating_sub(buffer.as_ptr().addr()).max(base);
    start..start + part.len()
}

impl Running {
    pub(super) fn read(
        &mut self,
        buffer: &Arc<Vec<u8>>,
        base: usize,
        framed: &Framed<'_>,
        rows: &Rows<'_>,
    ) -> Result<Event, Error> {
        if rows.table == NO_TABLE {
            return Ok(Event::Nothing);
        }
        let flight =
            self.in_flight.as_ref().ok_or_else(|| disorder(format!("rows outside a transaction at {}", self.end)))?;
        match self.tables.get(rows.table) {
            None => return Err(disorder(format!("rows of table {}, which no table map names", rows.table))),
            Some(None) => return Ok(Event::Nothing),
            Some(Some(known)) if flight.xa => {
                return Err(Error::stop(
                    format!(
                        "the transaction {} of {} is prepared by XA: its rows are in the log before it is known whether it \
                         commits",
                        flight.transaction.id, known.table.name
                    ),
                    "write captured tables without XA, or leave them out with `tables`; `headwater accept gap` goes on behind \
                     the transaction",
                ));
            }
            Some(Some(_)) => {}
        }
        let mut scratch = Vec::new();
        let plain = rows.inflated(LARGEST, &mut scratch).map_err(Error::wire(DOING))?;
        let is_inflated = !std::ptr::eq(plain.data, rows.data);
        let body = place_in(buffer, base, framed.body);
        let start = place_in(buffer, base, rows.data).start;
        let offset = self.end.offset.saturating_sub(framed.header.length.into());
        let length = plain.data.len();
        let (inflated, base) = if is_inflated { (Some(Arc::new(scratch)), 0) } else { (None, start) };
        let (table, kind, buffer) = (rows.table, framed.header.kind, Arc::clone(buffer));
        self.batch.clear();
        self.reading =
            Some(Reading { table, kind, buffer, body, inflated, base, length, next: 0, row: 0, offset, noted: false });
        Ok(Event::Nothing)
    }

    /// Finds the next rows of the event that is being read.
    fn find_rows(&mut self) -> Result<(), Error> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        let Some(known) = self.tables.captured(reading.table) else { return Err(unmapped(reading.table)) };
        let body = reading.buffer.get(reading.body.clone()).unwrap_or_default();
        let rows = Rows::read(reading.kind, body).map_err(Error::wire(DOING))?;
        let bytes = reading.inflated.as_ref().unwrap_or(&reading.buffer);
        let rows = match &reading.inflated {
            Some(inflated) => rows.with_data(inflated),
            None => rows,
        };
        self.before.attach(bytes, reading.base, &known.shape);
        self.after.attach(bytes, reading.base, &known.shape);
        let next = self.batch.fill(&rows, &known.shape.extents, reading.next);
        reading.next = next.map_err(Error::wire(DOING))?;
        Ok(())
    }

    /// The next row of the event that is being read.
    pub(super) fn row(&mut self) -> Result<Event, Error> {
        if self.batch.is_empty() {
            self.find_rows()?;
        }
        let Some(reading) = &mut self.reading else { return Ok(Event::Nothing) };
        let number = reading.table;
        let (Some(known), Some(flight)) = (self.tables.captured(number), self.in_flight.as_mut()) else {
            return Err(unmapped(number));
        };
        let Some(kind) = self.batch.show(&mut self.before, &mut self.after) else {
            if reading.next != reading.length {
                return Err(disorder(format!("rows of {} were not found", known.table.name)));
            }
            self.reading = None;
            return Ok(Event::Nothing);
        };
        if let Some(event) = introduce(flight, known, number) {
            return Ok(event);
        }
        if kind == Kind::Update {
            self.after.complete(&self.before);
            // A row that moves without all its values has to be read at its new place. That is noted beside the checkpoint
            // *before* the change is returned, so that no cut can part the two.
            let partial = flight.skip == 0 && self.snapshots.watches(&known.table.name) && self.after.lacks_values();
            if partial
                && !std::mem::replace(&mut reading.noted, true)
                && let Some(progress) = self.snapshots.moved(&known.table.name, &self.before, &self.after)
            {
                self.progress = progress;
                return Ok(Event::Copied(Part::Progress));
            }
        }
        self.batch.at += 1;
        reading.noted = false;
        self.source.row = reading.row;
        self.source.offset = reading.offset;
        reading.row += 1;
        if reading.next == reading.length && self.batch.is_empty() {
            self.reading = None;
        }
        if !count(flight, known, self.serial) {
            return Ok(Event::Nothing);
        }
        if self.snapshots.shows(&known.table.name, &flight.begin) {
            return Ok(Event::Nothing);
        }
        if self.snapshots.watches(&known.table.name) {
            self.snapshots.touch(&known.table.name, flight.mark(), kind, &self.before, &self.after);
        }
        self.source.place(&known.table);
        let refused = |error: ValueError| Error::stop(error.to_string(), "repair the value in the table");
        if kind != Kind::Insert {
            self.before.prepare_key().map_err(refused)?;
        }
        if kind != Kind::Delete {
            self.after.prepare_key().map_err(refused)?;
        }
        Ok(Event::Row(number, kind))
    }

    /// The table that a statement means by a name, perhaps without its database.
    pub(super) fn written(&self, database: &str, (schema, table): (Option<String>, String)) -> TableName {
        let schema = schema.unwrap_or_else(|| database.to_owned());
        match self.server.folds_names {
            true => TableName::new(schema.to_lowercase(), table.to_lowercase()),
            false => TableName::new(schema, table),
        }
    }

    /// A TRUNCATE of a captured table, which is a transaction of its own: first what introduces it, then itself. The
    /// statement is looked at again until nothing is left to return.
    pub(super) fn truncate(&mut self, database: &str, table: (Option<String>, String)) -> Result<bool, Error> {
        let name = self.written(database, table);
        if !self.patterns.matches(&name) {
            return Ok(false);
        }
        let known = match self.tables.named(&name) {
            Some(known) => {
                let (shape, table) = (Arc::clone(&known.shape), Arc::clone(&known.table));
                Known { shape, table, ..*known }
            }
            None => self.undescribed(&name)?,
        };
        self.tables.insert(TRUNCATED, &[], Some(known));
        self.truncating = true;
        Ok(true)
    }

    /// The next step of the truncation, and at its end `None`.
    pub(super) fn truncation(&mut self) -> Result<Option<Event>, Error> {
        let (Some(known), Some(flight)) = (self.tables.captured(TRUNCATED), self.in_flight.as_mut()) else {
            return Err(disorder("a truncation without its table or transaction"));
        };
        if flight.total > 0 {
            self.truncating = false;
            // The next table map has to introduce the table again if that was not returned under its own number.
            return Ok(None);
        }
        if let Some(event) = introduce(flight, known, TRUNCATED) {
            return Ok(Some(event));
        }
        self.source.row = 0;
        self.source.offset = flight.begin.offset;
        let publish = count(flight, known, self.serial) && !self.snapshots.shows(&known.table.name, &flight.begin);
        self.snapshots.touch(&known.table.name, flight.mark(), Kind::Truncate, &self.before, &self.after);
        self.source.place(&known.table);
        Ok(Some(if publish { Event::Row(TRUNCATED, Kind::Truncate) } else { Event::Nothing }))
    }

    /// A table of which the log has shown no row yet.
    fn undescribed(&mut self, name: &TableName) -> Result<Known, Error> {
        let identity = self.server.key_identity();
        let flavour = self.server.flavour;
        let found = self.look_up(name)?;
        let table = found.map(|catalogue| declared::table(name, &catalogue, flavour, identity)).transpose();
        let table = table.map_err(|error: ShapeError| Error::stop(error.to_string(), "please report this"))?.flatten();
        let table = table.ok_or_else(|| {
            Error::stop(
                format!("{name} was truncated, and is gone or has columns of unknown types: its shape is not known"),
                "`headwater accept gap` goes on behind the truncation, without a record of it",
            )
        })?;
        let shape = Arc::new(Shape::nobody());
        Ok(Known { shape, table: Arc::new(table), order: 0, serial: 0, announced: false })
    }
}

/// The number that the table of a TRUNCATE has here: table maps use six bytes.
const TRUNCATED: u64 = u64::MAX;

fn unmapped(number: u64) -> Error {
    disorder(format!("rows of table {number} without their table map or transaction"))
}

/// What has to be returned before a transaction's first row, and before a table's.
fn introduce(flight: &mut InFlight, known: &mut Known, number: u64) -> Option<Event> {
    if !flight.told {
        flight.told = true;
        return Some(Event::Begin);
    }
    if !known.announced {
        known.announced = true;
        return Some(Event::Table(number));
    }
    None
}

/// Counts a row of a captured table; `true` when it is to be returned.
fn count(flight: &mut InFlight, known: &mut Known, serial: u64) -> bool {
    flight.total += 1;
    known.order = if known.serial == serial { known.order + 1 } else { 1 };
    known.serial = serial;
    if flight.skip > 0 {
        flight.skip -= 1;
        return false;
    }
    true
}
