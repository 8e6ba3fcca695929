//! A person decides how a held table goes on.

use std::time::Duration;

use super::*;
use testkit::Database;

use crate::support::{Writer, command};

/// Parked through a SIGKILL, while other tables flow; then all of it is back in its place.
fn a_renamed_column_is_parked_until_it_is_accepted<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    wait_count(scene, &headwater, &scene.topic("items"), 10)?;
    scene.database.execute(RENAME)?;
    insert_journaled(&scene.database, 100, 10)?;
    let held = wait_held(&headwater, "items")?;
    assert_eq!(held["verdict"], "corrupts-silently", "{held}");
    ensure!(held["reason"].as_str().is_some_and(|reason| reason.contains("extra")), "{held}");
    ensure!(held["help"].as_str().is_some_and(|help| help.contains("schema release")), "{held}");
    for path in ["/healthz", "/readyz"] {
        ensure!(headwater.get(path)?.starts_with("degraded: table "), "{path}");
    }
    assert_eq!(headwater.metric("headwater_tables_held")?, Some(1.0));
    let config = headwater.config().display().to_string();
    let (code, report) = command(&["doctor", "-c", &config])?;
    ensure!(code == 0 && report.contains("held; its events are parked in"), "exit {code}\n{report}");
    wait_count(scene, &headwater, &parked(scene), 10)?;
    headwater.kill9()?;
    insert_journaled(&scene.database, 200, 10)?;
    let headwater = scene.start()?;
    wait_held(&headwater, "items")?;
    wait_count(scene, &headwater, &parked(scene), 20)?;
    // A harmless change behind it makes nothing of that good.
    scene.database.execute("alter table items add column later bigint")?;
    insert_journaled(&scene.database, 250, 10)?;
    wait_count(scene, &headwater, &parked(scene), 30)?;
    assert_eq!(wait_held(&headwater, "items")?["verdict"], "corrupts-silently");
    scene.database.execute("insert into bystander (id) values (1)")?;
    wait_count(scene, &headwater, &scene.topic("bystander"), 1)?;
    wait_count(scene, &headwater, &scene.topic("items"), 10)?;
    let (status, said) = release(&headwater, "public.nobody", "accept")?;
    assert_eq!((status, said.as_str()), (409, "table public.nobody is not held"));
    let (status, said) = release(&headwater, &name(scene), "accept")?;
    assert_eq!(status, 200, "{said}");
    wait_not_held(&headwater)?;
    insert_journaled(&scene.database, 300, 10)?;
    scene.judge()?;
    let events = scene.events("items", 50)?;
    ensure!(events[9].field("after").get("extra").is_some(), "{:?}", events[9]);
    for event in &events[10..] {
        assert_eq!(event.after("other"), "e");
    }
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    // What was returned is not returned again, and nobody is held.
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 400, 10)?;
    wait_not_held(&headwater)?;
    scene.judge()?;
    wait_count(scene, &headwater, &parked(scene), 30)
}

/// Consumers of the old topic are told where the table goes on; nothing of it comes there any more.
fn a_new_version_goes_on_in_a_topic_of_its_own<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    scene.kafka = "[kafka.topics]\npartitions = 2".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    wait_count(scene, &headwater, &scene.topic("items"), 10)?;
    scene.database.execute(RENAME)?;
    insert_journaled(&scene.database, 100, 10)?;
    wait_held(&headwater, "items")?;
    wait_count(scene, &headwater, &parked(scene), 10)?;
    let (status, said) = release(&headwater, &name(scene), "new-version")?;
    assert_eq!(status, 200, "{said}");
    let version = format!("{}.v2", scene.topic("items"));
    ensure!(said.contains(&version), "{said}");
    wait_not_held(&headwater)?;
    insert_journaled(&scene.database, 200, 10)?;
    wait_count(scene, &headwater, &version, 20)?;
    headwater.kill9()?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 300, 10)?;
    wait_count(scene, &headwater, &version, 30)?;
    let old = scene.events("items", 12)?;
    let (events, moved): (Vec<_>, Vec<_>) = old.iter().partition(|event| event.op() != "moved");
    assert_eq!((events.len(), moved.len()), (10, 2), "one in each partition");
    let new = scene.oracle().read(&version)?;
    for last in &moved {
        assert_eq!(last.value_schema_id(), events[0].value_schema_id(), "readers of the topic can read its last event");
        let said: Vec<(&str, &str)> = last
            .field("absent")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| Some((entry["field"].as_str()?, entry["text"].as_str()?)))
            .collect();
        let id = new[0].value_schema_id().context("no id")?.to_string();
        assert_eq!((said[0], said[2]), (("topic", version.as_str()), ("value_schema_id", id.as_str())));
    }
    ensure!(new.iter().all(|event| event.after("other") == "e"), "{}", testkit::oracle::show(&new));
    scene.database.judge_transactions(&events.into_iter().chain(&new).cloned().collect::<Vec<_>>())
}

