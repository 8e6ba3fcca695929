//! The network between headwater and its neighbours breaks: cut, silent, half-open, refused.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Headwater, Kafka, Postgres, Proxy, http, seed, shared};

use crate::support::{Neighbours, PATIENCE, Scene, Store, Writer, insert_journaled, wait_status};

/// The scene's database is reached through this proxy.
fn behind_proxy<D: Store>(scene: &mut Scene<D>) -> Result<Proxy> {
    let proxy = Proxy::start(scene.database.port())?;
    scene.neighbours.url = scene.database.url_through(proxy.port());
    Ok(proxy)
}

/// Waits until more batches have been committed than there were.
fn wait_progress(headwater: &Headwater) -> Result<()> {
    let committed = |status: &serde_json::Value| status["kafka"]["transactions_committed"].as_u64().unwrap_or_default();
    let before = committed(&headwater.status()?);
    wait_status(headwater, "one more transaction", |status| committed(status) > before).map(drop)
}

fn a_cut_source_connection_is_survived<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let proxy = behind_proxy(scene)?;
    let headwater = scene.start()?;
    let writer = Writer::start(&scene.database, seed("a_cut_source_connection"), Duration::from_millis(3))?;
    for _ in 0..5 {
        wait_progress(&headwater)?;
        proxy.cut()?;
    }
    // And one that breaks in the middle of a message.
    proxy.cut_after(777);
    wait_progress(&headwater)?;
    writer.finish()?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

fn a_stalled_source_connection_is_survived<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let proxy = behind_proxy(scene)?;
    let headwater = scene.start()?;
    let writer = Writer::start(&scene.database, seed("a_stalled_source_connection"), Duration::from_millis(3))?;
    wait_progress(&headwater)?;
    proxy.stall();
    std::thread::sleep(Duration::from_secs(3)); // how long the network is silent
    proxy.resume()?;
    wait_progress(&headwater)?;
    writer.finish()?;
    scene.judge()
}

fn half_open_socket_is_noticed<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let proxy = behind_proxy(scene)?;
    scene.source = "read_timeout = \"5s\"\nconnect_timeout = \"2s\"".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    proxy.half_open();
    insert_journaled(&scene.database, 100, 10)?;
    let status = wait_status(&headwater, "retrying", |status| status["state"] == "retrying")?;
    ensure!(status["reason"].as_str().is_some_and(|reason| reason.starts_with("source:")), "{status}");
    assert_eq!(http::get(headwater.admin_port(), "/healthz")?.status, 200);
    proxy.cut()?;
    proxy.resume()?;
    proxy.cut()?; // what was opened between the two has lost its first bytes
    insert_journaled(&scene.database, 200, 10)?;
    scene.judge()
}

#[test]
fn frozen_peer_is_noticed() -> Result<()> {
    let mut scene = Scene::journaled("frozen")?;
    scene.source = "read_timeout = \"5s\"\nconnect_timeout = \"2s\"".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    // Stopped, the server's process still has a kernel that answers for its socket: only a deadline finds it.
    let name = &scene.name;
    let walsender = scene
        .database
        .value(&format!("select active_pid from pg_replication_slots where slot_name = '{name}' and active"))?;
    signal("-STOP", &walsender)?;
    let noticed = insert_journaled(&scene.database, 100, 10)
        .and_then(|()| wait_status(&headwater, "retrying", |status| status["state"] == "retrying"));
    signal("-CONT", &walsender)?;
    noticed?;
    insert_journaled(&scene.database, 200, 10)?;
    scene.judge()
}

fn signal(which: &str, pid: &str) -> Result<()> {
    let status = std::process::Command::new("kill").args([which, pid]).status()?;
    ensure!(status.success(), "kill {which} {pid} ended with {status}");
    Ok(())
}

fn an_idle_connection_is_not_taken_for_a_dead_one<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    scene.source = "read_timeout = \"5s\"".to_owned();
    let headwater = scene.start()?;
    std::thread::sleep(Duration::from_secs(11)); // twice the deadline without a change
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    ensure!(!headwater.output().contains("going on from the checkpoint"), "{}", headwater.output());
    Ok(())
}

fn broken_kafka_connections_are_survived<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let kafka = Kafka::builder().proxied().start()?;
    scene.neighbours.brokers = kafka.proxied_bootstrap();
    let headwater = scene.start()?;
    let writer = Writer::start(&scene.database, seed("broken_kafka_connections"), Duration::from_millis(3))?;
    for _ in 0..5 {
        wait_progress(&headwater)?;
        kafka.proxy().cut()?;
    }
    wait_progress(&headwater)?;
    kafka.proxy().cut_after(5_000);
    wait_progress(&headwater)?;
    kafka.proxy().stall();
    std::thread::sleep(Duration::from_secs(3)); // how long the network is silent
    kafka.proxy().resume()?;
    wait_progress(&headwater)?;
    writer.finish()?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

fn a_registry_out_of_reach_is_waited_for<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let proxy = Proxy::start(shared::registry().port())?;
    scene.neighbours.registry = shared::registry().url_through(proxy.port());
    proxy.refuse()?;
    let headwater = scene.launch()?;
    testkit::eventually(PATIENCE, "a reason in /readyz", || {
        let ready = http::get(headwater.admin_port(), "/readyz")?;
        ensure!(ready.status == 503 && ready.body.contains("registry"), "{} {}", ready.status, ready.body);
        Ok(())
    })?;
    assert_eq!(http::get(headwater.admin_port(), "/healthz")?.status, 200);
    insert_journaled(&scene.database, 1, 10)?;
    proxy.resume()?;
    headwater.wait_ready(PATIENCE)?;
    insert_journaled(&scene.database, 100, 10)?;
    scene.judge()
}

/// While the broker takes nothing, the database still hears that we live: it neither drops the connection nor makes the
/// log go to and fro.
#[test]
fn stalled_sink_keeps_connection() -> Result<()> {
    let postgres = Postgres::builder().set("wal_sender_timeout", "3s").start()?;
    let kafka = Kafka::builder().proxied().start()?;
    let database = postgres.create_database()?;
    let neighbours =
        Neighbours { brokers: kafka.proxied_bootstrap(), registry: shared::registry().url(), url: database.url() };
    let scene = Scene::journaled_on("stalled_sink", database, neighbours)?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    let walsender = || scene.database.value("select string_agg(pid::text, ' ') from pg_stat_replication");
    let before = walsender()?;
    kafka.proxy().stall();
    // Twice what headwater keeps between reader and encoder: the reader stands still too.
    scene.database.execute(
        "begin; insert into items select i, 1, repeat(md5(i::text), 30) from generate_series(1001, 21000) i;
         insert into journal values (pg_current_xact_id()::text::bigint, 20000); commit",
    )?;
    std::thread::sleep(Duration::from_secs(8)); // more than twice the server's patience
    kafka.proxy().resume()?;
    scene.judge()?;
    assert_eq!(walsender()?, before, "the connection was lost:\n{}", headwater.output());
    Ok(())
}

crate::support::everywhere!(
    a_cut_source_connection_is_survived,
    a_stalled_source_connection_is_survived,
    half_open_socket_is_noticed,
    an_idle_connection_is_not_taken_for_a_dead_one,
    broken_kafka_connections_are_survived,
    a_registry_out_of_reach_is_waited_for
);
