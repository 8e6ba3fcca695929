//! One file for each command.

pub mod accept;
pub mod checkpoint;
pub mod config;
pub mod diagnose;
pub mod doctor;
pub mod durability;
mod process;
pub mod run;
pub mod schema;
pub mod snapshot;
pub mod tail;
pub mod version;
