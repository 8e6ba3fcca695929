//! One file for each command.

pub mod accept;
pub mod checkpoint;
pub mod config;
pub mod doctor;
pub mod run;
pub mod version;
