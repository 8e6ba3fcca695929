//! WRITE, UPDATE and DELETE_ROWS (23–25, 30–32), PARTIAL_UPDATE_ROWS (39) and MariaDB's compressed ones (166–171): row
//! images.
//!
//! An event does not say how many rows it holds: they follow each other to its end. So the end decides whether all was
//! understood: a row must end exactly there, and every row takes at least one byte.

use super::cell::{Cell, Extent};
use super::header::EventType;
use super::reader::{Reader, WireError};
use super::table_map::{self, Bits};

/// What happened to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowsKind {
    Write,
    Update,
    Delete,
}

/// Rows of one table (`libs/mysql/binlog/event/rows_event.h`, `Rows_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows<'a> {
    pub kind: RowsKind,
    /// The number that a table map event before it gave the table.
    pub table: u64,
    /// Ends a statement: the numbers of tables are forgotten (`STMT_END_F`).
    pub ends_statement: bool,
    pub columns: usize,
    /// Columns of the old image, for updates and deletes.
    before: Option<Bits<'a>>,
    /// Columns of the new image, for writes and updates.
    after: Option<Bits<'a>>,
    /// New images may hold changes to JSON documents instead of documents.
    partial: bool,
    /// The rows are MariaDB's compressed form: ask [`Rows::inflated`] first.
    compressed: bool,
    /// The row images; [`Cell`]s are places in here.
    pub data: &'a [u8],
}

/// The number of a rows event that only ends a statement (`Rows_event`, dummy table).
pub const NO_TABLE: u64 = 0x00ff_ffff;

const STATEMENT_END: u16 = 1;
/// `binlog_row_value_options`, `PARTIAL_JSON_UPDATES`.
const PARTIAL_JSON: u64 = 1;

impl<'a> Rows<'a> {
    /// Reads the body of an event of one of the types above.
    ///
    /// # Errors
    ///
    /// Another type, too few bytes, unknown extra information.
    pub fn read(kind: EventType, body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("rows event", body);
        let (rows, second, compressed) = classify(kind)?;
        let table = reader.uint(6)?;
        let flags = reader.u16()?;
        if second {
            extra(&mut reader, rows)?;
        }
        let columns = table_map::columns(&mut reader)?;
        let first = Bits::take(&mut reader, columns)?;
        let (before, after) = match rows {
            RowsKind::Write => (None, Some(first)),
            RowsKind::Delete => (Some(first), None),
            RowsKind::Update => (Some(first), Some(Bits::take(&mut reader, columns)?)),
        };
        Ok(Self {
            kind: rows,
            table,
            ends_statement: flags & STATEMENT_END != 0,
            columns,
            before,
            after,
            partial: kind == EventType::PARTIAL_UPDATE_ROWS,
            compressed,
            data: reader.rest(),
        })
    }

    /// With its rows as they were written; `scratch` holds them where they had to be inflated.
    ///
    /// # Errors
    ///
    /// Data that cannot be inflated, or more than `limit` bytes of it.
    pub fn inflated<'s>(&self, limit: usize, scratch: &'s mut Vec<u8>) -> Result<Rows<'s>, WireError>
    where
        'a: 's,
    {
        if !self.compressed {
            return Ok(*self);
        }
        super::compressed::inflate("compressed rows event", self.data, limit, scratch)?;
        Ok(Rows { data: scratch, compressed: false, ..*self })
    }

    /// With its rows taken from somewhere else: where [`Rows::inflated`] has put them before.
    pub fn with_data<'s>(&self, data: &'s [u8]) -> Rows<'s>
    where
        'a: 's,
    {
        Rows { data, compressed: false, ..*self }
    }

    /// [`Rows::images`] from a row on, which begins at `offset` of the data.
    ///
    /// # Errors
    ///
    /// Those of [`Rows::images`], and an offset behind the data.
    pub fn images_from<'t>(&self, extents: &'t [Extent], offset: usize) -> Result<Images<'a, 't>, WireError> {
        let mut images = self.images(extents)?;
        images.reader.take(offset)?;
        Ok(images)
    }

    /// The row images in order, by the columns of the table that the event names.
    ///
    /// # Errors
    ///
    /// Another number of columns than the table has; rows that are still compressed.
    pub fn images<'t>(&self, extents: &'t [Extent]) -> Result<Images<'a, 't>, WireError> {
        if self.compressed {
            return Err(WireError::Missing { what: "compressed rows event", missing: "its plain form" });
        }
        let wide = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        if self.columns != extents.len() {
            let (number, there) = (wide(self.columns), wide(extents.len()));
            return Err(WireError::Range { what: "columns of a rows event", number, least: there, most: there });
        }
        let count = |present: Option<Bits<'_>>| present.map_or(0, |present| present.ones(extents.len()));
        let (in_before, in_after) = (count(self.before), count(self.after));
        Ok(Images { rows: *self, extents, in_before, in_after, reader: Reader::new("row image", self.data) })
    }
}

