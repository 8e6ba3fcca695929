//! MariaDB's positions: the last transaction of every domain, `0-1-270,3-2-9` (`gtid_slave_pos`, `slave_connect_state`).
//!
//! Within a domain transactions are in order, so the last one says it all; between domains there is no order. The server
//! in the middle is who wrote the transaction: it does not change what a position covers, but a master checks that its
//! own log holds exactly that transaction.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{ParseGtidError, number};

/// One transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gtid {
    pub domain: u32,
    pub server: u32,
    pub sequence: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

impl FromStr for Gtid {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, ParseGtidError> {
        let parse = || {
            let mut parts = text.split('-');
            let mut part = || parts.next().and_then(number);
            let (domain, server, sequence) = (part()?, part()?, part()?);
            let narrow = |number: u64| u32::try_from(number).ok();
            (parts.next().is_none()).then_some(Self { domain: narrow(domain)?, server: narrow(server)?, sequence })
        };
        parse().ok_or_else(|| ParseGtidError::new("a MariaDB transaction such as 0-1-270", text))
    }
}

/// The last transaction of each domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GtidSet {
    domains: BTreeMap<u32, (u32, u64)>,
}

impl GtidSet {
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// This transaction is the last one of its domain now, whatever its number: a domain's log decides its order, and
    /// numbers can repeat where `gtid_strict_mode` is off.
    pub fn advance(&mut self, id: Gtid) {
        self.domains.insert(id.domain, (id.server, id.sequence));
    }

    pub fn domain(&self, domain: u32) -> Option<Gtid> {
        self.domains.get(&domain).map(|(server, sequence)| Gtid { domain, server: *server, sequence: *sequence })
    }

    /// Whether the position is at or behind this transaction in its domain.
    pub fn contains(&self, id: Gtid) -> bool {
        self.domains.get(&id.domain).is_some_and(|(_, sequence)| *sequence >= id.sequence)
    }

    /// Whether the position covers another one: in each of its domains it is as far or farther.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|id| self.contains(id))
    }

    /// In order of the domains.
    pub fn iter(&self) -> impl Iterator<Item = Gtid> + '_ {
        self.domains.iter().map(|(domain, (server, sequence))| Gtid {
            domain: *domain,
            server: *server,
            sequence: *sequence,
        })
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, id) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{id}")?;
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = ParseGtidError;

    /// One transaction per domain, as the server demands.
    fn from_str(text: &str) -> Result<Self, ParseGtidError> {
        let mut set = Self::default();
        if text.trim().is_empty() {
            return Ok(set);
        }
        for part in text.split(',') {
            let id: Gtid = part.trim().parse()?;
            if set.domain(id.domain).is_some() {
                return Err(ParseGtidError::new("a position with one transaction per domain", text));
            }
            set.advance(id);
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> GtidSet {
        text.parse().unwrap()
    }

    #[test]
    fn one_per_domain() {
        assert_eq!(set("3-2-9, 0-1-270").to_string(), "0-1-270,3-2-9");
        for bad in ["0-1", "0-1-2-3", "0-1-2,0-2-3", "a-1-2", "0--1", "4294967296-1-1", ",", "0-1-2,", "+0-1-2"] {
            assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_position_covers() {
        let at = set("0-1-270,3-2-9");
        assert!(at.contains_all(&set("0-9-270")) && at.contains_all(&set("3-2-8")) && at.contains_all(&set("")));
        assert!(!at.contains_all(&set("0-1-271")) && !at.contains_all(&set("4-1-1")));
        let mut at = at;
        at.advance("0-2-271".parse().unwrap());
        assert_eq!(at.to_string(), "0-2-271,3-2-9");
        assert_eq!(at.domain(3).map(|id| id.sequence), Some(9));
    }

    proptest! {
        #[test]
        fn round_trips(ids in prop::collection::vec((0u32..4, any::<u32>(), any::<u64>()), 0..6)) {
            let mut set = GtidSet::default();
            for (domain, server, sequence) in ids {
                set.advance(Gtid { domain, server, sequence });
            }
            prop_assert_eq!(set.to_string().parse::<GtidSet>(), Ok(set));
        }

        #[test]
        fn nothing_panics(text: String) {
            prop_assert!(text.parse::<GtidSet>().is_err() || text.trim().is_empty());
        }
    }
}
