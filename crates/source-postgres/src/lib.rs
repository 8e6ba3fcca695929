//! PostgreSQL as a source of changes: logical replication by `pgoutput`, from bytes to `change::Change`.

pub mod lsn;
pub mod position;
pub mod value;
pub mod wire;
