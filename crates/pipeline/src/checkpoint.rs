//! Makes a position durable, and nothing else does.
//!
//! The checkpoint of a pipeline is the newest record with its name as key in the checkpoint topic. With exactly-once
//! delivery it is written inside the Kafka transaction of the events it covers. Everything that decides about going on
//! (which position, whose pipeline, which server) is read from there; there is no local state.
//!
//! [`Durable`] can be made only here, after the broker has confirmed the record, and only a `Durable` can tell a source
//! what it may forget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use change::{Position, Resume, Sequence, Source, TableName};
use serde::{Deserialize, Serialize};
use sink_kafka::{Admin, Outgoing, Producer, TopicSpec};

use crate::error::{Failure, Leg};
use crate::evolution::{held, in_words, topic_versions};
use crate::ledger::{Ledger, Proof, Safe, Sent};
use crate::monitor::HeldTable;
use crate::{Config, clock};

/// The format this binary writes. A record with a higher number is refused, because it may mean something else.
pub const FORMAT: u32 = 1;

/// What the checkpoint topic holds under a pipeline's name, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The process that wrote it; another one here means that this pipeline has been taken over.
    pub instance: String,
    /// Which server the position belongs to. Absent in the very first claim.
    pub server: Option<String>,
    /// Everything up to here is in Kafka. Absent until the source has been started once.
    pub position: Option<String>,
    /// The progress of snapshots is in records of its own (`<pipeline>/<table>`), none of them before this offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_from: Option<i64>,
    /// The version of headwater that wrote it, for people.
    pub version: String,
    /// When, microseconds since 1970, for people.
    pub written_at: i64,
}

/// A pipeline's checkpoint as it was found: the record, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    #[serde(flatten)]
    pub record: Record,
    /// How far the snapshots of tables are, in the source's own words.
    pub progress: BTreeMap<String, String>,
}

impl Checkpoint {
    /// The tables that were published, each with its schemas and whether it is held, in words for people; and the rest of
    /// the progress, which is the source's.
    pub fn tables(&self) -> (Vec<(TableName, String)>, BTreeMap<String, String>) {
        in_words(&self.progress)
    }

    /// Which version of its topic each table that was published goes to.
    pub fn topic_versions(&self) -> BTreeMap<TableName, u32> {
        topic_versions(&self.progress)
    }

    /// The tables whose events are parked.
    pub fn held(&self) -> Vec<HeldTable> {
        held(&self.progress)
    }

    /// Where a source goes on.
    pub fn resume(&self) -> Option<Resume> {
        let (Some(position), Some(server)) = (&self.record.position, &self.record.server) else { return None };
        let progress = self.progress.clone();
        Some(Resume { position: Position::new(position.as_str()), server_identity: server.clone(), progress })
    }
}

impl Record {
    /// Reads a record's value.
    pub fn parse(value: &[u8]) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head =
            serde_json::from_slice(value).map_err(|error| CheckpointError::Unreadable(error.to_string()))?;
        if head.format > FORMAT {
            return Err(CheckpointError::Newer { found: head.format });
        }
        serde_json::from_slice(value).map_err(|error| CheckpointError::Unreadable(error.to_string()))
    }
}

/// Why a checkpoint cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("the checkpoint was written by a newer headwater (format {found}; this one knows up to {FORMAT})")]
    Newer { found: u32 },
    #[error("the checkpoint cannot be read: {0}")]
    Unreadable(String),
}

/// Proof that a position is durable.
#[derive(Debug)]
#[must_use = "the source has to be told"]
pub(crate) struct Durable {
    position: Position,
    sequence: Sequence,
}

impl Durable {
    /// Lets the source forget everything up to the position, and the ledger open the way for the next batch.
    pub(crate) fn tell(self, source: &mut dyn Source, ledger: &mut Ledger) -> Result<Position, Failure> {
        ledger.settled(self.sequence);
        source.confirm(&self.position)?;
        Ok(self.position)
    }
}

/// The partition of the checkpoint topic: it has only one, so that every record's order is kept.
const PARTITION: i32 = 0;

