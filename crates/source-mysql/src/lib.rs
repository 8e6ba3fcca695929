//! MySQL and MariaDB as a source of changes: the row binlog, from bytes to `change::Value`.
//!
//! What is here is pure, bytes in and values out: [`wire`] (events), [`table`] (shapes), [`value`] and [`json`] (columns),
//! [`row`] (row images) and [`gtid`] (positions).

pub mod flavour;
pub mod gtid;
pub mod json;
pub mod row;
pub mod table;
pub mod value;
pub mod wire;

pub use flavour::Flavour;
