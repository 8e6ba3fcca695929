//! The list `absent` of an event: which fields are null although the database's values are not.

use crate::wire::{self, BRANCH_0, BRANCH_1};

/// The entries of `absent`, encoded, until their place in the envelope is reached.
#[derive(Debug, Default)]
pub(super) struct Absent {
    pub(super) bytes: Vec<u8>,
    count: usize,
}

impl Absent {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// `path` is joined with a dot.
    pub(super) fn push(&mut self, path: &[&str], reason: &str, text: Option<&str>) {
        let dots = path.len().saturating_sub(1);
        wire::count(&mut self.bytes, path.iter().map(|part| part.len()).sum::<usize>() + dots);
        for (at, part) in path.iter().enumerate() {
            if at > 0 {
                self.bytes.push(b'.');
            }
            self.bytes.extend_from_slice(part.as_bytes());
        }
        wire::string(&mut self.bytes, reason);
        match text {
            None => self.bytes.push(BRANCH_0),
            Some(text) => {
                self.bytes.push(BRANCH_1);
                wire::string(&mut self.bytes, text);
            }
        }
        self.count += 1;
    }

    /// The array: one block, if there is anything, and the end.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if self.count > 0 {
            wire::count(out, self.count);
            out.extend_from_slice(&self.bytes);
        }
        out.push(0);
    }
}
