//! Where records are appended to: one buffer, and where in it each key and each value is.

use std::ops::Range;

use super::absent::Absent;

/// One record to publish; the ranges are places in [`Records::bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `None`: the table has no key, or the record (a truncate) concerns all keys.
    pub key: Option<Range<usize>>,
    /// `None`: a tombstone.
    pub value: Option<Range<usize>>,
    pub(super) key_header: usize,
}

/// The records of some changes, one after the other in one buffer that is used again.
#[derive(Debug, Default)]
pub struct Records {
    pub bytes: Vec<u8>,
    pub entries: Vec<Entry>,
    pub(super) scratch: Scratch,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// For [`Row::value`](change::Row::value).
    pub(super) value: Vec<u8>,
    pub(super) absent: Absent,
}

impl Records {
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    pub fn key(&self, entry: &Entry) -> Option<&[u8]> {
        entry.key.clone().map(|range| &self.bytes[range])
    }

    pub fn value(&self, entry: &Entry) -> Option<&[u8]> {
        entry.value.clone().map(|range| &self.bytes[range])
    }

    /// The key without its header: what decides the partition, so that a new schema id moves nothing.
    pub fn key_body(&self, entry: &Entry) -> Option<&[u8]> {
        entry.key.clone().map(|range| &self.bytes[range.start + entry.key_header..range.end])
    }
}
