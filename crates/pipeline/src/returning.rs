//! Parked events on their way back: begun when a person says how, or when the registry has the schema, and done in slices
//! between the batches of what streams.
//!
//! Why each event is copied once and in order is argued at the head of [`evolution`](crate::evolution).

use std::collections::HashMap;
use std::time::Duration;

use change::{Identity, Table, TableName};
use event_avro::control::{Moved, moved};
use schema_registry::{Part, SchemaId, header};
use sink_kafka::{Outgoing, Producer, Replay, Replayed, TopicSpec};

use crate::clock;
use crate::error::Failure;
use crate::evolution::{Announcement, Held, How, Ids, Known, Release, Why};
use crate::prepare::PATIENCE;
use crate::publish::{Published, Publisher};
use crate::schemas::Wanted;
use crate::session::TEND;

/// Bytes that are copied in one transaction.
pub(crate) const SLICE: usize = 4 << 20;
/// Bytes that return between two batches, slice by slice, when so many were published since: what returns has to outrun
/// what is parked behind it meanwhile, or it never ends.
pub(crate) fn allowance(published: u64) -> u64 {
    published.saturating_mul(2).max(SLICE as u64)
}

/// How long a slice is waited for.
const SLICE_TIME: Duration = Duration::from_millis(500);

/// What one session needs to copy a table's parked events.
pub(crate) struct Returning {
    replay: Replay,
    topic: String,
    partitions: i32,
    /// From the ids of parked schemas to those under the subjects of the topic that the events go to.
    keys: HashMap<u32, u32>,
    values: HashMap<u32, u32>,
}

impl Publisher {
    /// Begins to return a held table's events. The answer is for whoever asked; `Err` says why nothing was begun. What was
    /// begun is true only when the checkpoint has it.
    pub(crate) fn release(&mut self, table: &str, how: How) -> Result<Result<String, String>, Failure> {
        let found = self.evolution.held().find(|(known, _)| known.name().to_string() == table);
        let Some((known, held)) = found else { return Ok(Err(format!("table {table} is not held"))) };
        if let Some(release) = &held.release {
            let words = if release.how == How::Accept { "--accept" } else { "--new-version" };
            return Ok(Err(format!("table {table} is on its way back already, by {words}")));
        }
        let known = known.clone();
        let version = if how == How::Accept { known.version } else { known.version + 1 };
        let begun = self.release_known(known, Release { how, version })?;
        let answer = |topic| format!("table {table} is released: its parked events return to {topic}, in their order");
        Ok(begun.map(answer).map_err(|refused| refused.reason))
    }

    /// Gives the topic that the events return to.
    fn release_known(&mut self, mut known: Known, release: Release) -> Result<Result<String, Refused>, Failure> {
        let name = known.name();
        let topic = self.topic(&name, release.version)?;
        match self.begin_return(&known, &topic)? {
            Ok(returning) => drop(self.returning.insert(name.clone(), returning)),
            Err(refused) => return Ok(Err(refused)),
        }
        if let Some(held) = &mut known.held {
            held.release = Some(release);
            tracing::info!(table = %name, topic, parked = held.topic, "the table is released, and its parked events return");
        }
        self.evolution.put(known);
        self.show_held();
        Ok(Ok(topic))
    }

    /// A session does not begin over parked events that are gone: they would be missing in their topic.
    pub(crate) fn refuse_lost_parked(&self) -> Result<(), Failure> {
        for (known, held) in self.evolution.held() {
            let whole = self.admin.refuse_gone(&held.topic, &held.next);
            whole.map_err(|error| match Failure::kafka(&error) {
                Failure::Stop { what, .. } => Failure::Stop {
                    what: format!("events of table {} were parked and are lost: {what}", known.name()),
                    help: format!(
                        "give topic {} retention.ms=-1 and retention.bytes=-1, and copy the table again with a new \
                         pipeline name and prefix; nothing else of the pipeline is concerned",
                        held.topic
                    ),
                },
                other => other,
            })?;
        }
        Ok(())
    }

