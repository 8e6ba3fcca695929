//! A change becomes Avro records, by a plan compiled once for a table.
//!
//! The plan is a flat list of columns, each with its form, and the parts of the envelope that never change, already
//! encoded. A row costs one walk over that list: each value goes from the source's buffer straight into the output, with
//! no value tree between and, once the buffers are warm, no allocation.
//!
//! # What is never written
//!
//! An invented value. Where the database's value is not NULL but the event cannot hold it, the field is null and an entry
//! of `absent` says so; where the schema has no null (a key column), the change is an [`EncodeError`].
//!
//! One rule fills a gap truthfully: a column that an update did not change, and that the log therefore left out of the new
//! row, is taken from the old row if that carries it. This happens to large values under replica identity `full`, and to
//! large keys.

mod absent;
mod records;
mod source;

use std::ops::Range;
use std::sync::Arc;

use change::{Change, Column, ColumnType, Kind, Reason, Row, SourceInfo, Table, Value, ValueError};

use crate::array::put_array;
use crate::wire::{self, BRANCH_0, BRANCH_1};
use crate::{name, schema};

pub use records::{Entry, Records};
pub use source::Stream;

pub(crate) use source::{SourcePlan, put_fine_time};

use records::Scratch;
use source::milliseconds;

/// What a user can choose about the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether a delete is followed by a record without a value, which lets a compacted topic forget the key.
    pub tombstones: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { tombstones: true }
    }
}

/// Which row of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    Before,
    After,
    /// The source block's own columns.
    Source,
}

impl Image {
    /// The field of the envelope.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Source => "source",
        }
    }
}

