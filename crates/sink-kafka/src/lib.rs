//! Records in, acknowledgements and transactions out: everything headwater says to Kafka.
//!
//! * [`config`]: what a user may set, what headwater owns, and the one place where a client is configured.
//! * [`producer`]: the transactional producer. [`handover`] and [`flush`] hold the calls that the binding does not have.
//! * [`partition`]: key to partition, as Java's client does it.
//! * [`topic`]: topics are checked and made before anything is written to them.
//! * [`log`]: reading the checkpoint back, and asking whether topics hold records.
//! * [`replay`]: reading a topic's records back in their order, to publish them somewhere else.
//! * [`rights`]: what a pipeline must be allowed to do.
//! * [`fault`], [`error`]: what an error means for the run loop (retry, fenced, stop), and the sentences for people.
//!
//! All calls block; they run on the pipeline's own thread. Nothing here knows changes, schemas or positions.

mod block;
mod client;
pub mod config;
pub mod error;
pub mod fault;
mod flush;
mod handover;
pub mod log;
pub mod partition;
pub mod producer;
pub mod replay;
pub mod rights;
pub mod topic;

pub use config::{Config, Delivery, TopicDefaults, owned_properties};
pub use error::{AdminError, CommitError, ConfigError, InitError, ReadError, SendError, TopicError};
pub use fault::Fault;
pub use handover::Outgoing;
pub use log::{Found, Record, Wait, Wanted};
pub use partition::{murmur2, partition_for};
pub use producer::Producer;
pub use replay::{Offsets, Replay, Replayed, Slice};
pub use topic::{Admin, TopicSpec, TopicState};
