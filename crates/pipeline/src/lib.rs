//! The engine: takes changes from a source, encodes them, publishes them with the position inside the same Kafka
//! transaction, and lets the source forget only what is durable.
//!
//! Read in the order of a change's life: [`session`] (one life, from fencing the predecessor to the first failure),
//! [`prepare`] (tables become outlets), [`publish`] (changes become records), [`ledger`] (what is safe), [`checkpoint`] (what is durable), [`run`] (what
//! happens between two lives). [`evolution`] is what tables that change their shape go through, [`returning`] how parked events
//! come back, [`announce`] what the control topic is told.

mod announce;
pub mod checkpoint;
mod clock;
mod config;
mod error;
mod evolution;
pub mod ledger;
mod metrics;
mod monitor;
mod prepare;
mod publish;
mod returning;
mod run;
mod schemas;
mod session;
mod shutdown;

pub use config::{Batch, Config};
pub use error::{Ended, Failure};
pub use evolution::{Answer, How, OnChange, Policy, Releases};
pub use metrics::Metrics;
pub use monitor::{HeldTable, Monitor, Progress, State, TableProgress};
pub use run::Pipeline;
pub use shutdown::Shutdown;
