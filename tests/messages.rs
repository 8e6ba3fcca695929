//! Logical messages of applications, on a topic of their own.

use anyhow::{Result, ensure};
use serde_json::json;

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
