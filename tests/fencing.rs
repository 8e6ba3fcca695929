//! Two processes with one name: the younger goes on, the older ends and says by whom it was replaced.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{Headwater, eventually, seed};

use crate::support::{PATIENCE, Scene, Store, Writer, command, insert_journaled};

/// Whose name the checkpoint carries.
fn instance(headwater: &Headwater) -> Result<String> {
    let config = headwater.config().display().to_string();
    let (code, shown) = command(&["checkpoint", "show", "-c", &config, "--output", "json"])?;
    ensure!(code == 0, "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    Ok(shown["instance"].as_str().context("no instance in the checkpoint")?.to_owned())
}

/// The older process ends as one that was replaced, and names who replaced it.
fn ends_replaced(older: &Headwater, younger: &Headwater) -> Result<()> {
    let code = older.wait_exit(PATIENCE)?;
    let (output, by) = (older.output(), instance(younger)?);
    ensure!(code == 4, "exit code {code}:\n{output}");
    ensure!(output.contains("another headwater process runs this pipeline") && output.contains(&by), "{by}?\n{output}");
    ensure!(!output.contains("panicked"), "{output}");
    Ok(())
}

fn the_older_of_two_ends_under_load<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let older = scene.start()?;
    let writer = Writer::start(&scene.database, seed("the_older_of_two"), Duration::from_millis(2))?;
    let younger = scene.start()?;
    ends_replaced(&older, &younger)?;
    writer.finish()?;
    scene.judge()?;
    assert_eq!(younger.terminate(PATIENCE)?, 0, "{}", younger.output());
    Ok(())
}

fn the_older_of_two_ends_without_any_traffic<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let older = scene.start()?;
    let younger = scene.start()?;
    ends_replaced(&older, &younger)?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()
}

/// Paged out, paused or cut off in the middle of a batch, and awake again when another has taken over.
fn a_suspended_process_publishes_nothing_when_it_wakes<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let older = scene.start()?;
    let topic = scene.topic("items");
    insert_journaled(&scene.database, 1, 40_000)?;
    // Something is in Kafka that no transaction has committed: the batch is half full.
    eventually(PATIENCE, "an open transaction", || {
        older.suspend()?;
        let (all, committed) = (scene.oracle().count_uncommitted(&topic)?, scene.oracle().count(&topic)?);
        if all > committed && committed < 40_000 {
            return Ok(());
        }
        older.resume()?;
        anyhow::bail!("{all} records, {committed} of them committed")
    })?;
    let younger = scene.start()?;
    insert_journaled(&scene.database, 50_000, 100)?;
    scene.judge()?;
    older.resume()?;
    ends_replaced(&older, &younger)?;
    insert_journaled(&scene.database, 60_000, 100)?;
    scene.judge()
}

/// Each replaced by the next before it is done: the last one has it all.
fn a_row_of_successors_is_exact<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let mut older = scene.start()?;
    let writer = Writer::start(&scene.database, seed("a_row_of_successors"), Duration::from_millis(2))?;
    for _ in 0..4 {
        let younger = scene.start()?;
        ends_replaced(&older, &younger)?;
        older = younger;
    }
    writer.finish()?;
    scene.judge()
}

crate::support::everywhere!(
    the_older_of_two_ends_under_load,
    the_older_of_two_ends_without_any_traffic,
    a_suspended_process_publishes_nothing_when_it_wakes,
    a_row_of_successors_is_exact
);