/// What a type of event holds, whether it is of the second version, whether it is compressed.
fn classify(kind: EventType) -> Result<(RowsKind, bool, bool), WireError> {
    Ok(match kind {
        EventType::WRITE_ROWS_V1 => (RowsKind::Write, false, false),
        EventType::UPDATE_ROWS_V1 => (RowsKind::Update, false, false),
        EventType::DELETE_ROWS_V1 => (RowsKind::Delete, false, false),
        EventType::WRITE_ROWS => (RowsKind::Write, true, false),
        EventType::UPDATE_ROWS | EventType::PARTIAL_UPDATE_ROWS => (RowsKind::Update, true, false),
        EventType::DELETE_ROWS => (RowsKind::Delete, true, false),
        EventType::WRITE_ROWS_COMPRESSED_V1 => (RowsKind::Write, false, true),
        EventType::UPDATE_ROWS_COMPRESSED_V1 => (RowsKind::Update, false, true),
        EventType::DELETE_ROWS_COMPRESSED_V1 => (RowsKind::Delete, false, true),
        EventType::WRITE_ROWS_COMPRESSED => (RowsKind::Write, true, true),
        EventType::UPDATE_ROWS_COMPRESSED => (RowsKind::Update, true, true),
        EventType::DELETE_ROWS_COMPRESSED => (RowsKind::Delete, true, true),
        EventType(number) => return Err(WireError::Unknown { what: "rows event", number: number.into() }),
    })
}

/// Information of the second version behind its length, which counts itself: from NDB, or which partition the rows are
/// in (`Rows_event::Extra_row_info`). Nobody needs it here, but it has to be what it should.
fn extra(reader: &mut Reader<'_>, kind: RowsKind) -> Result<(), WireError> {
    const WHAT: &str = "extra information of a rows event";
    let length = reader.u16()?;
    let Some(length) = length.checked_sub(2) else {
        return Err(WireError::Range { what: WHAT, number: length.into(), least: 2, most: u16::MAX.into() });
    };
    let mut info = Reader::new(WHAT, reader.take(length.into())?);
    while !info.is_empty() {
        match info.u8()? {
            0 => {
                let length = usize::from(info.u8()?);
                info.take(length.saturating_sub(1))?;
            }
            1 => {
                info.u16()?;
                if kind == RowsKind::Update {
                    info.u16()?;
                }
            }
            number => return Err(WireError::Unknown { what: WHAT, number: number.into() }),
        }
    }
    Ok(())
}

/// The rows of an event, one after the other.
#[derive(Clone, Debug)]
pub struct Images<'a, 't> {
    rows: Rows<'a>,
    extents: &'t [Extent],
    /// Columns that the old and the new image have.
    in_before: usize,
    in_after: usize,
    reader: Reader<'a>,
}

