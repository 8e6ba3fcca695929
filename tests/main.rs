//! headwater's promises, each a module, tested end to end on real servers.
//!
//! Servers are shared by all tests of a run; a test has a database, topics, a checkpoint topic and a pipeline of its own.
//! A test that stops or restarts a server starts one for itself.

mod support;

mod bad_input;
mod binlog;
mod certificates;
mod columns;
mod consuming;
mod delivery;
mod evolution;
mod failover;
mod faults_kafka;
mod faults_network;
mod faults_postgres;
mod faults_registry;
mod fencing;
mod held;
mod idle;
mod large;
mod messages;
mod ordering;
mod published;
mod resume;
mod retention;
mod rights;
mod road;
mod schema_check;
mod secrets;
mod snapshot;
mod subjects;
mod tables;
mod types;
mod verbs;
mod versions;
