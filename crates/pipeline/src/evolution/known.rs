//! What the checkpoint remembers of each table: the shape and the schema ids that its topic has, and whether it is held.
//!
//! One record for each table, written in the Kafka transaction of the first event that depends on it. So a restart knows
//! what consumers have been given, needs no registry for schemas that are registered, and finds a held table held.

use std::collections::BTreeMap;

use change::TableName;
use event_avro::compatibility::{Field, Shape, Verdict, departing};
use schema_registry::{Part, RegisterError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sink_kafka::Offsets;

use crate::monitor::HeldTable;

/// What the names of these records begin with; no progress of a source has such a name with no dot behind it.
const PREFIX: &str = "outlet/";

/// One table's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    schema: String,
    table: String,
    /// The shape that the newest schema of its topic was made of. `None`: nothing was ever published.
    pub(crate) shape: Option<Shape>,
    /// The schemas that its topic's newest events have.
    pub(crate) ids: Option<Ids>,
    /// Which topic its events go to: 1 is the table's own, each further one has its number behind the name.
    pub(crate) version: u32,
    pub(crate) held: Option<Held>,
    /// Fields that are gone from the topic's schemas, and whose values its events still have.
    #[serde(default)]
    pub(crate) departed: Vec<Field>,
    /// What the control topic has not been told yet.
    #[serde(default)]
    pub(crate) unannounced: Vec<Announcement>,
}

/// Registered schemas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    /// Of a table with a key.
    pub(crate) key: Option<u32>,
    pub(crate) value: u32,
    /// Of both texts.
    pub(crate) fingerprint: String,
}

/// Why a table's events do not go to its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// The change harms consumers, by our own rules and the table's policy.
    Verdict,
    /// The registry does not accept the new schema.
    Refused,
    /// Schemas are only looked up, and the new one is not there.
    Unregistered,
    /// The registry does not answer.
    Away,
}

impl Why {
    /// Whether the table may go on as soon as the registry has the schema, without anybody's word.
    pub(crate) const fn ends_by_itself(self) -> bool {
        matches!(self, Self::Unregistered | Self::Away)
    }

    /// What a person can do.
    pub(crate) fn help(self, table: &TableName) -> String {
        if self.ends_by_itself() {
            return "it goes on by itself as soon as the registry has the schema".to_owned();
        }
        format!(
            "`headwater schema release {table} --accept` lets its events go on in their topic under the new schema, \
             `--new-version` in a new topic"
        )
    }

    /// What the registry's answer makes of a table. `None`: it did not understand the request.
    pub(crate) fn not_registered(error: &RegisterError) -> Option<Self> {
        match error {
            error if error.is_transient() => Some(Self::Away),
            RegisterError::Incompatible { .. } | RegisterError::Invalid { .. } | RegisterError::ReadOnly { .. } => {
                Some(Self::Refused)
            }
            RegisterError::NotRegistered { .. } => Some(Self::Unregistered),
            RegisterError::Request(_) => None,
        }
    }
}

/// A table whose events are parked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) why: Why,
    pub(crate) verdict: Verdict,
    /// For people: what is wrong.
    pub(crate) reason: String,
    /// Microseconds since 1970.
    pub(crate) since: i64,
    /// The source's position when it began.
    pub(crate) position: String,
    /// Where its events go.
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    /// Of each partition the first event that was not returned yet.
    pub(crate) next: Offsets,
    /// The schemas that parked events have.
    pub(crate) frames: Vec<Frame>,
    /// The shape that parked events have by now, and the fingerprint of its schemas.
    pub(crate) shape: Shape,
    pub(crate) fingerprint: String,
    /// Fields that went meanwhile.
    #[serde(default)]
    pub(crate) departed: Vec<Field>,
    /// A person, or the registry's answer, has ended it: events return.
    pub(crate) release: Option<Release>,
}

impl Held {
    /// The schemas that the newest parked events have.
    pub(crate) fn newest(&self) -> Option<Ids> {
        let last = |is_key: bool| self.frames.iter().rev().find(|frame| frame.is_key == is_key).map(|frame| frame.id);
        Some(Ids { key: last(true), value: last(false)?, fingerprint: self.fingerprint.clone() })
    }
}

/// A schema of parked events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) is_key: bool,
    /// As the events have it.
    pub(crate) id: u32,
    /// The schema's text, if the registry was away and has not given the id: then it is one of ours, from [`OWN_IDS`] on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

impl Frame {
    pub(crate) fn part(&self) -> Part {
        if self.is_key { Part::Key } else { Part::Value }
    }
}

/// Registries number from 1 with 31 bits: no id of theirs is as large.
pub(crate) const OWN_IDS: u32 = 1 << 31;

/// How a held table goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// In its topic, under the new schema.
    Accept,
    /// In a new topic; the old one gets a last event that says so.
    NewVersion,
}

/// Parked events are on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) how: How,
    /// Of the topic that they go to.
    pub(crate) version: u32,
}

/// One event of the control topic, until it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// `published`, `held`, `returned`.
    pub(crate) action: String,
    pub(crate) verdict: String,
    /// As JSON: the findings.
    pub(crate) findings: Vec<Sentence>,
    pub(crate) topic: String,
    pub(crate) old: Option<Ids>,
    pub(crate) new: Option<Ids>,
    pub(crate) position: String,
    pub(crate) time: i64,
    pub(crate) statement: Option<String>,
    pub(crate) user: Option<String>,
}

/// A finding as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sentence {
    pub(crate) rule: String,
    pub(crate) column: Option<String>,
    pub(crate) verdict: String,
    pub(crate) what: String,
    pub(crate) running: String,
    pub(crate) replaying: String,
    pub(crate) advice: String,
}

