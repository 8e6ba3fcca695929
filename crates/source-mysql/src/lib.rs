//! MySQL and MariaDB as a source of changes: the row binlog, from bytes to `change::Value`.
//!
//! Pure, bytes in and values out, are [`wire`] (events), [`table`] (shapes), [`value`] and [`json`] (columns), [`row`] (row
//! images), [`gtid`] (positions) and [`packet`] (the protocol's frames). [`connection`] speaks with the server.

mod auth;
mod config;
pub mod connection;
mod error;
pub mod flavour;
mod greeting;
pub mod gtid;
pub mod json;
pub mod packet;
mod public_key;
pub mod row;
mod sockopt;
pub mod table;
mod tls;
pub mod transport;
mod url;
pub mod value;
pub mod wire;

pub use config::{Config, Patterns};
pub use connection::{Connection, Purpose, Row};
pub use error::{Error, ServerError};
pub use flavour::Flavour;
pub use transport::Transport;
