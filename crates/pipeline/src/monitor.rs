//! What the engine is doing, for those who look from outside (the status page, `/readyz`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

use crate::{Metrics, clock};

/// What the engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Fencing the predecessor, reading the checkpoint, connecting.
    #[default]
    Starting,
    /// Changes flow.
    Streaming,
    /// The last session failed; the next one begins after a pause.
    Retrying,
    /// Finishing the open batch before the end.
    Draining,
    /// A person must act.
    Stopped,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Streaming => "streaming",
            Self::Retrying => "retrying",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// The engine's progress at one moment.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub state: State,
    /// Since when, microseconds since 1970.
    pub since: i64,
    /// Why it does not stream.
    pub reason: Option<String>,
    /// What a person can do about it.
    pub help: Option<String>,
    /// This process, as its checkpoint names it.
    pub instance: String,
    pub connector: &'static str,
    pub server_identity: String,
    /// The last position that is durable in Kafka, and that the source has been told.
    pub durable_position: Option<String>,
    /// Commit time of the newest durable transaction, microseconds since 1970.
    pub last_commit_time: Option<i64>,
    /// When something last became durable, microseconds since 1970.
    pub durable_at: Option<i64>,
    pub batches: u64,
    pub tables: BTreeMap<String, TableProgress>,
    pub held: Vec<HeldTable>,
}

/// A table whose events are parked, because its new shape would harm consumers, or the registry does not have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldTable {
    pub table: String,
    /// Where its events go meanwhile.
    pub topic: String,
    /// Microseconds since 1970.
    pub since: i64,
    pub verdict: &'static str,
    pub reason: String,
    pub help: String,
    /// It is released, and its parked events are on their way back.
    pub returning: bool,
}

/// What is durable of one table since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableProgress {
    pub topic: String,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub truncates: u64,
    /// Rows copied by a snapshot.
    pub reads: u64,
    /// Messages that applications wrote into the log.
    pub messages: u64,
}

/// Shared with whoever looks. The engine writes once per batch.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    progress: Arc<Mutex<Progress>>,
    /// The metric that says the same as the state.
    streaming: Gauge,
    held: Gauge,
}

impl Monitor {
    /// One whose state these metrics show, too.
    pub fn new(metrics: &Metrics) -> Self {
        Self { progress: Arc::default(), streaming: metrics.streaming.clone(), held: metrics.tables_held.clone() }
    }

    /// A copy of the progress now.
    pub fn look(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// These tables are held now.
    pub(crate) fn hold(&self, held: Vec<HeldTable>) {
        self.held.set(i64::try_from(held.len()).unwrap_or(i64::MAX));
        self.change(|progress| progress.held = held);
    }

    /// Enters `state`; the moment is kept if it was in it already.
    pub(crate) fn enter(&self, state: State, reason: Option<String>, help: Option<String>) {
        self.streaming.set((state == State::Streaming).into());
        self.change(|progress| {
            if progress.state != state || progress.since == 0 {
                progress.since = clock::unix_micros();
            }
            progress.state = state;
            progress.reason = reason;
            progress.help = help;
        });
    }
}
