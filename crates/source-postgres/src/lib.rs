//! PostgreSQL as a source of changes: logical replication by `pgoutput`, from bytes to `change::Change`.

mod auth;
mod catalog;
mod check;
mod config;
mod connection;
mod error;
pub mod lsn;
pub mod position;
mod publication;
mod queue;
mod reader;
mod relation;
mod resolve;
mod retention;
mod row;
mod slot;
mod snapshot;
mod sockopt;
mod sql;
mod start;
mod stream;
mod tls;
mod transport;
pub mod types;
mod url;
pub mod value;
mod watch;
pub mod wire;

pub use check::check;
pub use config::{Config, Patterns};
pub use copying::Snapshot;
pub use error::{Error, ServerError};
pub use relation::bare_table;
pub use retention::SlotGuard;
pub use slot::{SlotStatus, drop_slot, slot_status};
pub use stream::PostgresSource;
