//! How fast a backlog is drained: one slot, copied for each reader, so that all read the same log from the same place.
//!
//! The log ends where the fill ended. `pg_recvlogical` reads exactly to there (`--endpos`); headwater's time ends when its
//! own count of durable rows is complete, and the topic is counted afterwards by a reader of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testkit::process::{cpu_seconds, peak_rss};
use testkit::{Flavour, Headwater, Kafka, Oracle, Registry};

use super::binlog;
use super::bounds::{self, Produced, Record};
use super::report::{Report, per_second, rounded};
use super::stand::{Stand, TABLE};
use crate::product::Pipeline;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: super::Common,
    /// Single-row inserts
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub(super) rows: u64,
    /// Rows of a database transaction
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) per_transaction: u64,
    /// Records of a Kafka transaction in librdkafka's own run
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    kafka_transaction: u64,
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub(super) runs: u64,
    /// exactly-once or at-least-once
    #[arg(long, default_value = "exactly-once", value_parser = ["exactly-once", "at-least-once"])]
    delivery: String,
    /// The kind of database
    #[arg(long, default_value = "postgres", value_parser = ["postgres", "mysql", "mariadb"])]
    source: String,
}

impl Options {
    pub(super) fn delivery(&self) -> &'static str {
        if self.delivery == "exactly-once" { "exactly-once" } else { "at-least-once" }
    }

    /// What the numbers are about.
    pub(super) fn remark(&self, records: &[Record]) -> String {
        let bytes: usize = records.iter().map(|(key, value)| key.len() + value.len()).sum();
        let each = bytes / records.len().max(1);
        format!("\nrecords of {each} bytes, keys included; {} rows a transaction", self.per_transaction)
    }
}

/// The run before it warms the broker up, whose first seconds go to its compiler.
pub(super) const FIRST: u64 = 1;

const BASE: &str = "bench_base";
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let binary = options.common.binary(root)?;
    match options.source.as_str() {
        "mysql" => return binlog::run(&binary, Flavour::MySql, options),
        "mariadb" => return binlog::run(&binary, Flavour::MariaDb, options),
        _ => {}
    }
    let stand = Stand::start()?;
    stand.create_slot(BASE)?;
    crate::say(&format!("bench: filling {} rows", options.rows));
    let end = stand.fill(options.rows, options.per_transaction)?;
    let mut report = Report::new("drain");
    let mut records: Vec<Record> = Vec::new();
    let mut warming_up = Report::new("warming up");
    for run in 0..=options.runs {
        let report = if run < FIRST { &mut warming_up } else { &mut report };
        let receiver = format!("bench_receive_{run}");
        stand.copy_slot(BASE, &receiver)?;
        let received = bounds::pg_recvlogical(&stand.database, &receiver, &end)?;
        stand.drop_slot(&receiver)?;
        report.add("pg_recvlogical", &json!({ "run": run, "rows_per_s": per_second(options.rows, received) }));

        let pipeline = stand.pipeline(&format!("bench_{run}"), options.delivery());
        stand.copy_slot(BASE, &pipeline.name)?;
        let drained = drain(&stand.kafka, &stand.registry, &binary, &pipeline, options.rows)?;
        stand.drop_slot(&pipeline.name)?;
        let measured = Measured { run, options, kafka: &stand.kafka, pipeline: &pipeline };
        let produced = measured.produce(&mut records)?;
        measured.report(report, &drained, Some(received), &produced);
    }
    report.table();
    crate::say(&options.remark(&records));
    Ok(())
}

/// One run, for the report.
pub(super) struct Measured<'a> {
    pub(super) run: u64,
    pub(super) options: &'a Options,
    pub(super) kafka: &'a Kafka,
    pub(super) pipeline: &'a Pipeline,
}

