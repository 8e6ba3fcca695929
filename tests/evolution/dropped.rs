//! The publication itself is dropped; tables come into it with a list of columns. On the version that all tests use and on
//! the newest, because servers differ in what they make of it.

use testkit::Postgres;

use super::publication::{TABLES, wait_published};
use super::*;
use crate::support::command;
use crate::versions::beside;

const NEWEST: &str = "18.4.0";

fn on(server: &Postgres, label: &str) -> Result<Scene> {
    let (database, neighbours) = beside(server)?;
    let mut scene = Scene::with(label, TABLES, database, neighbours)?;
    scene.source = COPIED.to_owned();
    Ok(scene)
}

/// The server does not read the log from the time without a publication. Nothing is passed over in silence: headwater stops
/// and says which statements lead on, and they do.
#[test]
fn a_dropped_publication_stops_the_stream_and_the_advice_leads_on() -> Result<()> {
    let scene = copied("lost", TABLES)?;
    let name = &scene.name;
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", name));
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;
    // In one transaction: headwater may make the publication again before anything else is written.
    sql("drop publication PUB; update t set v = 'missed' where id = 1; insert into t values (6, 'missed')")?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    // Another start makes no difference to what cannot be read.
    let again = scene.launch()?;
    assert_eq!(again.wait_exit(PATIENCE)?, 3, "{}", again.output());
    let drop = format!("SELECT pg_drop_replication_slot('{name}');");
    let create = format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput');");
    for output in [headwater.output(), again.output()] {
        for words in [&format!("publication {name} was dropped"), &drop, &create, "headwater accept gap"] {
            ensure!(output.contains(words), "{words} is missing in\n{output}");
        }
    }
    // The publication is older than the new slot, also before the next start.
    assert_eq!(scene.database.value(&format!("select count(*) from pg_publication where pubname = '{name}'"))?, "1");
    sql(&drop)?;
    sql(&create)?;
    sql("update t set v = 'after the slot' where id = 2")?;
    let (code, accepted) = command(&["accept", "gap", "--yes", "-c", &again.config().display().to_string()])?;
    assert_eq!(code, 0, "{accepted}");
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_said(&headwater, "changes of the table were missed")?;
    sql("update t set v = 'and on' where id = 3; update u set v = 'and on'")?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

/// The newest version reads on without a word, and leaves out all changes: headwater makes the publication again, and what
/// was missed is copied, or told where nothing is copied.
#[test]
fn a_dropped_publication_of_postgresql_18_costs_no_row() -> Result<()> {
    let server = Postgres::builder().version(NEWEST).start()?;
    let scene = on(&server, "lost18")?;
    let name = &scene.name;
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", name));
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;
    sql("drop publication PUB")?;
    sql("update t set v = 'missed' where id = 1; insert into t values (6, 'missed')")?;
    wait_published(&scene, &headwater)?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_said(&headwater, "changes of the table were missed")?;
    // Another one under its name, between two looks; one transaction, so that nobody can come in between.
    sql("drop publication PUB; update t set v = 'between' where id = 2; create publication PUB for table t, u")?;
    sql("update t set v = 'behind' where id = 3; update u set v = 'behind'")?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;
    headwater.kill9()?;
    sql("drop publication PUB")?;
    sql("update t set v = 'in the dark' where id = 4; update u set v = 'in the dark'")?;
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());

    let mut scene = on(&server, "told18")?;
    scene.source = "snapshot = \"never\"\ntable_refresh = \"1s\"".to_owned();
    let headwater = scene.start()?;
    scene.database.execute("insert into t values (10, 'a')")?;
    scene.events("t", 1)?;
    scene.database.execute(&format!("drop publication {}", scene.name))?;
    scene.database.execute("insert into t values (11, 'missed')")?;
    wait_published(&scene, &headwater)?;
    for table in ["public.t", "public.u"] {
        let snapshot = format!("headwater snapshot {table}");
        wait_said(&headwater, &snapshot)?;
        line_with(&headwater.output(), &["ERROR", table, "\"since\"", "never will be", &snapshot])?;
    }
    scene.database.execute("insert into t values (12, 'b')")?;
    let ids: Vec<_> = scene.events("t", 2)?.iter().map(|event| event.after("id").as_i64()).collect();
    assert_eq!(ids, [10, 12].map(Some));
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

/// Tables are listed with some of their columns while they stream, and with all of them again.
fn lists(scene: &Scene) -> Result<()> {
    let name = &scene.name;
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", name));
    let headwater = scene.start()?;
    wait_same(scene, &headwater, "t", "id, v")?;
    // A new table, before headwater adds it whole.
    sql("create table w (id int primary key, v text, secret text); alter publication PUB add table w (id, v);
         insert into w values (1, 'a', 'hidden')")?;
    wait_same(scene, &headwater, "w", "id, v")?;
    sql("update w set v = 'b', secret = 'hidden, too'; insert into w values (2, 'c', 'hidden')")?;
    let events = wait_same(scene, &headwater, "w", "id, v")?;
    for event in &events {
        let raw = String::from_utf8_lossy(event.raw_value.as_deref().unwrap_or_default()).into_owned();
        ensure!(!raw.contains("hidden") && event.field("after").get("secret").is_none(), "{event:?}");
    }
    // A table that streams. What changes meanwhile is not in its topic, and the column comes back with its values.
    sql("alter publication PUB drop table t; alter publication PUB add table t (id)")?;
    sql("update t set v = 'left out' where id = 1; insert into t values (6, 'left out')")?;
    let events = wait_same(scene, &headwater, "t", "id")?;
    ensure!(!testkit::oracle::show(&events).contains("left out"), "{}", testkit::oracle::show(&events));
    wait_said(&headwater, "changes of the table were missed")?;
    sql("alter publication PUB set table t, u, w (id, v)")?;
    sql("update t set v = 'back' where id = 2")?;
    wait_same(scene, &headwater, "t", "id, v")?;
    wait_same(scene, &headwater, "w", "id, v")?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

#[test]
fn a_table_that_gets_a_list_of_columns_ends_up_with_these_columns() -> Result<()> {
    lists(&copied("list", TABLES)?)
}

#[test]
fn a_table_that_gets_a_list_of_columns_on_postgresql_18() -> Result<()> {
    let server = Postgres::builder().version(NEWEST).start()?;
    lists(&on(&server, "list18")?)
}
