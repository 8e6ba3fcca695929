//! One test for each condition that keeps a copied row from coming too early or too late.

use std::time::{Duration, Instant};

use super::*;

/// The checkpoint's word on how many rows of the table were copied.
pub(super) fn copied_rows<D: Store>(scene: &Scene<D>, table: &str) -> Result<u64> {
    let key = format!("{}/{}.{table}", scene.name, scene.database.schema()).into_bytes();
    let records = scene.oracle().raw(&format!("{}.checkpoints", scene.name), 0)?;
    let last = records.into_iter().rfind(|(found, _)| found.as_ref() == Some(&key));
    let Some((_, Some(text))) = last else { return Ok(0) };
    let progress: Json = serde_json::from_slice(&text)?;
    progress["rows"].as_u64().context("progress without rows")
}

pub(super) fn wait_copying<D: Store>(scene: &Scene<D>, headwater: &Headwater) -> Result<u64> {
    eventually(PATIENCE, "the first chunk", || {
        let rows = copied_rows(scene, "items")?;
        ensure!(rows > 0, "{}", headwater.output());
        Ok(rows)
    })
}

/// A table that is being rewritten looks empty to a snapshot from before: the lock has to come first.
#[test]
fn a_table_that_is_rewritten_under_a_chunk_is_not_taken_for_empty() -> Result<()> {
    let rows = 5_000;
    let mut scene = scene("rewritten", &filled(rows))?;
    // Adding the table to the publication would wait for the rewriting, too.
    let source = std::mem::replace(&mut scene.source, "snapshot = \"never\"".to_owned());
    assert_eq!(scene.start()?.terminate(PATIENCE)?, 0);
    scene.source = source;
    let client = Arc::new(scene.database.connect_sync()?);
    let run = |sql: &'static str| -> Result<()> {
        let client = Arc::clone(&client);
        Ok(testkit::wait(async move { client.batch_execute(sql).await })?)
    };
    run("begin; alter table items alter column version type bigint using version + 0")?;
    let headwater = scene.launch()?;
    eventually(PATIENCE, "a chunk that waits for the end of the rewriting", || {
        let waiting = "select count(*) from pg_locks where relation = 'items'::regclass and not granted";
        ensure!(scene.database.value(waiting)? == "1", "{}", headwater.output());
        Ok(())
    })?;
    run("commit")?;
    wait_complete(&headwater, "items")?;
    assert_eq!(judge(&scene, "items")?.copied as u64, rows);
    Ok(())
}

/// Batches are far smaller than a chunk, and yet a chunk is published whole, with its progress.
#[test]
fn a_chunk_is_one_batch_however_large() -> Result<()> {
    let mut scene = scene("whole", &filled(40_000))?;
    scene.kafka = "batch.max_bytes = \"64KiB\"\nbatch.max_time = \"10ms\"".to_owned();
    for kill in 0..3 {
        let before = copied_rows(&scene, "items")?;
        if before == 40_000 {
            break;
        }
        let headwater = scene.launch()?;
        eventually(PATIENCE, "rows in the topic", || {
            let found = scene.oracle().count(&scene.topic("items"))? as u64;
            ensure!(found > before, "{found} rows\n{}", headwater.output());
            Ok(())
        })?;
        headwater.kill9()?;
        // The broker may still be busy with the last commit.
        eventually(Duration::from_secs(10), "rows and progress to be the same", || {
            let (progress, found) =
                (copied_rows(&scene, "items")?, scene.oracle().count(&scene.topic("items"))? as u64);
            ensure!(progress == found, "{progress} rows by the progress, {found} in the topic, after kill {kill}");
            Ok(())
        })?;
    }
    let _headwater = scene.start()?;
    assert_eq!(judge(&scene, "items")?.copied, 40_000);
    Ok(())
}

/// On an idle server the log may end just behind the head of a page, where nothing was written yet. The stream never says
/// that it has come so far, and the copy must not wait for it.
#[test]
fn a_copy_ends_where_the_log_ends_behind_a_page_head() -> Result<()> {
    let postgres = Postgres::builder().set("autovacuum", "off").set("checkpoint_timeout", "1h").start()?;
    let mut scene = alone("idle", &postgres, &filled(100))?;
    let first_name = scene.name.clone();
    let mut seen = Vec::new();
    for attempt in 0..5 {
        scene.name = format!("{first_name}_{attempt}");
        // Slot, publication and hints on pages come first: what is left to write is the end of one transaction, of 40 bytes.
        scene.source = "snapshot = \"never\"".to_owned();
        for _ in 0..2 {
            assert_eq!(scene.start()?.terminate(PATIENCE)?, 0);
        }
        scene.source = "snapshot = \"initial\"".to_owned();
        while gap(&scene.database)? != 40 {
            fill(&scene.database)?;
        }
        let headwater = scene.launch()?;
        wait_said(&headwater, "snapshot begins")?;
        // After a while the server writes of its own accord, and then the attempt shows nothing.
        let begin = Instant::now();
        loop {
            let complete = headwater.output().contains("snapshot complete");
            let gap = gap(&scene.database)?;
            if gap == 8192 - 24 && complete {
                judge(&scene, "items")?;
                return Ok(());
            }
            // It is somewhere else, and not because it is yet to come there.
            if gap != 8192 - 24 && gap != 40 || begin.elapsed() > Duration::from_secs(20) {
                seen.push((gap, complete, begin.elapsed()));
                break;
            }
            std::thread::sleep(Duration::from_millis(5)); // between two looks
        }
    }
    anyhow::bail!("no copy was complete while the log ended behind a page's head: {seen:?}")
}

/// Bytes left on the page where the next record begins.
fn gap(database: &Database) -> Result<u64> {
    Ok(8192 - database.value("select (pg_current_wal_insert_lsn() - '0/0') % 8192")?.parse::<u64>()?)
}

/// Writes records of 56 and 64 bytes until there are 40 left on the page.
fn fill(database: &Database) -> Result<()> {
    let left = gap(database)?;
    let wanted = if left > 1000 { left - 40 } else { left + 400 };
    let (records, longer) = (wanted / 56, wanted % 56 / 8);
    database.execute(&format!(
        "select pg_logical_emit_message(false, '', repeat('x', case when i <= {longer} then 8 else 0 end)) \
         from generate_series(1, {records}) i"
    ))
}

/// A row whose key changes before the copy comes to it, to a place that the copy has left behind: the log does not carry
/// its large value, and no chunk reads it any more.
#[test]
fn a_row_that_moves_behind_the_copy_keeps_its_large_value() -> Result<()> {
    let scene = scene(
        "moved",
        "create table items (id bigint primary key, version bigint not null, note text);
         alter table items alter note set storage external;
         insert into items select i, 1, repeat(md5(i::text), 200) from generate_series(1, 8000) i",
    )?;
    let headwater = scene.launch()?;
    wait_copying(&scene, &headwater)?;
    scene.database.execute("update items set id = -id, version = 2 where id > 7900")?;
    wait_complete(&headwater, "items")?;
    eventually(Duration::from_secs(15), "all notes", || {
        let events = scene.oracle().read(&scene.topic("items"))?;
        let whole = |event: &&Event| event.after("note").as_str().is_some_and(|note| note.len() == 6400);
        let ids: std::collections::BTreeSet<i64> =
            events.iter().filter(whole).filter_map(|event| event.after("id").as_i64()).map(i64::abs).collect();
        ensure!(ids.len() == 8_000, "{} rows have their note in any event\n{}", ids.len(), headwater.output());
        Ok(())
    })
}