impl Known {
    pub(crate) fn new(table: &TableName) -> Self {
        Self {
            schema: table.schema.clone(),
            table: table.table.clone(),
            shape: None,
            ids: None,
            version: 1,
            held: None,
            departed: Vec::new(),
            unannounced: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> TableName {
        TableName::new(&self.schema, &self.table)
    }

    /// A release cannot go on: the rest waits for another one. What has returned is in the topic that the release meant, and
    /// the rest belongs behind it.
    pub(crate) fn take_back(&mut self, held: &mut Held) {
        if let Some(release) = held.release.take() {
            self.version = release.version;
        }
    }

    /// For whoever looks from outside, if it is held.
    pub(crate) fn shown(&self) -> Option<HeldTable> {
        let held = self.held.as_ref()?;
        Some(HeldTable {
            table: self.name().to_string(),
            topic: held.topic.clone(),
            since: held.since,
            verdict: held.verdict.name(),
            reason: held.reason.clone(),
            help: held.why.help(&self.name()),
            returning: held.release.is_some(),
        })
    }

    /// What a person wants to know of it.
    fn words(&self) -> String {
        let schemas = match &self.ids {
            None => "nothing published yet".to_owned(),
            Some(Ids { key: Some(key), value, .. }) => format!("schemas {key} (key) and {value}"),
            Some(Ids { value, .. }) => format!("schema {value}"),
        };
        let version = if self.version > 1 { format!(", version {}", self.version) } else { String::new() };
        let held = self.held.as_ref().map_or_else(String::new, |held| {
            let state = if held.release.is_some() { "released, and on its way back from" } else { "held in" };
            format!("; {state} {}: {}", held.topic, held.reason)
        });
        format!("{schemas}{version}{held}")
    }
}

/// Remembers the fields that a change takes away.
pub(crate) fn remember_departing(departed: &mut Vec<Field>, old: &Shape, new: &Shape) {
    for field in departing(old, new) {
        departed.retain(|known| known.name != field.name);
        departed.push(field.clone());
    }
}

/// The name of a table's record: without a dot, as sources' own records of tables have one.
pub(crate) fn key(table: &TableName) -> String {
    format!("{PREFIX}{}", digest(&[&table.schema, &table.table]))
}

/// What two equal texts, and in practice no others, have in common.
pub(crate) fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Takes the tables' records out of the progress that a checkpoint has.
///
/// # Errors
///
/// The name of a record that this version does not understand, and why.
pub(crate) fn take(progress: &mut BTreeMap<String, String>) -> Result<BTreeMap<TableName, Known>, (String, String)> {
    let is_ours = |key: &String| key.strip_prefix(PREFIX).is_some_and(|rest| !rest.contains('.'));
    let keys: Vec<String> = progress.keys().filter(|key| is_ours(key)).cloned().collect();
    let mut tables = BTreeMap::new();
    for key in keys {
        let text = progress.remove(&key).unwrap_or_default();
        let known: Known = serde_json::from_str(&text).map_err(|error| (key, error.to_string()))?;
        tables.insert(known.name(), known);
    }
    Ok(tables)
}

/// The tables that are held by what the progress of a checkpoint says.
pub(crate) fn held(progress: &BTreeMap<String, String>) -> Vec<HeldTable> {
    // A record that cannot be read stops whoever starts with it, and says so.
    take(&mut progress.clone()).unwrap_or_default().values().filter_map(Known::shown).collect()
}

/// The version of each table's topic, by the same.
pub(crate) fn topic_versions(progress: &BTreeMap<String, String>) -> BTreeMap<TableName, u32> {
    let known = take(&mut progress.clone()).unwrap_or_default();
    known.into_iter().map(|(name, known)| (name, known.version)).collect()
}

/// The tables in the progress of a checkpoint, each in words for people; and the rest of the progress, which is a source's.
/// A record that this version does not understand stays there.
pub(crate) fn in_words(progress: &BTreeMap<String, String>) -> (Vec<(TableName, String)>, BTreeMap<String, String>) {
    let (mut rest, mut words) = (BTreeMap::new(), Vec::new());
    for (key, text) in progress {
        let mut one = BTreeMap::from([(key.clone(), text.clone())]);
        match take(&mut one) {
            Ok(known) if !known.is_empty() => words.extend(known.values().map(|known| (known.name(), known.words()))),
            _ => drop(rest.insert(key.clone(), text.clone())),
        }
    }
    words.sort();
    (words, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_leave_the_sources_alone() {
        let name = TableName::new("public", "orders");
        let mut known = Known::new(&name);
        known.ids = Some(Ids { key: None, value: 7, fingerprint: digest(&["a", "b"]) });
        let mut progress = BTreeMap::from([
            (key(&name), serde_json::to_string(&known).unwrap()),
            ("outlet/x.orders".to_owned(), "a source's".to_owned()),
            ("public.orders".to_owned(), "a source's".to_owned()),
        ]);
        let found = take(&mut progress).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&name]);
        assert_eq!(found[&name].ids, known.ids);
        progress.insert(key(&name), serde_json::to_string(&known).unwrap());
        let (words, rest) = in_words(&progress);
        assert_eq!((words, rest.len()), (vec![(name.clone(), "schema 7".to_owned())], 2));
        progress.remove(&key(&name));
        assert_eq!(progress.len(), 2);
        let mut strange = BTreeMap::from([(key(&name), "{}".to_owned())]);
        assert_eq!(take(&mut strange).unwrap_err().0, key(&name));
    }

    #[test]
    fn texts_are_told_apart_wherever_they_are_cut() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["a"]).len(), 32);
    }
}