/// Reads a pipeline's newest checkpoint from a topic that exists. `on_wait` is told each second while an open
/// transaction hides the end of the topic, which can last as long as the broker lets a transaction live; `false` from it
/// gives up.
pub fn read(
    admin: &Admin,
    kafka: &sink_kafka::Config,
    topic: &str,
    pipeline: &str,
    on_wait: &mut dyn FnMut(sink_kafka::Wait) -> bool,
) -> Result<Found, Failure> {
    let key = pipeline.as_bytes();
    let mut back = |wanted| {
        admin
            .read_back(topic, PARTITION, &wanted, kafka.transaction_timeout * 2, on_wait)
            .map_err(|error| Failure::kafka(&error))
    };
    let found = back(sink_kafka::Wanted { keys: vec![key.to_vec()], ..Default::default() })?;
    let high = found.high;
    let Some(value) = found.value(key) else { return Ok(Found { checkpoint: None, high }) };
    let record = Record::parse(value).map_err(|error| Failure::Stop {
        what: format!("{error} (topic {topic}, key {pipeline})"),
        help: match error {
            CheckpointError::Newer { .. } => "run the newer version of headwater".to_owned(),
            CheckpointError::Unreadable(_) => {
                format!("look at it with `headwater checkpoint show`; is {topic} used by something else?")
            }
        },
    })?;
    let mut progress = BTreeMap::new();
    if let Some(floor) = record.progress_from {
        let prefix = format!("{pipeline}/");
        let prefixes = vec![prefix.clone().into_bytes()];
        for (key, found) in back(sink_kafka::Wanted { prefixes, floor, ..Default::default() })?.records {
            let key = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            progress.extend(found.value.map(|text| (key, String::from_utf8_lossy(&text).into_owned())));
        }
    }
    Ok(Found { checkpoint: Some(Checkpoint { record, progress }), high })
}

/// What [`read`] found.
#[derive(Debug)]
pub struct Found {
    pub checkpoint: Option<Checkpoint>,
    /// The end of the topic at that time: whatever is written later has a higher offset.
    pub high: i64,
}

/// Like [`read`], for people: a topic that does not exist holds no checkpoint, and is not made.
pub fn read_if_any(
    kafka: &sink_kafka::Config,
    topic: &str,
    pipeline: &str,
    on_wait: &mut dyn FnMut(sink_kafka::Wait) -> bool,
) -> Result<Option<Checkpoint>, Failure> {
    let admin = Admin::connect(kafka).map_err(|error| Failure::kafka(&error))?;
    match admin.partitions(topic).map_err(|error| Failure::kafka(&error))? {
        None => Ok(None),
        Some(_) => read(&admin, kafka, topic, pipeline, on_wait).map(|found| found.checkpoint),
    }
}

/// Writes another position into the checkpoint, because a person has accepted what lies between. Fences whoever runs. The
/// progress of snapshots is kept.
pub fn replace(
    kafka: &sink_kafka::Config,
    config: &Config,
    instance: &str,
    server_identity: &str,
    position: &str,
) -> Result<(), Failure> {
    let admin = Admin::connect(kafka).map_err(|error| Failure::kafka(&error))?;
    let topic = TopicSpec::checkpoint(&config.checkpoint_topic, kafka.topics.replication_factor);
    admin.ensure_checkpoint(&topic).map_err(|error| Failure::kafka(&error))?;
    let producer = Producer::connect(kafka, Arc::default())
        .map_err(|error| Failure::Stop { what: error.to_string(), help: "mend the [kafka] section".to_owned() })?;
    producer.init(kafka.transaction_timeout).map_err(|error| Failure::kafka(&error))?;
    let previous = read(&admin, kafka, &config.checkpoint_topic, &config.name, &mut |_| true)?;
    let mut checkpoints = Checkpoints::new(config, kafka, instance, &previous);
    checkpoints.serves(server_identity);
    checkpoints.record.position = Some(position.to_owned());
    checkpoints.claim(&producer)
}

/// Writes the checkpoints of one session.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    topic: String,
    pipeline: String,
    record: Record,
    progress: BTreeMap<String, String>,
    /// Keys of `progress` that the next checkpoint brings.
    unwritten: BTreeSet<String>,
    /// The end of the topic when the session began.
    began: i64,
    transactional: bool,
    timeout: Duration,
    /// What the producer had acknowledged when the last batch was finished.
    acknowledged: u64,
}

impl Checkpoints {
    /// For a session of `instance` that goes on from `previous`. The topic exists.
    ///
    /// What is known of snapshots is written once more with the next checkpoint: so it is never far from the end of the
    /// topic, and a start reads only what the last session wrote.
    pub(crate) fn new(config: &Config, kafka: &sink_kafka::Config, instance: &str, found: &Found) -> Self {
        let previous = found.checkpoint.as_ref().map(|checkpoint| &checkpoint.record);
        let progress = found.checkpoint.as_ref().map(|checkpoint| checkpoint.progress.clone()).unwrap_or_default();
        Self {
            topic: config.checkpoint_topic.clone(),
            pipeline: config.name.clone(),
            record: Record {
                format: FORMAT,
                instance: instance.to_owned(),
                server: previous.and_then(|record| record.server.clone()),
                position: previous.and_then(|record| record.position.clone()),
                progress_from: (!progress.is_empty()).then_some(found.high),
                version: config.version.to_owned(),
                written_at: 0,
            },
            unwritten: progress.keys().cloned().collect(),
            progress,
            began: found.high,
            transactional: kafka.delivery == sink_kafka::Delivery::ExactlyOnce,
            timeout: kafka.transaction_timeout,
            acknowledged: 0,
        }
    }

