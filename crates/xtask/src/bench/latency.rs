//! From the commit of a single-row transaction to its receipt by a read-committed reader, beside a bare librdkafka loop.
//!
//! The clock of a row starts when its statement is sent, so the statement's own time is part of it. The load does not wait
//! for anybody: a slow spell shows in every row that it hits.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::producer::Producer;
use serde_json::{Value, json};
use testkit::Headwater;

use super::bounds;
use super::load::Load;
use super::receipts::{Receipt, Receipts, key_of_id};
use super::report::{Report, milliseconds, quantile};
use super::stand::{Stand, TABLE};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: super::Common,
    /// Transactions a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5000))]
    rate: u32,
    /// Seconds that count
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds before that do not count
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
}

const CATCH_UP: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let binary = options.common.binary(root)?;
    let stand = Stand::start()?;
    let mut report = Report::new("latency");
    bare_loop(&stand, options, &mut report)?;
    for delivery in ["exactly-once", "at-least-once"] {
        through_headwater(&stand, &binary, options, delivery, &mut report)?;
    }
    report.table();
    Ok(())
}

fn through_headwater(
    stand: &Stand,
    binary: &Path,
    options: &Options,
    delivery: &'static str,
    report: &mut Report,
) -> Result<()> {
    stand.database.execute("truncate orders")?;
    let pipeline = stand.pipeline(if delivery == "exactly-once" { "latency_once" } else { "latency_least" }, delivery);
    let headwater = Headwater::start(binary, &pipeline.toml())?;
    headwater.wait_ready(LIMIT)?;
    stand.insert(1)?;
    let receipts = receipts_of_new_topic(stand, &pipeline.topic(TABLE))?;
    receipts.wait_for(LIMIT, |receipt| receipt.id == 1)?;
    let load = Load::start(&stand.database, 2, options.rate)?;
    std::thread::sleep(Duration::from_secs(options.warm_up + options.seconds));
    let sent = load.stop()?;
    let last = sent.at.keys().max().copied().unwrap_or(1);
    receipts.wait_for(CATCH_UP, |receipt| receipt.id == last)?;
    let received = receipts.stop()?;
    ensure!(received.len() == sent.at.len() + 1, "{} records for {} rows", received.len(), sent.at.len() + 1);
    let counts_from =
        sent.at.values().min().copied().unwrap_or_else(Instant::now) + Duration::from_secs(options.warm_up);
    let of = |receipt: &Receipt| {
        let sent = sent.at.get(&receipt.id).filter(|sent| **sent >= counts_from)?;
        Some(receipt.at - *sent)
    };
    let latencies: Vec<Duration> = received.iter().filter_map(of).collect();
    report.add(&format!("headwater {delivery}"), &values(&latencies, sent.worst_lateness));
    headwater.terminate(LIMIT)?;
    stand.drop_slot(&pipeline.name)
}

/// Waits until the topic exists, then reads it.
pub(super) fn receipts_of_new_topic(stand: &Stand, topic: &str) -> Result<Receipts> {
    use rdkafka::consumer::Consumer;
    let consumer = super::receipts::reader(&stand.kafka.bootstrap())?;
    testkit::eventually(LIMIT, &format!("topic {topic}"), || {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5))?;
        let there = metadata.topics().iter().any(|found| !found.partitions().is_empty());
        ensure!(there, "it does not exist");
        Ok::<(), anyhow::Error>(())
    })?;
    Receipts::start(&stand.kafka.bootstrap(), topic)
}

/// Transactions of events and one position, as headwater writes them, without a database or headwater. What is due while
/// a transaction is being committed goes together into the next one.
fn bare_loop(stand: &Stand, options: &Options, report: &mut Report) -> Result<()> {
    let producer = bounds::producer(&stand.kafka.bootstrap(), Some("bare"))?;
    producer.init_transactions(LIMIT)?;
    let transaction = |ids: std::ops::RangeInclusive<u64>| -> Result<()> {
        producer.begin_transaction()?;
        for id in ids {
            bounds::send(&producer, "bare_events", &(key_of_id(id), vec![7; 340]))?;
        }
        bounds::send(&producer, "bare_positions", &(b"bare".to_vec(), vec![7; 200]))?;
        bounds::drain(&producer)?;
        Ok(producer.commit_transaction(LIMIT)?)
    };
    transaction(0..=0)?;
    let receipts = receipts_of_new_topic(stand, "bare_events")?;
    receipts.wait_for(LIMIT, |receipt| receipt.id == 0)?;
    let (begin, interval) = (Instant::now(), Duration::from_secs(1) / options.rate);
    let warm_up = options.rate * u32::try_from(options.warm_up)?;
    let last = warm_up + options.rate * u32::try_from(options.seconds)?;
    let mut sent = 0;
    let mut worst_lateness = Duration::ZERO;
    while sent < last {
        let due = begin + interval * (sent + 1);
        match due.checked_duration_since(Instant::now()) {
            Some(early) => std::thread::sleep(early),
            None => worst_lateness = worst_lateness.max(due.elapsed()),
        }
        let all_due = u32::try_from(begin.elapsed().as_nanos() / interval.as_nanos())?.clamp(sent + 1, last);
        transaction(u64::from(sent + 1)..=u64::from(all_due))?;
        sent = all_due;
    }
    receipts.wait_for(CATCH_UP, |receipt| receipt.id == u64::from(last))?;
    let of = |receipt: &Receipt| {
        let id = u32::try_from(receipt.id).ok().filter(|id| *id > warm_up)?;
        Some(receipt.at.saturating_duration_since(begin + interval * id))
    };
    let latencies: Vec<Duration> = receipts.stop()?.iter().filter_map(of).collect();
    report.add("bare librdkafka loop", &values(&latencies, worst_lateness));
    Ok(())
}

fn values(latencies: &[Duration], worst_lateness: Duration) -> Value {
    json!({
        "transactions": latencies.len(),
        "p50_ms": milliseconds(quantile(latencies, 0.5)),
        "p99_ms": milliseconds(quantile(latencies, 0.99)),
        "max_ms": milliseconds(quantile(latencies, 1.0)),
        "load_late_by_ms": milliseconds(worst_lateness),
    })
}
