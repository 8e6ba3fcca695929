//! What is larger than memory passes through in pieces, and what is many does not add up. `HEADWATER_LARGE_ROWS` and
//! `HEADWATER_TABLES` ask for more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use testkit::process::peak_rss;
use testkit::{Event, Headwater, Kafka, eventually, shared};

use crate::support::{PATIENCE, Scene, Store, insert_journaled};

/// How much of the connector may be resident at its worst.
const MOST: u64 = 64 << 20;

#[expect(clippy::print_stdout, reason = "a measurement is read")]
fn big_transaction_bounded_memory<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let rows = asked("HEADWATER_LARGE_ROWS", 1_000_000)?;
    // The journal is the transaction's last row.
    scene.tables = vec![format!("{}.*", scene.database.schema())];
    let headwater = scene.start()?;
    let begin = Instant::now();
    insert_journaled(&scene.database, 1, rows)?;
    let (written, begin) = (begin.elapsed(), Instant::now());
    eventually(patience(rows), "the end of the transaction", || {
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
    let last = &scene.events("journal", 1)?[0];
    assert_eq!(last.field("transaction.total_order").as_u64(), Some(rows + 1));
    let topic = scene.topic("items");
    assert_eq!(scene.oracle().count(&topic)? as u64, rows, "{}", headwater.output());
    each_once(shared::kafka(), &topic, rows).with_context(|| headwater.output())?;
    ensure!(peak <= MOST, "{peak} bytes were resident, {MOST} are promised");
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

/// How long a transaction of so many rows may take.
fn patience(rows: u64) -> Duration {
    PATIENCE + Duration::from_micros(rows * 100)
}

/// Pieces of it are in the topic when the process dies: the next one goes on behind the last of them.
fn killed_in_the_middle_of_a_large_transaction<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let rows = asked("HEADWATER_LARGE_ROWS", 200_000)?;
    // Many pieces, and time between them.
    scene.kafka = "batch.max_bytes = \"256KiB\"".to_owned();
    let kafka = scene.slow_broker(Duration::from_millis(50))?;
    let mut headwater = scene.start()?;
    insert_journaled(&scene.database, 1, rows)?;
    let published = |headwater: &Headwater, more_than: usize| {
        // The server sends the transaction from its beginning again, once it has read all of it.
        eventually(patience(rows), "more of the transaction", || {
            let count = scene.oracle().count(&scene.topic("items"))?;
            ensure!(count > more_than, "{count} rows\n{}", headwater.output());
            Ok(count)
        })
    };
    let mut count = 0;
    for _ in 0..4 {
        count = published(&headwater, count)?;
        headwater.kill9()?;
        ensure!((count as u64) < rows, "everything was published before the kill");
        headwater = scene.start()?;
    }
    kafka.proxy().resume()?;
    published(&headwater, usize::try_from(rows)? - 1)?;
    each_once(&kafka, &scene.topic("items"), rows).with_context(|| headwater.output())?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

/// One pipeline, many tables: all are copied, all stream, and memory stays small.
#[test]
fn many_tables_in_one_pipeline() -> Result<()> {
    let tables = asked("HEADWATER_TABLES", 150)?;
    let mut scene = Scene::new("many", "select")?;
    let create =
        |n: u64| format!("create table t{n} (id int primary key, a text, b timestamptz default now(), c numeric(9,2))");
    for first in (1..=tables).step_by(100) {
        let some: Vec<String> = (first..=tables.min(first + 99)).map(create).collect();
        scene.database.execute(&some.join(";"))?;
    }
    let each = |statement: &str| {
        let run = format!("do $$ begin for n in 1..{tables} loop execute format('{statement}', n); end loop; end $$");
        scene.database.execute(&run)
    };
    each("insert into t%s select i, ''copied'', now(), i from generate_series(1, 3) i")?;
    scene.source = "snapshot = \"initial\"".to_owned();
    let begin = Instant::now();
    let headwater = scene.launch()?;
    let patience = PATIENCE + Duration::from_millis(tables * 200);
    headwater.wait_ready(patience).with_context(|| headwater.output())?;
    let ready = begin.elapsed();
    each("insert into t%s values (4, ''streamed'', now(), 4)")?;
    eventually(patience, "all rows", || {
        let seen = headwater.metric("headwater_rows_total")?.unwrap_or_default();
        ensure!(seen >= (4 * tables) as f64, "{seen} rows of {tables} tables\n{}", headwater.process().tail());
        Ok(())
    })?;
    let (all, peak) = (begin.elapsed(), peak_rss(headwater.pid())?);
    println!(
        "{tables} tables: streaming after {ready:.1?}, all copied after {all:.1?}, {} kB resident at most",
        peak / 1024
    );
    for n in (1..=tables).step_by(usize::try_from(tables / 10)?.max(1)) {
        // What was inserted while the table was copied may come both as a change and as a copy.
        let ids =
            |events: &[Event]| events.iter().filter_map(|event| event.after("id").as_i64()).collect::<BTreeSet<_>>();
        let all = BTreeSet::from([1, 2, 3, 4]);
        scene.oracle().wait_for(&scene.topic(&format!("t{n}")), PATIENCE, |events| ids(events) == all)?;
    }
    ensure!(peak <= MOST, "{peak} bytes were resident, {MOST} are promised");
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

crate::support::everywhere!(big_transaction_bounded_memory, killed_in_the_middle_of_a_large_transaction);

/// A number that a variable may raise.
fn asked(variable: &str, default: u64) -> Result<u64> {
    Ok(std::env::var(variable).ok().map_or(Ok(default), |text| text.parse())?)
}

/// The keys 1 to `rows`, each once. Reads the number out of the key by itself: a million events are too many to decode.
fn each_once(kafka: &Kafka, topic: &str, rows: u64) -> Result<()> {
    let consumer: BaseConsumer = kafka
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
