//! Logical messages of applications, on a topic of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::{Headwater, eventually};

use crate::support::{PATIENCE, Scene};

#[test]
fn logical_messages_are_events_exactly_once() -> Result<()> {
    let mut scene = Scene::new("messages", "create table items (id int primary key)")?;
    scene.source = "messages = [\"shop*\"]".to_owned();
    let topic = format!("{}.pg_logical.message", scene.name);
    let mut headwater = scene.start()?;
    for round in 0..5 {
        scene.database.execute(&format!(
            "select pg_logical_emit_message(false, 'shop', 'alone {round}');
             begin; insert into items values ({round}); select pg_logical_emit_message(true, 'shop.items', 'with {round}');
             select pg_logical_emit_message(true, 'other', 'x'); commit"
        ))?;
        let wanted = 2 * (round + 1);
        let events = scene.oracle().wait_for_count(&topic, wanted, PATIENCE)?;
        ensure!(events.len() == wanted, "{} messages, not {wanted}: {events:#?}", events.len());
        headwater.kill9()?;
        headwater = scene.start()?;
    }
    let events = scene.oracle().read(&topic)?;
    for (index, event) in events.iter().enumerate() {
        let (prefix, text) = if index % 2 == 0 { ("shop", "alone") } else { ("shop.items", "with") };
        assert_eq!((event.op(), event.key.clone()), ("m", Some(json!({ "prefix": prefix }))));
        assert_eq!(event.after("prefix"), prefix);
        ensure!(event.after("content").to_string().len() > text.len(), "{event:?}");
        let alone = event.field("source.txId").is_null();
        assert_eq!(alone, index % 2 == 0, "{event:?}");
        ensure!(event.field("source.ts_ms").as_i64() > Some(1_600_000_000_000), "{event:?}");
    }
    assert_eq!(headwater.metric("headwater_failures_total")?.unwrap_or_default(), 0.0);
    Ok(())
}

/// Rows and messages of one transaction in many pieces, and the process dies between them: each comes once, in its place.
#[test]
fn a_large_transaction_of_rows_and_messages_survives_kills() -> Result<()> {
    const ROWS: u64 = 60_000;
    let mut scene = Scene::new("mixed", "create table items (id int primary key, v text)")?;
    scene.source = "messages = [\"shop\"]".to_owned();
    scene.kafka = "batch.max_bytes = \"64KiB\"".to_owned();
    let kafka = scene.slow_broker(Duration::from_millis(50))?;
    let topic = format!("{}.pg_logical.message", scene.name);
    let mut headwater = scene.start()?;
    // Some messages lie alone between rows, some side by side, some in subtransactions, and some nobody wants.
    scene.database.execute(&format!(
        "do $$ begin for n in 1..{ROWS} loop
             if n % 3 = 0 then perform pg_logical_emit_message(true, 'shop', 'before ' || n); end if;
             if n % 7 = 0 then perform pg_logical_emit_message(true, 'other', 'x'); end if;
             if n % 100 = 0 then
                 begin
                     perform pg_logical_emit_message(true, 'shop', 'inside ' || n); insert into items values (n, 'inside');
                 exception when division_by_zero then null; end;
             else insert into items values (n, 'outside'); end if;
         end loop; end $$"
    ))?;
    let wanted = ROWS + ROWS / 3 + ROWS / 100;
    let count =
        || -> Result<u64> { Ok((scene.oracle().count(&scene.topic("items"))? + scene.oracle().count(&topic)?) as u64) };
    let more = |headwater: &Headwater, than: u64| {
        eventually(PATIENCE, "more of the transaction", || {
            let count = count()?;
            ensure!(count > than, "{count} of {wanted}\n{}", headwater.output());
            Ok(count)
        })
    };
    let mut seen = 0;
    for _ in 0..5 {
        seen = more(&headwater, seen)?;
        headwater.kill9()?;
        ensure!(seen < wanted, "everything was published before the kill");
        headwater = scene.start()?;
    }
    kafka.proxy().resume()?;
    more(&headwater, wanted - 1)?;
    let mut orders = BTreeMap::new();
    let (rows, messages) = (scene.oracle().read(&scene.topic("items"))?, scene.oracle().read(&topic)?);
    for event in rows.iter().chain(&messages) {
        let order = event.field("transaction.total_order").as_u64().unwrap_or_default();
        ensure!(orders.insert(order, event).is_none(), "change {order} came twice: {event:?}");
    }
    ensure!(orders.keys().copied().eq(1..=wanted), "{} changes, not {wanted}", orders.len());
    ensure!(messages.len() as u64 == wanted - ROWS && rows.len() as u64 == ROWS, "{} messages", messages.len());
    // What was said before a row has the number before the row's.
    for (order, event) in &orders {
        let row = event.after("id").as_u64().filter(|id| id % 3 == 0 && id % 100 != 0);
        if let Some(id) = row {
            let before = orders.get(&(order - 1)).map(|event| event.op().to_owned());
            ensure!(before.as_deref() == Some("m"), "row {id} came behind {before:?}");
        }
    }
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}
