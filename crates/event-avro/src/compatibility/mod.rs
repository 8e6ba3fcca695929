//! What a change of a table does to those who read its events, judged before it harms anybody.
//!
//! A registry asks whether one schema can read what was written with another. That is not enough: it never looks at
//! logical types, it takes a rename for a column that went and one that came, and with columns that are optional it lets
//! both pass. So [`judge`] asks, of every column, what two readers *see*:
//!
//! - a **running** consumer has the old schema, and reads what is written after the change;
//! - a **replaying** consumer has the new schema, and reads what was written before it.
//!
//! For each of them there are three answers: what was written; an error; something else without an error (another
//! number, a null in the place of a value, a value of another type). From the two answers the [`Verdict`] follows, and only
//! from them: an answer of the third kind corrupts silently, an error breaks the one or the other. A change that no
//! reader can notice, whatever it relied on in the schema or in the SQL type that the schema states, is safe; what only
//! people can agree on (a column is dropped, a range grows) is safe if agreed.
//!
//! What is not proven is judged as if it were the worse: a column that vanished while another one appeared was renamed,
//! unless column numbers or a statement of the log show that it was not.
//!
//! | module | what it judges |
//! |---|---|
//! | `shape` | nothing: it lowers tables and schemas into what is judged |
//! | `columns` | which column became which: added, dropped, renamed, replaced |
//! | `form` | Avro types and logical types |
//! | `declared` | what the same Avro type does not show: SQL type, range, length, labels |
//! | `table` | the key, the replica identity, names that collide, the envelope |
//! | [`level`] | nothing: it says what a registry would |

pub mod level;

mod columns;
mod declared;
mod differences;
mod form;
mod shape;
mod table;

use std::fmt;

use change::Moved;
use serde::{Deserialize, Serialize};

pub use differences::{differences, record_name};
pub use form::{Base, Form, Logical};
pub use shape::{Field, KeyField, NoShape, Shape};

/// What a change does to consumers, from nothing to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No consumer can notice.
    Safe,
    /// No reader fails and no value is wrong, but something that consumers may rely on is not so any more.
    SafeIfAgreed,
    /// A consumer with the new schema fails at events from before the change.
    BreaksReplay,
    /// A consumer with the old schema fails at events from after the change.
    BreaksRunning,
    /// A consumer sees a wrong, blank or re-typed value, and no error.
    CorruptsSilently,
}

impl Verdict {
    pub const ALL: [Self; 5] =
        [Self::Safe, Self::SafeIfAgreed, Self::BreaksReplay, Self::BreaksRunning, Self::CorruptsSilently];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::SafeIfAgreed => "safe-if-agreed",
            Self::BreaksReplay => "breaks-replay",
            Self::BreaksRunning => "breaks-running",
            Self::CorruptsSilently => "corrupts-silently",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that changed, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that found it: in kebab-case, and the same in every version.
    pub rule: &'static str,
    /// The column, as it was called before; of a column that is new its name. `None`: it concerns the table.
    pub column: Option<String>,
    pub verdict: Verdict,
    /// What changed.
    pub what: String,
    /// What a consumer with the old schema sees in events from after the change.
    pub running: String,
    /// What a consumer with the new schema sees in events from before the change.
    pub replaying: String,
    /// What to do instead, or before.
    pub advice: String,
}

/// Judges the change of a table from one shape to another. Nothing changed, nothing is found.
///
/// `moved` is what statements in the log say of renamed and dropped columns. Column numbers, where both shapes have them, say
/// more and are preferred.
pub fn judge(old: &Shape, new: &Shape, moved: &[Moved]) -> Vec<Finding> {
    let fates = columns::Fates::of(old, new, moved);
    let mut found = table::judge(old, new, &fates);
    found.extend(columns::judge(old, new, &fates));
    found
}

/// What has to be added to the findings about a change of which neither numbers nor statements tell what became of columns:
/// it is not safe, whatever it looks like. `None`: nobody calls it safe, or nothing has changed.
pub fn unproven(findings: &[Finding]) -> Option<Finding> {
    let has_changed = findings.iter().any(|finding| finding.rule != "sql-type-renamed");
    let sees = "may see the values of another column under the same name, if columns were exchanged";
    (has_changed && worst(findings) == Verdict::Safe).then(|| Finding {
        rule: "not-proven",
        column: None,
        verdict: Verdict::SafeIfAgreed,
        what: "nothing proves that columns of the same name are still the same columns".to_owned(),
        running: sees.to_owned(),
        replaying: sees.to_owned(),
        advice: "nothing to do if the table was only altered as the other findings say".to_owned(),
    })
}

/// Judges columns that come under the names of columns that went in an earlier change: to whoever replays the topic they are
/// one. `departed` is what [`departing`] has given for the topic's earlier changes.
pub fn judge_returned(departed: &[Field], old: &Shape, new: &Shape) -> Vec<Finding> {
    columns::returned(departed, old, new)
}

/// Judges what shapes do not show: columns that a statement makes generated. `new` is the shape behind it.
pub fn judge_generated(new: &Shape, columns: &[String]) -> Vec<Finding> {
    columns::generated(new, columns)
}

/// The fields that a change takes away, to be remembered for [`judge_returned`] as long as the topic has them.
pub fn departing<'a>(old: &'a Shape, new: &Shape) -> impl Iterator<Item = &'a Field> {
    columns::departing(old, new)
}

/// The verdict on a change as a whole: the worst of its findings.
pub fn worst(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Safe)
}

/// The ways out of a change that consumers would not survive.
mod advice {
    pub(super) const NOTHING: &str = "nothing to do";
    pub(super) const AGREE: &str = "agree with the consumers of the topic";
    pub(super) const NEW_COLUMN: &str = "add a column of the new type, fill it, move the consumers to it, and drop the old one after that; \
         or release the table with --new-version, so that the new events go to a topic of their own";
    pub(super) const NEW_VERSION: &str = "release the table with --new-version: the new events go to a topic of their own, and this one ends with a mark";
    pub(super) const CONSUMERS_FIRST: &str = "move the consumers to the new schema before the change, then accept it; or release the table with --new-version";
    pub(super) const REPLAY: &str = "read events from before the change with the schema that they were written with; or release the table with --new-version";
}

#[cfg(test)]
mod tests;
