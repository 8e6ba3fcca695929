//! Columns, keys, identities and names change while the log streams.

use super::*;

/// The key of each event as JSON text, with what happened.
fn keys(events: &[Event]) -> Vec<String> {
    let key = |event: &Event| event.key.as_ref().map_or_else(|| "-".to_owned(), Json::to_string);
    events
        .iter()
        .map(|event| format!("{} {}", if event.is_tombstone() { "x" } else { event.op() }, key(event)))
        .collect()
}

/// The Kafka key is the primary key as of each change, in number and order of its columns; the partition keeps up.
#[test]
fn the_key_changes_in_flight() -> Result<()> {
    let mut scene =
        Scene::new("keys", "create table k (id int primary key, a int not null, b text not null, note text)")?;
    scene.kafka = "[kafka.topics]\npartitions = 1".to_owned();
    let headwater = scene.start()?;
    let sql = |sql: &str| scene.database.execute(sql);
    sql("insert into k values (1, 10, 'x', 'n')")?;
    // Another column, in the transaction of the change; then two columns in an order of their own; then none; then again.
    sql("begin; update k set note = 'o'; alter table k drop constraint k_pkey; alter table k add primary key (a);
         update k set note = 'p'; commit")?;
    sql("alter table k drop constraint k_pkey; alter table k add primary key (b, id); update k set id = 2")?;
    // The order of the key's columns is the catalogue's: it has to be asked before they change again.
    scene.events("k", 6)?;
    sql("alter table k drop constraint k_pkey; insert into k values (3, 30, 'y', 'keyless')")?;
    // The server itself refuses what it could not log.
    let refused = sql("update k set note = 'q'").unwrap_err();
    ensure!(format!("{refused:#}").contains("replica identity"), "{refused:#}");
    sql("alter table k add primary key (id); update k set note = 'q' where id = 3")?;
    let events = scene.events("k", 8)?;
    let wanted = [
        r#"c {"id":1}"#,
        r#"u {"id":1}"#,
        r#"u {"a":10}"#,
        r#"d {"b":"x","id":1}"#,
        r#"x {"b":"x","id":1}"#,
        r#"c {"b":"x","id":2}"#,
        "c -",
        r#"u {"id":3}"#,
    ];
    assert_eq!(keys(&events), wanted, "{}", headwater.output());
    Ok(())
}

/// What the log carries of the old row changes with the replica identity, and so does the key.
#[test]
fn the_replica_identity_changes_in_flight() -> Result<()> {
    let mut scene = Scene::new(
        "identity",
        "create table r (id int primary key, a int not null unique, v text); insert into r values (1, 7, 'a')",
    )?;
    scene.source = "table_refresh = \"1s\"".to_owned();
    scene.kafka = "[kafka.topics]\npartitions = 1".to_owned();
    let headwater = scene.start()?;
    let sql = |sql: &str| scene.database.execute(sql);
    sql("update r set v = 'b'")?;
    sql("begin; alter table r replica identity full; update r set v = 'c'; commit")?;
    sql("alter table r replica identity using index r_a_key; update r set v = 'd'; update r set a = 8")?;
    sql("alter table r replica identity nothing; insert into r values (2, 9, 'e')")?;
    let refused = sql("update r set v = 'f'").unwrap_err();
    ensure!(format!("{refused:#}").contains("replica identity"), "{refused:#}");
    wait_said(&headwater, "a captured table has lost its replica identity")?;
    let told = line_with(&headwater.output(), &["WARN", "public.r", "lost its replica identity"])?;
    ensure!(told.contains("ALTER TABLE public.r REPLICA IDENTITY DEFAULT;"), "{told}");
    sql("alter table r replica identity default; delete from r where id = 2")?;
    let events = scene.events("r", 9)?;
    let wanted = [
        r#"u {"id":1}"#,
        r#"u {"id":1}"#,
        r#"u {"a":7}"#,
        r#"d {"a":7}"#,
        r#"x {"a":7}"#,
        r#"c {"a":8}"#,
        r#"c {"id":2}"#,
        r#"d {"id":2}"#,
        r#"x {"id":2}"#,
    ];
    assert_eq!(keys(&events), wanted);
    let full: Vec<_> = events.iter().filter(|event| event.before("v") == "b" && event.after("v") == "c").collect();
    assert_eq!(full.len(), 1, "{}", testkit::oracle::show(&events));
    Ok(())
}

/// Under replica identity full the log does not say what the primary key was: rows from before it may have none of it.
#[test]
fn a_key_that_the_log_contradicts_is_no_key() -> Result<()> {
    let scene = Scene::new(
        "ahead",
        "create table f (id int primary key, later int, v text); alter table f replica identity full",
    )?;
    let headwater = scene.start()?;
    scene.database.execute("insert into f values (1, null, 'a')")?;
    scene.events("f", 1)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    scene.database.execute(
        "insert into f values (2, null, 'b'), (3, 30, 'c'); update f set later = id * 10; alter table f drop constraint f_pkey;
         alter table f add primary key (later); insert into f values (4, 40, 'd'); delete from f where id = 1",
    )?;
    let headwater = scene.start()?;
    eventually(PATIENCE, "all rows", || {
        let events = scene.oracle().read(&scene.topic("f"))?;
        let ids: std::collections::BTreeSet<i64> =
            events.iter().filter_map(|event| event.after("id").as_i64()).collect();
        ensure!(ids == (1..=4).collect() && count(&events, "d") == 1, "{ids:?}\n{}", headwater.output());
        let last = events.iter().find(|event| event.after("id") == 4).and_then(|event| event.key.clone());
        ensure!(last == Some(serde_json::json!({ "later": 40 })), "{last:?}");
        Ok(())
    })
}

/// Changes of shape and rows mixed in a transaction that is cut into several batches, some rolled back, with a kill in the
/// middle; then while nobody reads; then with a kill right behind the change.
#[test]
fn shapes_change_in_transactions_that_are_cut_rolled_back_killed_and_read_late() -> Result<()> {
    let mut scene = Scene::new("mixed", "create table t (id int primary key, a int, b text)")?;
    scene.kafka = "batch.max_bytes = \"64KiB\"\nbatch.max_time = \"20ms\"\n[kafka.topics]\npartitions = 1".to_owned();
    let sql = |sql: &str| scene.database.execute(sql);
    let rows = |from: i32, columns: &str, values: &str| {
        format!("insert into t (id, {columns}) select i, {values} from generate_series({from}, {}) i;", from + 999)
    };
    let headwater = scene.start()?;
    sql("begin; alter table t add column never int; insert into t values (-1, 1, 'no', 1); rollback")?;
    sql(&format!(
        "begin; {} alter table t add column c numeric(6,2); {} savepoint s; alter table t drop column a; \
         insert into t values (-2, 'no', 1); rollback to s; {} alter table t rename column a to z; \
         alter table t alter column c type text; {} commit",
        rows(0, "a, b", "i, repeat('x', 100)"),
        rows(1000, "a, b, c", "i, 'y', 1.5"),
        rows(2000, "a, b, c", "i, 'y', 2.5"),
        rows(3000, "z, b, c", "i, 'y', 'any'"),
    ))?;
    eventually(PATIENCE, "the first part of the transaction", || {
        let found = scene.oracle().count(&scene.topic("t"))?;
        ensure!(found > 0, "{}", headwater.output());
        Ok(())
    })?;
    headwater.kill9()?;
    // Nobody reads: rows of three shapes are in the log, and the catalogue has only the last one.
    sql(
        "insert into t values (4000, 1, 'z', 'late'); alter table t drop column z; insert into t values (4001, 'z', 'late'); \
         alter table t add column n bigint not null default 5; alter table t alter column b type varchar(9) using left(b, 9); \
         insert into t values (4002, 'z', 'late', 6)",
    )?;
    let headwater = scene.start()?;
    scene.events("t", 4003)?;
    sql("alter table t drop column c; insert into t values (4003, 'z', 7)")?;
    headwater.kill9()?;
    let headwater = scene.start()?;
    sql("update t set n = 8 where id = 4003")?;
    let events = scene.events("t", 4005)?;
    assert_eq!(events.len(), 4005, "{}", headwater.output());
    for (at, event) in events.iter().enumerate().take(4000) {
        let wanted = match at / 1000 {
            0 => serde_json::json!({ "id": at, "a": at, "b": "x".repeat(100) }),
            1 => serde_json::json!({ "id": at, "a": at, "b": "y", "c": "1.50" }),
            2 => serde_json::json!({ "id": at, "a": at, "b": "y", "c": "2.50" }),
            _ => serde_json::json!({ "id": at, "z": at, "b": "y", "c": "any" }),
        };
        assert_eq!(event.field("after"), &wanted, "event {at}");
    }
    let rest: Vec<Json> = events[4000..].iter().map(|event| event.field("after").clone()).collect();
    let wanted = [
        r#"{"b":"z","c":"late","id":4000,"z":1}"#,
        r#"{"b":"z","c":"late","id":4001}"#,
        r#"{"b":"z","c":"late","id":4002,"n":6}"#,
        r#"{"b":"z","id":4003,"n":7}"#,
        r#"{"b":"z","id":4003,"n":8}"#,
    ];
    let wanted: Vec<Json> = wanted.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
    assert_eq!(rest, wanted);
    Ok(())
}

/// Two tables change names, and back: the log has another shape under an old name.
#[test]
fn tables_that_swap_names_keep_their_shapes() -> Result<()> {
    let scene = Scene::new(
        "swap",
        "create table a (id int primary key, v text); create table b (id int primary key, v text, more int)",
    )?;
    let swap = "begin; alter table a rename to aside; alter table b rename to a; alter table aside rename to b; commit";
    let headwater = scene.start()?;
    let sql = |sql: &str| scene.database.execute(sql);
    sql("insert into a values (1, 'first')")?;
    sql(swap)?;
    sql("insert into a values (2, 'second', 2)")?;
    sql(swap)?;
    sql("insert into a values (3, 'third')")?;
    let mut events = scene.events("a", 3)?;
    events.sort_by_key(|event| event.field("source.lsn").as_i64());
    let shown: Vec<Json> = events.iter().map(|event| event.field("after").clone()).collect();
    assert_eq!(
        shown,
        [
            serde_json::json!({ "id": 1, "v": "first" }),
            serde_json::json!({ "id": 2, "v": "second", "more": 2 }),
            serde_json::json!({ "id": 3, "v": "third" }),
        ],
        "{}",
        headwater.output()
    );
    // Dropped and made anew, with another shape and key.
    sql("insert into b values (1, 'old', 1); drop table b; create table b (k text primary key, w int)")?;
    eventually(PATIENCE, "the new table in the publication", || {
        let listed = "select count(*) from pg_publication_tables where tablename = 'b'";
        ensure!(scene.database.value(listed)? == "1", "{}", headwater.output());
        Ok(())
    })?;
    sql("insert into b values ('x', 5)")?;
    let events = scene.events("b", 2)?;
    let new = events.iter().find(|event| event.after("w") == 5).context("the new table's row")?;
    assert_eq!(new.key, Some(serde_json::json!({ "k": "x" })));
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

/// A table under a new name is a new topic, with all its rows; back under its old one, that topic is made whole again.
#[test]
fn a_renamed_table_is_copied_into_the_topic_of_its_new_name() -> Result<()> {
    let mut scene = copied(
        "renamed",
        "create schema s; create table t (id int primary key, v text); insert into t select i, 'old' from generate_series(1, 4) i;
         create table s.x (id int primary key, v text); insert into s.x values (1, 'in s')",
    )?;
    scene.tables = vec!["public.*".to_owned(), "s.*".to_owned(), "s2.*".to_owned(), "!public.hidden".to_owned()];
    let sql = |sql: &str| scene.database.execute(sql);
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    wait_same_in(&scene, &headwater, "s.x", "id, v")?;
    sql("alter table t rename to moved; update moved set v = 'changed' where id = 1")?;
    wait_same(&scene, &headwater, "moved", "id, v")?;
    sql("alter schema s rename to s2; update s2.x set v = 'in s2'")?;
    wait_same_in(&scene, &headwater, "s2.x", "id, v")?;
    // Back.
    sql("alter table moved rename to t; update t set v = 'back' where id = 2")?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    // Away and back between two looks, with a change in between: to a name that nobody wants, and while nobody reads.
    sql("alter table t rename to hidden; update hidden set v = 'hidden' where id = 3; alter table hidden rename to t;
         update t set v = 'seen' where id = 4")?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    headwater.kill9()?;
    sql(
        "alter table t rename to moved; update moved set v = 'in the dark' where id = 1; alter table moved rename to t;
         update t set v = 'seen again' where id = 4",
    )?;
    let headwater = scene.start()?;
    wait_same(&scene, &headwater, "t", "id, v")?;
    // Away for good, to a name that nobody wants: that is told.
    sql("alter table t rename to hidden; update hidden set v = 'lost'")?;
    wait_said(&headwater, "`tables` does not ask for that name")?;
    Ok(())
}
