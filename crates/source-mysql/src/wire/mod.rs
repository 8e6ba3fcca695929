//! The binlog, bytes to events: headers, checksums, every event of MySQL 8.0–9.x and MariaDB 10.6–11.8, row images.
//!
//! Pure, and total: any bytes give an event or an error with the event's number; nothing panics, nothing is skipped.
#![deny(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests may"
    )
)]

pub mod cell;
pub mod checksum;
pub mod compressed;
pub mod event;
pub mod format;
pub mod gtid;
pub mod header;
pub mod mariadb;
pub mod metadata;
pub mod other;
pub mod payload;
pub mod query;
pub mod reader;
pub mod rotate;
pub mod rows;
pub mod table_map;

pub use event::{Decoder, Event, EventError, Framed};
pub use reader::WireError;
