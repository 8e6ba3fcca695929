//! Tables that change their shape: judged before the first event that has the new one, and held if it would do harm.
//!
//! # Why a held table loses nothing and keeps its order
//!
//! *Parked.* While a table is held, each of its changes is published to `<topic>.parked` as it would be to its topic: in
//! the same Kafka transactions, with the same keys, and so in the same partitions' order. That it is held stands in the
//! checkpoint, written in the transaction of its first parked event ([`known`]): a restart finds both or neither. The slot
//! and the other tables go on.
//!
//! *Returned.* A release copies parked events in the order of each partition, in transactions that carry the offsets behind
//! the last one copied ([`returning`](crate::returning)). Each event is therefore copied once, whatever is killed. What
//! changes meanwhile is parked behind them. When everything parked has been copied, and nothing is under way, the
//! transaction with the last of it also says that the table is held no longer: whatever comes later is later in its
//! topic, too.
//!
//! *Judged.* The shape that the topic's newest schema was made of is in the checkpoint, with the ids. A table that has
//! another one is judged against it (`event_avro::compatibility`), whenever the process was last running. Nothing is
//! registered under the topic's subjects before the verdict lets it.

pub(crate) mod known;
mod policy;
mod releases;

use std::collections::{BTreeMap, BTreeSet};

use change::{Statement, TableName};
use event_avro::compatibility::Finding;

pub use known::How;
pub(crate) use known::{
    Announcement, Frame, Held, Ids, Known, OWN_IDS, Release, Sentence, Why, digest, held, in_words, remember_departing,
    topic_versions,
};
pub use policy::{OnChange, Policy};
pub(crate) use releases::Asked;
pub use releases::{Answer, Releases};

use crate::error::Failure;

/// What one session knows of its tables.
#[derive(Debug)]
pub(crate) struct Evolution {
    pub(crate) policy: Policy,
    tables: BTreeMap<TableName, Known>,
    /// Whose records the next checkpoint brings.
    unwritten: BTreeSet<TableName>,
    /// The last statement that the log had of a table, until the shape that it makes is seen.
    statements: BTreeMap<TableName, Statement>,
}

impl Evolution {
    /// Takes the tables' records out of what a checkpoint remembers.
    pub(crate) fn take(policy: Policy, progress: &mut BTreeMap<String, String>) -> Result<Self, Failure> {
        let tables = known::take(progress).map_err(|(key, error)| Failure::Stop {
            what: format!("the record {key} of the checkpoint cannot be read: {error}"),
            help: "was it written by a newer headwater? run that version".to_owned(),
        })?;
        Ok(Self { policy, tables, unwritten: BTreeSet::new(), statements: BTreeMap::new() })
    }

    /// Whether any table was ever published.
    pub(crate) fn knows_any(&self) -> bool {
        !self.tables.is_empty()
    }

    pub(crate) fn get(&self, table: &TableName) -> Option<&Known> {
        self.tables.get(table)
    }

    /// What is known of the table, or nothing yet.
    pub(crate) fn of(&self, table: &TableName) -> Known {
        self.tables.get(table).cloned().unwrap_or_else(|| Known::new(table))
    }

    /// From now on this is known, and the next checkpoint says so.
    pub(crate) fn put(&mut self, known: Known) {
        let name = known.name();
        self.unwritten.insert(name.clone());
        self.tables.insert(name, known);
    }

    /// The records that the next checkpoint has to bring.
    pub(crate) fn take_unwritten(&mut self) -> Vec<(String, String)> {
        let text = |name: &TableName| {
            // Texts and numbers always have a JSON form.
            Some((known::key(name), serde_json::to_string(self.tables.get(name)?).unwrap_or_default()))
        };
        let records = self.unwritten.iter().filter_map(text).collect();
        self.unwritten.clear();
        records
    }

    pub(crate) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// All tables that are held, and those that the control topic has not been told everything of.
    pub(crate) fn unsettled(&self) -> Vec<TableName> {
        let open = |known: &&Known| known.held.is_some() || !known.unannounced.is_empty();
        self.tables.values().filter(open).map(Known::name).collect()
    }

    /// Whether [`Self::unsettled`] has any.
    pub(crate) fn has_unsettled(&self) -> bool {
        self.tables.values().any(|known| known.held.is_some() || !known.unannounced.is_empty())
    }

    pub(crate) fn held(&self) -> impl Iterator<Item = (&Known, &Held)> {
        self.tables.values().filter_map(|known| Some((known, known.held.as_ref()?)))
    }

    /// A statement was seen in the log.
    pub(crate) fn note(&mut self, statement: &Statement) {
        // Of tables that never have a row again. Whose statement is forgotten is judged without it.
        if self.statements.values().map(|kept| STATEMENT + kept.text.len()).sum::<usize>() > MOST_STATEMENTS {
            self.statements.clear();
        }
        match self.statements.get_mut(&statement.table) {
            Some(earlier) => {
                earlier.follow(statement);
                if earlier.text.len() < LONGEST_STATEMENTS {
                    earlier.text.push_str(";\n");
                    earlier.text.push_str(&statement.text);
                }
                earlier.user = statement.user.clone().or_else(|| earlier.user.take());
            }
            None => drop(self.statements.insert(statement.table.clone(), statement.clone())),
        }
    }

    /// Whether a statement did to the table what no shape shows.
    pub(crate) fn says_more_than_shapes(&self, table: &TableName) -> bool {
        self.statements.get(table).is_some_and(|statement| !statement.generated.is_empty())
    }

    pub(crate) fn take_statement(&mut self, table: &TableName) -> Option<Statement> {
        self.statements.remove(table)
    }
}

/// Bytes of a statement beside its text: names have at most 64 letters.
const STATEMENT: usize = 1 << 10;
/// Bytes of statements kept for one table, and for all.
const LONGEST_STATEMENTS: usize = 64 << 10;
const MOST_STATEMENTS: usize = 1 << 20;

impl From<&Finding> for Sentence {
    fn from(finding: &Finding) -> Self {
        Self {
            rule: finding.rule.to_owned(),
            column: finding.column.clone(),
            verdict: finding.verdict.name().to_owned(),
            what: finding.what.clone(),
            running: finding.running.clone(),
            replaying: finding.replaying.clone(),
            advice: finding.advice.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evolution() -> Evolution {
        Evolution::take(Policy::default(), &mut BTreeMap::new()).unwrap()
    }

    #[test]
    fn what_is_known_is_written_once() {
        let mut evolution = evolution();
        assert!(!evolution.knows_any() && !evolution.has_unwritten());
        evolution.put(Known::new(&TableName::new("s", "t")));
        assert_eq!(evolution.take_unwritten().len(), 1);
        assert!(evolution.take_unwritten().is_empty() && evolution.knows_any());
        assert!(evolution.unsettled().is_empty());
    }
}