    /// Puts our instance into the checkpoint, with the position as it is: from here on the predecessor knows.
    pub(crate) fn claim(&mut self, producer: &Producer) -> Result<(), Failure> {
        producer.begin().map_err(|error| Failure::kafka(&error))?;
        self.write(producer)?;
        self.finish(producer)
    }

    /// Writes where a pipeline begins that has no position yet.
    pub(crate) fn begin(&mut self, producer: &Producer, position: &Position) -> Result<(), Failure> {
        self.record.position = Some(position.as_str().to_owned());
        self.claim(producer)
    }

    /// The server that positions belong to from now on.
    pub(crate) fn serves(&mut self, server_identity: &str) {
        self.record.server = Some(server_identity.to_owned());
    }

    /// The progress of a snapshot, for the next checkpoint.
    pub(crate) fn progress(&mut self, key: &str, text: &str) {
        self.progress.insert(key.to_owned(), text.to_owned());
        self.unwritten.insert(key.to_owned());
        self.record.progress_from.get_or_insert(self.began);
    }

    /// Makes a closed batch durable. The Kafka transaction, if there is one, is open and ends here.
    pub(crate) fn make_durable(
        &mut self,
        producer: &Producer,
        ledger: &mut Ledger,
        sent: Sent,
    ) -> Result<Durable, Failure> {
        let safe: Safe = if self.transactional {
            ledger.safe(sent, Proof::SameTransaction)?
        } else {
            producer.flush(self.timeout).map_err(|error| Failure::kafka(&error))?;
            ledger.safe(sent, Proof::Acknowledged(producer.acknowledged() - self.acknowledged))?
        };
        self.record.position = Some(safe.position().as_str().to_owned());
        self.write(producer)?;
        self.finish(producer)?;
        Ok(Durable { sequence: safe.sequence(), position: safe.position().clone() })
    }

    fn write(&mut self, producer: &Producer) -> Result<(), Failure> {
        self.record.written_at = clock::unix_micros();
        let value = serde_json::to_vec(&self.record).map_err(|error| Failure::Retry {
            leg: Leg::Kafka,
            what: format!("cannot write the checkpoint: {error}"),
        })?;
        let unwritten = std::mem::take(&mut self.unwritten);
        let records: Vec<(String, &[u8])> = unwritten
            .iter()
            .filter_map(|key| Some((format!("{}/{key}", self.pipeline), self.progress.get(key)?.as_bytes())))
            .chain([(self.pipeline.clone(), value.as_slice())])
            .collect();
        let outgoing = records.iter().map(|(key, value)| Outgoing {
            partition: PARTITION,
            key: Some(key.as_bytes()),
            value: Some(value),
        });
        producer.send(&self.topic, outgoing).map_err(|error| Failure::undelivered(&error, "the checkpoint"))
    }

    fn finish(&mut self, producer: &Producer) -> Result<(), Failure> {
        producer.commit(self.timeout).map_err(|error| Failure::kafka(&error))?;
        self.acknowledged = producer.acknowledged();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            format: FORMAT,
            instance: "a".into(),
            server: Some("7".into()),
            position: Some("0/10".into()),
            progress_from: None,
            version: "0.1.0".into(),
            written_at: 5,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let text = serde_json::to_vec(&record()).unwrap();
        assert_eq!(Record::parse(&text), Ok(record()));
    }

    #[test]
    fn a_newer_format_is_refused_whatever_else_it_holds() {
        let text = br#"{"format": 2, "something": "else"}"#;
        assert_eq!(Record::parse(text), Err(CheckpointError::Newer { found: 2 }));
    }

    #[test]
    fn a_claim_without_position_does_not_resume() {
        let checkpoint = |record| Checkpoint { record, progress: BTreeMap::new() };
        let claim = Record { position: None, ..record() };
        assert_eq!(checkpoint(claim).resume(), None);
        assert_eq!(
            checkpoint(record()).resume().map(|resume| resume.position.as_str().to_owned()),
            Some("0/10".to_owned())
        );
    }
}
