//! The source block: which part of it is the same for a stream or for a transaction, and how that is written.

use change::{Column, SourceInfo, Table};

use super::Operation;
use crate::wire::{self, BRANCH_0, BRANCH_1};
use crate::{name, schema};

/// What the source block says about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream<'a> {
    /// The topic prefix; the `name` field of every event.
    pub name: &'a str,
    /// The connector's version; the `version` field of every event.
    pub version: &'a str,
}

/// The source block: its constant parts, encoded, and its own columns.
#[derive(Clone, Debug)]
pub(crate) struct SourcePlan {
    /// `version`, `connector`, `name`.
    head: Vec<u8>,
    /// `snapshot`, `db`, `sequence`; for changes, and for copied rows.
    middle: [Vec<u8>; 2],
    pub(super) operations: Vec<Operation>,
    pub(super) columns: Vec<Column>,
}

impl SourcePlan {
    pub(crate) fn compile(table: &Table, info: &SourceInfo, stream: &Stream<'_>) -> Self {
        let mut head = Vec::new();
        for text in [stream.version, info.connector, stream.name] {
            wire::string(&mut head, text);
        }
        let middle = ["false", "true"].map(|snapshot| {
            let mut middle = vec![BRANCH_0];
            wire::string(&mut middle, snapshot);
            wire::string(&mut middle, info.database.as_deref().unwrap_or(&table.name.schema));
            middle.push(BRANCH_0);
            middle
        });
        let operation = |column: &Column| Operation {
            kind: column.kind,
            optional: schema::source_column_is_optional(column),
            field: name::mangle(&column.name).into_owned(),
        };
        let operations = info.columns.iter().map(operation).collect();
        Self { head, middle, operations, columns: info.columns.clone() }
    }

    /// From `version` to `ts_ns`.
    pub(crate) fn put_head(&self, out: &mut Vec<u8>, commit_time: i64, copied: bool) {
        out.extend_from_slice(&self.head);
        wire::long(out, milliseconds(commit_time));
        out.extend_from_slice(&self.middle[usize::from(copied)]);
        put_fine_time(out, commit_time);
    }

    /// The columns behind that, and whether they can be null.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&Column, bool)> {
        self.columns.iter().zip(&self.operations).map(|(column, operation)| (column, operation.optional))
    }
}

pub(super) fn milliseconds(microseconds: i64) -> i64 {
    microseconds.div_euclid(1000)
}

/// `ts_us` and `ts_ns`. Nanoseconds end in the year 2262; beyond, that field is null.
pub(crate) fn put_fine_time(out: &mut Vec<u8>, microseconds: i64) {
    out.push(BRANCH_1);
    wire::long(out, microseconds);
    match microseconds.checked_mul(1000) {
        None => out.push(BRANCH_0),
        Some(nanoseconds) => {
            out.push(BRANCH_1);
            wire::long(out, nanoseconds);
        }
    }
}
