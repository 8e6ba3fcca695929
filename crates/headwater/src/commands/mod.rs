//! One file for each command.

pub mod config;
pub mod doctor;
pub mod version;
