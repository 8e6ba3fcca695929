//! A row on its way out: its table's shape comes first, then its number in the transaction, then its two images complete each
//! other.

use std::sync::Arc;

use change::{Identity, Kind, Table};

use super::{Event, Running, Waiting, disorder};
use crate::error::Error;
use crate::row::Image;
use crate::snapshot::Part;
use crate::wire::pgoutput::Old;
use crate::wire::tuple::Cell;

impl Running {
    /// Whether the shape of a relation has to be returned before its next change. The change is not counted yet, so that
    /// the position between the two is still before it.
    pub(super) fn announce(&mut self, relation: u32) -> bool {
        let Some(known) = self.relations.get_mut(&relation) else { return false };
        if !known.shape.captured || std::mem::replace(&mut known.announced, true) {
            return false;
        }
        // Another table had this name before, and may have it again.
        let name = known.shape.table.name.clone();
        for (other, known) in &mut self.relations {
            known.announced &= *other == relation || known.shape.table.name != name;
        }
        true
    }

    pub(super) fn row(&mut self, row: Waiting) -> Result<Event, Error> {
        let Waiting { relation, kind, old, lsn, base, noted } = row;
        if let Some(note) = self.snapshots.next_note() {
            self.progress = note;
            self.waiting = Some(row);
            return Ok(Event::Copied(Part::Progress));
        }
        if self.announce(relation) {
            self.waiting = Some(Waiting { relation, kind, old, lsn, base, noted });
            return Ok(Event::Table(relation));
        }
        if self.contradicts_key(relation, kind, old) {
            self.waiting = Some(row);
            return Ok(Event::Nothing);
        }
        if !noted && self.note_move(relation, kind, old, base) {
            self.waiting = Some(Waiting { relation, kind, old, lsn, base, noted: true });
            return Ok(Event::Copied(Part::Progress));
        }
        if !self.count(relation, lsn)? {
            return Ok(Event::Nothing);
        }
        if self.is_shown(relation) {
            return Ok(Event::Nothing);
        }
        let Some(known) = self.relations.get(&relation) else { return Ok(Event::Nothing) };
        let table = &known.shape.table;
        for (image, wanted) in [(&self.old, old.is_some()), (&self.new, kind != Kind::Delete)] {
            if wanted && image.cells.len() != table.columns.len() {
                return Err(disorder(format!(
                    "a row of {} at {lsn} has {} columns, the table has {}",
                    table.name,
                    image.cells.len(),
                    table.columns.len()
                )));
            }
        }
        self.old.place(base, table);
        self.new.place(base, table);
        self.complete(kind, old);
        for (image, wanted) in [(&self.old, old.is_some()), (&self.new, kind != Kind::Delete)] {
            if wanted {
                image.check_key().map_err(|error| Error::stop(error.to_string(), "repair the value in the table"))?;
            }
        }
        self.source.lsn = lsn;
        self.record(relation, kind, old);
        Ok(Event::Row(relation, kind, old))
    }

    /// Whether a row has no value where its key should be. Under replica identity full the log does not say what the key
    /// is, and the catalogue says what it is by now: of rows from before it, it is not the key. The relation has none then,
    /// until the log describes it anew.
    pub(super) fn contradicts_key(&mut self, relation: u32, kind: Kind, old: Option<Old>) -> bool {
        let Some(known) = self.relations.get_mut(&relation) else { return false };
        if known.shape.table.identity != Identity::Full {
            return false;
        }
        let lacks = |image: &Image| known.shape.table.key.iter().any(|&at| image.cells.get(at) == Some(&Cell::Null));
        if !(old.is_some() && lacks(&self.old) || kind != Kind::Delete && lacks(&self.new)) {
            return false;
        }
        let table = Table { key: Vec::new(), ..Table::clone(&known.shape.table) };
        tracing::info!(table = %table.name, "rows from before the primary key are published without one");
        known.shape.table = Arc::new(table);
        known.announced = false;
        true
    }

    /// Tells the snapshots who touched what.
    pub(super) fn record(&mut self, relation: u32, kind: Kind, old: Option<Old>) {
        if let Some(flight) = &self.in_flight {
            self.snapshots.touch(relation, flight.xid, kind, old, &self.old, &self.new);
        }
    }

    /// What one image lacks and the other (or the replica identity) tells.
    pub(super) fn complete(&mut self, kind: Kind, old: Option<Old>) {
        if old == Some(Old::Key) {
            let known = &self.old.table;
            let key_is_identity = matches!(known.identity, Identity::Default | Identity::Index);
            for (index, cell) in self.old.cells.iter_mut().enumerate() {
                // The log writes null for every column outside the identity.
                if key_is_identity && *cell == Cell::Null && !known.key.contains(&index) {
                    *cell = Cell::NotInKey;
                }
            }
        }
        if kind == Kind::Update && old == Some(Old::Full) {
            for (new, old) in self.new.cells.iter_mut().zip(&self.old.cells) {
                if *new == Cell::Unchanged {
                    *new = *old;
                }
            }
        }
    }
}
