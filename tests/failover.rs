//! A standby takes the primary's place: headwater goes on where nothing is missing, and only there.

use anyhow::{Context as _, Result, ensure};
use testkit::{Headwater, Postgres, eventually, shared};

use crate::support::{Neighbours, PATIENCE, Scene, command, insert_journaled};

/// A primary with a pipeline that has published something, and a standby that has the pipeline's slot.
fn pair(label: &str) -> Result<(Postgres, Postgres, Scene)> {
    let primary = Postgres::start()?;
    let database = primary.create_database()?;
    let neighbours =
        Neighbours { brokers: shared::kafka().bootstrap(), registry: shared::registry().url(), url: database.url() };
    let scene = Scene::journaled_on(label, database, neighbours)?;
    publish(&scene, &scene.start()?, 1)?;
    let standby = primary.standby()?;
    Ok((primary, standby, scene))
}

/// Some rows, published and durable, and the end of the connector.
fn publish(scene: &Scene, headwater: &Headwater, first: u64) -> Result<()> {
    insert_journaled(&scene.database, first, 10)?;
    scene.judge().with_context(|| headwater.output())?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

/// The pipeline is told the standby's address.
fn move_to(scene: &mut Scene, standby: &Postgres) {
    let database = standby.database(&scene.database.name);
    scene.neighbours.url = database.url();
    // The old handle would drop its database on a server that is stopped.
    drop(std::mem::replace(&mut scene.database, database));
}

#[test]
fn a_checkpoint_before_the_fork_goes_on_at_the_new_primary() -> Result<()> {
    let (primary, standby, mut scene) = pair("failover")?;
    publish(&scene, &scene.start()?, 100)?;
    let end = scene.database.value("select pg_current_wal_lsn()")?;
    eventually(PATIENCE, "the standby to have everything", || {
        let lag = format!("select pg_last_wal_replay_lsn() >= '{end}'");
        ensure!(standby.maintenance().value(&lag)? == "t", "it lags behind {end}");
        Ok(())
    })?;
    primary.kill()?;
    standby.promote()?;
    move_to(&mut scene, &standby);
    insert_journaled(&scene.database, 200, 10)?;
    let headwater = scene.start()?;
    ensure!(headwater.output().contains("promoted to a new timeline"), "{}", headwater.output());
    publish(&scene, &headwater, 300)?;
    // The checkpoint is of the new timeline now, so the next start has nothing to say.
    let headwater = scene.launch()?;
    let config = headwater.config().display().to_string();
    headwater.wait_ready(PATIENCE)?;
    let (code, shown) = command(&["checkpoint", "show", "-c", &config])?;
    ensure!(code == 0 && shown.contains("/2"), "{shown}");
    ensure!(!headwater.output().contains("new timeline"), "{}", headwater.output());
    Ok(())
}

/// The standby has everything but the slot: from where it would go on is not known, so nothing may be made anew silently.
#[test]
fn a_new_primary_without_the_slot_is_refused() -> Result<()> {
    let (primary, standby, mut scene) = pair("slotless")?;
    primary.kill()?;
    standby.promote()?;
    move_to(&mut scene, &standby);
    scene.database.execute(&format!("select pg_drop_replication_slot('{}')", scene.name))?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    for word in ["promoted to a new timeline", &format!("slot {} is gone", scene.name), "accept gap"] {
        ensure!(output.contains(word), "{word} is missing in\n{output}");
    }
    Ok(())
}

#[test]
fn a_checkpoint_past_the_fork_is_refused_with_what_is_missing() -> Result<()> {
    let (primary, standby, mut scene) = pair("diverged")?;
    // The standby is cut off, the primary goes on, and its changes are published.
    standby.stop(testkit::StopMode::Fast)?;
    publish(&scene, &scene.start()?, 100)?;
    let position: String = scene.database.value("select pg_current_wal_lsn()")?;
    primary.kill()?;
    standby.start_again()?;
    standby.promote()?;
    move_to(&mut scene, &standby);
    // More log than the old primary had: its end alone would not tell.
    let longer = format!("select pg_current_wal_lsn() > '{position}'");
    eventually(PATIENCE, "a longer log", || {
        scene.database.execute(
            "insert into journal select -i, 0 from generate_series(1, 2000) i; delete from journal where xid < 0",
        )?;
        ensure!(scene.database.value(&longer)? == "t", "it is shorter than {position}");
        Ok(())
    })?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    for word in ["timeline 1 was left at 0/", "timeline 2", "bytes of log", "accept identity"] {
        ensure!(output.contains(word), "{word} is missing in\n{output}");
    }
    // The way out that it names is one.
    let config = headwater.config().display().to_string();
    let (code, shown) = command(&["accept", "identity", "-c", &config])?;
    ensure!(code == 0 && shown.contains("dry run"), "{shown}");
    Ok(())
}
