//! From what the engine and the configuration know to what the admin listener shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use change::{Copies, TableCopy, TableName};
use pipeline::{HeldTable, Metrics, Monitor, Progress};
use prometheus_client::registry::Registry;

use crate::admin::{
    HeldStatus, KafkaStatus, MetricsSource, SnapshotStatus, SourceStatus, State, Status, StatusSource, TableStatus,
};
use crate::assemble::VERSION;
use crate::config::Config;
use crate::metrics;
use crate::retention::{self, Shown};

/// The status of a running pipeline, asked for at every request.
pub fn source(
    config: &Config,
    monitor: &Monitor,
    copies: &Copies,
    kept: &Shown,
    alive: &Arc<AtomicBool>,
) -> StatusSource {
    let (monitor, copies, kept, alive) = (monitor.clone(), copies.clone(), kept.clone(), Arc::clone(alive));
    let name = config.name.clone();
    let (delivery, brokers) = (config.kafka.delivery.as_str().to_owned(), config.kafka.brokers.clone());
    Arc::new(move || {
        let progress = monitor.look();
        let kafka = KafkaStatus {
            delivery: delivery.clone(),
            brokers: brokers.clone(),
            transactions_committed: progress.batches,
        };
        let mut status = describe(&name, progress, kafka, alive.load(Ordering::Relaxed));
        status.source.retention = kept.look().map(Into::into);
        status.snapshots = copies.all().into_iter().map(snapshot).collect();
        status
    })
}

fn describe(name: &str, progress: Progress, kafka: KafkaStatus, alive: bool) -> Status {
    let lag = progress.durable_at.zip(progress.last_commit_time).map(|(durable, commit)| seconds(durable - commit));
    let tables = progress.tables.into_iter().map(|(name, table)| TableStatus {
        name,
        topic: table.topic,
        inserts: table.inserts,
        updates: table.updates,
        deletes: table.deletes,
        truncates: table.truncates,
        reads: table.reads,
        messages: table.messages,
    });
    Status {
        name: name.to_owned(),
        version: VERSION.to_owned(),
        state: state(progress.state),
        since: whole_seconds(progress.since),
        reason: progress.reason,
        help: progress.help,
        alive,
        source: SourceStatus {
            connector: progress.connector.to_owned(),
            server_identity: Some(progress.server_identity).filter(|identity| !identity.is_empty()),
            durable_position: progress.durable_position,
            lag_seconds: lag,
            last_commit_time: progress.last_commit_time.map(whole_seconds),
            ..SourceStatus::default()
        },
        kafka,
        rows_per_second: None,
        tables: tables.collect(),
        snapshots: Vec::new(),
        held: progress.held.into_iter().map(held).collect(),
    }
}

fn held(held: HeldTable) -> HeldStatus {
    HeldStatus {
        table: held.table,
        topic: held.topic,
        since: whole_seconds(held.since),
        verdict: held.verdict.to_owned(),
        reason: held.reason,
        help: held.help,
        returning: held.returning,
    }
}

fn snapshot((table, copy): (TableName, TableCopy)) -> SnapshotStatus {
    SnapshotStatus {
        table: table.to_string(),
        state: copy.state.name().to_owned(),
        rows: copy.rows,
        estimated_rows: copy.estimate,
        share: copy.share(),
        rows_per_second: copy.rows_per_second,
        seconds_left: copy.seconds_left(),
    }
}

fn state(state: pipeline::State) -> State {
    match state {
        pipeline::State::Starting => State::Starting,
        pipeline::State::Streaming => State::Streaming,
        pipeline::State::Retrying => State::Retrying,
        pipeline::State::Draining => State::Draining,
        pipeline::State::Stopped => State::Stopped,
    }
}

fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}

fn whole_seconds(micros: i64) -> u64 {
    u64::try_from(micros / 1_000_000).unwrap_or(0)
}

/// The text of all metrics, asked for at every scrape.
pub fn metrics(engine: &Metrics, copies: &Copies, kept: &Shown) -> MetricsSource {
    let registry = Arc::new(registry(engine, copies, kept));
    Arc::new(move || metrics::encode(&registry))
}

/// The engine's metrics, the source's and the process's.
pub fn registry(engine: &Metrics, copies: &Copies, kept: &Shown) -> Registry {
    let mut registry = Registry::default();
    engine.register(&mut registry);
    metrics::register_copies(&mut registry, copies);
    retention::register(&mut registry, kept);
    metrics::register_process(&mut registry, VERSION);
    registry
}
