//! Which tables are captured, under which names, and what happens when they change their shape.

use anyhow::{Context, Result, ensure};
use testkit::{Headwater, eventually};

use crate::support::{PATIENCE, Scene};

/// The connector refuses to start; gives all it said.
fn refusal(scene: &Scene) -> Result<String> {
    let headwater = scene.launch()?;
    let code = headwater.wait_exit(PATIENCE)?;
    let output = headwater.output();
    ensure!(code == 3 && !output.contains("panicked"), "exit code {code}:\n{output}");
    Ok(output)
}

/// The statement in `output` that begins with `words`.
fn statement<'a>(output: &'a str, words: &str) -> Result<&'a str> {
    let line = output.lines().rev().find(|line| line.contains(words)).with_context(|| format!("{words}?\n{output}"))?;
    let begin = line.find(words).context("found above")?;
    let end = line[begin..].find(';').with_context(|| format!("no end of the statement in: {line}"))?;
    Ok(&line[begin..=begin + end])
}

fn wait_published(scene: &Scene, headwater: &Headwater, table: &str) -> Result<()> {
    let sql = format!(
        "select count(*) from pg_publication_tables where pubname = '{}' and tablename = '{table}'",
        scene.name
    );
    eventually(PATIENCE, &format!("{table} in the publication"), || {
        ensure!(scene.database.value(&sql)? == "1", "not there\n{}", headwater.output());
        Ok(())
    })
}

#[test]
fn a_table_created_later_joins() -> Result<()> {
    let mut scene = Scene::new("later", "create table first (id int primary key)")?;
    scene.source = "table_refresh = \"1s\"".to_owned();
    let headwater = scene.start()?;
    scene.database.execute("insert into first values (1); create table second (id int primary key, note text)")?;
    wait_published(&scene, &headwater, "second")?;
    scene.database.execute("insert into second values (7, 'joined'); insert into first values (2)")?;
    assert_eq!(scene.events("second", 1)?[0].after("note"), "joined");
    scene.events("first", 2)?;
    ensure!(!headwater.output().contains("going on from the checkpoint"), "it restarted:\n{}", headwater.output());
    Ok(())
}

