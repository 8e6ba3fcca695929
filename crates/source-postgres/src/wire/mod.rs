//! PostgreSQL's replication protocol, bytes to messages: frames, `pgoutput` (protocol 1), tuples.
//!
//! Pure, and total: any bytes give a message or a [`WireError`]; nothing panics, nothing is skipped.
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

pub mod frame;
pub mod pgoutput;
pub mod reader;
pub mod tuple;

pub use reader::WireError;
