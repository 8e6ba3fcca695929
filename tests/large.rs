//! A transaction far larger than memory passes through in pieces.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use testkit::process::peak_rss;
use testkit::{eventually, shared};

use crate::support::{PATIENCE, Scene};

/// How much of the connector may be resident at its worst.
const MOST: u64 = 64 << 20;
/// `HEADWATER_LARGE_ROWS` asks for more.
const ROWS: u64 = 1_000_000;

#[test]
fn big_transaction_bounded_memory() -> Result<()> {
    let rows = std::env::var("HEADWATER_LARGE_ROWS").ok().map_or(Ok(ROWS), |text| text.parse())?;
    let scene = Scene::new(
        "large",
        "create table big (id bigint primary key, amount numeric(12,2), note text); create table finish (id int primary key)",
    )?;
    let headwater = scene.start()?;
    let begin = Instant::now();
    scene.database.execute(&format!(
        "begin; insert into big select i, i / 7.0, 'row number ' || i from generate_series(1, {rows}) i;
         insert into finish values (1); commit"
    ))?;
    let (written, begin) = (begin.elapsed(), Instant::now());
    let deadline = PATIENCE + Duration::from_micros(rows * 100);
    eventually(deadline, "the end of the transaction", || {
        let seen = headwater.metric("headwater_rows_total")?.unwrap_or_default();
        ensure!(seen >= (rows + 1) as f64, "{seen} rows of {rows}");
        Ok(())
    })?;
    let published = begin.elapsed();
    let peak = peak_rss(headwater.pid())?;
    println!(
        "{rows} rows in one transaction: written in {written:.1?}, published {published:.1?} later, {} kB resident at most",
        peak / 1024
    );
    // The last change of the transaction knows how many there were.
    let last = &scene.events("finish", 1)?[0];
    assert_eq!(last.field("transaction.total_order").as_u64(), Some(rows + 1));
    let topic = scene.topic("big");
    assert_eq!(scene.oracle().count(&topic)? as u64, rows, "{}", headwater.output());
    each_once(&topic, rows).with_context(|| headwater.output())?;
    ensure!(peak <= MOST, "{peak} bytes were resident, {MOST} are promised");
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

/// The keys 1 to `rows`, each once. Reads the number out of the key by itself: a million events are too many to decode.
fn each_once(topic: &str, rows: u64) -> Result<()> {
    let consumer: BaseConsumer = shared::kafka()
        .client()
        .set("group.id", "large")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut seen = vec![false; usize::try_from(rows)?];
    for count in 0..rows {
        // a poll may come back early with nothing
        let message = eventually(PATIENCE, "a record", || {
            consumer.poll(Duration::from_secs(1)).with_context(|| format!("{count} of {rows} records"))
        })??;
        let id = number(message.key().context("a record without a key")?)?;
        let place = usize::try_from(id)?.checked_sub(1).and_then(|at| seen.get_mut(at));
        let place = place.with_context(|| format!("a row {id} that nobody wrote"))?;
        ensure!(!std::mem::replace(place, true), "row {id} came twice");
    }
    let more = consumer.poll(Duration::from_secs(1));
    ensure!(more.is_none(), "more than {rows} records");
    Ok(())
}

/// A frame of five bytes, then one Avro long.
fn number(key: &[u8]) -> Result<i64> {
    let body = key.get(5..).context("no frame")?;
    let raw = body.iter().rev().fold(0_u64, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
    Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}