impl<'a> Images<'a, '_> {
    /// Reads the next row: `before` and `after` receive a cell per column of the table, or none for an image that this
    /// kind of event does not have. False at the end.
    ///
    /// # Errors
    ///
    /// A row that does not end where its columns say.
    pub fn next_row(&mut self, before: &mut Vec<Cell>, after: &mut Vec<Cell>) -> Result<bool, WireError> {
        before.clear();
        after.clear();
        self.append_row(before, after)
    }

    /// [`Images::next_row`] behind what the two hold already.
    ///
    /// # Errors
    ///
    /// A row that does not end where its columns say.
    pub fn append_row(&mut self, before: &mut Vec<Cell>, after: &mut Vec<Cell>) -> Result<bool, WireError> {
        if self.reader.is_empty() {
            return Ok(false);
        }
        let start = self.reader.offset();
        if let Some(present) = self.rows.before {
            self.image(present, self.in_before, None, before)?;
        }
        if let Some(present) = self.rows.after {
            let changes = if self.rows.partial { self.changes()? } else { None };
            self.image(present, self.in_after, changes, after)?;
        }
        if self.reader.offset() == start {
            return Err(WireError::LeftOver { what: "row without columns", left: self.reader.left() });
        }
        Ok(true)
    }

    /// Where the next row begins in [`Rows::data`].
    pub fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// Before a new image of a partial update: whether it holds changes, and if so a bit for each JSON column of the
    /// table, also for those that the image does not have (`sql/rpl_record.cc`, `unpack_row`).
    fn changes(&mut self) -> Result<Option<Bits<'a>>, WireError> {
        match self.reader.lenenc()? {
            0 => Ok(None),
            PARTIAL_JSON => {
                let count = self.extents.iter().filter(|extent| matches!(extent, Extent::Document(_))).count();
                Bits::take(&mut self.reader, count).map(Some)
            }
            number => Err(WireError::Unknown { what: "value options of a partial update", number }),
        }
    }

    /// Reads one image, which has `count` columns: those that are `present`.
    fn image(
        &mut self,
        present: Bits<'a>,
        count: usize,
        changes: Option<Bits<'a>>,
        cells: &mut Vec<Cell>,
    ) -> Result<(), WireError> {
        let nulls = Bits::take(&mut self.reader, count)?;
        if count == self.extents.len() && changes.is_none() {
            // All columns, as nearly always.
            for (column, extent) in self.extents.iter().enumerate() {
                let null = nulls.get(column);
                cells.push(if null { Cell::Null } else { extent.cell(&mut self.reader)? });
            }
            return Ok(());
        }
        let (mut in_image, mut json) = (0usize, 0usize);
        for (column, extent) in self.extents.iter().enumerate() {
            let is_json = matches!(extent, Extent::Document(_));
            let changed = is_json && changes.is_some_and(|changes| changes.get(json));
            json = json.saturating_add(usize::from(is_json));
            if !present.get(column) {
                cells.push(Cell::Missing);
                continue;
            }
            let null = nulls.get(in_image);
            in_image = in_image.saturating_add(1);
            cells.push(match extent {
                _ if null => Cell::Null,
                extent => match extent.cell(&mut self.reader)? {
                    Cell::Bytes { start, length } if changed => Cell::Changes { start, length },
                    cell => cell,
                },
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENTS: [Extent; 3] = [Extent::Fixed(1), Extent::Prefixed(1), Extent::Document(4)];

    fn event(kind: EventType, bitmaps: &[u8], rows: &[u8]) -> Vec<u8> {
        let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0];
        if kind != EventType::WRITE_ROWS_V1 {
            body.extend([2, 0]);
        }
        body.push(3);
        body.extend(bitmaps);
        body.extend(rows);
        body
    }

    type Read = Vec<(Vec<Cell>, Vec<Cell>)>;

    fn rows(kind: EventType, body: &[u8]) -> Result<Read, WireError> {
        let rows = Rows::read(kind, body)?;
        let mut images = rows.images(&EXTENTS)?;
        let (mut before, mut after, mut found) = (Vec::new(), Vec::new(), Vec::new());
        while images.next_row(&mut before, &mut after)? {
            found.push((before.clone(), after.clone()));
        }
        Ok(found)
    }

    #[test]
    fn rows_end_with_the_event() {
        let row = [0b100, 9, 2, b'a', b'b'];
        let two = [row, row].concat();
        let body = event(EventType::WRITE_ROWS, &[0b111], &two);
        let found = rows(EventType::WRITE_ROWS, &body).unwrap();
        let expected = [Cell::Bytes { start: 1, length: 1 }, Cell::Bytes { start: 3, length: 2 }, Cell::Null];
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], (vec![], expected.to_vec()));
        for cut in 1..row.len() {
            assert!(rows(EventType::WRITE_ROWS, &body[..body.len() - cut]).is_err(), "{cut}");
        }
        assert!(rows(EventType::WRITE_ROWS, &[&body[..], &[0]].concat()).is_err());
        let v1 = event(EventType::WRITE_ROWS_V1, &[0b111], &row);
        assert_eq!(rows(EventType::WRITE_ROWS_V1, &v1).unwrap().len(), 1);
    }

    #[test]
    fn images_may_lack_columns() {
        let body = event(EventType::UPDATE_ROWS, &[0b001, 0b010], &[0, 9, 1]);
        assert_eq!(
            rows(EventType::UPDATE_ROWS, &body).unwrap(),
            [(
                vec![Cell::Bytes { start: 1, length: 1 }, Cell::Missing, Cell::Missing],
                vec![Cell::Missing, Cell::Null, Cell::Missing]
            )]
        );
        // Neither columns nor bytes: such a row would never end.
        let nothing = event(EventType::DELETE_ROWS, &[0], &[0]);
        assert!(rows(EventType::DELETE_ROWS, &nothing).is_err());
    }

    #[test]
    fn partial_updates_mark_their_changes() {
        let before = [0b010, 9, 1, 0, 0, 0, 4];
        let after = [1, 1, 0b010, 9, 2, 0, 0, 0, 7, 7];
        let body = event(EventType::PARTIAL_UPDATE_ROWS, &[0b111, 0b111], &[&before[..], &after].concat());
        let found = rows(EventType::PARTIAL_UPDATE_ROWS, &body).unwrap();
        assert_eq!(found[0].0[2], Cell::Bytes { start: 6, length: 1 });
        assert_eq!(found[0].1[2], Cell::Changes { start: 15, length: 2 });
        let body = event(EventType::PARTIAL_UPDATE_ROWS, &[0b111, 0b111], &[&before[..], &[2]].concat());
        assert!(rows(EventType::PARTIAL_UPDATE_ROWS, &body).is_err());
    }

    #[test]
    fn extra_information_is_read() {
        let with = |info: &[u8]| {
            let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0];
            body.extend(u16::try_from(info.len() + 2).unwrap().to_le_bytes());
            body.extend(info);
            body.extend([3, 0b111, 0b100, 9, 0]);
            rows(EventType::WRITE_ROWS, &body)
        };
        assert!(with(&[]).is_ok() && with(&[1, 5, 0]).is_ok() && with(&[0, 4, 0, 1, 2]).is_ok());
        assert!(with(&[2]).is_err() && with(&[1, 5]).is_err());
    }

    #[test]
    fn other_tables_do_not_fit() {
        let body = event(EventType::WRITE_ROWS, &[0b111], &[]);
        let rows = Rows::read(EventType::WRITE_ROWS, &body).unwrap();
        assert!(rows.images(&EXTENTS[..2]).is_err());
        assert!(Rows::read(EventType::XID, &body).is_err());
    }
}
