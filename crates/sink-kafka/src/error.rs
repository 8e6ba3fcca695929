//! One small error enum per operation. Every text names the topic, id or brokers and, if a person is needed, the step.

use crate::fault::Fault;
use std::time::Duration;

/// The configuration cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    #[error("kafka.properties: `{name}` belongs to headwater: {reason}")]
    Owned { name: String, reason: &'static str },
    #[error("kafka.properties: librdkafka knows no property `{name}`; see its CONFIGURATION.md for the names")]
    Unknown { name: String },
    #[error("kafka.properties: librdkafka does not accept the value of `{name}`")]
    Value { name: String },
    #[error("kafka.{field}: {why}")]
    Field { field: &'static str, why: String },
    #[error("cannot make a client for the brokers {brokers}: {reason}")]
    Create { brokers: String, reason: String },
}

/// A producer could not be initialised, or a transaction not begun.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InitError {
    #[error("the brokers {brokers} did not {what}: {reason}")]
    Retry { brokers: String, what: &'static str, reason: String },
    #[error("another process took over the transactional id `{transactional_id}`: {reason}")]
    Fenced { transactional_id: String, reason: String },
    #[error("{what}; {help}")]
    Stop { what: String, help: &'static str },
}

impl InitError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Retry { .. } => Fault::Retry,
            Self::Fenced { .. } => Fault::Fenced,
            Self::Stop { .. } => Fault::Stop,
        }
    }
}

/// A record could not be handed over. After anything but `Stopped` and `TooLarge` the producer is of no more use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    #[error(
        "a record of {size} bytes for topic {topic} is larger than message.max.bytes ({limit}); raise it under \
         [kafka.properties], and max.message.bytes on the topic"
    )]
    TooLarge { topic: String, size: usize, limit: usize },
    #[error("asked to stop while the queue to the brokers was full")]
    Stopped,
    #[error("the brokers {brokers} have taken no record from the full queue for {waited:?}")]
    Full { brokers: String, waited: Duration },
    #[error("topic name {topic:?} holds a zero byte")]
    Name { topic: String },
    #[error("topic {topic} takes no record: {reason}")]
    Failed { topic: String, reason: String, fault: Fault, help: &'static str },
}

impl SendError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::TooLarge { .. } | Self::Name { .. } => Fault::Stop,
            Self::Stopped | Self::Full { .. } => Fault::Retry,
            Self::Failed { fault, .. } => *fault,
        }
    }
}

/// A transaction was not seen to commit. Whatever the variant, the producer is to be destroyed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The commit may or may not have happened: only the checkpoint tells.
    #[error("the outcome of the transaction `{transactional_id}` is not known: {reason}")]
    Unknown { transactional_id: String, reason: String },
    /// Nothing was committed; something transient went wrong before the commit.
    #[error("the transaction `{transactional_id}` was not committed: {reason}")]
    Aborted { transactional_id: String, reason: String },
    #[error(
        "a record of {size} bytes for topic {topic} was refused by the broker as too large; raise max.message.bytes on \
         the topic (kafka-configs --alter --topic {topic} --add-config max.message.bytes=N)"
    )]
    TooLarge { topic: String, size: usize },
    /// A newer process, or the coordinator's own time-out of the transaction: the checkpoint's instance id tells.
    #[error("the transactional id `{transactional_id}` was fenced: {reason}")]
    Fenced { transactional_id: String, reason: String },
    #[error("{what}; {help}")]
    Stop { what: String, help: &'static str },
}

impl CommitError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unknown { .. } | Self::Aborted { .. } => Fault::Retry,
            Self::Fenced { .. } => Fault::Fenced,
            Self::TooLarge { .. } | Self::Stop { .. } => Fault::Stop,
        }
    }
}

/// The cluster could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the brokers {brokers} did not {what}: {reason}")]
    Unreachable { brokers: String, what: String, reason: String },
    #[error("the brokers {brokers} refuse to {what}: {reason}; {help}")]
    Refused { brokers: String, what: String, reason: String, help: &'static str },
}

impl AdminError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } => Fault::Retry,
            Self::Config(_) | Self::Refused { .. } => Fault::Stop,
        }
    }
}

/// A topic is not as it has to be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopicError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("topic name {topic:?} is not legal: {why}")]
    Name { topic: String, why: &'static str },
    #[error("topic {topic} does not exist and could not be made ({reason}); make it with: {command}")]
    Missing { topic: String, reason: String, command: String },
    #[error("topic {topic} has no leader on every partition: {reason}")]
    Leaderless { topic: String, reason: String },
    #[error("topic {topic} has {name}={found}, it must be {wanted}; mend it with: {command}")]
    Setting { topic: String, name: &'static str, found: String, wanted: String, command: String },
    #[error("topic {topic} has {found} partitions, it must have 1: choose another name for it")]
    Partitions { topic: String, found: i32 },
}

impl TopicError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Admin(error) => error.fault(),
            Self::Leaderless { .. } => Fault::Retry,
            Self::Name { .. } | Self::Missing { .. } | Self::Setting { .. } | Self::Partitions { .. } => Fault::Stop,
        }
    }
}

/// A topic could not be read back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(
        "partition {partition} of topic {topic}: an open transaction hides records {visible} to {high}, still after \
         {waited:?}; another producer's ends by its own transaction.timeout.ms. If this does not pass, brokers have lost the end \
         of a transaction: see \"A transaction that never ends\" in docs/operating.md"
    )]
    Hidden { topic: String, partition: i32, visible: i64, high: i64, waited: Duration },
    #[error("partition {partition} of topic {topic}: read up to offset {reached} of {high} in {waited:?}")]
    Slow { topic: String, partition: i32, reached: i64, high: i64, waited: Duration },
    #[error(
        "partition {partition} of topic {topic} begins at offset {start}, but records from offset {wanted} on have not been \
         read yet: they were deleted"
    )]
    Gone { topic: String, partition: i32, wanted: i64, start: i64 },
}

impl ReadError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Admin(error) => error.fault(),
            Self::Hidden { .. } | Self::Slow { .. } => Fault::Retry,
            Self::Gone { .. } => Fault::Stop,
        }
    }
}