impl Measured<'_> {
    /// Produces the same records with librdkafka alone, plainly and in transactions. `records` is a sample of them, taken
    /// at the first run.
    pub(super) fn produce(&self, records: &mut Vec<Record>) -> Result<[Produced; 2]> {
        let (brokers, rows) = (self.kafka.bootstrap(), self.options.rows);
        if records.is_empty() {
            *records = bounds::sample(&brokers, &self.pipeline.topic(TABLE), rows.min(100_000) as usize)?;
        }
        let produce = |per_transaction: Option<u64>| {
            let topic = format!("bound_{}_{}", self.run, per_transaction.unwrap_or_default());
            bounds::produce(&brokers, &topic, records, rows, per_transaction)
        };
        Ok([produce(None)?, produce(Some(self.options.kafka_transaction))?])
    }

    pub(super) fn report(
        &self,
        report: &mut Report,
        drained: &Drained,
        received: Option<Duration>,
        produced: &[Produced; 2],
    ) {
        let Options { rows, .. } = *self.options;
        let millions = rows as f64 / 1e6;
        let ratio = |bound: Duration| rounded(bound.as_secs_f64() / drained.streaming.as_secs_f64(), 2);
        let mut values = json!({
            "run": self.run,
            "rows_per_s": per_second(rows, drained.streaming),
            "to_librdkafka": ratio(produced[1].time),
            "with_start_s": rounded(drained.whole.as_secs_f64(), 2),
            "cpu_s_per_million": rounded(drained.cpu_seconds / millions, 2),
            "peak_rss_mib": rounded(drained.peak_rss as f64 / f64::from(1 << 20), 1),
        });
        if let Some(received) = received {
            values["to_pg_recvlogical"] = json!(ratio(received));
        }
        report.add(&format!("headwater {}", self.options.delivery()), &values);
        for (what, produced) in ["librdkafka", "librdkafka in transactions"].iter().zip(produced) {
            report.add(
                what,
                &json!({
                    "run": self.run,
                    "rows_per_s": per_second(rows, produced.time),
                    "cpu_s_per_million": rounded(produced.cpu_seconds / millions, 2),
                }),
            );
        }
    }
}

/// What headwater needed.
pub(super) struct Drained {
    /// From the first look at which it was streaming.
    streaming: Duration,
    /// From the start of the process.
    whole: Duration,
    cpu_seconds: f64,
    peak_rss: u64,
}

/// Starts the pipeline and ends it again: where it begins is in its checkpoint then.
pub(super) fn take_position(binary: &Path, pipeline: &Pipeline) -> Result<()> {
    let headwater = Headwater::start(binary, &pipeline.toml())?;
    wait_until(&headwater, "headwater_streaming", 1)?;
    let code = headwater.terminate(Duration::from_secs(30))?;
    ensure!(code == 0, "headwater ended with {code}; its log:\n{}", headwater.output());
    Ok(())
}

pub(super) fn drain(
    kafka: &Kafka,
    registry: &Registry,
    binary: &Path,
    pipeline: &Pipeline,
    rows: u64,
) -> Result<Drained> {
    let begin = Instant::now();
    let headwater = Headwater::start(binary, &pipeline.toml())?;
    let streaming = wait_until(&headwater, "headwater_streaming", 1)?;
    let end = wait_until(&headwater, "headwater_rows_total", rows)?;
    let (cpu_seconds, peak_rss) = (cpu_seconds(headwater.pid())?, peak_rss(headwater.pid())?);
    let code = headwater.terminate(Duration::from_secs(30))?;
    ensure!(code == 0, "headwater ended with {code}; its log:\n{}", headwater.output());
    let count = Oracle::new(kafka, registry).count(&pipeline.topic(TABLE))?;
    ensure!(count as u64 == rows, "the topic has {count} records, {rows} were expected");
    Ok(Drained { streaming: end - streaming, whole: end - begin, cpu_seconds, peak_rss })
}

/// The moment at which a metric was seen to have reached a value.
pub(super) fn wait_until(headwater: &Headwater, metric: &str, value: u64) -> Result<Instant> {
    let begin = Instant::now();
    loop {
        if let Some(status) = headwater.process().exited()? {
            anyhow::bail!("headwater ended with {status}; its log:\n{}", headwater.output());
        }
        // The listener may not be up yet.
        let seen = headwater.metric(metric).ok().flatten();
        if seen.is_some_and(|seen| seen >= value as f64) {
            return Ok(Instant::now());
        }
        let shown = || format!("{metric} is {seen:?} after {LIMIT:?}; the log:\n{}", headwater.process().tail());
        (begin.elapsed() < LIMIT).then_some(()).with_context(shown)?;
        std::thread::sleep(Duration::from_millis(100));
    }
}
