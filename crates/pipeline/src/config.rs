//! What the engine can be told.

use std::time::Duration;

use crate::Policy;

/// The engine's settings. Where Kafka and the registry are, their own crates know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pipeline's name: the key of its checkpoint.
    pub name: String,
    /// The first part of every topic's name; the `name` field of every event.
    pub topic_prefix: String,
    /// The topic that holds the checkpoints of all pipelines of a cluster.
    pub checkpoint_topic: String,
    /// Whether a delete is followed by a record without a value, so that compaction forgets the key.
    pub tombstones: bool,
    /// When a batch closes although the source has more to give.
    pub batch: Batch,
    /// Which changes of a table's shape go on by themselves.
    pub policy: Policy,
    /// The version that events and checkpoints name.
    pub version: &'static str,
}

/// The limits of one batch, which is one Kafka transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Bytes of keys and values. Memory does not depend on it: records leave as they are encoded.
    pub max_bytes: u64,
    /// Time from the first record. A longer batch means fewer commits (2 to 25 ms each) and later visibility under load;
    /// when the source has nothing more to give, a batch closes at once.
    pub max_time: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_time: Duration::from_millis(250) }
    }
}

/// A transaction that is still arriving after this time is cut, so that readers of other tables are not held up by an
/// open Kafka transaction; never longer than a quarter of the transaction's time-out.
pub(crate) const LONGEST_OPEN: Duration = Duration::from_secs(5);

/// How often the position is written while nothing happens in the captured tables. It bounds the write-ahead log that an
/// idle table can hold, and the growth of the checkpoint topic.
pub(crate) const IDLE_CHECKPOINT: Duration = Duration::from_secs(3);
