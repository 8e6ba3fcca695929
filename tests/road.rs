//! The thin road: a row change reaches Kafka as an Avro event whose schema the registry has.

use anyhow::Result;
use testkit::shared;

use crate::support::Scene;

pub(crate) const SHOP: &str =
    "create table orders (id bigint primary key, amount numeric(12,2), note text, at timestamptz);
    create table lines (order_id bigint, line int, qty int, primary key (order_id, line));";

#[test]
fn changes_arrive_as_registered_avro() -> Result<()> {
    changes_arrive(&Scene::new("road", SHOP)?)
}

pub(crate) fn changes_arrive(scene: &Scene) -> Result<()> {
    let headwater = scene.start()?;
    scene.database.execute(
        "insert into orders values (1, 12.30, 'first', '2026-01-02 03:04:05.678901+00');
         update orders set amount = 13.40 where id = 1; delete from orders where id = 1",
    )?;
    let events = scene.events("orders", 4)?;
    let ops: Vec<&str> = events.iter().map(testkit::Event::op).collect();
    assert_eq!(ops, ["c", "u", "d", ""], "a delete is followed by a tombstone");
    assert_eq!(events[0].after("amount"), "12.30");
    assert_eq!(events[0].after("note"), "first");
    assert_eq!(events[0].after("at"), "2026-01-02 03:04:05.678901+00");
    assert_eq!(events[1].after("amount"), "13.40");
    assert_eq!(events[2].before("id"), 1);
    assert_eq!(events[0].field("source.connector"), "postgresql");
    assert_eq!(events[0].field("source.table"), "orders");
    let (id, schema) = shared::registry().latest(&format!("{}-value", scene.topic("orders")))?;
    assert_eq!(events[0].value_schema_id().map(i64::from), Some(id));
    assert!(schema.to_string().contains("numeric(12,2)"), "the SQL type is a property: {schema}");
    assert_eq!(headwater.terminate(crate::support::PATIENCE)?, 0);
    Ok(())
}

#[test]
fn a_transaction_over_two_tables_is_one() -> Result<()> {
    let scene = Scene::new("road", SHOP)?;
    let _headwater = scene.start()?;
    scene.database.execute(
        "begin; insert into orders values (7, 1, 'x', null); insert into lines values (7, 1, 2), (7, 2, 5); commit",
    )?;
    let orders = scene.events("orders", 1)?;
    let lines = scene.events("lines", 2)?;
    let id = orders[0].field("transaction.id");
    assert_eq!(lines[0].field("transaction.id"), id);
    let numbers: Vec<_> = orders.iter().chain(&lines).map(|event| event.field("transaction.total_order")).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(lines[1].field("transaction.data_collection_order"), 2);
    Ok(())
}

#[test]
fn a_change_of_the_key_moves_the_row() -> Result<()> {
    let scene = Scene::new("road", SHOP)?;
    let _headwater = scene.start()?;
    scene.database.execute("insert into orders values (1, 1, 'a', null); update orders set id = 2 where id = 1")?;
    let events = scene.events("orders", 4)?;
    let ops: Vec<&str> = events.iter().map(testkit::Event::op).collect();
    assert_eq!(ops, ["c", "d", "", "c"]);
    let keys: Vec<String> =
        events.iter().map(|event| event.key.as_ref().map_or_else(String::new, |key| key["id"].to_string())).collect();
    assert_eq!(keys, ["1", "1", "1", "2"]);
    Ok(())
}

#[test]
fn every_replica_identity_publishes_what_the_log_has() -> Result<()> {
    let scene = Scene::new(
        "road",
        "create table by_key (id int primary key, note text);
         create table by_full (id int primary key, note text); alter table by_full replica identity full;
         create table by_index (a int not null, b int not null, note text); create unique index ix on by_index (b);
         alter table by_index replica identity using index ix;
         create table keyless (note text); alter table keyless replica identity full;",
    )?;
    let _headwater = scene.start()?;
    scene.database.execute(
        "insert into by_key values (1, 'a'); update by_key set note = 'b'; delete from by_key;
         insert into by_full values (1, 'a'); update by_full set note = 'b'; delete from by_full;
         insert into by_index values (1, 2, 'a'); update by_index set note = 'b'; delete from by_index;
         insert into keyless values ('a'); update keyless set note = 'b'; delete from keyless;",
    )?;
    let by_key = scene.events("by_key", 4)?;
    assert!(by_key[1].field("before").is_null(), "the key did not change, so the log has no old row");
    assert_eq!(by_key[2].field("absent")[0]["reason"], "key-only");
    assert!(by_key[2].before("note").is_null());
    let by_full = scene.events("by_full", 4)?;
    assert_eq!((by_full[1].before("note"), by_full[1].after("note")), (&"a".into(), &"b".into()));
    let by_index = scene.events("by_index", 4)?;
    assert_eq!(by_index[0].key.as_ref().map(|key| key["b"].clone()), Some(2.into()));
    assert_eq!(by_index[2].before("b"), 2);
    let keyless = scene.events("keyless", 3)?;
    assert!(keyless.iter().all(|event| event.key.is_none()));
    assert_eq!(keyless[2].before("note"), "b");
    Ok(())
}

#[test]
fn unchanged_toast_is_listed_in_absent() -> Result<()> {
    let scene = Scene::new(
        "road",
        "create table docs (id int primary key, body text, n int); alter table docs alter body set storage external;",
    )?;
    let _headwater = scene.start()?;
    scene.database.execute("insert into docs values (1, repeat('x', 20000), 1)")?;
    scene.database.execute("update docs set n = 2")?;
    let events = scene.events("docs", 2)?;
    assert_eq!(events[0].after("body").as_str().map(str::len), Some(20_000));
    assert!(events[1].after("body").is_null());
    assert_eq!(events[1].field("absent")[0]["field"], "after.body");
    assert_eq!(events[1].field("absent")[0]["reason"], "unchanged");
    assert_eq!(events[1].after("n"), 2);
    Ok(())
}

/// A change that this database received by replication itself says where from.
#[test]
fn the_origin_of_a_replicated_change_is_in_its_event() -> Result<()> {
    let scene = Scene::new("road", SHOP)?;
    let _headwater = scene.start()?;
    let origin = &scene.name;
    scene.database.execute(&format!(
        "select pg_replication_origin_create('{origin}'); select pg_replication_origin_session_setup('{origin}');
         begin; select pg_replication_origin_xact_setup('0/ABCDEF', '2026-01-02 03:04:05+00');
         insert into orders values (1, 1, 'from elsewhere', null); commit;
         select pg_replication_origin_session_reset(); insert into orders values (2, 1, 'our own', null);"
    ))?;
    let events = scene.events("orders", 2)?;
    assert_eq!(events[0].after("id"), 1);
    assert_eq!(events[0].field("source.origin"), origin.as_str());
    assert_eq!(events[0].field("source.origin_lsn"), 0x00AB_CDEF);
    for field in ["source.origin", "source.origin_lsn"] {
        assert!(events[1].field(field).is_null(), "{field}: {:?}", events[1]);
    }
    scene.database.execute(&format!("select pg_replication_origin_drop('{origin}')"))
}