/// A change that no event can carry. Each of these stops the table: going on would lose or invent data.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("table {table}: key column {column} has no value in the row {}: {reason}", image.name())]
    NoKey { table: String, column: String, image: Image, reason: &'static str },
    #[error("table {table}: column {column} of {} must have a value by its schema, but it is {reason}", image.name())]
    NoValue { table: String, column: String, image: Image, reason: &'static str },
    #[error("table {table}: column {column} of {} is declared as {expected:?}, but its value is {found}", image.name())]
    Mismatch { table: String, column: String, image: Image, expected: ColumnType, found: String },
    #[error("table {table}: {kind:?} without the row {}", image.name())]
    NoRow { table: String, kind: Kind, image: Image },
}

/// How the changes of one table become records. Compiled once for a table and its schema ids.
#[derive(Clone, Debug)]
pub struct Plan {
    table: Arc<Table>,
    columns: Vec<Operation>,
    key: Vec<usize>,
    key_header: Vec<u8>,
    value_header: Vec<u8>,
    source: SourcePlan,
    options: Options,
    memo: Memo,
}

/// What many changes in a row have in common, encoded when it differs from the last time: the source block from
/// `version` to `ts_ns` is one transaction's, the time of processing is one batch's.
#[derive(Clone, Debug, Default)]
struct Memo {
    transaction: Option<(i64, bool)>,
    source: Vec<u8>,
    now: Option<i64>,
    times: Vec<u8>,
}

/// How one column is written.
#[derive(Clone, Debug)]
struct Operation {
    kind: ColumnType,
    optional: bool,
    /// The field's name, for `absent`.
    field: String,
}

impl Plan {
    /// The plan for the schemas that [`key_schema`](crate::key_schema) and [`value_schema`](crate::value_schema) give for
    /// the same table and source. Each key begins with `key_header` and each value with `value_header` (the registry's
    /// frame).
    pub fn compile(
        table: &Arc<Table>,
        info: &SourceInfo,
        stream: &Stream<'_>,
        key_header: &[u8],
        value_header: &[u8],
        options: Options,
    ) -> Self {
        let operation = |(index, column): (usize, &Column)| Operation {
            kind: column.kind,
            optional: schema::row_column_is_optional(table, index),
            field: name::mangle(&column.name).into_owned(),
        };
        Self {
            table: Arc::clone(table),
            columns: table.columns.iter().enumerate().map(operation).collect(),
            key: table.key.clone(),
            key_header: key_header.to_vec(),
            value_header: value_header.to_vec(),
            source: SourcePlan::compile(table, info, stream),
            options,
            memo: Memo::default(),
        }
    }

    /// The table that the plan is for.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Appends the records of a change: one, two for a delete (its tombstone), three for an update of the key (delete,
    /// tombstone, create). `now` is the time of processing in microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]; nothing is appended then.
    pub fn encode(&mut self, change: &Change<'_>, now: i64, out: &mut Records) -> Result<(), EncodeError> {
        self.remember(change.transaction.commit_time, change.kind == Kind::Read, now);
        let (bytes, entries) = (out.bytes.len(), out.entries.len());
        let result = self.append(change, out);
        if result.is_err() {
            out.bytes.truncate(bytes);
            out.entries.truncate(entries);
        }
        result
    }

    fn remember(&mut self, commit_time: i64, copied: bool, now: i64) {
        let Memo { transaction, source, now: known_now, times } = &mut self.memo;
        if *transaction != Some((commit_time, copied)) {
            source.clear();
            self.source.put_head(source, commit_time, copied);
            *transaction = Some((commit_time, copied));
        }
        if *known_now != Some(now) {
            times.clear();
            times.push(BRANCH_1);
            wire::long(times, milliseconds(now));
            put_fine_time(times, now);
            *known_now = Some(now);
        }
    }

    fn append(&self, change: &Change<'_>, out: &mut Records) -> Result<(), EncodeError> {
        let event = |op, before, after| Event { op, before, after, change };
        match change.kind {
            Kind::Insert | Kind::Read | Kind::Message => {
                let after = Rows::new(self.row(change, Image::After)?, Image::After);
                let key = self.append_key(&after, out)?;
                self.append_value(&event(crate::render::op(change.kind), None, Some(after)), key, out)
            }
            Kind::Update => self.append_update(change, out),
            Kind::Delete => {
                let before = Rows::new(self.row(change, Image::Before)?, Image::Before);
                let key = self.append_key(&before, out)?;
                self.append_delete(&event("d", Some(before), None), key, out)
            }
            Kind::Truncate => self.append_value(&event("t", None, None), None, out),
        }
    }

    fn append_update(&self, change: &Change<'_>, out: &mut Records) -> Result<(), EncodeError> {
        let mut after = Rows::new(self.row(change, Image::After)?, Image::After);
        after.fallback = change.before;
        let before = change.before.map(|row| Rows::new(row, Image::Before));
        let event = |op, before, after| Event { op, before, after, change };
        let Some(before) = before else {
            let key = self.append_key(&after, out)?;
            return self.append_value(&event("u", None, Some(after)), key, out);
        };
        let start = out.bytes.len();
        let old = self.append_key(&before, out)?;
        let middle = out.bytes.len();
        let new = self.append_key(&after, out)?;
        if out.bytes[start..middle] == out.bytes[middle..] {
            out.bytes.truncate(middle);
            return self.append_value(&event("u", Some(before), Some(after)), old, out);
        }
        self.append_delete(&event("d", Some(before), None), old, out)?;
        self.append_value(&event("c", None, Some(after)), new, out)
    }

    fn row<'a>(&self, change: &Change<'a>, image: Image) -> Result<&'a dyn Row, EncodeError> {
        let row = if image == Image::Before { change.before } else { change.after };
        row.ok_or_else(|| EncodeError::NoRow { table: self.table.name.to_string(), kind: change.kind, image })
    }

    fn append_delete(
        &self,
        event: &Event<'_>,
        key: Option<Range<usize>>,
        out: &mut Records,
    ) -> Result<(), EncodeError> {
        self.append_value(event, key.clone(), out)?;
        if key.is_some() && self.options.tombstones {
            out.entries.push(Entry { key, value: None, key_header: self.key_header.len() });
        }
        Ok(())
    }

    fn append_key(&self, rows: &Rows<'_>, out: &mut Records) -> Result<Option<Range<usize>>, EncodeError> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let start = out.bytes.len();
        out.bytes.extend_from_slice(&self.key_header);
        for &index in &self.key {
            let kind = self.columns[index].kind;
            if kind.in_key() != kind {
                let text = rows.text(index).ok_or_else(|| self.no_key(index, rows.image, "null, or not in the log"))?;
                wire::string(&mut out.bytes, text);
                continue;
            }
            match rows.value(index, &mut out.scratch.value)? {
                Value::Null => return Err(self.no_key(index, rows.image, "null")),
                Value::Absent(absence) => return Err(self.no_key(index, rows.image, absence.reason.name())),
                value => {
                    if !put(&mut out.bytes, kind, &value) {
                        return Err(self.mismatch(&self.table.columns[index], rows.image, value));
                    }
                }
            }
        }
        Ok(Some(start..out.bytes.len()))
    }

    fn append_value(&self, event: &Event<'_>, key: Option<Range<usize>>, out: &mut Records) -> Result<(), EncodeError> {
        let Records { bytes, entries, scratch } = out;
        let change = event.change;
        let start = bytes.len();
        bytes.extend_from_slice(&self.value_header);
        scratch.absent.clear();
        for rows in [&event.before, &event.after] {
            match rows {
                None => bytes.push(BRANCH_0),
                Some(rows) => {
                    bytes.push(BRANCH_1);
                    let key_only = rows.image == Image::Before && change.before_is_key_only;
                    if key_only {
                        scratch.absent.push(&["before"], Reason::KeyOnly.name(), None);
                    }
                    self.put_row(rows, key_only, bytes, scratch)?;
                }
            }
        }
        self.put_source(change, bytes, scratch)?;
        if change.kind == Kind::Read {
            bytes.push(BRANCH_0);
        } else {
            bytes.push(BRANCH_1);
            wire::string(bytes, &change.transaction.id);
            wire::long(bytes, change.total_order.cast_signed());
            wire::long(bytes, change.table_order.cast_signed());
        }
        wire::string(bytes, event.op);
        bytes.extend_from_slice(&self.memo.times);
        scratch.absent.put(bytes);
        entries.push(Entry { key, value: Some(start..bytes.len()), key_header: self.key_header.len() });
        Ok(())
    }

    fn put_row(
        &self,
        rows: &Rows<'_>,
        key_only: bool,
        bytes: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Result<(), EncodeError> {
        for (index, operation) in self.columns.iter().enumerate() {
            let found = rows.value(index, &mut scratch.value);
            let value = in_place(&found)?;
            if operation.optional {
                match value {
                    Value::Null => bytes.push(BRANCH_0),
                    Value::Absent(absence) => {
                        bytes.push(BRANCH_0);
                        if !(key_only && absence.reason == Reason::KeyOnly) {
                            let field = [rows.image.name(), operation.field.as_str()];
                            scratch.absent.push(&field, absence.reason.name(), absence.text);
                        }
                    }
                    value => {
                        bytes.push(BRANCH_1);
                        if !put(bytes, operation.kind, value) {
                            return Err(self.mismatch(&self.table.columns[index], rows.image, *value));
                        }
                    }
                }
            } else if !put(bytes, operation.kind, value) {
                return Err(self.misfit(&self.table.columns[index], rows.image, *value));
            }
        }
        Ok(())
    }

    fn put_source(&self, change: &Change<'_>, bytes: &mut Vec<u8>, scratch: &mut Scratch) -> Result<(), EncodeError> {
        bytes.extend_from_slice(&self.memo.source);
        for (index, operation) in self.source.operations.iter().enumerate() {
            let found = change.source.value(index, &mut scratch.value);
            let value = in_place(&found)?;
            if operation.optional {
                if matches!(value, Value::Null) {
                    bytes.push(BRANCH_0);
                    continue;
                }
                bytes.push(BRANCH_1);
            }
            if !put(bytes, operation.kind, value) {
                return Err(self.misfit(&self.source.columns[index], Image::Source, *value));
            }
        }
        Ok(())
    }

    #[cold]
    fn no_key(&self, index: usize, image: Image, reason: &'static str) -> EncodeError {
        let column = self.table.columns[index].name.clone();
        EncodeError::NoKey { table: self.table.name.to_string(), column, image, reason }
    }

    /// A value that is not of the column's type, or that is missing where the schema has no null.
    #[cold]
    fn misfit(&self, column: &Column, image: Image, value: Value<'_>) -> EncodeError {
        let reason = match value {
            Value::Null => "null",
            Value::Absent(absence) => absence.reason.name(),
            value => return self.mismatch(column, image, value),
        };
        EncodeError::NoValue { table: self.table.name.to_string(), column: column.name.clone(), image, reason }
    }

    #[cold]
    fn mismatch(&self, column: &Column, image: Image, value: Value<'_>) -> EncodeError {
        let found = match value {
            Value::Text(text) => format!("a text of {} bytes", text.len()),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Value::Array(array) => format!("an array of {} elements", array.len()),
            value => format!("{value:?}"),
        };
        let table = self.table.name.to_string();
        EncodeError::Mismatch { table, column: column.name.clone(), image, expected: column.kind, found }
    }
}