/// What is agreed to go may go, unless the table's owner says otherwise.
fn policies_decide_what_is_held<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    let name = name(scene);
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    // Safe if agreed.
    scene.database.execute("alter table items drop column extra")?;
    insert_journaled(&scene.database, 100, 10)?;
    scene.judge()?;
    // Its name comes back: old events have other values under it.
    headwater.kill9()?;
    let headwater = scene.start()?;
    scene.database.execute("alter table items add column extra bigint")?;
    insert_journaled(&scene.database, 150, 10)?;
    let held = wait_held(&headwater, "items")?;
    ensure!(held["reason"].as_str().is_some_and(|reason| reason.contains("another column than before")), "{held}");
    assert_eq!(release(&headwater, &name, "accept")?.0, 200);
    wait_not_held(&headwater)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    scene.more = format!("{EVOLVE}\n[evolution.tables]\n\"{name}\" = \"strict\"");
    let headwater = scene.start()?;
    // Safe.
    scene.database.execute("alter table items add column more varchar(20) default 'e'")?;
    insert_journaled(&scene.database, 200, 10)?;
    scene.judge()?;
    scene.database.execute("alter table items drop column more")?;
    insert_journaled(&scene.database, 300, 10)?;
    let held = wait_held(&headwater, "items")?;
    assert_eq!(held["verdict"], "safe-if-agreed", "{held}");
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    scene.more = "[evolution]\non_change = \"accept\"".to_owned();
    let headwater = scene.start()?;
    // A new policy is for what comes: who is held stays so until somebody decides.
    insert_journaled(&scene.database, 400, 10)?;
    wait_held(&headwater, "items")?;
    assert_eq!(release(&headwater, &name, "accept")?.0, 200);
    wait_not_held(&headwater)?;
    scene.database.execute(RENAME)?;
    insert_journaled(&scene.database, 500, 10)?;
    scene.judge()?;
    scene.database.execute("alter table items rename column other to extra")?;
    insert_journaled(&scene.database, 600, 10)?;
    scene.judge()
}

/// One event for each change, with ids that consumers meet, in the order of what happened.
fn the_control_topic_tells_of_each_change<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    if scene.database.url().starts_with("postgres") {
        // MySQL has the statements in its log.
        let (code, script) = command(&["doctor", "--print-ddl-trigger"])?;
        assert_eq!(code, 0, "{script}");
        scene.database.execute(&script)?;
    }
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 1)?;
    scene.judge()?;
    scene.database.execute("alter table items add column more bigint")?;
    insert_journaled(&scene.database, 10, 1)?;
    scene.judge()?;
    scene.database.execute(RENAME)?;
    insert_journaled(&scene.database, 20, 1)?;
    wait_held(&headwater, "items")?;
    assert_eq!(release(&headwater, &name(scene), "accept")?.0, 200);
    wait_not_held(&headwater)?;
    scene.judge()?;
    let events = scene.events("items", 3)?;
    let (actions, told): (Vec<_>, Vec<_>) = told(scene, 3)?.into_iter().unzip();
    assert_eq!(actions, ["published", "held", "returned"]);
    let text = |event: &Event, field: &str| event.field(field).as_str().unwrap_or_default().to_owned();
    let verdicts: Vec<_> = told.iter().map(|event| text(event, "verdict")).collect();
    assert_eq!(verdicts, ["safe", "corrupts-silently", "corrupts-silently"]);
    let id = |event: &Event, field: &str| event.field(field).as_u64();
    let ids: Vec<_> = events.iter().map(|event| event.value_schema_id().map(u64::from)).collect();
    assert_eq!((id(&told[0], "old_value_schema_id"), id(&told[0], "value_schema_id")), (ids[0], ids[1]));
    assert_eq!((id(&told[2], "old_value_schema_id"), id(&told[2], "value_schema_id")), (ids[1], ids[2]));
    for event in &told {
        assert_eq!(text(event, "table"), name(scene));
        ensure!(!text(event, "position").is_empty() && !text(event, "fingerprint").is_empty(), "{event:?}");
    }
    assert_eq!((text(&told[1], "topic"), text(&told[2], "topic")), (parked(scene), scene.topic("items")));
    let statements: Vec<_> = told.iter().map(|event| text(event, "statement")).collect();
    ensure!(
        statements[0].contains("add column more") && statements[1].contains("rename column extra"),
        "{statements:?}"
    );
    let findings = told[1].field("findings");
    ensure!(findings.as_array().is_some_and(|all| all.iter().any(|one| one["column"] == "extra")), "{findings}");
    Ok(())
}

