//! Places in the log, as everybody but the source sees them.

use std::fmt;

/// A place in a database's log, in the source's own words.
///
/// Opaque on purpose: outside its source a position is stored, printed and handed back, never compared. LSNs are totally
/// ordered, GTID sets are not, so an engine that compared positions would be right for one database only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Position(String);

impl Position {
    /// For sources, and for reading a checkpoint back.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({})", self.0)
    }
}

/// The number of a batch in order of arrival. This, not a position, is what gets compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(u64);

impl Sequence {
    pub const FIRST: Self = Self(1);

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub const fn number(self) -> u64 {
        self.0
    }
}
