//! The tables that the log has given numbers to.

use std::sync::Arc;

use change::{Table, TableName};
use foldhash::HashMap;

use crate::table::Shape;

/// A captured table under the number that rows events use.
pub(super) struct Known {
    pub(super) shape: Arc<Shape>,
    pub(super) table: Arc<Table>,
    /// Changes in the transaction that `serial` names.
    pub(super) order: u64,
    pub(super) serial: u64,
    /// Its shape was returned.
    pub(super) announced: bool,
}

struct Mapped {
    /// Of its table map: equal bytes are the same shape.
    fingerprint: Vec<u8>,
    /// `None`: it is not captured.
    known: Option<Known>,
}

/// By the number of their last table map.
#[derive(Default)]
pub(super) struct Tables(HashMap<u64, Mapped>);

impl Tables {
    /// Whether the last table map with this number was the same.
    pub(super) fn has(&self, number: u64, fingerprint: &[u8]) -> bool {
        self.0.get(&number).is_some_and(|mapped| mapped.fingerprint == fingerprint)
    }

    pub(super) fn insert(&mut self, number: u64, fingerprint: &[u8], known: Option<Known>) {
        self.0.insert(number, Mapped { fingerprint: fingerprint.to_vec(), known });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// None: no table map has this number. Some(None): the table is not captured.
    pub(super) fn get(&self, number: u64) -> Option<Option<&Known>> {
        self.0.get(&number).map(|mapped| mapped.known.as_ref())
    }

    /// A captured table.
    pub(super) fn captured(&mut self, number: u64) -> Option<&mut Known> {
        self.0.get_mut(&number)?.known.as_mut()
    }

    pub(super) fn named(&mut self, name: &TableName) -> Option<&mut Known> {
        self.all().find(|known| known.table.name == *name)
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Known> {
        self.0.values_mut().filter_map(|mapped| mapped.known.as_mut())
    }
}
