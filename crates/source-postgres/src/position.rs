//! The text of a position: a place between two transactions, or a cut inside one.
//!
//! `0/16B3748` says that everything up to there was received. `before=…;final=…;xid=…;lsn=…;nth=…` says that of the
//! transaction `xid`, whose commit record begins at `final`, everything up to and including the `nth` row message of
//! those that share the WAL position `lsn` was received, and that the log must be read again from `before` to get the
//! rest. With `;of=message` it is not a row but a logical message: one has the end of its record as its position, where the
//! record of a row may begin, so the two are numbered apart. Else a row could be taken for a message, or the other way
//! round, as soon as other messages are wanted than before.

use std::fmt;
use std::str::FromStr;

use crate::lsn::Lsn;

/// A position, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Between two transactions.
    At(Lsn),
    /// Inside a transaction, right after one of its row changes.
    Inside(Cut),
}

/// A place inside a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// A place before the transaction: where reading has to begin again.
    pub before: Lsn,
    /// Where the transaction's commit record begins.
    pub final_lsn: Lsn,
    pub xid: u32,
    /// The last change received.
    pub mark: Mark,
}

/// A change of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub lsn: Lsn,
    /// Its number among the transaction's changes of its kind with that WAL position, from 1.
    pub nth: u64,
    /// A logical message; else a row, or one table of a `TRUNCATE`.
    pub message: bool,
}

impl Place {
    /// The place up to which the server may forget, and from which it has to be asked again.
    pub const fn restart(&self) -> Lsn {
        match self {
            Self::At(lsn) => *lsn,
            Self::Inside(cut) => cut.before,
        }
    }

    /// The last byte of the log that the position knows of: a server that has less is behind it.
    pub const fn reach(&self) -> Lsn {
        match self {
            Self::At(lsn) => *lsn,
            Self::Inside(cut) => cut.final_lsn,
        }
    }
}

const OF_MESSAGE: &str = ";of=message";

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(lsn) => write!(f, "{lsn}"),
            Self::Inside(Cut { before, final_lsn, xid, mark: Mark { lsn, nth, message } }) => {
                let of = if *message { OF_MESSAGE } else { "" };
                write!(f, "before={before};final={final_lsn};xid={xid};lsn={lsn};nth={nth}{of}")
            }
        }
    }
}

/// A text that is no position of this source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a position in a PostgreSQL log (expected 0/16B3748 or before=0/…;final=0/…;xid=N;lsn=0/…;nth=N)")]
pub struct ParsePlaceError(pub String);

impl FromStr for Place {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains('=') {
            return text.parse().map(Self::At).map_err(|_| ParsePlaceError(text.to_owned()));
        }
        parse_cut(text).map(Self::Inside).ok_or_else(|| ParsePlaceError(text.to_owned()))
    }
}

fn parse_cut(text: &str) -> Option<Cut> {
    let (text, message) = text.strip_suffix(OF_MESSAGE).map_or((text, false), |rest| (rest, true));
    let mut parts = text.split(';');
    let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let cut = Cut {
        before: part("before")?.parse().ok()?,
        final_lsn: part("final")?.parse().ok()?,
        xid: part("xid")?.parse().ok()?,
        mark: Mark { lsn: part("lsn")?.parse().ok()?, nth: part("nth")?.parse().ok()?, message },
    };
    (parts.next().is_none() && cut.mark.nth > 0).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::{Cut, Mark, Place};
    use crate::lsn::Lsn;

    #[test]
    fn texts_are_strict() {
        for bad in ["", "0/1;", "before=0/1", "before=0/1;final=0/2;xid=3;lsn=0/1;nth=0", "x=1", "0/1;of=message"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn round_trip(before: u64, end: u64, xid: u32, lsn: u64, nth in 1u64.., message: bool) {
            let mark = Mark { lsn: Lsn(lsn), nth, message };
            for place in [
                Place::At(Lsn(before)),
                Place::Inside(Cut { before: Lsn(before), final_lsn: Lsn(end), xid, mark }),
            ] {
                proptest::prop_assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
            }
        }
    }
}
