//! What the neighbours can do without headwater: PostgreSQL's own client on the same slot, librdkafka with the same
//! records.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Message, Offset};
use testkit::Database;
use testkit::process::cpu_seconds;

use super::receipts::{assign, reader};
use super::stand::PUBLICATION;

const LIMIT: Duration = Duration::from_secs(60);

/// The time that `pg_recvlogical` needs to write a slot's log to the null device, exactly up to the end position.
pub(super) fn pg_recvlogical(database: &Database, slot: &str, end: &str) -> Result<Duration> {
    let mut command = Command::new(find_pg_recvlogical()?);
    command
        .args(["--host", "127.0.0.1", "--port", &database.port().to_string(), "--username", "postgres"])
        .args(["--dbname", &database.name, "--slot", slot, "--start", "--file", "/dev/null", "--no-loop"])
        .args(["--fsync-interval", "0", "--status-interval", "5", "--endpos", end])
        .args(["--option", "proto_version=1", "--option", &format!("publication_names={PUBLICATION}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let begin = Instant::now();
    let status = command.status().context("starting pg_recvlogical")?;
    ensure!(status.success(), "pg_recvlogical: {status}");
    Ok(begin.elapsed())
}

/// On the path, or where Debian puts it.
fn find_pg_recvlogical() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|found| found.path().join("bin"));
    let folders = std::env::split_paths(&path).chain(debian);
    let found = folders.map(|folder| folder.join("pg_recvlogical")).find(|file| file.is_file());
    found.context("pg_recvlogical is not installed (Debian: postgresql-client)")
}

/// A key and a value as they are in a topic.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// The first records of a topic.
pub(super) fn sample(brokers: &str, topic: &str, count: usize) -> Result<Vec<Record>> {
    let consumer = reader(brokers)?;
    assign(&consumer, topic, Offset::Beginning)?;
    let mut records = Vec::with_capacity(count);
    let begin = Instant::now();
    while records.len() < count {
        if begin.elapsed() > LIMIT {
            bail!("{topic} has only {} records, {count} were to be sampled", records.len());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        if let (Some(key), Some(value)) = (message.key(), message.payload()) {
            records.push((key.to_vec(), value.to_vec()));
        }
    }
    Ok(records)
}

/// What librdkafka needed.
pub(super) struct Produced {
    pub(super) time: Duration,
    pub(super) cpu_seconds: f64,
}

/// A producer with the settings that matter for throughput as headwater has them.
pub(super) fn producer(
    brokers: &str,
    transactional_id: Option<&str>,
) -> Result<ThreadedProducer<DefaultProducerContext>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.kbytes", "65536")
        .set("queue.buffering.max.messages", "200000");
    if let Some(id) = transactional_id {
        config.set("transactional.id", id);
    }
    Ok(config.create()?)
}

/// Produces the records over and over, `count` in all; in transactions of `per_transaction` records, or without.
pub(super) fn produce(
    brokers: &str,
    topic: &str,
    records: &[Record],
    count: u64,
    per_transaction: Option<u64>,
) -> Result<Produced> {
    let producer = producer(brokers, per_transaction.map(|_| topic))?;
    let transactional = per_transaction.is_some();
    if transactional {
        producer.init_transactions(LIMIT)?;
        producer.begin_transaction()?;
    }
    // The first record makes the topic, and is not measured.
    send(&producer, topic, &records[0])?;
    drain(&producer)?;
    let me = std::process::id();
    let (cpu, begin) = (cpu_seconds(me)?, Instant::now());
    for (number, record) in (1..=count).zip(records.iter().cycle()) {
        send(&producer, topic, record)?;
        if per_transaction.is_some_and(|rows| number % rows == 0 && number < count) {
            drain(&producer)?;
            producer.commit_transaction(LIMIT)?;
            producer.begin_transaction()?;
        }
    }
    drain(&producer)?;
    if transactional {
        producer.commit_transaction(LIMIT)?;
    }
    Ok(Produced { time: begin.elapsed(), cpu_seconds: cpu_seconds(me)? - cpu })
}

/// Hands one record over; waits while the queue is full.
pub(super) fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, record: &Record) -> Result<()> {
    let (key, value) = record;
    let mut message = BaseRecord::to(topic).key(key).payload(value).partition(0);
    loop {
        match producer.send(message) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                message = back;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Waits until the broker has everything. The binding's own flush waits in steps of 100 ms.
pub(super) fn drain(producer: &ThreadedProducer<DefaultProducerContext>) -> Result<()> {
    let begin = Instant::now();
    while producer.in_flight_count() > 0 {
        ensure!(begin.elapsed() < LIMIT, "{} records were not acknowledged", producer.in_flight_count());
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
