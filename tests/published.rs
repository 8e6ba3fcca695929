//! What a publication leaves of a table holds for both roads: the copy has the rows and columns that the stream has.

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Event, Headwater, Postgres, eventually, shared};

use crate::support::{Neighbours, PATIENCE, Scene};
use crate::versions::beside;

const TABLES: &str = "
    create table filtered (id int primary key, region text, v text); alter table filtered replica identity full;
    insert into filtered values (1, 'eu', 'a'), (2, 'us', 'b'), (3, 'eu', 'c'), (4, 'us', 'd');
    create table listed (id int primary key, secret text, v text); insert into listed values (1, 'hidden', 'a');
    create table parts (id int, region text, v text, primary key (id, region)) partition by list (region);
    create table parts_eu partition of parts for values in ('eu');
    create table parts_rest partition of parts default;
    insert into parts values (1, 'eu', 'a'), (2, 'us', 'b');
    create table parent (id int primary key, v text);
    create table child (more int, primary key (id)) inherits (parent);
    insert into parent values (1, 'a'); insert into child values (2, 'b', 5);
    create table leaf_root (id int primary key, v text) partition by range (id);
    create table leaf_one partition of leaf_root for values from (0) to (100);
    insert into leaf_root values (1, 'a')";

const CHANGES: &str = "
    update filtered set v = 'a2' where id = 1; update filtered set region = 'eu', v = 'b2' where id = 2;
    update filtered set region = 'us' where id = 3; update filtered set v = 'd2' where id = 4;
    insert into filtered values (5, 'us', 'e'), (6, 'eu', 'f'); delete from filtered where id = 4;
    update listed set secret = 'still hidden', v = 'a2'; insert into listed values (2, 'hidden', 'b');
    update parts set region = 'asia' where id = 1; insert into parts_eu values (3, 'eu', 'c');
    update parent set v = v || '2'; insert into child values (3, 'c', 6);
    update leaf_root set v = 'a2'";

