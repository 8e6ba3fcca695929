//! The engine: takes changes from a source, encodes them, publishes them with the position inside the same Kafka
//! transaction, and lets the source forget only what is durable.
//!
//! Read in the order of a change's life: [`session`] (one life, from fencing the predecessor to the first failure),
//! [`publish`] (tables, plans, topics), [`ledger`] (what is safe), [`checkpoint`] (what is durable), [`run`] (what
//! happens between two lives).

pub mod checkpoint;
mod clock;
mod config;
mod error;
pub mod ledger;
mod metrics;
mod monitor;
mod publish;
mod run;
mod session;
mod shutdown;

pub use config::{Batch, Config};
pub use error::{Ended, Failure};
pub use metrics::Metrics;
pub use monitor::{Monitor, Progress, State, TableProgress};
pub use run::Pipeline;
pub use shutdown::Shutdown;