    /// Schemas registered, topic made, reader in its place.
    fn begin_return(&self, known: &Known, topic: &str) -> Result<Result<Returning, Refused>, Failure> {
        let refused = |why, reason| Ok(Err(Refused { why, reason }));
        let Some(held) = &known.held else { return refused(Why::Refused, "the table is not held".to_owned()) };
        let (mut keys, mut values) = (HashMap::new(), HashMap::new());
        let mut texts = Vec::new();
        for frame in &held.frames {
            let text = frame.text.clone().or_else(|| self.schemas.text(frame.id, PATIENCE));
            let Some(text) = text else {
                let id = frame.id;
                let reason =
                    format!("the registry does not give schema {id} of the parked events; ask again when it does");
                return refused(Why::Away, reason);
            };
            texts.push((frame.part(), text));
        }
        let wanted = self.schemas.wanted(topic, texts.iter().map(|(part, text)| (*part, text.as_str())));
        let answers = self.schemas.register(&wanted, PATIENCE)?;
        for ((frame, wanted), answer) in held.frames.iter().zip(&wanted).zip(answers) {
            match answer {
                Ok(id) => drop(if frame.is_key { &mut keys } else { &mut values }.insert(frame.id, id.0)),
                Err(error) => {
                    let refusal = self.schemas.refusal(wanted, &error);
                    return match Why::not_registered(&error).unwrap_or(Why::Away) {
                        Why::Refused => refused(Why::Refused, self.advise(&known.name(), wanted, &refusal)),
                        why => refused(why, refusal),
                    };
                }
            }
        }
        let spec = TopicSpec { partitions: Some(held.partitions), ..TopicSpec::events(topic, &self.kafka.topics) };
        let states = self.admin.ensure(&[spec]).map_err(|error| Failure::kafka(&error))?;
        let replay = Replay::open(&self.kafka, &held.topic, &held.next).map_err(|error| Failure::kafka(&error))?;
        let partitions = states.first().map_or(1, |state| state.partitions);
        Ok(Ok(Returning { replay, topic: topic.to_owned(), partitions, keys, values }))
    }

    /// The registry refuses what a person wants. Its level is never changed from here.
    fn advise(&self, table: &TableName, wanted: &Wanted, refusal: &str) -> String {
        let (url, subject) = (self.schemas.url(), &wanted.subject);
        format!(
            "{refusal}. Either let the registry take it, with `curl -X PUT -H 'Content-Type: application/json' -d \
             '{{\"compatibility\":\"NONE\"}}' {url}/config/{subject}` (and put the level back behind it), and release again; \
             or give the new schema a topic of its own, with `headwater schema release {table} --new-version`"
        )
    }

    /// Whether anything waits for [`Session`](crate::session)'s care between two batches.
    pub(crate) fn is_settled(&self) -> bool {
        !self.evolution.has_unsettled()
    }

    /// What can be tried now that could not be done before: tables that were held for the registry's absence, releases of
    /// an earlier session, events of the control topic. Nothing may be open.
    pub(crate) fn retry_unsettled(&mut self) -> Result<(), Failure> {
        let waits = |known: &Known| {
            let waits = |held: &Held| held.release.is_none() && held.why.ends_by_itself();
            !known.unannounced.is_empty() || known.held.as_ref().is_some_and(waits)
        };
        let names = self.evolution.unsettled();
        let any_waits = names.iter().any(|name| self.evolution.get(name).is_some_and(waits));
        if any_waits && !self.schemas.answers(REGISTRY_SHORT) {
            return Ok(());
        }
        for name in names {
            let known = self.evolution.of(&name);
            let Some(held) = &known.held else { continue };
            if held.release.is_none() && held.why.ends_by_itself() {
                let release = Release { how: How::Accept, version: known.version };
                if let Err(refused) = self.release_known(known.clone(), release)? {
                    self.refused(known, refused);
                }
            }
        }
        self.prepare_control(PATIENCE)
    }

    /// The registry is back and does not take the schema, or still does not have it; or it is away again.
    fn refused(&mut self, mut known: Known, refused: Refused) {
        let name = known.name();
        let Some(held) = &mut known.held else { return };
        if (held.why, &held.reason) == (refused.why, &refused.reason) {
            return;
        }
        tracing::warn!(table = %name, "parked events cannot return: {}", refused.reason);
        (held.why, held.reason) = (refused.why, refused.reason);
        let mut held = held.clone();
        if held.why == Why::Refused {
            // Whoever released it has to decide once more.
            known.take_back(&mut held);
        }
        known.held = Some(held);
        self.evolution.put(known);
        self.show_held();
    }

