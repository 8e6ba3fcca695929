//! Columns, keys, identities and names change while the log streams.

use super::*;

/// The key of each event as JSON text, with what happened.
fn keys(events: &[Event]) -> Vec<String> {
    let key = |event: &Event| event.key.as_ref().map_or_else(|| "-".to_owned(), Json::to_string);
    events.iter().map(|event| format!("{} {}", if event.is_tombstone() { "x" } else { event.op() }, key(event))).collect()
}

/// The Kafka key is the primary key as of each change, in number and order of its columns; the partition keeps up.
#[test]
fn the_key_changes_in_flight() -> Result<()> {
    let mut scene = Scene::new("keys", "create table k (id int primary key, a int not null, b text not null, note text)")?;
    scene.kafka = "[kafka.topics]\npartitions = 1".to_owned();
    let headwater = scene.start()?;
    let sql = |sql: &str| scene.database.execute(sql);
    sql("insert into k values (1, 10, 'x', 'n')")?;
    // Another column, in the transaction of the change; then two columns in an order of their own; then none; then again.
    sql("begin; update k set note = 'o'; alter table k drop constraint k_pkey; alter table k add primary key (a);
         update k set note = 'p'; commit")?;
    sql("alter table k drop constraint k_pkey; alter table k add primary key (b, id); update k set id = 2")?;
    sql("alter table k drop constraint k_pkey; insert into k values (3, 30, 'y', 'keyless')")?;
    // The server itself refuses what it could not log.
    let refused = sql("update k set note = 'q'").unwrap_err();
    ensure!(format!("{refused:#}").contains("replica identity"), "{refused:#}");
    sql("alter table k add primary key (id); update k set note = 'q' where id = 3")?;
    let events = scene.events("k", 9)?;
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
