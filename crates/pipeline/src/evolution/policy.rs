//! What a table's owner has decided about changes of its shape.

use std::collections::BTreeMap;

use change::TableName;
use event_avro::compatibility::Verdict;

/// Which changes of shape go on by themselves; the others are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// Those that harm no consumer, or only take away what was agreed to go.
    #[default]
    Evolve,
    /// Those that harm nobody.
    Strict,
    /// All: a person has decided for every change to come.
    Accept,
}

impl OnChange {
    const fn lets(self, verdict: Verdict) -> bool {
        match self {
            Self::Evolve => matches!(verdict, Verdict::Safe | Verdict::SafeIfAgreed),
            Self::Strict => matches!(verdict, Verdict::Safe),
            Self::Accept => true,
        }
    }

    /// The word of the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evolve => "evolve",
            Self::Strict => "strict",
            Self::Accept => "accept",
        }
    }
}

/// The decisions of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub on_change: OnChange,
    /// By `schema.table`: those that differ.
    pub tables: BTreeMap<String, OnChange>,
}

impl Policy {
    pub(crate) fn of(&self, table: &TableName) -> OnChange {
        self.tables.get(&table.to_string()).copied().unwrap_or(self.on_change)
    }

    pub(crate) fn lets(&self, table: &TableName, verdict: Verdict) -> bool {
        self.of(table).lets(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_lets_less_than_the_next() {
        use Verdict::{BreaksReplay, BreaksRunning, CorruptsSilently, Safe, SafeIfAgreed};
        let all = [Safe, SafeIfAgreed, BreaksReplay, BreaksRunning, CorruptsSilently];
        let count = |policy: OnChange| all.iter().filter(|&&verdict| policy.lets(verdict)).count();
        assert_eq!([OnChange::Strict, OnChange::Evolve, OnChange::Accept].map(count), [1, 2, 5]);
    }

    #[test]
    fn a_tables_own_word_comes_first() {
        let policy =
            Policy { on_change: OnChange::Strict, tables: BTreeMap::from([("public.t".to_owned(), OnChange::Accept)]) };
        assert_eq!(policy.of(&TableName::new("public", "t")), OnChange::Accept);
        assert_eq!(policy.of(&TableName::new("public", "u")), OnChange::Strict);
    }
}