    /// The last event of a topic whose table goes on in another one, into each partition; in the open transaction.
    pub(crate) fn tell_moved(&self, producer: &Producer, table: &str, position: &str) -> Result<Published, Failure> {
        let found = self.evolution.held().find(|(known, _)| known.name().to_string() == table);
        let Some((known, held)) = found else { return Ok(Published::default()) };
        let (Some(release), Some(ids)) = (&held.release, &known.ids) else { return Ok(Published::default()) };
        let Some(returning) = self.returning.get(&known.name()).filter(|_| release.how == How::NewVersion) else {
            return Ok(Published::default());
        };
        let name = known.name();
        let table = Table { name, columns: Vec::new(), key: Vec::new(), identity: Identity::Default, relation: None };
        let stream = event_avro::Stream { name: &self.config.topic_prefix, version: self.config.version };
        let first = held.frames.iter().find(|frame| !frame.is_key).map_or(0, |frame| frame.id);
        let value_id = returning.values.get(&first).copied().unwrap_or_default();
        let to = Moved { topic: &returning.topic, position, value_id };
        let event = moved(&table, &self.info, &stream, &header(SchemaId(ids.value)), &to, clock::unix_micros());
        let topic = self.topic(&known.name(), known.version)?;
        let partitions = self.admin.partitions(&topic).map_err(|error| Failure::kafka(&error))?.unwrap_or(1);
        let outgoing = (0..partitions).map(|partition| Outgoing { partition, key: None, value: Some(&event) });
        producer.send(&topic, outgoing).map_err(|error| Failure::undelivered(&error, "the last event of a topic"))?;
        let records = u64::from(partitions.unsigned_abs());
        Ok(Published { records, bytes: records * event.len() as u64 })
    }

    /// Tables whose parked events are to be copied.
    pub(crate) fn returning(&self) -> Vec<TableName> {
        self.evolution.held().filter(|(_, held)| held.release.is_some()).map(|(known, _)| known.name()).collect()
    }

    /// The next parked events of a table, as they are in its topic. Nothing may be open: this waits for brokers. `None`: not
    /// now.
    pub(crate) fn read_parked(&mut self, table: &TableName) -> Result<Option<Parcel>, Failure> {
        let known = self.evolution.of(table);
        let Some((held, release)) = known.held.as_ref().and_then(|held| Some((held, held.release.as_ref()?))) else {
            return Ok(None);
        };
        if !self.returning.contains_key(table) {
            // Of an earlier session, or of an earlier shape. Others do not wait for the registry at each turn.
            if self.not_begun.is_some_and(|at| at.elapsed() < TEND) {
                return Ok(None);
            }
            self.not_begun = Some(clock::now());
            if !self.schemas.answers(REGISTRY_SHORT) {
                return Ok(None);
            }
            let topic = self.topic(table, release.version)?;
            match self.begin_return(&known, &topic)? {
                Ok(returning) => {
                    self.not_begun = None;
                    self.returning.insert(table.clone(), returning);
                }
                Err(refused) => {
                    self.refused(known, refused);
                    return Ok(None);
                }
            }
        }
        let Some(returning) = self.returning.get_mut(table) else { return Ok(None) };
        let slice = returning.replay.read(SLICE, SLICE_TIME).map_err(|error| Failure::kafka(&error))?;
        if slice.records.is_empty() && !slice.complete {
            return Ok(None);
        }
        let records =
            slice.records.into_iter().map(|record| returning.reframe(record, held)).collect::<Result<_, _>>()?;
        let (next, version) = (returning.replay.next().clone(), release.version);
        let (topic, partitions) = (returning.topic.clone(), returning.partitions);
        let mut known = if slice.complete { self.end_return(known, version)? } else { known };
        if let Some(held) = &mut known.held {
            held.next = next;
        }
        Ok(Some(Parcel { topic, partitions, records, known }))
    }

