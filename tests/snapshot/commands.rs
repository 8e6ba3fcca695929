//! What a person may wish of copies while the pipeline runs, and what is told of them.

use super::fences::{copied_rows, wait_copying};
use super::*;
use crate::support::command;

/// `headwater snapshot …` of the running process: its exit code, and all that it printed.
fn snapshot(headwater: &Headwater, arguments: &[&str]) -> Result<(i32, String)> {
    let config = headwater.config().display().to_string();
    command(&[&["snapshot"], arguments, &["-c", &config]].concat())
}

fn obeyed(headwater: &Headwater, arguments: &[&str]) -> Result<String> {
    let (code, text) = snapshot(headwater, arguments)?;
    ensure!(code == 0, "{arguments:?}: exit code {code}: {text}\n{}", headwater.output());
    Ok(text)
}

fn state(headwater: &Headwater) -> Result<(String, u64)> {
    let status = headwater.status()?;
    let copy = status["snapshots"].get(0).with_context(|| format!("no copy in {status}"))?;
    Ok((copy["state"].as_str().unwrap_or_default().to_owned(), copy["rows"].as_u64().unwrap_or_default()))
}

/// So slow that nothing more is read after the first chunks, however long the test takes.
const SLOW: &str = "snapshot = \"initial\"\nsnapshot_rate = \"1KiB\"";

#[test]
fn a_pause_outlives_the_process_and_a_copy_goes_on_where_it_was() -> Result<()> {
    let rows = 40_000;
    let mut scene = scene("paused", &filled(rows))?;
    scene.database.execute("analyze items")?;
    scene.source = SLOW.to_owned();
    let headwater = scene.start()?;
    wait_copying(&scene, &headwater)?;
    let shown = obeyed(&headwater, &[])?;
    ensure!(shown.contains("public.items") && shown.contains("copying") && shown.contains("40000"), "{shown}");
    assert_eq!(obeyed(&headwater, &["--pause"])?.trim(), "paused: public.items");
    let (_, before) = state(&headwater)?;
    ensure!(before < rows, "all rows were copied, although the rate is limited");
    assert_eq!(headwater.metric("headwater_snapshot_paused")?, Some(1.0));
    assert_eq!(headwater.metric("headwater_snapshot_rows")?, Some(before as f64));
    assert_eq!(headwater.metric("headwater_snapshot_estimated_rows")?, Some(rows as f64));
    headwater.kill9()?;

    scene.source = "snapshot = \"initial\"".to_owned();
    let headwater = scene.start()?;
    scene.database.execute("update items set version = 2")?;
    scene.oracle().wait_for(&scene.topic("items"), PATIENCE, |events| count(events, "u") as u64 == rows)?;
    assert_eq!(state(&headwater)?, ("paused".to_owned(), before));
    assert_eq!(copied_rows(&scene, "items")?, before);
    assert_eq!(obeyed(&headwater, &["--resume", "public.items"])?.trim(), "copied on: public.items");
    wait_complete(&headwater, "items")?;
    assert_eq!(state(&headwater)?, ("complete".to_owned(), rows));
    assert_eq!(headwater.metric("headwater_snapshot_complete")?, Some(1.0));
    assert_eq!(judge(&scene, "items")?.copied as u64, rows);
    Ok(())
}

#[test]
fn a_table_is_copied_again_when_somebody_asks() -> Result<()> {
    let mut scene = scene("again", &filled(3_000))?;
    scene.database.execute("create table bare (note text); alter table bare replica identity full")?;
    // Nothing is copied of its own accord.
    scene.source = "snapshot = \"never\"".to_owned();
    let headwater = scene.start()?;
    let reads = |expected: usize| {
        let read = scene.oracle().wait_for(&scene.topic("items"), PATIENCE, |events| count(events, "r") >= expected);
        let events = read.with_context(|| headwater.output())?;
        ensure!(count(&events, "r") == expected, "{} rows were copied, not {expected}", count(&events, "r"));
        anyhow::Ok(events)
    };
    let said = obeyed(&headwater, &["public.items", "--where", "id < 100 -- the first ones", "--wait"])?;
    ensure!(said.contains("public.items is copied again"), "{said}");
    let events = reads(100)?;
    ensure!(events.iter().all(|event| event.after("id").as_i64().is_some_and(|id| id < 100)), "{events:?}");

    for (arguments, words) in [
        (&["public.nothing"][..], "public.nothing is not captured"),
        (&["public.bare"], "public.bare has no key"),
        (&["public.items", "--where", "no_such = 1"], "no_such"),
        (&["public.items", "--where", "id <"], "condition cannot be used"),
    ] {
        let (code, text) = snapshot(&headwater, arguments)?;
        ensure!(code == 1 && text.contains(words), "{arguments:?}: exit code {code}: {text}");
    }
    // A condition that only fails when it meets a row is not worth the pipeline.
    obeyed(&headwater, &["public.items", "--where", "1 / (id - 5) > 0"])?;
    wait_said(&headwater, "the snapshot of the table is paused; changes flow on")?;
    scene.database.execute("update items set version = 2 where id = 7")?;
    scene.oracle().wait_for(&scene.topic("items"), PATIENCE, |events| count(events, "u") == 1)?;

    // The wish outlives the process, although the configuration says never.
    obeyed(&headwater, &["public.items"])?;
    headwater.kill9()?;
    let headwater = scene.start()?;
    eventually(PATIENCE, "the copy that was asked for", || {
        let found = state(&headwater)?;
        ensure!(found == ("complete".to_owned(), 3_000), "{found:?}\n{}", headwater.output());
        Ok(())
    })?;
    let table = scene.database.query("select id, version from items")?;
    let topic = testkit::oracle::replay(&scene.oracle().read(&scene.topic("items"))?)?;
    assert_eq!(topic.len(), table.len());
    Ok(())
}

#[test]
fn only_the_rows_that_the_configuration_wants_are_copied() -> Result<()> {
    let mut scene = scene("where", &filled(200))?;
    scene.source = "snapshot = \"initial\"\nsnapshot_where = { \"public.items\" = \"id >= 150\" }".to_owned();
    let headwater = scene.start()?;
    wait_complete(&headwater, "items")?;
    scene.database.execute("update items set version = 2 where id = 1")?;
    let events = scene.oracle().wait_for(&scene.topic("items"), PATIENCE, |events| count(events, "u") == 1)?;
    assert_eq!(count(&events, "r"), 50);
    // Nothing runs there: the command says so, and what to do.
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    let (code, text) = snapshot(&headwater, &[])?;
    ensure!(code == 1 && text.contains("does `headwater run` run"), "exit code {code}: {text}");
    Ok(())
}
