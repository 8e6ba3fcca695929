//! What headwater does while there is nothing to publish, and how little it needs of the database.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Postgres, eventually, seed};

use crate::support::{PATIENCE, Scene, Writer, insert_journaled};

/// Bytes of log between a position and the log's end.
fn behind(scene: &Scene, position: &str) -> Result<u64> {
    Ok(scene.database.value(&format!("select pg_wal_lsn_diff(pg_current_wal_lsn(), {position})"))?.parse()?)
}

/// An idle table must not make the server keep the log of a busy one that nobody captures.
#[test]
fn idle_table_advances_slot() -> Result<()> {
    const WRITTEN: u64 = 1 << 30;
    const ALLOWED: u64 = 1 << 20;
    let postgres = Postgres::start()?;
    let mut scene = Scene::journaled("idle")?;
    scene.database = postgres.create_database()?;
    scene.neighbours.url = scene.database.url();
    scene.database.execute(
        "create table items (id bigint primary key, version bigint not null, note text);
         create table journal (xid bigint, changes bigint);
         create table busy (id bigint, body text); alter table busy alter body set storage external",
    )?;
    let headwater = scene.start()?;
    let start = scene.database.value("select quote_literal(pg_current_wal_lsn())")?;
    while behind(&scene, &start)? < WRITTEN {
        scene
            .database
            .execute("insert into busy select i, repeat(md5(i::text), 250) from generate_series(1, 4000) i")?;
    }
    let slot = |what: &str| {
        behind(&scene, &format!("(select {what} from pg_replication_slots where slot_name = '{}')", scene.name))
    };
    eventually(PATIENCE, "the slot to follow", || {
        // The server notes where decoding could restart when it writes a checkpoint, or every 15 s.
        scene.database.execute("checkpoint")?;
        let (confirmed, restart) = (slot("confirmed_flush_lsn")?, slot("restart_lsn")?);
        ensure!(confirmed < ALLOWED && restart < ALLOWED, "confirmed is {confirmed} bytes behind, restart {restart}");
        Ok(())
    })?;
    ensure!(scene.oracle().count(&scene.topic("items"))? == 0, "an uncaptured table left records");
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

/// The owner makes the publication; headwater's role can log in, replicate and read, and owns nothing.
#[test]
fn runs_with_read_only_rights() -> Result<()> {
    let mut scene = Scene::journaled("reader")?;
    let name = scene.name.clone();
    scene.database.execute(&format!(
        "create role {name} login replication; grant select on items to {name};
         create publication {name} for table items"
    ))?;
    scene.neighbours.url = scene.database.url().replace("//postgres@", &format!("//{name}@"));
    let headwater = scene.start()?;
    let writer = Writer::start(&scene.database, seed("runs_with_read_only_rights"), Duration::from_millis(5))?;
    eventually(PATIENCE, "events", || match scene.oracle().count(&scene.topic("items"))? {
        0 => anyhow::bail!("no event\n{}", headwater.output()),
        _ => Ok(()),
    })?;
    headwater.kill9()?;
    let headwater = scene.start()?;
    writer.finish()?;
    scene.judge()?;
    // Nothing of the database was touched but the slot.
    let owned = scene
        .database
        .value(&format!("select count(*) from pg_shdepend where refobjid = '{name}'::regrole and deptype = 'o'"))?;
    assert_eq!(owned, "0");
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    scene.database.execute(&format!("revoke all on items from {name}; drop role {name}"))
}