/// What one value record says.
struct Event<'a> {
    op: &'static str,
    before: Option<Rows<'a>>,
    after: Option<Rows<'a>>,
    change: &'a Change<'a>,
}

/// A row image, and where to look for what it does not carry because it did not change.
struct Rows<'a> {
    row: &'a dyn Row,
    fallback: Option<&'a dyn Row>,
    image: Image,
}

impl<'a> Rows<'a> {
    fn new(row: &'a dyn Row, image: Image) -> Self {
        Self { row, fallback: None, image }
    }

    #[inline]
    fn value<'v>(&'v self, index: usize, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        let Some(old) = self.fallback else { return self.row.value(index, scratch) };
        if self.row.is_unchanged(index) && !matches!(old.value(index, scratch)?, Value::Absent(_)) {
            return old.value(index, scratch);
        }
        self.row.value(index, scratch)
    }

    /// The server's own text: `None` for NULL, and where no row of the change carries the value.
    fn text(&self, index: usize) -> Option<&str> {
        match (self.row.text(index), self.fallback) {
            (None, Some(old)) if self.row.is_unchanged(index) => old.text(index),
            (text, _) => text,
        }
    }
}

/// The value where it is: it was just written, part by part, and a copy of the whole would wait for all the parts (a store
/// that is loaded in another width is not forwarded).
#[inline]
fn in_place<'a, 'v>(found: &'a Result<Value<'v>, ValueError>) -> Result<&'a Value<'v>, ValueError> {
    found.as_ref().map_err(ValueError::clone)
}

/// Appends a value in the form of its type, or returns false if it is not of that type.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, kind: ColumnType, value: &Value<'_>) -> bool {
    match (kind, *value) {
        (
            ColumnType::Long | ColumnType::Time | ColumnType::LocalTimestamp | ColumnType::Timestamp,
            Value::Long(number),
        ) => wire::long(out, number),
        (ColumnType::Text | ColumnType::Uuid, Value::Text(text)) => wire::string(out, text),
        (ColumnType::Date, Value::Long(days)) if i32::try_from(days).is_ok() => wire::long(out, days),
        (ColumnType::Boolean, Value::Boolean(flag)) => out.push(u8::from(flag)),
        (ColumnType::Float, Value::Float(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (ColumnType::Double, Value::Double(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (ColumnType::Bytes, Value::Bytes(bytes)) => wire::bytes(out, bytes),
        (ColumnType::Decimal { .. }, Value::Bytes(bytes)) if !bytes.is_empty() => wire::bytes(out, bytes),
        (ColumnType::Array { element, .. }, Value::Array(array)) => return put_array(out, element, array),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests;
