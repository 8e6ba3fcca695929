//! The promises of copies that are the same whatever the database.

use std::time::Duration;

use testkit::seed;

use super::fences::wait_copying;
use super::*;
use crate::support::{Writer, Written, insert_journaled};

const INITIAL: &str = "snapshot = \"initial\"\ntable_refresh = \"1s\"";

/// So many rows are there before the pipeline is.
fn fill<D: Store>(scene: &mut Scene<D>, rows: u64) -> Result<()> {
    scene.source = INITIAL.to_owned();
    scene.database.execute(&D::insertion(0, rows, "repeat(concat('row ', i, ' '), 60)"))
}

/// Updates, deletes, inserts and moves of keys, one statement a transaction, 500 a second where the machine can.
fn load<D: Store>(database: &D, seed: u64, ids: u64) -> Result<Writer> {
    let mut random = fastrand::Rng::with_seed(seed);
    Writer::paced(database, 500, move || {
        let (id, other) = (random.u64(0..ids), random.u64(0..ids + ids / 4));
        match random.u8(0..10) {
            0..6 => format!("update items set version = version + 1 where id = {id}"),
            6 => format!("delete from items where id = {id}"),
            7 => D::insert_if_absent(other),
            _ => D::move_key(id, other),
        }
    })
}

fn rows_that_were_there_are_copied_once_and_changes_follow<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    fill(scene, 20_000)?;
    let headwater = scene.start()?;
    wait_said(&headwater, "snapshot complete")?;
    let judged = judge(scene, "items")?;
    assert_eq!((judged.copied, judged.events), (20_000, 20_000));
    scene.database.execute("update items set version = 2 where id < 10; delete from items where id = 11")?;
    judge(scene, "items")?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    // A second start copies nothing again.
    let headwater = scene.start()?;
    scene.database.execute("update items set version = 3 where id < 10")?;
    let judged = judge(scene, "items")?;
    assert_eq!(judged.copied, 20_000);
    ensure!(!headwater.output().contains("snapshot begins"), "{}", headwater.output());
    Ok(())
}

/// The whole promise at once: rows are copied while they are updated, deleted, inserted and moved, and the process is
/// killed again and again.
#[expect(clippy::print_stdout, reason = "a test's output is read when it fails")]
fn a_copy_under_load_survives_kills<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let kills = 20;
    let rows = std::env::var("HEADWATER_SNAPSHOT_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000);
    let seed = seed("a_copy_under_load_survives_kills");
    let mut random = fastrand::Rng::with_seed(seed);
    fill(scene, rows)?;
    let load = load(&scene.database, seed, rows)?;
    for kill in 0..kills {
        let headwater = scene.launch()?;
        if kill == 0 {
            // At least one comes in the midst of the copy, however slow the machine is.
            wait_copying(scene, &headwater)?;
        } else if random.bool() {
            wait_said(&headwater, "\"message\":\"streaming\"")?;
        }
        // The moment of the kill is what is random here.
        std::thread::sleep(Duration::from_millis(random.u64(0..700)));
        headwater.kill9()?;
    }
    let headwater = scene.start()?;
    eventually(PATIENCE + Duration::from_micros(rows * 100), "the end of the copy", || {
        let topic = format!("{}.checkpoints", scene.name);
        let progress = scene.oracle().raw(&topic, 0)?;
        let key = format!("{}/{}", scene.name, scene.tables[0]).into_bytes();
        let last = progress.into_iter().rfind(|(found, _)| found.as_ref() == Some(&key));
        let text = String::from_utf8_lossy(&last.and_then(|(_, value)| value).unwrap_or_default()).into_owned();
        ensure!(text.contains("\"end\":true"), "{text}\n{}", headwater.output());
        Ok(())
    })?;
    let Written { transactions, per_second } = load.finish()?;
    let judged = judge(scene, "items")?;
    println!("{transactions} transactions, {per_second:.0} a second; {kills} kills; {} rows copied", judged.copied);
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

fn a_table_that_joins_later_is_copied<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    scene.source = INITIAL.to_owned();
    let schema = scene.database.schema();
    scene.tables = vec![format!("{schema}.*"), format!("!{schema}.journal")];
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 500)?;
    scene.database.execute(
        "create table more (id bigint primary key, version bigint not null, note text);
         insert into more select id, 1, note from items",
    )?;
    let complete = format!("\"message\":\"snapshot complete\",\"table\":\"{}.more\"", scene.database.schema());
    wait_said(&headwater, &complete)?;
    scene.database.execute("update more set version = 2 where id < 10")?;
    judge(scene, "more")?;
    Ok(())
}

crate::support::everywhere!(
    rows_that_were_there_are_copied_once_and_changes_follow,
    a_copy_under_load_survives_kills,
    a_table_that_joins_later_is_copied
);
