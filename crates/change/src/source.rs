//! The contract between a source and the engine.
//!
//! # The contract
//!
//! 1. [`Source::start`] connects and begins after the given position: the first change returned is the first one that
//!    the position does not cover. It refuses ([`SourceError::Stop`]) when the log has a gap there, when the server is
//!    another one, or when it is behind the position.
//! 2. [`Source::next`] returns changes in commit order, whole transactions one after the other: `Begin`, changes,
//!    `Commit`. Only committed changes ever appear. It waits at most the given time.
//! 3. [`Source::position`] is the place right after the step that `next` returned last. Between `Begin` and `Commit` it
//!    names a cut inside the transaction; starting from there yields the rest of it, with the same numbers.
//!    Copied rows come between two transactions, as chunks: `Chunk`, changes of kind `Read`, `Progress`, `Commit`. They do
//!    not move the position, and there is no cut inside them: rows and progress become durable together or not at all.
//!    A `Statement` comes where the log has it: inside a transaction between its changes (PostgreSQL), or between two
//!    transactions (MySQL, where it is one by itself and nothing begins or commits it). It is no change and has no number.
//!    The position behind it covers it, so who needs it later keeps it beside the checkpoint; of several for one statement
//!    of the database only the last has to move the position, so that a start may return the first ones again.
//! 4. [`Source::confirm`] tells the source that everything up to a position is durable downstream, and every `Progress` that
//!    was returned before. Only then may it let the database forget. A source keeps its connection alive by itself, however long nobody calls `next`.
//! 5. After any error the source is spent: it is dropped, or started again from a checkpoint. Nothing is replayed from
//!    memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{Change, Column, Copies, Position, Statement, Table, Transaction};

/// What the engine learns when it asks for the next thing.
pub enum Step<'a> {
    /// Nothing arrived in time. Outside a transaction [`Source::position`] may have moved nevertheless: the log went on
    /// without a change for us.
    Idle,
    /// A transaction begins.
    Begin(&'a Transaction),
    /// A statement that changes a table's definition, where the log has it. The shape that it makes comes later, before the
    /// first change that has it; none may ever come.
    Statement(&'a Statement),
    /// The shape of a table, before its first change and again whenever it differs.
    Table(&'a Arc<Table>),
    Change(Change<'a>),
    /// Rows of a table's copy begin. The transaction stands for the snapshot that shows them.
    Chunk(&'a Transaction),
    /// How far a copy is with the rows since `Chunk`, or, between two transactions, what a person wished of it: kept beside the checkpoint under `key`, for [`Resume::progress`].
    Progress {
        key: &'a str,
        text: &'a str,
    },
    /// The transaction of the last `Begin`, or the chunk, is complete. `more` tells whether bytes that were already received wait to be
    /// decoded: if not, the engine closes its batch for the sake of latency.
    Commit {
        more: bool,
    },
}

/// Facts about a source that never change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// `postgresql`, `mysql` or `mariadb`; the `connector` field of every event.
    pub connector: &'static str,
    /// The database that the connection is for, the `db` field of every event; `None`: a table's own, its schema.
    pub database: Option<String>,
    /// Which server this is, so that a checkpoint is never continued on a stranger (PostgreSQL: system identifier).
    pub server_identity: String,
    /// The columns that the `source` block has after the common ones.
    pub columns: Vec<Column>,
}

/// A database's log. See the module's documentation for the contract.
pub trait Source: Send {
    /// Connects, checks that the log can be continued without a gap, and begins after `from`; without a checkpoint at
    /// the place that the database itself remembers (PostgreSQL: the slot's `confirmed_flush_lsn`).
    ///
    /// Returns the facts about the server, and the tables that are captured now.
    fn start(&mut self, from: Option<&Resume>) -> Result<Started, SourceError>;

    /// Waits at most `wait` for the next step.
    fn next(&mut self, wait: Duration) -> Result<Step<'_>, SourceError>;

    /// The place right after the last step.
    fn position(&self) -> Position;

    /// Everything up to `position` is durable downstream.
    fn confirm(&mut self, position: &Position) -> Result<(), SourceError>;

    /// The copies of tables, for those who look from outside. The same for as long as the source lives.
    fn copies(&self) -> Copies;

    /// Ends the stream in good order, telling the database the last confirmed position.
    fn close(&mut self) -> Result<(), SourceError>;
}

/// Where to go on, as a checkpoint remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    pub position: Position,
    /// [`SourceInfo::server_identity`] at the time of the checkpoint.
    pub server_identity: String,
    /// What [`Step::Progress`] said last, by key.
    pub progress: BTreeMap<String, String>,
}

/// The answer to [`Source::start`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    pub info: SourceInfo,
    /// Where the stream begins.
    pub position: Position,
    /// The tables that are captured, as the catalogue shows them now. Their schemas can be registered before the first
    /// change; the log may still show another shape.
    pub tables: Vec<Arc<Table>>,
}

/// The captured tables as the catalogue shows them now, without a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Without the server's identity, which only a stream needs.
    pub info: SourceInfo,
    /// In the order of their names.
    pub tables: Vec<Table>,
}

/// Why a source cannot go on, by who must act.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The network, a restart, a rival for the slot: trying again may help.
    #[error("{what}")]
    Retry { what: String },
    /// A person must act: going on would lose or invent data. `help` is the next step, as an exact command where there
    /// is one.
    #[error("{what}")]
    Stop { what: String, help: String },
}

/// How bad a finding of `headwater doctor` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Good,
    Warning,
    Problem,
}

/// One thing that `headwater doctor` looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// What was looked at: `wal_level`, `slot shop`, `table public.orders`.
    pub subject: String,
    pub what: String,
    /// The exact command that mends it.
    pub help: Option<String>,
}