/// Nobody's privileges are assumed: what a role may not do is shown as the statement that its owner can run.
#[test]
fn a_publication_of_another_is_never_changed() -> Result<()> {
    let mut scene =
        Scene::new("theirs", "create table one (id int primary key); create table \"Two\" (id int primary key)")?;
    let name = scene.name.clone();
    scene.database.execute(&format!(
        "create role {name} login replication; grant select on all tables in schema public to {name}"
    ))?;
    scene.neighbours.url = scene.database.url().replace("//postgres@", &format!("//{name}@"));
    let output = refusal(&scene)?;
    let create = statement(&output, "CREATE PUBLICATION")?;
    ensure!(create.contains("public.one") && create.contains(r#"public."Two""#), "{create}");
    scene.database.execute(&format!("create publication {name} for table one"))?;
    let output = refusal(&scene)?;
    let alter = statement(&output, "ALTER PUBLICATION")?;
    ensure!(!alter.contains("public.one"), "{alter}");
    let tables = format!(
        "select string_agg(tablename, ' ' order by tablename) from pg_publication_tables where pubname = '{name}'"
    );
    assert_eq!(scene.database.value(&tables)?, "one");
    // The statement is exact: run as it stands, it is all that was missing.
    scene.database.execute(alter)?;
    assert_eq!(scene.database.value(&tables)?, "Two one");
    let headwater = scene.start()?;
    scene.database.execute("insert into \"Two\" values (2)")?;
    scene.events("Two", 1)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    scene.database.execute(&format!("drop owned by {name}; drop role {name}"))
}

/// A published table without a replica identity refuses the application's own updates: headwater never does that to it.
#[test]
fn publication_never_breaks_writes() -> Result<()> {
    let mut scene =
        Scene::new("bare", "create table good (id int primary key, note text); create table bare (id int, note text)")?;
    scene.source = "table_refresh = \"1s\"".to_owned();
    scene.database.execute("insert into bare values (1, 'a')")?;
    let output = refusal(&scene)?;
    ensure!(output.contains("public.bare has no primary key"), "{output}");
    let mend = statement(&output, "ALTER TABLE public.bare")?;
    scene.database.execute("update bare set note = 'b'; delete from bare where id = 9")?;
    scene.database.execute(mend)?;
    let headwater = scene.start()?;
    scene.database.execute("update bare set note = 'c'")?;
    assert_eq!(scene.events("bare", 1)?[0].before("note"), "b");
    // And one that is created while it runs.
    scene.database.execute("create table naked (id int); insert into naked values (1)")?;
    eventually(PATIENCE, "a warning", || {
        let output = headwater.output();
        ensure!(output.contains("ALTER TABLE public.naked REPLICA IDENTITY FULL;"), "{output}");
        Ok(())
    })?;
    scene.database.execute("update naked set id = 2; insert into good values (1, 'x'); update good set note = 'y'")?;
    scene.events("good", 2)?;
    Ok(())
}

#[test]
fn excluded_tables_leave_no_trace() -> Result<()> {
    let mut scene = Scene::new(
        "without",
        "create table orders (id int primary key); create table audit_log (id int primary key);
         create table audit_trail (note text)",
    )?;
    scene.tables = vec!["public.*".to_owned(), "!public.audit_*".to_owned()];
    let headwater = scene.start()?;
    scene.database.execute(
        "insert into audit_log values (1); insert into audit_trail values ('x'); update audit_trail set note = 'y';
         insert into orders values (1)",
    )?;
    scene.events("orders", 1)?;
    let topics = testkit::shared::kafka().topics(&format!("{}.", scene.name))?;
    assert_eq!(topics, [format!("{}.checkpoints", scene.name), scene.topic("orders")]);
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

#[test]
fn a_partitioned_table_publishes_under_its_own_name() -> Result<()> {
    let scene = Scene::new(
        "parts",
        "create table sales (id int, region text, amount int, primary key (id, region)) partition by list (region);
         create table sales_eu partition of sales for values in ('eu');
         create table sales_us partition of sales for values in ('us');",
    )?;
    let headwater = scene.start()?;
    scene.database.execute(
        "insert into sales values (1, 'eu', 10), (2, 'us', 20); update sales set amount = 11 where id = 1;
         create table sales_asia partition of sales for values in ('asia'); insert into sales values (3, 'asia', 30)",
    )?;
    let events = scene.events("sales", 4)?;
    let amounts: Vec<_> = events.iter().map(|event| event.after("amount").as_i64().unwrap_or_default()).collect();
    assert_eq!(amounts, [10, 20, 11, 30]);
    ensure!(events.iter().all(|event| event.field("source.table") == "sales"));
    let topics = testkit::shared::kafka().topics(&format!("{}.public.", scene.name))?;
    assert_eq!(topics, [scene.topic("sales")], "{}", headwater.output());
    Ok(())
}

#[test]
fn odd_names_survive() -> Result<()> {
    let scene = Scene::new(
        "odd",
        r#"create table "Order Lines" ("Line No" int primary key, "a.b" text, "größe" text, "quo""te" text, "1st" text);
           create table "we""ird.name" (id int primary key, "select" text);
           create table "größe" ("ключ" int primary key, "value" text);"#,
    )?;
    let headwater = scene.start()?;
    scene.database.execute(
        r#"insert into "Order Lines" values (1, 'dot', 'ü', 'q', 'first'); insert into "we""ird.name" values (2, 'kw');
           insert into "größe" values (3, 'x'); delete from "größe""#,
    )?;
    let lines = &scene.events("Order_x20_Lines", 1)?[0];
    assert_eq!(lines.field("source.table"), "Order Lines");
    for (column, value) in [("a_x2e_b", "dot"), ("gr_xf6__xdf_e", "ü"), ("quo_x22_te", "q"), ("_x31_st", "first")] {
        assert_eq!(lines.after(column), value, "{column} in {lines:?}");
    }
    assert_eq!(lines.key.as_ref().map(|key| key["Line_x20_No"].clone()), Some(1.into()));
    assert_eq!(scene.events("we_x22_ird_x2e_name", 1)?[0].after("select"), "kw");
    let events = scene.events("gr_xf6__xdf_e", 3)?;
    assert_eq!(events[1].op(), "d");
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

#[test]
fn truncate_is_an_event() -> Result<()> {
    let scene = Scene::new(
        "emptied",
        "create table parent (id int primary key); create table child (id int primary key references parent)",
    )?;
    let _headwater = scene.start()?;
    scene.database.execute("insert into parent values (1); insert into child values (1)")?;
    scene.database.execute("truncate parent cascade; insert into parent values (2)")?;
    let parent = scene.events("parent", 3)?;
    let ops: Vec<_> = parent.iter().map(testkit::Event::op).collect();
    assert_eq!(ops, ["c", "t", "c"]);
    ensure!(parent[1].key.is_none() && parent[1].field("after").is_null() && parent[1].field("before").is_null());
    let child = scene.events("child", 2)?;
    assert_eq!(child[1].op(), "t");
    assert_eq!(child[1].field("transaction.id"), parent[1].field("transaction.id"));
    ensure!(testkit::oracle::replay(&child)?.is_empty());
    Ok(())
}

/// Every event decodes with the schema that was right when its row changed, also inside one transaction.
#[test]
fn columns_change_in_flight() -> Result<()> {
    shape_changes(&Scene::new("shape", SHAPE)?)
}

pub(crate) const SHAPE: &str = "create table t (id int primary key, a int, b text)";

pub(crate) fn shape_changes(scene: &Scene) -> Result<()> {
    let headwater = scene.start()?;
    scene.database.execute("insert into t values (1, 1, 'one')")?;
    scene.database.execute(
        "alter table t add column c numeric(5,1) not null default 2.5; insert into t values (2, 2, 'two', 3.5)",
    )?;
    scene.database.execute(
        "begin; insert into t values (3, 3, 'three', 4.5); alter table t drop column a;
         insert into t values (4, 'four', 5.5); alter table t rename column b to label;
         update t set label = 'IV' where id = 4; alter table t alter column c type text;
         insert into t values (5, 'five', 'any'); commit",
    )?;
    let events = scene.events("t", 6)?;
    let shown: Vec<String> = events.iter().map(|event| event.field("after").to_string()).collect();
    let wanted = [
        r#"{"id":1,"a":1,"b":"one"}"#,
        r#"{"id":2,"a":2,"b":"two","c":"3.5"}"#,
        r#"{"id":3,"a":3,"b":"three","c":"4.5"}"#,
        r#"{"id":4,"b":"four","c":"5.5"}"#,
        r#"{"id":4,"label":"IV","c":"5.5"}"#,
        r#"{"id":5,"label":"five","c":"any"}"#,
    ];
    for (shown, wanted) in shown.iter().zip(wanted) {
        let wanted: serde_json::Value = serde_json::from_str(wanted)?;
        let shown: serde_json::Value = serde_json::from_str(shown)?;
        assert_eq!(shown, wanted);
    }
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

#[test]
fn a_table_of_300_columns_is_published_whole() -> Result<()> {
    let columns: Vec<String> = (1..300).map(|n| format!("c{n} {}", ["int", "text", "numeric(9,2)"][n % 3])).collect();
    let scene = Scene::new("wide", &format!("create table wide (id int primary key, {})", columns.join(", ")))?;
    let _headwater = scene.start()?;
    let values: Vec<String> = (1..300).map(|n| format!("'{n}'")).collect();
    scene
        .database
        .execute(&format!("insert into wide values (1, {}); update wide set c299 = -1", values.join(", ")))?;
    let events = scene.events("wide", 2)?;
    for n in 1..299 {
        let text = events[1].after(&format!("c{n}")).to_string();
        let wanted = [format!("{n}"), format!("\"{n}\""), format!("\"{n}.00\"")][n % 3].clone();
        assert_eq!(text, wanted, "c{n}");
    }
    assert_eq!(events[1].after("c299"), "-1.00");
    Ok(())
}

/// The log has no generated columns before PostgreSQL 18; the rest of the row is whole, and the field is not invented.
#[test]
fn generated_columns_do_not_disturb() -> Result<()> {
    let scene = Scene::new(
        "generated",
        "create table g (id int generated always as identity primary key, a int,
         twice int generated always as (a * 2) stored, b text)",
    )?;
    let _headwater = scene.start()?;
    scene.database.execute("insert into g (a, b) values (4, 'x'); update g set a = 5")?;
    let events = scene.events("g", 2)?;
    assert_eq!((events[1].after("a"), events[1].after("b")), (&5.into(), &"x".into()));
    ensure!(events[1].field("after").get("twice").is_none(), "{:?}", events[1]);
    Ok(())
}
