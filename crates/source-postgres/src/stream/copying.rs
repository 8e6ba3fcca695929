//! How chunks of snapshots come into the stream: between two transactions, as steps of their own.
//! [`snapshot`](crate::snapshot) says why that is correct.

use std::sync::Arc;

use change::{Change, Kind, Step};

use super::{Event, Running};
use crate::error::Error;
use crate::snapshot::{Part, Publishing, Stage};
use crate::start;
use crate::wire::pgoutput::Old;
use crate::wire::tuple::Cell;

impl Running {
    /// Between two transactions: whether a chunk is being published now.
    pub(super) fn begin_copying(&mut self) -> Result<bool, Error> {
        let between = self.in_flight.is_none() && self.cut.is_none() && self.waiting.is_none();
        if !between || !self.truncated.is_empty() {
            return Ok(false);
        }
        if self.publishing.is_none() {
            self.snapshots.obey(|| start::open_control(&self.config));
            if !self.snapshots.has_notes() {
                self.publishing = self.snapshots.poll(self.position)?;
            }
        }
        Ok(self.publishing.is_some() || self.snapshots.has_notes())
    }

    /// Whether the stream has to wait for a table that is copied whole.
    pub(super) fn stands_still(&self) -> bool {
        self.in_flight.is_none() && self.snapshots.is_standing()
    }

    /// Whether the current transaction's change of a relation is in its copy already.
    pub(super) fn is_shown(&self, relation: u32) -> bool {
        self.in_flight.as_ref().is_some_and(|flight| self.snapshots.shows(relation, flight.xid))
    }

    /// The next event of the chunk that is being published.
    pub(super) fn copy(&mut self) -> Result<Event, Error> {
        let Some(chunk) = &mut self.publishing else {
            let Some(note) = self.snapshots.next_note() else { return Ok(Event::Nothing) };
            self.progress = note;
            return Ok(Event::Copied(Part::Progress));
        };
        let stage = chunk.stage;
        let (event, next) = match stage {
            Stage::Table => {
                // The stream's own shape may differ, and then has to be returned again before its next change.
                for known in self.relations.values_mut() {
                    known.announced &= known.shape.table.name != chunk.rows.table.name;
                }
                (Part::Table, Stage::Begin)
            }
            Stage::Begin => (Part::Begin, Stage::Rows),
            Stage::Rows if chunk.next_row()? => {
                self.source.xid = None;
                self.source.origin = None;
                self.source.lsn = self.position;
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

    /// Whether a row whose large value the log left out gets another key while its table is copied: then the copy has to
    /// read it at its new place, and that is noted beside the checkpoint *before* the change is returned, so that no cut
    /// can part the two.
    pub(super) fn note_move(&mut self, relation: u32, kind: Kind, old: Option<Old>, base: usize) -> bool {
        let Some(known) = self.relations.get(&relation) else { return false };
        if kind != Kind::Update || old != Some(Old::Key) || !self.new.cells.contains(&Cell::Unchanged) {
            return false;
        }
        self.old.place(base, &known.shape.table);
        self.new.place(base, &known.shape.table);
        match self.snapshots.moved(relation, &self.old, &self.new) {
            Some(progress) => {
                self.progress = progress;
                true
            }
            None => false,
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

fn change_of<'a>(chunk: &'a Publishing, source: &'a crate::row::SourceRow) -> Change<'a> {
    let table: &Arc<_> = &chunk.rows.table;
    Change {
        kind: Kind::Read,
        table,
        transaction: &chunk.transaction,
        before: None,
        before_is_key_only: false,
        after: Some(&chunk.image),
        total_order: chunk.published,
        table_order: chunk.published,
        source,
    }
}
