//! How a transaction is called while copies go on, and what a snapshot shows of those that were passed.

use std::sync::Arc;

use copying::Sees;

use crate::gtid::mysql::{GtidSet, Source};
use crate::position::FilePlace;

/// A transaction that the log has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark(Arc<Named>);

#[derive(Debug, PartialEq, Eq)]
struct Named {
    /// Its number, on MySQL.
    number: Option<(Source, u64)>,
    /// Where it begins in the server's files.
    begin: FilePlace,
}

impl Mark {
    pub(crate) fn new(number: Option<(Source, u64)>, begin: FilePlace) -> Self {
        Self(Arc::new(Named { number, begin }))
    }
}

/// Transactions that are surely in a snapshot, or that have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// These.
    Set(GtidSet),
    /// All that end at or before this place. Transactions lie one behind the other in the files, and a snapshot's place is
    /// between two of them: so these are the ones that begin before it.
    Place(FilePlace),
}

impl Seen {
    /// Whether all of `others` are among these.
    pub(crate) fn covers(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::Set(set), Self::Set(others)) => set.contains_all(others),
            (Self::Place(place), Self::Place(other)) => place >= other,
            _ => false,
        }
    }
}

impl Sees<Mark> for Seen {
    fn sees(&self, transaction: &Mark) -> bool {
        match self {
            Self::Set(set) => transaction.0.number.is_some_and(|(source, number)| set.contains(&source, number)),
            Self::Place(place) => transaction.0.begin < *place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> FilePlace {
        text.parse().unwrap()
    }

    #[test]
    fn by_number_or_by_place() {
        let source = Source::default();
        let mut set = GtidSet::default();
        set.add_range(source, 1, 5);
        let (five, six) =
            (Mark::new(Some((source, 5)), place("a.1:900")), Mark::new(Some((source, 6)), place("a.1:4")));
        let seen = Seen::Set(set.clone());
        assert!(seen.sees(&five) && !seen.sees(&six) && !seen.sees(&Mark::new(None, place("a.1:4"))));
        let at = Seen::Place(place("a.1:900"));
        assert!(!at.sees(&five) && at.sees(&six), "the one that begins there is not in it");
        set.add(source, 7);
        assert!(Seen::Set(set.clone()).covers(&seen) && !seen.covers(&Seen::Set(set)));
        assert!(at.covers(&at) && !at.covers(&Seen::Place(place("a.2:4"))) && !at.covers(&seen));
    }
}
