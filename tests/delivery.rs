//! What exactly-once means paragraph by paragraph, and the other mode.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value as Json;
use testkit::{eventually, seed, shared};

use crate::support::{PATIENCE, Scene, Writer, command, insert_journaled, wait_status};

#[test]
fn the_checkpoint_is_in_the_transaction_of_its_events() -> Result<()> {
    let scene = Scene::journaled("atomic")?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 5)?;
    scene.judge()?;
    let config = headwater.config().display().to_string();
    let (code, shown) = command(&["checkpoint", "show", "-c", &config, "--output", "json"])?;
    ensure!(code == 0, "{shown}");
    let shown: Json = serde_json::from_str(&shown)?;
    let position = shown["position"].as_str().context("no position")?.to_owned();
    let covers = scene.database.value(&format!(
        "select pg_wal_lsn_diff('{position}', (select ('0/0'::pg_lsn + {}::numeric))) > 0",
        scene.events("items", 5)?[4].field("source.lsn")
    ))?;
    assert_eq!(covers, "t", "the checkpoint {position} covers the visible events");
    Ok(())
}

#[test]
fn an_open_transaction_of_another_pipeline_hides_nothing() -> Result<()> {
    let scene = Scene::journaled("hidden")?;
    let topic = format!("{}.checkpoints", scene.name);
    let first = scene.start()?;
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge()?;
    // Another producer opens a transaction on the checkpoint topic: what comes behind it is hidden from readers.
    let other: BaseProducer = shared::kafka()
        .client()
        .set("transactional.id", format!("{}-other", scene.name))
        .set("transaction.timeout.ms", "8000")
        .create()?;
    other.init_transactions(PATIENCE)?;
    other.begin_transaction()?;
    other.send(BaseRecord::to(&topic).key("other").payload("open")).map_err(|(error, _)| error)?;
    other.flush(PATIENCE)?;
    insert_journaled(&scene.database, 10, 3)?;
    scene.judge()?;
    first.kill9()?;
    // The broker ends the other transaction after 8 s; until then the end of the topic cannot be read, and nothing may be
    // published from an older position.
    let second = scene.start()?;
    insert_journaled(&scene.database, 20, 3)?;
    scene.judge()?;
    ensure!(second.output().contains("open transaction hides"), "the wait is reported:\n{}", second.output());
    Ok(())
}

#[test]
fn the_checkpoint_topic_is_compacted_and_checked() -> Result<()> {
    let scene = Scene::journaled("compact")?;
    let topic = format!("{}.checkpoints", scene.name);
    shared::kafka().create_topic(&topic, 1, &[("cleanup.policy", "delete")])?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    ensure!(output.contains("cleanup.policy") && output.contains("kafka-configs"), "{output}");
    Ok(())
}

#[test]
fn records_without_a_checkpoint_are_refused_and_can_be_accepted() -> Result<()> {
    let scene = Scene::journaled("unknown")?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 2)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    shared::kafka().delete_topic(&format!("{}.checkpoints", scene.name))?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    ensure!(headwater.output().contains("already holds records"), "{}", headwater.output());
    let config = headwater.config().display().to_string();
    let (code, dry) = command(&["accept", "gap", "-c", &config])?;
    ensure!(code == 0 && dry.contains("dry run"), "{dry}");
    let (code, done) = command(&["accept", "gap", "-c", &config, "--yes"])?;
    ensure!(code == 0, "{done}");
    let _headwater = scene.start()?;
    insert_journaled(&scene.database, 10, 2)?;
    scene.judge()
}

#[test]
fn at_least_once_loses_nothing() -> Result<()> {
    let seed = seed("at_least_once_loses_nothing");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut scene = Scene::journaled("alo")?;
    scene.kafka = "delivery = \"at-least-once\"".to_owned();
    scene.start()?.kill9()?;
    let writer = Writer::start(&scene.database, seed, Duration::from_millis(2))?;
    for _ in 0..5 {
        let headwater = scene.start()?;
        std::thread::sleep(Duration::from_millis(random.u64(0..500))); // the random moment of the kill
        headwater.kill9()?;
    }
    let _headwater = scene.start()?;
    writer.finish()?;
    let table: usize = scene.database.value("select count(*) from items")?.parse()?;
    eventually(PATIENCE, "the topic to say what the table says", || {
        let events = scene.oracle().read(&scene.topic("items"))?;
        let topic = testkit::oracle::replay(&events)?;
        ensure!(topic.len() == table, "{} rows by the topic, {table} in the table", topic.len());
        let expected: usize = scene.database.value("select coalesce(sum(changes), 0) from journal")?.parse()?;
        let count = events.iter().filter(|event| !event.is_tombstone()).count();
        ensure!(count >= expected, "{count} events for {expected} changes");
        Ok(())
    })
}

#[test]
fn status_and_metrics_count_what_is_durable() -> Result<()> {
    let scene = Scene::journaled("status")?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 7)?;
    scene.judge()?;
    let status = wait_status(&headwater, "seven inserts in the status", |status| {
        status["tables"].as_array().is_some_and(|tables| tables.iter().any(|table| table["inserts"] == 7))
    })?;
    assert_eq!(status["state"], "streaming");
    assert_eq!(headwater.metric("headwater_rows_total")?, Some(7.0));
    ensure!(headwater.get("/")?.contains(&scene.name));
    Ok(())
}
