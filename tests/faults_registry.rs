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

crate::support::everywhere!(a_registry_that_is_down_is_waited_for, the_schema_of_an_unchanged_table_is_one_version);
