//! The binary's parts: command line, configuration, admin HTTP, metrics, logging. It assembles; it decides nothing about
//! changes.

pub mod admin;
pub mod assemble;
pub mod cli;
pub mod commands;
pub mod config;
pub mod database;
pub mod exit;
pub mod failure;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod output;
pub mod retention;
pub mod signals;
pub mod status;