fn features(scene: &mut Scene) -> Result<()> {
    scene.source = "snapshot = \"initial\"".to_owned();
    scene.tables =
        ["filtered", "listed", "parts", "parent", "child", "leaf_one"].map(|table| format!("public.{table}")).to_vec();
    scene.database.execute(&format!(
        "create publication {} for table filtered where (region = 'eu'), listed (id, v), parts, only parent, child, leaf_one
         with (publish_via_partition_root = true)",
        scene.name
    ))?;
    let headwater = scene.start()?;
    let same = |table: &str, sql: &str| wait_same(scene, &headwater, table, sql);
    let copied = same("filtered", "select * from filtered where region = 'eu'")?;
    assert_eq!(copied.len(), 2);
    for (table, sql) in WHOLE {
        same(table, sql)?;
    }
    scene.database.execute(CHANGES)?;
    let events = same("filtered", "select * from filtered where region = 'eu'")?;
    // What moves into the filter is an insert, what moves out a delete; what stays outside is nothing.
    let of = |op: &str| events.iter().filter(|event| event.op() == op).count();
    assert_eq!((of("r"), of("u"), of("c"), of("d")), (2, 1, 2, 1), "{}", testkit::oracle::show(&events));
    for (table, sql) in WHOLE {
        let events = same(table, sql)?;
        ensure!(events.iter().any(|event| event.op() != "r"), "{table}: nothing from the stream");
    }
    // Children are tables of their own, and no row is there twice.
    assert_eq!(same("parent", "select * from only parent")?.iter().filter(|event| event.op() == "r").count(), 1);
    assert_eq!(same("child", "select * from child")?.iter().filter(|event| event.op() == "r").count(), 1);
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

/// Both roads write with one schema.
const WHOLE: &[(&str, &str)] = &[
    ("listed", "select id, v from listed"),
    ("parts", "select * from parts"),
    ("parent", "select * from only parent"),
    ("child", "select * from child"),
    ("leaf_one", "select * from leaf_one"),
];

/// The topic says what the query says; all its events have one schema.
fn wait_same(scene: &Scene, headwater: &Headwater, table: &str, sql: &str) -> Result<Vec<Event>> {
    let rows = scene.database.query(&format!("select to_jsonb(q)::text from ({sql}) q"))?;
    let parse = |row: &Vec<Option<String>>| serde_json::from_str::<Json>(row[0].as_deref().unwrap_or_default());
    let mut expected = rows.iter().map(parse).collect::<Result<Vec<Json>, _>>()?;
    expected.sort_by_key(|row| row["id"].as_i64());
    eventually(PATIENCE, &format!("the topic of {table} to say what the query says"), || {
        let events = scene.oracle().read(&scene.topic(table))?;
        let mut found: Vec<Json> = testkit::oracle::replay(&events)?.into_values().collect();
        found.sort_by_key(|row| row["id"].as_i64());
        ensure!(found == expected, "{found:?}\nis not {expected:?}\n{}", headwater.output());
        let mut schemas: Vec<u32> = events.iter().filter_map(Event::value_schema_id).collect();
        schemas.dedup();
        ensure!(schemas.len() <= 1, "{table}: schemas {schemas:?}");
        Ok(events)
    })
}

#[test]
fn filters_lists_partitions_and_children_are_the_same_on_both_roads() -> Result<()> {
    features(&mut Scene::new("published", TABLES)?)
}

/// The same on the newest version; and its generated columns, which a publication may have as a whole or by name.
#[test]
fn generated_columns_are_the_same_on_both_roads_of_postgresql_18() -> Result<()> {
    let server = Postgres::builder().version("18.4.0").start()?;
    let scene = |label: &str, sql: &str| {
        let (database, neighbours) = beside(&server)?;
        Scene::with(label, sql, database, neighbours)
    };
    features(&mut scene("published18", TABLES)?)?;
    let columns = "id int primary key, a int, twice int generated always as (a * 2) stored,
         thrice int generated always as (a * 3) virtual";
    for (label, options, named, shown) in [
        ("stored", "with (publish_generated_columns = stored)", "", "id, a, twice"),
        ("named", "", "(id, twice)", "id, twice"),
        ("none", "", "", "id, a"),
    ] {
        let mut scene = scene(
            &format!("{label}18"),
            &format!("create table g ({columns}); insert into g select i, i from generate_series(1, 3) i"),
        )?;
        scene.source = "snapshot = \"initial\"".to_owned();
        scene.database.execute(&format!("create publication {} for table g {named} {options}", scene.name))?;
        let headwater = scene.start()?;
        let sql = format!("select {shown} from g");
        wait_same(&scene, &headwater, "g", &sql)?;
        scene.database.execute("update g set a = 10 where id = 1; insert into g values (4, 4)")?;
        let events = wait_same(&scene, &headwater, "g", &sql)?;
        assert_eq!(events.len(), 5, "{label}: {}", testkit::oracle::show(&events));
        // Not even the first look at the catalogue made another version.
        let versions = shared::registry().versions(&format!("{}-value", scene.topic("g")))?;
        assert_eq!(versions, [1], "{label}");
        assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    }
    Ok(())
}

const HIDING: &str = "create table t (id int primary key, owner text); insert into t values (1, 'me'), (2, 'you');
     alter table t enable row level security; create policy mine on t for select using (owner = 'me')";

/// A role that may not read, or reads only a part, is told the very statement that is missing.
#[test]
fn rows_that_the_role_may_not_read_are_never_left_out_in_silence() -> Result<()> {
    hidden(Scene::new("hidden", HIDING)?)
}

#[test]
fn rows_that_the_role_of_postgresql_18_may_not_read_are_never_left_out_in_silence() -> Result<()> {
    let server = Postgres::builder().version("18.4.0").start()?;
    let (database, neighbours) = beside(&server)?;
    hidden(Scene::with("hidden18", HIDING, database, neighbours)?)
}

fn hidden(scene: Scene) -> Result<()> {
    let name = scene.name.clone();
    scene.database.execute(&format!("create role {name} login replication; create publication {name} for table t"))?;
    let url = scene.database.url().replace("//postgres@", &format!("//{name}@"));
    let Neighbours { brokers, registry, .. } = scene.neighbours.clone();
    let scene = Scene {
        neighbours: Neighbours { brokers, registry, url },
        source: "snapshot = \"initial\"".to_owned(),
        ..scene
    };
    let refusal = |statement: &str| -> Result<()> {
        let headwater = scene.launch()?;
        let code = headwater.wait_exit(PATIENCE)?;
        let output = headwater.output();
        let statement = statement.replace("NAME", &name);
        let line = output
            .lines()
            .rfind(|line| line.contains(&statement))
            .with_context(|| format!("{statement}?\n{output}"))?;
        ensure!(code == 3 && !line.contains("panicked"), "exit code {code}: {line}");
        scene.database.execute(&statement)
    };
    refusal("GRANT SELECT ON public.t TO NAME;")?;
    assert_eq!(scene.oracle().count(&scene.topic("t"))?, 0);
    refusal("ALTER ROLE NAME BYPASSRLS;")?;
    assert_eq!(scene.oracle().count(&scene.topic("t"))?, 0);
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "select * from t")?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    scene.database.execute(&format!("drop publication {name}; drop owned by {name}; drop role {name}"))
}
