//! The registry does not have the new schema: it refuses it, or it is away.

use testkit::{Registry, shared};

use super::*;

/// One table is held, and nobody changes the registry's level behind anybody's back.
fn registry_409_holds_one_table<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    let subject = format!("{}-value", scene.topic("items"));
    let registered = shared::registry().versions(&subject)?;
    // Whatever the change is, this level refuses it: to the registry the property of a field is a change of the schema.
    shared::registry().set_level(Some(&subject), "FULL")?;
    scene.database.execute("alter table items drop column extra")?;
    scene.database.execute("alter table items add column extra bigint")?;
    insert_journaled(&scene.database, 100, 10)?;
    let held = wait_held(&headwater, "items")?;
    scene.database.execute("insert into bystander (id) values (1)")?;
    wait_count(scene, &headwater, &scene.topic("bystander"), 1)?;
    wait_count(scene, &headwater, &parked(scene), 10)?;
    let (status, said) = release(&headwater, &name(scene), "accept")?;
    assert_eq!(status, 409, "{said}\n{held}");
    for word in ["extra", "curl -X PUT", &format!("/config/{subject}"), "--new-version"] {
        ensure!(said.contains(word), "{word} is missing in: {said}");
    }
    assert_eq!(shared::registry().versions(&subject)?, registered);
    shared::registry().set_level(Some(&subject), "NONE")?;
    let (status, said) = release(&headwater, &name(scene), "accept")?;
    assert_eq!(status, 200, "{said}");
    wait_not_held(&headwater)?;
    scene.judge()
}

/// Known schemas flow on, across a restart, too; a new one waits for the registry in the parked topic, and comes back by
/// itself.
fn a_new_column_waits_for_the_registry_and_nobody_else_does<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    let registry = Registry::start()?;
    scene.neighbours.registry = registry.url();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    registry.stop()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    let headwater = scene.start()?;
    scene.database.execute("alter table items add column later varchar(10) default 'new'")?;
    insert_journaled(&scene.database, 100, 10)?;
    let held = wait_held(&headwater, "items")?;
    ensure!(held["help"].as_str().is_some_and(|help| help.contains("by itself")), "{held}");
    scene.database.execute("insert into bystander (id) values (1)")?;
    wait_count(scene, &headwater, &scene.topic("bystander"), 1)?;
    wait_count(scene, &headwater, &parked(scene), 10)?;
    headwater.kill9()?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 200, 10)?;
    wait_count(scene, &headwater, &parked(scene), 20)?;
    registry.start_again()?;
    wait_not_held(&headwater)?;
    // One that takes connections and never answers is away as well.
    registry.suspend()?;
    scene.database.execute("alter table items add column last varchar(10) default 'new'")?;
    insert_journaled(&scene.database, 300, 10)?;
    wait_held(&headwater, "items")?;
    scene.database.execute("insert into bystander (id) values (2)")?;
    wait_count(scene, &headwater, &scene.topic("bystander"), 2)?;
    registry.resume()?;
    wait_not_held(&headwater)?;
    scene.judge()?;
    // Two more: the second would be let by nobody, though against what consumers know so far both are one new column.
    registry.suspend()?;
    scene.database.execute("alter table items add column one varchar(10) default 'new'")?;
    insert_journaled(&scene.database, 400, 10)?;
    ensure!(wait_held(&headwater, "items")?["verdict"] == "safe");
    scene.database.execute("alter table items rename column one to two")?;
    insert_journaled(&scene.database, 500, 10)?;
    wait_count(scene, &headwater, &parked(scene), 50)?;
    registry.resume()?;
    // It is told when the registry is asked again, and then the table could have been released.
    let is_told = |events: &[Event]| events.iter().any(|event| event.field("verdict") == "corrupts-silently");
    let control = format!("{}.__schema_changes", scene.name);
    scene.oracle().wait_for(&control, PATIENCE, is_told).with_context(|| headwater.output())?;
    let held = wait_held(&headwater, "items")?;
    assert_eq!(held["verdict"], "corrupts-silently", "{held}");
    for (field, words) in [("reason", "`one`"), ("help", "schema release")] {
        ensure!(held[field].as_str().is_some_and(|said| said.contains(words)), "{held}");
    }
    wait_count(scene, &headwater, &scene.topic("items"), 40)?;
    assert_eq!(release(&headwater, &name(scene), "accept")?.0, 200);
    wait_not_held(&headwater)?;
    scene.judge()?;
    let events = scene.events("items", 60)?;
    ensure!(events[9].field("after").get("later").is_none(), "an old event has the new column: {:?}", events[9]);
    assert_eq!(events[29].after("later"), "new");
    Ok(())
}

crate::support::everywhere!(registry_409_holds_one_table, a_new_column_waits_for_the_registry_and_nobody_else_does);

/// What was on its way back when the registry went waits for it, and no other table does.
#[test]
fn a_return_that_cannot_begin_again_holds_nobody_up() -> Result<()> {
    const ROWS: usize = 40_000;
    const TURNS: usize = 60;
    let mut scene = Scene::journaled("return_in_outage")?;
    with_extra(&mut scene)?;
    let registry = Registry::start()?;
    scene.neighbours.registry = registry.url();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 1)?;
    scene.judge()?;
    scene.database.execute(RENAME)?;
    insert_journaled(&scene.database, 100, ROWS as u64)?;
    wait_held(&headwater, "items")?;
    wait_count(&scene, &headwater, &parked(&scene), ROWS)?;
    assert_eq!(release(&headwater, &name(&scene), "accept")?.0, 200);
    headwater.kill9()?;
    registry.suspend()?;
    let headwater = scene.start()?;
    // One after the other: each would wait for a registry that never answers.
    let begin = std::time::Instant::now();
    for turn in 1..=TURNS {
        scene.database.execute(&format!("insert into bystander (id) values ({turn})"))?;
        wait_count(&scene, &headwater, &scene.topic("bystander"), turn)?;
        ensure!(begin.elapsed() < PATIENCE, "{turn} rows in {:?}\n{}", begin.elapsed(), headwater.output());
    }
    assert_eq!(wait_held(&headwater, "items")?["returning"], true);
    registry.resume()?;
    wait_not_held(&headwater)?;
    scene.judge()
}
