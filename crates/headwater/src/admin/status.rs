//! What a running pipeline tells about itself: the JSON of `/status`, and the source of the page.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::{Admin, RetentionStatus};

/// What the engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Starting,
    Streaming,
    /// The network, a broker or the database is away; it is tried again.
    Retrying,
    /// A person must act.
    Stopped,
    /// SIGTERM came; what was read is being committed.
    Draining,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Streaming => "streaming",
            Self::Retrying => "retrying",
            Self::Stopped => "stopped",
            Self::Draining => "draining",
        }
    }
}

/// One pipeline, now. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    pub name: String,
    pub version: String,
    pub state: State,
    pub since: u64,
    /// Why it does not stream.
    pub reason: Option<String>,
    /// The exact next step.
    pub help: Option<String>,
    /// Whether the engine's threads are alive; only their death makes `/healthz` fail.
    pub alive: bool,
    pub source: SourceStatus,
    pub kafka: KafkaStatus,
    /// Row changes that became durable per second, lately.
    pub rows_per_second: Option<f64>,
    pub tables: Vec<TableStatus>,
    pub snapshots: Vec<SnapshotStatus>,
    /// Tables whose events are parked: as long as there is one, the pipeline is degraded.
    pub held: Vec<HeldStatus>,
}

/// A table whose events are parked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldStatus {
    pub table: String,
    /// Where its events go meanwhile.
    pub topic: String,
    /// Seconds since 1970.
    pub since: u64,
    pub verdict: String,
    pub reason: String,
    /// The exact next step.
    pub help: String,
    /// It is released, and its parked events are on their way back.
    pub returning: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SourceStatus {
    pub connector: String,
    pub database: Option<String>,
    pub server_identity: Option<String>,
    /// How far the log has been read.
    pub received_position: Option<String>,
    /// How far its changes are safe in Kafka; the database may forget what is before.
    pub durable_position: Option<String>,
    pub lag_seconds: Option<f64>,
    pub last_commit_time: Option<u64>,
    /// What the database keeps for us; null before it was asked, and while there is no slot.
    pub retention: Option<RetentionStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KafkaStatus {
    pub delivery: String,
    pub brokers: String,
    pub transactions_committed: u64,
}

/// What is durable of one table since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableStatus {
    pub name: String,
    pub topic: String,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub truncates: u64,
    /// Rows copied by a snapshot.
    pub reads: u64,
    /// Logical messages.
    pub messages: u64,
}

/// The copy of one table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotStatus {
    pub table: String,
    /// `waiting`, `copying`, `paused` or `complete`.
    pub state: String,
    /// Rows read so far.
    pub rows: u64,
    /// Rows that the table has, as the database estimates it.
    pub estimated_rows: Option<u64>,
    /// From 0 to 1.
    pub share: Option<f64>,
    pub rows_per_second: Option<f64>,
    pub seconds_left: Option<f64>,
}

/// `GET /status`
pub(super) async fn status(Extract(admin): Extract<Admin>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json((admin.status)()))
}