    /// The table as it is when its last parked event is back.
    fn end_return(&mut self, mut known: Known, version: u32) -> Result<Known, Failure> {
        let Some(returning) = self.returning.get(&known.name()) else { return Ok(known) };
        let Some(held) = known.held.take() else { return Ok(known) };
        let Some(newest) = held.newest() else { return Ok(known) };
        let key = newest.key.and_then(|id| returning.keys.get(&id).copied());
        let value = returning.values.get(&newest.value).copied().unwrap_or_default();
        let ids = Ids { key, value, ..newest };
        known.unannounced.push(Announcement {
            action: "returned".to_owned(),
            verdict: held.verdict.name().to_owned(),
            findings: Vec::new(),
            topic: returning.topic.clone(),
            old: known.ids.clone(),
            new: Some(ids.clone()),
            position: held.position.clone(),
            time: clock::unix_micros(),
            statement: None,
            user: None,
        });
        // A new topic begins with what was parked.
        if known.version != version {
            known.departed.clear();
        }
        known.departed.extend(held.departed);
        (known.shape, known.ids, known.version) = (Some(held.shape), Some(ids), version);
        self.prepare_control(PATIENCE)?;
        Ok(known)
    }

    /// Copies a parcel, in the open transaction.
    pub(crate) fn deliver(&mut self, producer: &Producer, parcel: Parcel) -> Result<Published, Failure> {
        let Parcel { topic, partitions, records, known } = parcel;
        let outgoing = records.iter().map(|record| Outgoing {
            partition: match &record.key {
                Some(key) => sink_kafka::partition_for(key.get(FRAME..).unwrap_or_default(), partitions),
                None => 0,
            },
            key: record.key.as_deref(),
            value: record.value.as_deref(),
        });
        let sent = producer.send(&topic, outgoing);
        sent.map_err(|error| Failure::undelivered(&error, &format!("parked events of table {}", known.name())))?;
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len) as u64;
        let bytes = records.iter().map(|record| size(&record.key) + size(&record.value)).sum();
        let published = Published { records: records.len() as u64, bytes };
        if known.held.is_none() {
            self.reopen(&known, &topic, partitions);
        }
        self.evolution.put(known);
        self.show_held();
        Ok(published)
    }

    /// What comes from now on goes to the topic again.
    fn reopen(&mut self, known: &Known, topic: &str, partitions: i32) {
        let name = known.name();
        self.returning.remove(&name);
        tracing::info!(table = %name, topic, "all parked events are back; the table is held no longer");
        let table = self.outlet(&name).map(|outlet| outlet.table.clone());
        // None: the log has not shown the table in this session; it will before its next change.
        if let (Some(table), Some(ids)) = (table, &known.ids) {
            self.open(&table, topic, partitions, ids, true);
        }
    }
}

/// Parked events to be copied in one transaction, and what is known of their table when they are.
pub(crate) struct Parcel {
    topic: String,
    partitions: i32,
    records: Vec<Replayed>,
    known: Known,
}

/// Why parked events cannot return now.
struct Refused {
    why: Why,
    reason: String,
}

/// Bytes of a registry's frame.
const FRAME: usize = 5;

/// How long the registry may take to answer when tables only hope that it is back.
const REGISTRY_SHORT: Duration = Duration::from_millis(300);

impl Returning {
    /// The event with the ids that its schemas have under the topic's own subjects.
    fn reframe(&self, mut record: Replayed, held: &Held) -> Result<Replayed, Failure> {
        for (bytes, ids, part) in
            [(&mut record.key, &self.keys, Part::Key), (&mut record.value, &self.values, Part::Value)]
        {
            let Some(bytes) = bytes else { continue };
            let id = schema_registry::split(bytes).ok().and_then(|(id, _)| ids.get(&id.0).copied());
            let id = id.ok_or_else(|| Failure::Stop {
                what: format!(
                    "topic {} holds a record whose {part:?} schema is not that of a parked event",
                    held.topic
                ),
                help: "does anybody else write to it? it belongs to headwater alone".to_owned(),
            })?;
            bytes[..FRAME].copy_from_slice(&header(SchemaId(id)));
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_returns_outruns_what_is_parked() {
        assert_eq!(allowance(0), SLICE as u64);
        // Every published byte may be one of the held table, and each batch may be as large as a configuration lets it.
        for batch in [1, 16 << 20, 1 << 30] {
            assert!(allowance(batch) >= 2 * batch, "{batch}");
        }
    }
}
