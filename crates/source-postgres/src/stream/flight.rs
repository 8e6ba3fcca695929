//! The transaction that is being received, and the numbers of its changes: a resume finds its change again by them.

use change::Transaction;

use super::{Running, disorder, not_met};
use crate::error::Error;
use crate::lsn::Lsn;
use crate::position::Mark;
use crate::stream::messages;

/// A transaction between its `Begin` and its `Commit`.
pub(super) struct InFlight {
    pub(super) transaction: Transaction,
    pub(super) final_lsn: Lsn,
    pub(super) xid: u32,
    /// Changes of captured tables, and messages that are wanted.
    pub(super) total: u64,
    /// The last change.
    pub(super) last: Option<Mark>,
    /// The change after which to go on.
    pub(super) skip_to: Option<Mark>,
    /// Where the last change was, and how many rows and messages were there.
    here: (Lsn, [u64; 2]),
}

impl InFlight {
    pub(super) fn new(transaction: Transaction, final_lsn: Lsn, xid: u32, skip_to: Option<Mark>) -> Self {
        Self { transaction, final_lsn, xid, total: 0, last: None, skip_to, here: (Lsn(0), [0; 2]) }
    }

    /// The next change is at this place.
    fn number(&mut self, lsn: Lsn, message: bool) -> Mark {
        if self.here.0 != lsn {
            self.here = (lsn, [0; 2]);
        }
        let count = &mut self.here.1[usize::from(message)];
        *count += 1;
        let mark = Mark { lsn, nth: *count, message };
        self.last = Some(mark);
        mark
    }
}

impl Running {
    /// Counts a change; `true` when it is to be returned.
    pub(super) fn count(&mut self, relation: u32, lsn: Lsn) -> Result<bool, Error> {
        let serial = self.serial;
        let known = self
            .relations
            .get_mut(&relation)
            .ok_or_else(|| disorder(format!("a change at {lsn} of relation {relation}, which was not described")))?;
        let captured = known.shape.captured;
        if captured {
            known.order = if known.serial == serial { known.order + 1 } else { 1 };
            known.serial = serial;
            self.in_flight.iter_mut().for_each(|flight| flight.total += 1);
        }
        Ok(self.pass(lsn, relation == messages::RELATION)? && captured)
    }

    /// Numbers a change, of whomever; `true` when no resume leaves it out.
    pub(super) fn pass(&mut self, lsn: Lsn, message: bool) -> Result<bool, Error> {
        let cut = self.cut;
        let flight = self.transaction(lsn)?;
        let mark = flight.number(lsn, message);
        match (flight.skip_to, cut) {
            (Some(target), Some(_)) if target == mark => {
                flight.skip_to = None;
                self.cut = None;
                Ok(false)
            }
            (Some(target), Some(cut)) if lsn > target.lsn => {
                Err(not_met(&cut, &format!("a change at {lsn} came first")))
            }
            (Some(_), _) => Ok(false),
            (None, _) => Ok(true),
        }
    }
}