/// Held, released and killed over and over while a load runs: every change is in the topic once, in order.
fn kills_at_any_step_lose_and_repeat_nothing<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    let seed = testkit::seed("kills_at_any_step");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut headwater = scene.start()?;
    let writer = Writer::start(&scene.database, random.u64(..), Duration::from_millis(2))?;
    let names = ["extra", "one", "two", "three"];
    for pair in names.windows(2) {
        scene.database.execute(&format!("alter table items rename column {} to {}", pair[0], pair[1]))?;
        wait_held(&headwater, "items")?;
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(random.u64(0..600))); // where the kill falls
            headwater.kill9()?;
            headwater = scene.start()?;
        }
        wait_held(&headwater, "items")?;
        let (status, said) = release(&headwater, &name(scene), "accept")?;
        assert_eq!(status, 200, "seed {seed}: {said}");
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(random.u64(0..300))); // where the kill falls
            headwater.kill9()?;
            headwater = scene.start()?;
        }
        wait_not_held(&headwater).with_context(|| format!("seed {seed}"))?;
    }
    writer.finish()?;
    scene.judge().with_context(|| format!("seed {seed}"))
}

/// What a person has let go was what the table was then. A harmless change goes along; another one waits for another word.
#[test]
fn a_table_that_changes_on_its_way_back_is_judged_again() -> Result<()> {
    const ROWS: u64 = 40_000;
    let mut scene = Scene::journaled("on_its_way")?;
    with_extra(&mut scene)?;
    let headwater = scene.start()?;
    let hold = |statement: &str, first: u64, rows: u64| -> Result<Json> {
        scene.database.execute(statement)?;
        scene.database.execute(&Database::insertion(first, rows, "repeat(concat('row ', i, ' '), 200)"))?;
        wait_held(&headwater, "items")
    };
    insert_journaled(&scene.database, 1, 1)?;
    wait_count(&scene, &headwater, &scene.topic("items"), 1)?;
    hold(RENAME, 100, ROWS)?;
    wait_count(&scene, &headwater, &parked(&scene), ROWS as usize)?;
    assert_eq!(release(&headwater, &name(&scene), "accept")?.0, 200);
    scene.database.execute("alter table items add column later bigint")?;
    insert_journaled(&scene.database, 10, 10)?;
    wait_not_held(&headwater)?;
    scene.judge()?;
    hold("alter table items rename column other to third", 100_000, ROWS)?;
    assert_eq!(release(&headwater, &name(&scene), "new-version")?.0, 200);
    let held = hold("alter table items rename column third to fourth", 30, 10)?;
    // It may have been back by then, and be held anew.
    let waits = |status: &Json| status["held"][0]["returning"] == false;
    let status = wait_status(&headwater, "held again", waits).with_context(|| held.to_string())?;
    ensure!(status["held"][0]["reason"].as_str().is_some_and(|reason| reason.contains("fourth")), "{status}");
    assert_eq!(release(&headwater, &name(&scene), "accept")?.0, 200);
    wait_not_held(&headwater)?;
    let version = format!("{}.v2", scene.topic("items"));
    wait_count(&scene, &headwater, &version, ROWS as usize + 10)?;
    let events = scene.oracle().read(&version)?;
    let with = |column: &str| events.iter().filter(|event| event.after(column) == "e").count();
    assert_eq!((with("third"), with("fourth")), (ROWS as usize, 10));
    Ok(())
}

/// More than one transaction brings back: killed in between, the rest follows, and nothing of what is there again.
#[test]
fn a_long_return_goes_on_where_it_was_killed() -> Result<()> {
    const ROWS: usize = 5_000;
    let mut scene = Scene::journaled("long_return")?;
    // About five transactions bring back so much.
    let kafka = scene.slow_broker(Duration::from_secs(2))?;
    with_extra(&mut scene)?;
    let mut headwater = scene.start()?;
    scene.database.execute(RENAME)?;
    scene.database.execute(&Database::insertion(1, ROWS as u64, "repeat(concat('row ', i, ' '), 400)"))?;
    wait_count(&scene, &headwater, &parked(&scene), ROWS)?;
    assert_eq!(release(&headwater, &name(&scene), "accept")?.0, 200);
    let mut seen = 0;
    for _ in 0..2 {
        seen = eventually(PATIENCE, "some more events returned", || {
            match scene.oracle().count(&scene.topic("items"))? {
                count if count > seen => Ok(count),
                count => anyhow::bail!("{count} records\n{}", headwater.output()),
            }
        })?;
        headwater.kill9()?;
        ensure!(seen < ROWS, "everything was back before the kill");
        headwater = scene.start()?;
    }
    kafka.proxy().resume()?;
    wait_not_held(&headwater)?;
    scene.judge()
}

crate::support::everywhere!(
    a_renamed_column_is_parked_until_it_is_accepted,
    a_new_version_goes_on_in_a_topic_of_its_own,
    policies_decide_what_is_held,
    the_control_topic_tells_of_each_change,
    kills_at_any_step_lose_and_repeat_nothing,
);
