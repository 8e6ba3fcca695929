//! The database goes away, comes back, or is not the one it was.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Postgres, StopMode, seed, shared};

use crate::support::{Neighbours, PATIENCE, Scene, Writer, command, insert_journaled};

/// A scene on a server of its own.
fn alone(label: &str, postgres: &Postgres) -> Result<Scene> {
    let database = postgres.create_database()?;
    let neighbours =
        Neighbours { brokers: shared::kafka().bootstrap(), registry: shared::registry().url(), url: database.url() };
    Scene::journaled_on(label, database, neighbours)
}

#[test]
fn a_killed_walsender_is_survived() -> Result<()> {
    let scene = Scene::journaled("walsender")?;
    let headwater = scene.start()?;
    let writer = Writer::start(&scene.database, seed("a_killed_walsender"), Duration::from_millis(2))?;
    for round in 0..4 {
        testkit::eventually(PATIENCE, "a walsender to kill", || {
            let killed = scene.database.value(&format!(
                "select count(pg_terminate_backend(active_pid)) from pg_replication_slots
                 where slot_name = '{}' and active",
                scene.name
            ))?;
            ensure!(killed == "1", "round {round}: no walsender\n{}", headwater.output());
            Ok(())
        })?;
    }
    writer.finish()?;
    scene.judge()
}

#[test]
fn a_database_restart_is_survived() -> Result<()> {
    let postgres = Postgres::start()?;
    let scene = alone("restart", &postgres)?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 100)?;
    postgres.restart()?;
    insert_journaled(&scene.database, 200, 100)?;
    scene.judge()?;
    postgres.stop(StopMode::Immediate)?;
    postgres.start_again()?;
    insert_journaled(&scene.database, 400, 100)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

#[test]
fn slot_dropped_refuses() -> Result<()> {
    let scene = Scene::journaled("dropped")?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 1)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    scene.database.execute(&format!("select pg_drop_replication_slot('{}')", scene.name))?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    ensure!(headwater.output().contains(&format!("slot {}", scene.name)), "{}", headwater.output());
    Ok(())
}

#[test]
fn slot_recreated_is_a_gap() -> Result<()> {
    let scene = Scene::journaled("recreated")?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 1)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    scene.database.execute(&format!("select pg_drop_replication_slot('{}')", scene.name))?;
    insert_journaled(&scene.database, 2, 1)?;
    scene.database.execute(&format!("select pg_create_logical_replication_slot('{}', 'pgoutput')", scene.name))?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    ensure!(headwater.output().contains("accept gap"), "{}", headwater.output());
    Ok(())
}

/// The server gives a slot up rather than its disk: the start names the slot, and its advice leads on.
#[test]
fn a_lost_slot_is_refused_and_its_advice_works() -> Result<()> {
    let postgres = Postgres::builder().set("max_slot_wal_keep_size", "1MB").set("max_wal_size", "32MB").start()?;
    let scene = alone("lost", &postgres)?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    insert_journaled(&scene.database, 10, 1)?;
    testkit::eventually(PATIENCE, "the slot to be lost", || {
        // A new segment of the log and a checkpoint, which removes what no slot may keep.
        scene.database.execute("select pg_switch_wal()")?;
        scene.database.execute("insert into journal values (0, 0); delete from journal where xid = 0")?;
        scene.database.execute("checkpoint")?;
        let sql = format!("select wal_status from pg_replication_slots where slot_name = '{}'", scene.name);
        let status = scene.database.value(&sql)?;
        ensure!(status == "lost", "wal_status is {status}");
        Ok(())
    })?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    let config = headwater.config().display().to_string();
    let (code, report) = command(&["doctor", "-c", &config])?;
    assert_eq!(code, 5, "{report}");
    // It cannot be accepted away: there is no position to go on from.
    let (code, refusal) = command(&["accept", "gap", "--yes", "-c", &config])?;
    assert_eq!(code, 3, "{refusal}");
    let name = &scene.name;
    let drop = format!("SELECT pg_drop_replication_slot('{name}');");
    let create = format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput');");
    for said in [&output, &report, &refusal] {
        for word in [&format!("slot {name} is lost"), "wal_status = lost", &drop, &create, "headwater accept gap"] {
            ensure!(said.contains(word), "{word} is missing in:\n{said}");
        }
    }
    scene.database.execute(&drop)?;
    scene.database.execute(&create)?;
    let (code, accepted) = command(&["accept", "gap", "--yes", "-c", &config])?;
    assert_eq!(code, 0, "{accepted}");
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 20, 1)?;
    let events = scene.events("items", 4)?;
    assert_eq!(events[3].after("id"), 20, "the row of the gap is the one that is missing");
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

#[test]
fn other_server_is_refused() -> Result<()> {
    let mut scene = Scene::journaled("stranger")?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 1)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    let other = Postgres::builder().own_identity().start()?;
    let database = other.create_database()?;
    database.execute("create table items (id bigint primary key, version bigint not null, note text)")?;
    scene.neighbours.url = database.url();
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    ensure!(headwater.output().contains("system identifier"), "{}", headwater.output());
    Ok(())
}

#[test]
fn a_restored_backup_is_refused() -> Result<()> {
    let postgres = Postgres::start()?;
    let scene = alone("restored", &postgres)?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 1)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    // The backup: the data folder as it is now, slot included.
    postgres.stop(StopMode::Fast)?;
    let data = postgres.data_dir();
    let backup = data.with_extension("backup");
    copy_folder(&data, &backup)?;
    postgres.start_again()?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 10, 2000)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    postgres.stop(StopMode::Fast)?;
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&backup, &data)?;
    postgres.start_again()?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    ensure!(headwater.output().contains("behind"), "{}", headwater.output());
    Ok(())
}

/// `cp -a`: owner and modes have to stay, or the server refuses its folder.
fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(status.success(), "cp -a ended with {status}");
    Ok(())
}
