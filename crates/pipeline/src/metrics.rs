//! Every metric of the engine, by name and meaning. Counted per batch, never per row.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// Table and operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RowLabels {
    pub table: String,
    pub op: &'static str,
}

/// A neighbour of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LegLabels {
    pub leg: String,
}

/// The engine's metrics. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub rows: Family<RowLabels, Counter>,
    pub records: Counter,
    pub record_bytes: Counter,
    pub batches: Counter,
    pub commit_seconds: Histogram,
    pub failures: Family<LegLabels, Counter>,
    pub lag_seconds: Gauge<f64, AtomicU64>,
    pub last_durable: Gauge<f64, AtomicU64>,
    pub streaming: Gauge,
    pub tables_held: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rows: Family::default(),
            records: Counter::default(),
            record_bytes: Counter::default(),
            batches: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            failures: Family::default(),
            lag_seconds: Gauge::default(),
            last_durable: Gauge::default(),
            streaming: Gauge::default(),
            tables_held: Gauge::default(),
        }
    }
}

impl Metrics {
    /// With one sample in each family: for the reference page, which shows the labels.
    pub fn sample() -> Self {
        let metrics = Self::default();
        metrics.rows.get_or_create(&RowLabels { table: String::new(), op: "c" }).inc_by(0);
        metrics.failures.get_or_create(&LegLabels { leg: String::new() }).inc_by(0);
        metrics
    }

    /// Gives every metric its public name. The texts are the reference documentation.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "headwater_rows",
            "Row changes that are durable in Kafka, by table and operation (c, u, d, t, r, m)",
            self.rows.clone(),
        );
        registry.register(
            "headwater_records",
            "Kafka records that are durable, tombstones included, checkpoints not",
            self.records.clone(),
        );
        registry.register(
            "headwater_record_bytes",
            "Bytes of keys and values of durable records, before compression",
            self.record_bytes.clone(),
        );
        registry.register(
            "headwater_batches",
            "Batches that became durable; with exactly-once delivery, committed Kafka transactions",
            self.batches.clone(),
        );
        registry.register(
            "headwater_commit_seconds",
            "Time from closing a batch until it was durable",
            self.commit_seconds.clone(),
        );
        registry.register(
            "headwater_failures",
            "Sessions that ended by a failure that is retried, by neighbour (source, kafka, registry)",
            self.failures.clone(),
        );
        registry.register(
            "headwater_lag_seconds",
            "From the commit in the database to the durable event, of the newest durable transaction",
            self.lag_seconds.clone(),
        );
        registry.register(
            "headwater_last_durable_timestamp_seconds",
            "When a batch or an idle checkpoint last became durable, seconds since 1970",
            self.last_durable.clone(),
        );
        registry.register(
            "headwater_streaming",
            "1 while changes flow, 0 while starting, retrying or stopped",
            self.streaming.clone(),
        );
        registry.register(
            "headwater_tables_held",
            "Tables whose events are parked, because their new shape would harm consumers or the registry does not have it",
            self.tables_held.clone(),
        );
    }
}
