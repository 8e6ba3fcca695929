//! The registry is away, comes back, or says no.

use anyhow::{Result, ensure};
use testkit::{Registry, eventually, shared};

use crate::support::{PATIENCE, Scene, Store, insert_journaled, wait_status};

/// The registry is away when the pipeline comes, and goes away while nothing needs it.
fn a_registry_that_is_down_is_waited_for<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let registry = Registry::start()?;
    scene.neighbours.registry = registry.url();
    registry.stop()?;
    let headwater = scene.launch()?;
    // The source has begun before the registry is asked: no change from now on can be missed.
    let status = wait_status(&headwater, "retrying", |status| status["state"] == "retrying")?;
    ensure!(status["reason"].as_str().is_some_and(|reason| reason.starts_with("registry:")), "{status}");
    insert_journaled(&scene.database, 1, 10)?;
    registry.start_again()?;
    scene.judge()?;
    // Tables whose schemas are registered need no registry.
    registry.stop()?;
    insert_journaled(&scene.database, 100, 10)?;
    eventually(PATIENCE, "twenty records", || {
        let count = scene.oracle().count(&scene.topic("items"))?;
        ensure!(count == 20, "{count} records\n{}", headwater.output());
        Ok(())
    })?;
    registry.start_again()?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

fn a_new_column_waits_for_the_registry<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let registry = Registry::start()?;
    scene.neighbours.registry = registry.url();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    registry.stop()?;
    scene.database.execute("alter table items add column extra varchar(10) default 'new'")?;
    insert_journaled(&scene.database, 100, 10)?;
    let status = wait_status(&headwater, "retrying", |status| status["state"] == "retrying")?;
    ensure!(status["reason"].as_str().is_some_and(|reason| reason.starts_with("registry:")), "{status}");
    assert_eq!(headwater.metric("headwater_streaming")?, Some(0.0), "changes do not flow");
    registry.start_again()?;
    scene.judge()?;
    assert_eq!(headwater.metric("headwater_streaming")?, Some(1.0), "changes flow again");
    let events = scene.events("items", 20)?;
    ensure!(events[0].field("after").get("extra").is_none(), "an old event has the new column: {:?}", events[0]);
    assert_eq!(events[19].after("extra"), "new");
    assert_eq!(registry.versions(&format!("{}-value", scene.topic("items")))?, [1, 2]);
    Ok(())
}

fn the_schema_of_an_unchanged_table_is_one_version<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    for start in 0..3 {
        let headwater = scene.start()?;
        insert_journaled(&scene.database, 1 + 10 * start, 10)?;
        scene.judge()?;
        assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    }
    for part in ["key", "value"] {
        let versions = shared::registry().versions(&format!("{}-{part}", scene.topic("items")))?;
        ensure!(versions == [1], "{part}: {versions:?}");
    }
    Ok(())
}

crate::support::everywhere!(
    a_registry_that_is_down_is_waited_for,
    a_new_column_waits_for_the_registry,
    the_schema_of_an_unchanged_table_is_one_version
);

#[test]
fn a_change_that_the_registry_refuses_stops_before_its_first_event() -> Result<()> {
    let scene = Scene::journaled("refused")?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    let subject = format!("{}-value", scene.topic("items"));
    shared::registry().set_level(Some(&subject), "BACKWARD")?;
    scene.database.execute("alter table items alter column note type bigint using 7")?;
    scene.database.execute(
        "begin; insert into items values (100, 1, 8);
         insert into journal values (pg_current_xact_id()::text::bigint, 1); commit",
    )?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    for word in ["public.items", "note", &subject] {
        ensure!(output.contains(word), "{word} is missing in:\n{output}");
    }
    ensure!(!output.contains("panicked"), "{output}");
    assert_eq!(shared::registry().versions(&subject)?, [1]);
    // It refuses again, and it has published nothing of the new shape.
    let again = scene.launch()?;
    assert_eq!(again.wait_exit(PATIENCE)?, 3, "{}", again.output());
    assert_eq!(scene.oracle().count(&scene.topic("items"))?, 10);
    shared::registry().set_level(Some(&subject), "NONE")?;
    let _headwater = scene.start()?;
    scene.judge()?;
    assert_eq!(scene.events("items", 11)?[10].after("note"), 8);
    Ok(())
}
