//! How chunks of snapshots come into the stream: between two transactions, as steps of their own.
//! [`snapshot`](crate::snapshot) says why that is correct.

use change::{Change, Kind, Step};

use super::{Event, InFlight, Number, Running};
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::position::FilePlace;
use crate::snapshot::{Mark, Part, Publishing, Stage};
use crate::source_row::SourceRow;
use crate::wire::other::Heartbeat;

impl InFlight {
    /// What copies call the transaction.
    pub(super) fn mark(&mut self) -> &Mark {
        let number = match &self.number {
            Number::MySql(source, number) => Some((*source, *number)),
            Number::MariaDb(_) | Number::Anonymous => None,
        };
        self.mark.get_or_insert_with(|| Mark::new(number, self.begin.clone()))
    }
}

impl Running {
    /// Between two transactions: whether a chunk is being published now.
    pub(super) fn begin_copying(&mut self) -> Result<bool, Error> {
        let between = self.in_flight.is_none() && self.cut.is_none();
        if !between || self.reading.is_some() || self.unpacking.is_some() || self.truncating {
            return Ok(false);
        }
        if self.publishing.is_none() {
            let config = &self.config;
            self.snapshots.obey(|| Connection::open(config, Purpose::Control));
            if !self.snapshots.has_notes() && !self.history.has_notes() {
                self.publishing = self.snapshots.poll(&self.end, &self.passed)?;
            }
        }
        Ok(self.publishing.is_some() || self.snapshots.has_notes() || self.history.has_notes())
    }

    /// Whether the stream has to wait for a table that is copied whole.
    pub(super) fn stands_still(&self) -> bool {
        self.in_flight.is_none() && self.snapshots.is_standing()
    }

    /// The server has nothing to say, or leaves out what we have: everything up to there was passed. The first form holds the
    /// low half of a place only.
    pub(super) fn hear(&mut self, heartbeat: &Heartbeat<'_>) {
        const QUARTER: u64 = 1 << 30;
        if self.in_flight.is_some() || heartbeat.file.is_empty() {
            return;
        }
        let mut place = FilePlace { file: heartbeat.file.to_owned(), offset: heartbeat.position };
        if place.file == self.end.file && place.offset <= u64::from(u32::MAX) {
            let (high, low) = (self.end.offset & !u64::from(u32::MAX), self.end.offset & u64::from(u32::MAX));
            // Around a multiple of 4 GiB.
            let carry = if low > 3 * QUARTER && place.offset < QUARTER { 4 * QUARTER } else { 0 };
            place.offset += high + carry;
        }
        if place > self.end {
            self.end = place;
        }
    }

    /// The next event of the chunk that is being published.
    pub(super) fn copy(&mut self) -> Result<Event, Error> {
        let Some(chunk) = &mut self.publishing else {
            let note = self.history.next_note().or_else(|| self.snapshots.next_note());
            let Some(note) = note else { return Ok(Event::Nothing) };
            self.progress = note;
            return Ok(Event::Copied(Part::Progress));
        };
        let stage = chunk.stage;
        let (event, next) = match stage {
            Stage::Table => {
                // The stream's own shape may differ, and then has to be returned again before its next change.
                for known in self.tables.all() {
                    known.announced &= known.table.name != chunk.rows.table.name;
                }
                (Part::Table, Stage::Begin)
            }
            Stage::Begin => (Part::Begin, Stage::Rows),
            Stage::Rows if chunk.next_row()? => {
                self.source.gtid = None;
                self.source.file.clone_from(&self.end.file);
                (self.source.offset, self.source.row) = (self.end.offset, 0);
                self.source.place(&chunk.rows.table);
                (Part::Row, Stage::Rows)
            }
            Stage::Rows => {
                self.progress = self.snapshots.advance(chunk);
                (Part::Progress, Stage::Commit)
            }
            Stage::Commit => (Part::Commit, Stage::Over),
            Stage::Over => return Ok(Event::Nothing),
        };
        chunk.stage = next;
        Ok(Event::Copied(event))
    }

    /// Forgets a chunk whose end was returned.
    pub(super) fn end_copying(&mut self) {
        if self.publishing.as_ref().is_some_and(|chunk| chunk.stage == Stage::Over) {
            self.publishing = None;
        }
    }

    pub(super) fn copied_step(&self, part: Part) -> Option<Step<'_>> {
        if part == Part::Progress {
            return Some(Step::Progress { key: &self.progress.0, text: &self.progress.1 });
        }
        let chunk = self.publishing.as_ref()?;
        Some(match part {
            Part::Table => Step::Table(&chunk.rows.table),
            Part::Begin => Step::Chunk(&chunk.transaction),
            Part::Row => Step::Change(change_of(chunk, &self.source)),
            Part::Progress => return None,
            // While there is more to copy the engine may go on filling its batch.
            Part::Commit => Step::Commit { more: self.snapshots.is_active() },
        })
    }
}

fn change_of<'a>(chunk: &'a Publishing, source: &'a SourceRow) -> Change<'a> {
    Change {
        kind: Kind::Read,
        table: &chunk.rows.table,
        transaction: &chunk.transaction,
        before: None,
        before_is_key_only: false,
        after: Some(&chunk.image),
        total_order: chunk.published,
        table_order: chunk.published,
        source,
    }
}
