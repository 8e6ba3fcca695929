//! The control topic: one event for each change of a table's shape, in the Kafka transaction in which it takes effect.
//!
//! The topic and its schemas are made when there is first something to tell. While that cannot be done (the registry is
//! away), what is to be told waits in the checkpoint, and nothing else waits for it.

use std::time::Duration;

use event_avro::control::{SCHEMA_CHANGE, SCHEMA_CHANGE_KEY, SchemaChange, Schemas, Told};
use schema_registry::Part;
use sink_kafka::{Outgoing, Producer, TopicSpec};

use crate::error::Failure;
use crate::evolution::{Announcement, Ids, Sentence};
use crate::publish::{Published, Publisher};
use crate::schemas::Wanted;

/// The control topic of a pipeline.
#[derive(Debug)]
pub(crate) struct Control {
    topic: String,
    /// Once it is there: its partitions, and the headers of keys and values.
    ready: Option<(i32, [u8; 5], [u8; 5])>,
    /// The log has been told why it is not.
    told: bool,
}

impl Control {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { topic: event_avro::control_topic(prefix), ready: None, told: false }
    }
}

impl Publisher {
    /// Makes the control topic if there is something to tell. Nothing may be open: this asks brokers and registry.
    pub(crate) fn prepare_control(&mut self, patience: Duration) -> Result<(), Failure> {
        if self.control.ready.is_some() || !self.has_unannounced() {
            return Ok(());
        }
        let topic = &self.control.topic;
        let spec = TopicSpec { partitions: Some(1), ..TopicSpec::events(topic, &self.kafka.topics) };
        let states = self.admin.ensure(&[spec]).map_err(|error| Failure::kafka(&error))?;
        let wanted = [Wanted::own(topic, Part::Key, SCHEMA_CHANGE_KEY), Wanted::own(topic, Part::Value, SCHEMA_CHANGE)];
        match self.schemas.register(&wanted, patience)?.as_slice() {
            [Ok(key), Ok(value)] => {
                let partitions = states.first().map_or(1, |state| state.partitions);
                self.control.ready = Some((partitions, schema_registry::header(*key), schema_registry::header(*value)));
            }
            // What waits is tried again every few seconds: once is enough to know.
            answers if !std::mem::replace(&mut self.control.told, true) => {
                let error = answers.iter().find_map(|answer| answer.as_ref().err());
                let error = error.map(ToString::to_string).unwrap_or_default();
                tracing::warn!(topic, "changes of shape cannot be told there yet: {error}");
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether there is something to tell, and where.
    pub(crate) fn can_announce(&self) -> bool {
        self.control.ready.is_some() && self.has_unannounced()
    }

    fn has_unannounced(&self) -> bool {
        let mut unsettled = self.evolution.unsettled().into_iter();
        unsettled.any(|name| self.evolution.get(&name).is_some_and(|known| !known.unannounced.is_empty()))
    }

    /// Tells what is to be told, in the open transaction, if the control topic is ready.
    pub(crate) fn announce(&mut self, producer: &Producer) -> Result<Published, Failure> {
        let mut published = Published::default();
        let Some((partitions, key_header, value_header)) = self.control.ready else { return Ok(published) };
        for name in self.evolution.unsettled() {
            let mut known = self.evolution.of(&name);
            let unannounced = std::mem::take(&mut known.unannounced);
            if unannounced.is_empty() {
                continue;
            }
            let table = name.to_string();
            let records: Vec<_> = unannounced
                .iter()
                .map(|announcement| {
                    let event = event(&table, announcement);
                    (event.key(&key_header), event.value(&value_header))
                })
                .collect();
            let outgoing = records.iter().map(|(key, value)| Outgoing {
                partition: sink_kafka::partition_for(&key[key_header.len()..], partitions),
                key: Some(key),
                value: Some(value),
            });
            let sent = producer.send(&self.control.topic, outgoing);
            sent.map_err(|error| Failure::undelivered(&error, "an event about a change of shape"))?;
            published.records += records.len() as u64;
            published.bytes += records.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
            self.evolution.put(known);
        }
        Ok(published)
    }
}

fn event<'a>(table: &'a str, announcement: &'a Announcement) -> SchemaChange<'a> {
    let schemas = |ids: &'a Option<Ids>| match ids {
        None => Schemas::default(),
        Some(ids) => Schemas { key_id: ids.key, value_id: Some(ids.value), fingerprint: Some(&ids.fingerprint) },
    };
    SchemaChange {
        table,
        action: &announcement.action,
        verdict: &announcement.verdict,
        findings: announcement.findings.iter().map(told).collect(),
        topic: &announcement.topic,
        position: &announcement.position,
        time: announcement.time,
        old: schemas(&announcement.old),
        new: schemas(&announcement.new),
        statement: announcement.statement.as_deref(),
        user: announcement.user.as_deref(),
    }
}

fn told(sentence: &Sentence) -> Told<'_> {
    Told {
        rule: &sentence.rule,
        column: sentence.column.as_deref(),
        verdict: &sentence.verdict,
        what: &sentence.what,
        running: &sentence.running,
        replaying: &sentence.replaying,
        advice: &sentence.advice,
    }
}
