//! MySQL and MariaDB as a source of changes: the row binlog, from bytes to `change::Value`.
//!
//! Pure, bytes in and values out, are [`wire`] (events), [`table`] (shapes), [`value`] and [`json`] (columns), [`row`] (row
//! images), [`gtid`] (sets of transactions) and [`packet`] (the protocol's frames). [`connection`] speaks with the server,
//! and [`stream`] is the road from it to the changes.

pub mod accept;
mod auth;
mod catalog;
mod check;
mod config;
pub mod connection;
mod declared;
pub mod definition;
mod describe;
mod error;
pub mod families;
pub mod flavour;
mod greeting;
pub mod gtid;
mod history;
pub mod json;
pub mod packet;
pub mod position;
mod public_key;
mod queue;
mod reader;
pub mod row;
mod scratch;
mod script;
mod snapshot;
mod source_row;
mod start;
pub mod statement;
pub mod stream;
pub mod table;
mod tls;
mod url;
pub mod value;
mod watch;
pub mod wire;

pub use check::check;
pub use config::{Config, Patterns};
pub use connection::{Connection, Purpose, Row};
pub use copying::Snapshot;
pub use describe::describe;
pub use error::{Error, ServerError};
pub use flavour::Flavour;
pub use scratch::Scratch;
pub use stream::MySqlSource;
pub use transport::Transport;
