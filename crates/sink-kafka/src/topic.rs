//! Topics are checked, and made if they may be, before anything is written to them.

use crate::block;
use crate::client::{Reader, Watch, describe};
use crate::config::{Config, TopicDefaults};
use crate::error::{AdminError, ReadError, TopicError};
use crate::fault::code_of;
use crate::replay::{self, Offsets};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataBroker;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// One request to the cluster; a healthy one answers in milliseconds.
const REQUEST: Duration = Duration::from_secs(10);
/// Until a new topic has leaders everywhere.
const LEADERS: Duration = Duration::from_secs(15);

/// What a topic must have that deletes nothing.
const KEPT: [(&str, &str); 3] = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    pub name: String,
    /// `None`: the broker's default.
    pub partitions: Option<i32>,
    /// `None`: the broker's default.
    pub replication_factor: Option<i32>,
    pub config: BTreeMap<String, String>,
}

impl TopicSpec {
    /// An events' topic with the configured defaults.
    pub fn events(name: impl Into<String>, defaults: &TopicDefaults) -> Self {
        Self {
            name: name.into(),
            partitions: defaults.partitions,
            replication_factor: defaults.replication_factor,
            config: defaults.config.clone(),
        }
    }

    /// The checkpoint topic: one partition, compacted, in small segments so that compaction keeps it short and a start
    /// reads little.
    pub fn checkpoint(name: impl Into<String>, replication_factor: Option<i32>) -> Self {
        let config =
            [("cleanup.policy", "compact"), ("segment.bytes", "16777216"), ("min.cleanable.dirty.ratio", "0.1")];
        Self {
            name: name.into(),
            partitions: Some(1),
            replication_factor,
            config: config.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    /// The topic that keeps a held table's events until a person releases them: for ever, each one of them.
    pub fn parked(name: impl Into<String>, partitions: i32, replication_factor: Option<i32>) -> Self {
        let config = KEPT.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { name: name.into(), partitions: Some(partitions), replication_factor, config }
    }

    /// The command that makes this topic.
    pub fn command(&self, brokers: &str) -> String {
        let mut command = format!("kafka-topics --bootstrap-server {brokers} --create --topic {}", self.name);
        // Writing to a string cannot fail.
        if let Some(n) = self.partitions {
            _ = write!(command, " --partitions {n}");
        }
        if let Some(n) = self.replication_factor {
            _ = write!(command, " --replication-factor {n}");
        }
        for (name, value) in &self.config {
            _ = write!(command, " --config {name}={value}");
        }
        command
    }
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    pub name: String,
    pub partitions: i32,
    /// Of the partition that has fewest replicas.
    pub replication_factor: i32,
    /// Made by this call.
    pub created: bool,
}

/// Questions to the cluster and to its topics' logs, and the making of topics. Kept for a session: each client makes
/// connections of its own, and closing one takes a tenth of a second.
pub struct Admin {
    /// Sees whatever is in a log.
    pub(crate) reader: Reader,
    /// Sees what was committed.
    pub(crate) committed: Reader,
    client: AdminClient<Watch>,
    brokers: String,
}

impl Admin {
    pub fn connect(config: &Config) -> Result<Self, AdminError> {
        config.validate()?;
        let client =
            config.admin().create_with_context(Watch::new(config)).map_err(|error| config.creation_error(&error))?;
        Ok(Self {
            reader: Reader::connect(config, false)?,
            committed: Reader::connect(config, true)?,
            client,
            brokers: config.brokers.clone(),
        })
    }

    /// The numbers of the cluster's brokers; for `doctor`.
    pub fn brokers(&self) -> Result<Vec<i32>, AdminError> {
        let metadata = self.reader.consumer.fetch_metadata(None, REQUEST);
        metadata
            .map(|found| found.brokers().iter().map(MetadataBroker::id).collect())
            .map_err(|error| self.reader.fail(&error, "give their metadata"))
    }

    /// The topic as it is now, `None` if there is none.
    pub fn state(&self, topic: &str) -> Result<Option<TopicState>, AdminError> {
        let what = || format!("give the metadata of topic {topic}");
        let metadata = self
            .reader
            .consumer
            .fetch_metadata(Some(topic), REQUEST)
            .map_err(|error| self.reader.fail(&error, what()))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        if let Some(error) = found.error() {
            let code = Code::from(error);
            return match code {
                Code::UnknownTopicOrPartition | Code::UnknownTopic => Ok(None),
                _ => Err(describe(&self.brokers, &KafkaError::MetadataFetch(code), None, what())),
            };
        }
        let whole = found.partitions().iter().all(|partition| partition.leader() >= 0);
        // A partition without a leader is not there yet, for who wants to write to it.
        let partitions = if whole { i32::try_from(found.partitions().len()).unwrap_or(i32::MAX) } else { 0 };
        let replicas = found.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
        Ok(Some(TopicState {
            name: topic.to_owned(),
            partitions,
            replication_factor: i32::try_from(replicas).unwrap_or(i32::MAX),
            created: false,
        }))
    }

    /// The number of partitions, `None` if there is no such topic.
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, AdminError> {
        Ok(self.state(topic)?.map(|state| state.partitions))
    }

    /// Makes the topics that are absent and waits until each has leaders. Answers in the order given. A topic that
    /// exists is left as it is.
    pub fn ensure(&self, specs: &[TopicSpec]) -> Result<Vec<TopicState>, TopicError> {
        for spec in specs {
            legal(&spec.name)?;
        }
        let mut states = Vec::with_capacity(specs.len());
        let mut absent = Vec::new();
        for spec in specs {
            let state = self.state(&spec.name)?;
            if state.is_none() {
                absent.push(spec);
            }
            states.push(state);
        }
        self.create(&absent)?;
        let created = |spec: &TopicSpec| absent.iter().any(|other| other.name == spec.name);
        specs
            .iter()
            .zip(states)
            .map(|(spec, state)| match state {
                Some(state) if state.partitions > 0 => Ok(state),
                _ => self.wait_for_leaders(spec).map(|state| TopicState { created: created(spec), ..state }),
            })
            .collect()
    }

    fn create(&self, specs: &[&TopicSpec]) -> Result<(), TopicError> {
        if specs.is_empty() {
            return Ok(());
        }
        let new: Vec<NewTopic<'_>> = specs
            .iter()
            .map(|spec| {
                let replication = TopicReplication::Fixed(spec.replication_factor.unwrap_or(-1));
                let topic = NewTopic::new(&spec.name, spec.partitions.unwrap_or(-1), replication);
                spec.config.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
        let results = block::wait(self.client.create_topics(&new, &options))
            .map_err(|error| self.reader.fail(&error, "make topics"))?;
        for result in results {
            let (name, code) = match result {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => continue,
                Err(refused) => refused,
            };
            let Some(spec) = specs.iter().find(|spec| spec.name == name) else { continue };
            return Err(TopicError::Missing {
                topic: name,
                reason: code.to_string(),
                command: spec.command(&self.brokers),
            });
        }
        Ok(())
    }

    fn wait_for_leaders(&self, spec: &TopicSpec) -> Result<TopicState, TopicError> {
        let deadline = Instant::now() + LEADERS;
        loop {
            if let Some(state) = self.state(&spec.name)?
                && state.partitions > 0
            {
                return Ok(state);
            }
            if Instant::now() > deadline {
                let reason = format!("still so after {LEADERS:?}, look at the brokers' logs");
                return Err(TopicError::Leaderless { topic: spec.name.clone(), reason });
            }
            // Metadata spreads through the cluster on its own; no request waits for it.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The topic's settings as in force: its own, or the broker's defaults.
    pub fn describe_config(&self, topic: &str) -> Result<BTreeMap<String, String>, AdminError> {
        let what = || format!("describe the configuration of topic {topic}");
        let options = AdminOptions::new().request_timeout(Some(REQUEST));
        let result = block::wait(self.client.describe_configs(&[ResourceSpecifier::Topic(topic)], &options));
        let found = match result {
            Ok(mut found) => found.pop().unwrap_or(Err(Code::NoEnt)),
            Err(error) => return Err(self.reader.fail(&error, what())),
        };
        match found {
            // The binding drops the broker's refusal, and gives a topic without settings instead: no topic has none.
            Ok(resource) if resource.entries.is_empty() => {
                let error = KafkaError::AdminOp(Code::TopicAuthorizationFailed);
                Err(describe(&self.brokers, &error, None, what()))
            }
            Ok(resource) => {
                Ok(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
            }
            Err(code) => Err(describe(&self.brokers, &KafkaError::AdminOp(code), None, what())),
        }
    }

    /// Makes or checks the checkpoint topic: one partition, `cleanup.policy=compact` exactly, replication as configured.
    pub fn ensure_checkpoint(&self, spec: &TopicSpec) -> Result<TopicState, TopicError> {
        let state = match self.ensure(std::slice::from_ref(spec))?.pop() {
            Some(state) => state,
            None => self.wait_for_leaders(spec)?,
        };
        let topic = spec.name.clone();
        if state.partitions != 1 {
            return Err(TopicError::Partitions { topic, found: state.partitions });
        }
        let found = self.describe_config(&topic)?.remove("cleanup.policy").unwrap_or_default();
        if found != "compact" {
            let command = format!(
                "kafka-configs --bootstrap-server {} --alter --topic {topic} --add-config cleanup.policy=compact",
                self.brokers
            );
            return Err(TopicError::Setting {
                topic,
                name: "cleanup.policy",
                found,
                wanted: "compact".to_owned(),
                command,
            });
        }
        if let Some(wanted) = spec.replication_factor
            && state.replication_factor < wanted
        {
            return Err(TopicError::Setting {
                name: "replication factor",
                found: state.replication_factor.to_string(),
                wanted: wanted.to_string(),
                command: format!(
                    "kafka-reassign-partitions --bootstrap-server {} --execute --reassignment-json-file FILE (name \
                     {wanted} replicas for topic {topic})",
                    self.brokers
                ),
                topic,
            });
        }
        Ok(state)
    }

    /// Makes or checks a topic of [`TopicSpec::parked`]: nothing in it may ever be deleted by the broker.
    pub fn ensure_parked(&self, spec: &TopicSpec) -> Result<TopicState, TopicError> {
        let state = match self.ensure(std::slice::from_ref(spec))?.pop() {
            Some(state) => state,
            None => self.wait_for_leaders(spec)?,
        };
        let mut found = self.describe_config(&spec.name)?;
        for (name, wanted) in KEPT {
            let found = found.remove(name).unwrap_or_default();
            if found != wanted {
                let topic = spec.name.clone();
                let command = format!(
                    "kafka-configs --bootstrap-server {} --alter --topic {topic} --add-config {name}={wanted}",
                    self.brokers
                );
                return Err(TopicError::Setting { topic, name, found, wanted: wanted.to_owned(), command });
            }
        }
        Ok(state)
    }

    /// Of each partition the offset that its next record gets. The topic exists.
    pub fn ends(&self, topic: &str, partitions: i32) -> Result<Offsets, AdminError> {
        (0..partitions).map(|partition| Ok((partition, self.reader.watermarks(topic, partition, REQUEST)?.1))).collect()
    }

    /// Whether the topic still has everything from the offsets on.
    ///
    /// # Errors
    ///
    /// [`ReadError::Gone`] if the log of a partition begins behind its offset.
    pub fn refuse_gone(&self, topic: &str, from: &Offsets) -> Result<(), ReadError> {
        replay::refuse_gone(&self.reader, topic, from)
    }

    /// Deletes topics; only `doctor --repair` and tests do. An absent one is no error.
    pub fn delete(&self, topics: &[&str]) -> Result<(), AdminError> {
        let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
        let results = block::wait(self.client.delete_topics(topics, &options))
            .map_err(|error| self.reader.fail(&error, "delete topics"))?;
        for result in results {
            if let Err((topic, code)) = result
                && !matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic)
            {
                let error = KafkaError::AdminOp(code);
                return Err(describe(&self.brokers, &error, None, format!("delete topic {topic}")));
            }
        }
        Ok(())
    }
}

/// Kafka's own rules for names.
pub fn legal(topic: &str) -> Result<(), TopicError> {
    let wrong = |why| Err(TopicError::Name { topic: topic.to_owned(), why });
    if topic.is_empty() {
        return wrong("it is empty");
    }
    if topic == "." || topic == ".." {
        return wrong("a dot alone means a folder");
    }
    if topic.len() > 249 {
        return wrong("it is longer than 249 characters");
    }
    if !topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return wrong("only letters, digits, `.`, `_` and `-` may be in it; rename it in the configuration");
    }
    Ok(())
}

/// Whether the error only says that there is no such topic or partition.
pub(crate) fn is_absent(error: &KafkaError) -> bool {
    matches!(code_of(error), Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
}

#[cfg(test)]
mod tests {
    use super::{TopicSpec, legal};

    #[test]
    fn names_follow_kafkas_rules() {
        for name in ["shop.public.orders", "__headwater_checkpoints", "a", "A-1_b"] {
            legal(name).unwrap();
        }
        for name in ["", ".", "..", "a b", "größe", "a/b", &"x".repeat(250)] {
            legal(name).unwrap_err();
        }
    }

    #[test]
    fn the_command_can_be_pasted() {
        let command = TopicSpec::checkpoint("cp", Some(3)).command("k:9092");
        assert_eq!(
            command,
            "kafka-topics --bootstrap-server k:9092 --create --topic cp --partitions 1 --replication-factor 3 \
             --config cleanup.policy=compact --config min.cleanable.dirty.ratio=0.1 --config segment.bytes=16777216"
        );
    }
}
