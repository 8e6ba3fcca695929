//! Changes become Avro events.
//!
//! Pure: bytes and values in, bytes and text out. No runtime, no socket, no clock (the caller says what time it is).
//!
//! | module | what it answers |
//! |---|---|
//! | [`name`] | what a table's topic, and its columns' Avro fields, are called: a reversible rule without collisions |
//! | [`schema`] | the text of a table's key and value schema, the same bytes for the same table |
//! | [`encode`] | the records of a change, by a plan that is compiled once for a table and never allocates for a row |
//! | [`render`] | the same event for a person: one JSON object, or one line on a terminal |
//! | [`control`] | events about tables rather than rows: a schema change, and the last event of a topic |
//! | [`registered`] | a table as its registered schemas remember it |
//! | [`compatibility`] | what a change of a table does to those who read its events, and what a registry would say of it |
//!
//! # The event
//!
//! ```text
//! Envelope { before, after, source, transaction, op, ts_ms, ts_us, ts_ns, absent }
//! ```
//!
//! The first eight follow the Debezium envelope. `absent` makes an event total: a field that shows null although the
//! database's value is not NULL is listed there with the reason and, where the log has it, the value's own text. A
//! consumer that does not care reads a null; nobody reads an invented value.
//!
//! # Which records a change makes
//!
//! | change | records |
//! |---|---|
//! | insert | `c` |
//! | update | `u` |
//! | update of the key | `d` of the old key, tombstone, `c` of the new key |
//! | delete | `d`, tombstone |
//! | truncate | `t`, without a Kafka key: it concerns every key of the table |
//!
//! A table without a key has records without a key, and no tombstones. Tombstones can be turned off.

pub mod compatibility;
pub mod control;
pub mod encode;
pub mod name;
pub mod registered;
pub mod render;
pub mod schema;

mod array;
mod digits;
mod wire;

#[cfg(test)]
mod fixture;

pub use encode::{EncodeError, Entry, Image, Options, Plan, Records, Stream};
pub use name::{NameError, control_topic, topic, topic_version};
pub use registered::{NoTable, registered_table};
pub use schema::{Naming, avro_words, key_record, key_schema, value_record, value_schema};
