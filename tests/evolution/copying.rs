//! Tables change while they are copied: what was read under another shape, key or name is never taken for the new one.

use super::*;

const ROWS: usize = 12_000;

/// So many rows that the copy takes several chunks.
fn filled(table: &str) -> String {
    format!(
        "create table {table} (id int primary key, v text, pad text);
         insert into {table} select i, 'old', repeat('x', 1500) from generate_series(1, {ROWS}) i;"
    )
}

/// Waits until the table's first chunk is in the topic, and its last one is not.
fn wait_begun(scene: &Scene, headwater: &Headwater, table: &str) -> Result<()> {
    eventually(PATIENCE, "the first chunk", || {
        let found = scene.oracle().count(&scene.topic(table))?;
        ensure!(found > 0, "{}", headwater.output());
        Ok(())
    })
}

/// Another column, arity and type of the key, and none for a while: texts of one key mean nothing for another.
#[test]
fn the_key_of_a_table_that_is_being_copied_changes() -> Result<()> {
    let mut scene = copied("rekeyed", &(filled("a") + &filled("b") + &filled("c")))?;
    scene.source.push_str("\nsnapshot_workers = 3");
    let headwater = scene.start()?;
    for table in ["a", "b", "c"] {
        wait_begun(&scene, &headwater, table)?;
    }
    let sql = |sql: &str| scene.database.execute(sql);
    sql("begin; alter table a add column k int; update a set k = -id; alter table a drop constraint a_pkey;
         alter table a add primary key (k); update a set v = 'new' where id % 100 = 0; commit")?;
    // As text 1000 comes before 500.
    sql("alter table b alter column id type text; update b set v = 'new' where id like '%00'")?;
    // No key: the copy waits for one.
    sql("alter table c drop constraint c_pkey")?;
    wait_said(&headwater, "public.c has lost its key")?;
    sql("alter table c add primary key (v, id); update c set v = 'new' where id % 100 = 0")?;
    for (table, columns) in [("a", "k, id, v"), ("b", "id, v"), ("c", "id, v")] {
        wait_said(&headwater, &format!("\"message\":\"snapshot complete\",\"table\":\"public.{table}\""))?;
        wait_latest(&scene, &headwater, table, columns)?;
    }
    Ok(())
}

/// The last event of each row, by its first column, has the row's values; under an older key there may be others.
fn wait_latest(scene: &Scene, headwater: &Headwater, table: &str, columns: &str) -> Result<()> {
    let shown = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names: Vec<&str> = columns.split(", ").collect();
    let rows = scene.database.query(&format!("select {columns} from {table}"))?;
    let expected: std::collections::BTreeSet<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| cell.clone().unwrap_or_default()).collect()).collect();
    eventually(PATIENCE, "every row as it is under its key of now", || {
        let events = scene.oracle().read(&scene.topic(table))?;
        let last = events.iter().rfind(|event| event.op() == "r").context("no copied row")?;
        let of_now = |event: &&Event| event.key_schema_id() == last.key_schema_id() || event.is_tombstone();
        let now: Vec<Event> = events.iter().filter(of_now).cloned().collect();
        let found: std::collections::BTreeSet<Vec<String>> = testkit::oracle::replay(&now)?
            .into_values()
            .map(|row| names.iter().map(|name| shown(row.get(*name).unwrap_or(&Json::Null))).collect())
            .collect();
        let missing: Vec<_> = expected.difference(&found).take(3).collect();
        let surplus: Vec<_> = found.difference(&expected).take(3).collect();
        ensure!(
            missing.is_empty() && surplus.is_empty(),
            "missing {missing:?}, surplus {surplus:?}\n{}",
            headwater.output()
        );
        Ok(())
    })
}

/// Renamed, dropped and made anew, emptied, altered: all while chunks are read.
#[test]
fn tables_that_are_being_copied_change_their_name_and_themselves() -> Result<()> {
    let mut scene = copied("replaced", &(filled("a") + &filled("b") + &filled("c") + &filled("d")))?;
    scene.source.push_str("\nsnapshot_workers = 4");
    let headwater = scene.start()?;
    for table in ["a", "b", "c", "d"] {
        wait_begun(&scene, &headwater, table)?;
    }
    let sql = |sql: &str| scene.database.execute(sql);
    // Under the name of `a` there is another table at once, and `a` goes on under another name.
    sql("begin; alter table a rename to moved;
         create table a (id int primary key, v text, pad text); insert into a values (1, 'another', 'a'); commit")?;
    sql("drop table b; create table b (k text primary key, v text); insert into b values ('only', 'one')")?;
    sql("begin; truncate c; insert into c values (3, 'after', 'c'); commit")?;
    sql("alter table d add column more int default 7; update d set v = 'new' where id % 100 = 0;
         alter table d drop column pad; alter table d rename column v to w")?;
    sql("update moved set v = 'new' where id % 100 = 0")?;
    for table in ["moved", "a", "b", "c", "d"] {
        wait_said(&headwater, &format!("\"message\":\"snapshot complete\",\"table\":\"public.{table}\""))?;
    }
    wait_same(&scene, &headwater, "moved", "id, v")?;
    wait_same(&scene, &headwater, "c", "id, v")?;
    wait_rows(&scene, &headwater, "a", |event| event.after("v") == "another", 1)?;
    wait_rows(&scene, &headwater, "b", |event| event.after("k") == "only", 1)?;
    let d = wait_rows(&scene, &headwater, "d", |event| event.after("w") == "new", ROWS / 100)?;
    ensure!(d.iter().filter(|event| event.after("w") == "new").all(|event| event.after("more") == 7));
    Ok(())
}

fn wait_rows(
    scene: &Scene,
    headwater: &Headwater,
    table: &str,
    fit: impl Fn(&Event) -> bool,
    least: usize,
) -> Result<Vec<Event>> {
    eventually(PATIENCE, &format!("rows of {table}"), || {
        let events = scene.oracle().read(&scene.topic(table))?;
        let found = events.iter().filter(|event| fit(event)).count();
        ensure!(found >= least, "{found} of {least}\n{}", headwater.output());
        Ok(events)
    })
}
