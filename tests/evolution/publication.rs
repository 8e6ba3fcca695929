//! The publication is altered by hand: what the stream missed meanwhile is copied again, or told.

use super::*;

pub(super) const TABLES: &str =
    "create table t (id int primary key, v text); insert into t select i, 'old' from generate_series(1, 5) i;
     create table u (id int primary key, v text); insert into u values (1, 'other')";

fn published(scene: &Scene) -> Result<bool> {
    let sql =
        format!("select count(*) from pg_publication_tables where pubname = '{}' and tablename = 't'", scene.name);
    Ok(scene.database.value(&sql)? == "1")
}

pub(super) fn wait_published(scene: &Scene, headwater: &Headwater) -> Result<()> {
    eventually(PATIENCE, "the table to be in the publication again", || {
        ensure!(published(scene)?, "{}", headwater.output());
        Ok(())
    })
}

/// Whoever takes a table out and puts it back, and whenever: rows that changed meanwhile are in the topic in the end.
#[test]
fn a_table_that_was_out_of_the_publication_is_copied_anew() -> Result<()> {
    let scene = copied("out", TABLES)?;
    let name = &scene.name;
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", name));
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;

    // Headwater puts it back.
    sql("alter publication PUB drop table t")?;
    sql("update t set v = 'missed' where id = 1")?;
    wait_published(&scene, &headwater)?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_said(&headwater, "changes of the table were missed")?;

    // Out and back between two looks.
    sql("alter publication PUB drop table t")?;
    sql("update t set v = 'missed too' where id = 2; insert into t values (6, 'missed')")?;
    if !published(&scene)? {
        sql("alter publication PUB add table t")?;
    }
    wait_same(&scene, &headwater, "t", "id, v")?;
    headwater.kill9()?;

    // Out and back while nobody looks.
    sql("alter publication PUB drop table t")?;
    sql("update t set v = 'in the dark' where id = 3")?;
    sql("alter publication PUB add table t")?;
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    headwater.kill9()?;

    // Out while nobody looks, and killed as soon as it is back.
    sql("alter publication PUB drop table t")?;
    sql("update t set v = 'and killed' where id = 4")?;
    let headwater = scene.launch()?;
    wait_published(&scene, &headwater)?;
    headwater.kill9()?;
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    // Nobody else was copied twice.
    let others = wait_same(&scene, &headwater, "u", "id, v")?;
    assert_eq!(count(&others, "r"), 1, "{}", headwater.output());
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    // And a start after peace copies nothing.
    let copies = count(&scene.oracle().read(&scene.topic("t"))?, "r");
    let headwater = scene.start()?;
    sql("update t set v = 'at the end' where id = 5")?;
    assert_eq!(count(&wait_same(&scene, &headwater, "t", "id, v")?, "r"), copies, "{}", headwater.output());
    Ok(())
}

/// Kinds of changes are left out for a while.
#[test]
fn a_publication_that_left_out_updates_is_mended_and_the_tables_are_copied_anew() -> Result<()> {
    let scene = copied("narrow", TABLES)?;
    let name = &scene.name;
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", name));
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    sql("alter publication PUB set (publish = 'insert')")?;
    sql("update t set v = 'missed' where id = 1; insert into t values (6, 'not missed')")?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    line_with(&headwater.output(), &["ERROR", "leaves out changes", "since"])?;
    eventually(PATIENCE, "the publication to be mended", || {
        let kinds =
            format!("select pubupdate and pubdelete and pubtruncate from pg_publication where pubname = '{name}'");
        ensure!(scene.database.value(&kinds)? == "t", "{}", headwater.output());
        Ok(())
    })?;
    headwater.kill9()?;
    // While nobody looks; and killed when it was mended.
    sql("alter publication PUB set (publish = 'insert, delete')")?;
    sql("update t set v = 'in the dark' where id = 2; update u set v = 'this one, too'")?;
    let headwater = scene.launch()?;
    eventually(PATIENCE, "the publication to be mended", || {
        let kinds = format!("select pubupdate from pg_publication where pubname = '{name}'");
        ensure!(scene.database.value(&kinds)? == "t", "{}", headwater.output());
        Ok(())
    })?;
    headwater.kill9()?;
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;
    Ok(())
}

/// Who does not copy has to be told, with the table and the time.
#[test]
fn without_copies_what_was_missed_is_told() -> Result<()> {
    let mut scene = Scene::new("told", TABLES)?;
    scene.source = "snapshot = \"never\"\ntable_refresh = \"1s\"".to_owned();
    let name = &scene.name;
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", name));
    let told = |headwater: &Headwater| -> Result<String> {
        wait_said(headwater, "never will be")?;
        line_with(
            &headwater.output(),
            &["ERROR", "public.t", "\"since\"", "never will be", "headwater snapshot public.t"],
        )
    };
    let headwater = scene.start()?;
    sql("insert into t values (10, 'a')")?;
    scene.events("t", 1)?;
    sql("alter publication PUB drop table t")?;
    sql("insert into t values (11, 'missed')")?;
    wait_published(&scene, &headwater)?;
    told(&headwater)?;
    ensure!(!headwater.output().contains("\"table\":\"public.u\",\"since\""), "{}", headwater.output());
    sql("insert into t values (12, 'b')")?;
    scene.events("t", 2)?;
    headwater.kill9()?;
    sql("alter publication PUB drop table t; insert into t values (13, 'missed')")?;
    let headwater = scene.start()?;
    told(&headwater)?;
    sql("insert into t values (14, 'c')")?;
    let ids: Vec<_> = scene.events("t", 3)?.iter().map(|event| event.after("id").as_i64()).collect();
    assert_eq!(ids, [10, 12, 14].map(Some));
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    // Kinds of changes: all tables are named.
    sql("alter publication PUB set (publish = 'insert')")?;
    let headwater = scene.start()?;
    told(&headwater)?;
    line_with(&headwater.output(), &["ERROR", "public.u", "never will be", "headwater snapshot public.u"])?;
    headwater.kill9()?;
    // A start after peace says nothing.
    let headwater = scene.start()?;
    sql("update t set v = 'd' where id = 14")?;
    scene.events("t", 4)?;
    ensure!(!headwater.output().contains("never will be"), "{}", headwater.output());
    Ok(())
}

/// What headwater may not mend it tells, with the statement; and when its owner has mended it, what was missed is copied.
#[test]
fn a_publication_of_another_that_was_altered_is_told_and_its_tables_are_copied_anew() -> Result<()> {
    let mut scene = copied("foreign", TABLES)?;
    let name = scene.name.clone();
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", &name));
    sql("create role PUB login replication; grant select on all tables in schema public to PUB;
         create publication PUB for table t, u")?;
    scene.neighbours.url = scene.database.url().replace("//postgres@", &format!("//{name}@"));
    let sql = |sql: &str| scene.database.execute(&sql.replace("PUB", &name));
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    sql("alter publication PUB drop table t; update t set v = 'missed' where id = 1")?;
    let add = format!("ALTER PUBLICATION {name} ADD TABLE public.t;");
    wait_said(&headwater, &add)?;
    scene.database.execute(&add)?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    sql("alter publication PUB set (publish = 'insert')")?;
    wait_said(&headwater, "leaves out changes")?;
    sql("update t set v = 'missed, too' where id = 2; update u set v = 'missed, too'")?;
    sql("alter publication PUB set (publish = 'insert, update, delete, truncate')")?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same(&scene, &headwater, "u", "id, v")?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    sql("drop publication PUB; drop owned by PUB; drop role PUB")
}
