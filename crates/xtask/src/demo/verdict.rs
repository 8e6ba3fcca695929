//! Reads the topics as a consumer does, shows what is new, and at the end compares them with the tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value as Json;
use testkit::oracle::replay;
use testkit::{Event, Oracle};

use super::screen::Screen;
use super::shop::{Changes, TABLES};
use super::store::{Row, Store};
use crate::product::Pipeline;

/// What became of one table.
pub(super) struct TableVerdict {
    pub(super) name: &'static str,
    pub(super) rows: usize,
    pub(super) topic_rows: usize,
    pub(super) changes: u64,
    /// Events for changes; tombstones are not counted.
    pub(super) events: u64,
    pub(super) duplicated: u64,
    /// Rows that are in one only, or have another content.
    pub(super) different: usize,
}

impl TableVerdict {
    /// Changes without an event of their own.
    pub(super) fn lost(&self) -> u64 {
        (self.changes + self.duplicated).saturating_sub(self.events)
    }

    fn holds(&self) -> bool {
        self.different == 0 && self.duplicated == 0 && self.events == self.changes && self.rows == self.topic_rows
    }
}

pub(super) struct Verdict {
    pub(super) tables: Vec<TableVerdict>,
}

impl Verdict {
    pub(super) fn holds(&self) -> bool {
        self.tables.iter().all(TableVerdict::holds)
    }
}

/// A reader of the shop's topics.
pub(super) struct Watcher {
    oracle: Oracle,
    topics: Vec<(&'static str, String)>,
    /// How many records of a table were shown already.
    shown: HashMap<&'static str, usize>,
}

impl Watcher {
    pub(super) fn new(oracle: Oracle, pipeline: &Pipeline) -> Self {
        let topics = TABLES.iter().map(|table| (*table, pipeline.topic(table))).collect();
        Self { oracle, topics, shown: HashMap::new() }
    }

    /// Shows what came since the last look, in the order of the commits.
    pub(super) fn show_new(&mut self, screen: &Screen) -> Result<()> {
        let mut new = Vec::new();
        for (table, topic) in &self.topics {
            let events = self.oracle.read(topic)?;
            let shown = self.shown.entry(table).or_default();
            let seen = std::mem::replace(shown, events.len());
            new.extend(
                events.into_iter().skip(seen).filter(|event| !event.is_tombstone()).map(|event| (*table, event)),
            );
        }
        new.sort_by(|(_, one), (_, other)| place(one).cmp(&place(other)));
        for (table, event) in &new {
            screen.event(event.op(), table, &line(event));
        }
        Ok(())
    }

    /// Waits until the topics say what the tables hold, or the time is over, and tells what is the case then.
    pub(super) fn judge(
        &mut self,
        screen: &Screen,
        store: &Store,
        changes: &Changes,
        deadline: Duration,
    ) -> Result<Verdict> {
        let begin = Instant::now();
        loop {
            self.show_new(screen)?;
            let tables = self.topics.iter().map(|(table, topic)| {
                let events = self.oracle.read(topic)?;
                judge_table(table, &events, &store.rows(table)?, changes.get(table).copied().unwrap_or_default())
            });
            let verdict = Verdict { tables: tables.collect::<Result<_>>()? };
            if verdict.holds() || begin.elapsed() > deadline {
                return Ok(verdict);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Where an event stands among those of other tables. MariaDB's commits have whole seconds, but its log has places.
fn place(event: &Event) -> (&str, i64, i64) {
    let number = |path: &str| event.field(path).as_i64().unwrap_or_default();
    match event.field("source.file").as_str() {
        Some(file) => (file, number("source.pos"), number("source.row")),
        None => ("", number("source.ts_us"), number("transaction.total_order")),
    }
}

fn judge_table(
    name: &'static str,
    events: &[Event],
    rows: &BTreeMap<String, Row>,
    changes: u64,
) -> Result<TableVerdict> {
    let topic: BTreeMap<String, Row> = replay(events)?
        .into_values()
        .map(|after| plain(&after))
        .map(|row| Ok((row.get("id").context("an event without an id")?.clone(), row)))
        .collect::<Result<_>>()?;
    let keys: HashSet<&String> = rows.keys().chain(topic.keys()).collect();
    let different = keys.into_iter().filter(|key| rows.get(*key) != topic.get(*key)).count();
    let real: Vec<&Event> = events.iter().filter(|event| !event.is_tombstone()).collect();
    let identities: HashSet<(String, String)> = real
        .iter()
        .map(|event| (event.field("transaction.id").to_string(), event.field("transaction.total_order").to_string()))
        .collect();
    let events = real.len() as u64;
    let duplicated = events - identities.len() as u64;
    Ok(TableVerdict { name, rows: rows.len(), topic_rows: topic.len(), changes, events, duplicated, different })
}

/// A row of an event in the form of [`Store::rows`].
fn plain(after: &Json) -> Row {
    let fields = after.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The row of an event on one line, in the order of the columns: `id=7  status=paid`.
fn line(event: &Event) -> String {
    let row = if event.op() == "d" { event.field("before") } else { event.field("after") };
    let fields = row.as_object().into_iter().flatten();
    let shown: Vec<String> = fields.filter_map(|(name, value)| Some(format!("{name}={}", text(value)?))).collect();
    shown.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(op: &str, id: i64, order: u64) -> Event {
        let after = if op == "d" { Json::Null } else { json!({ "id": id, "note": null }) };
        let transaction = json!({ "id": "1", "total_order": order });
        Event {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            key: Some(json!({ "id": id })),
            value: Some(json!({ "op": op, "after": after, "transaction": transaction })),
            raw_key: None,
            raw_value: None,
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    fn table(ids: &[&str]) -> BTreeMap<String, Row> {
        ids.iter().map(|id| ((*id).to_owned(), Row::from([("id".to_owned(), (*id).to_owned())]))).collect()
    }

    #[test]
    fn a_topic_that_says_what_the_table_holds_passes() {
        let events = [event("c", 1, 1), event("c", 2, 2), event("d", 1, 3)];
        assert!(judge_table("orders", &events, &table(&["2"]), 3).unwrap().holds());
    }

    #[test]
    fn a_lost_change_fails() {
        let verdict = judge_table("orders", &[event("c", 1, 1)], &table(&["1", "2"]), 2).unwrap();
        assert_eq!((verdict.lost(), verdict.different, verdict.holds()), (1, 1, false));
    }

    #[test]
    fn a_repeated_change_fails_although_the_rows_are_right() {
        let verdict = judge_table("orders", &[event("c", 1, 1), event("c", 1, 1)], &table(&["1"]), 1).unwrap();
        assert_eq!((verdict.lost(), verdict.duplicated, verdict.different, verdict.holds()), (0, 1, 0, false));
    }
}
