//! Rows that share an LSN, and transactions that begin in one order and commit in another.

use anyhow::Result;
use testkit::eventually;

use crate::support::{PATIENCE, Scene, insert_journaled};

#[test]
fn dbz_1554_same_lsn_rows() -> Result<()> {
    // COPY writes multi-insert records to the log: many rows, one LSN. The cuts fall inside them.
    let mut scene = Scene::journaled("lsn")?;
    scene.more = "[kafka.batch]\nmax_bytes = \"4KiB\"".to_owned();
    scene.start()?.kill9()?;
    scene.database.execute(
        "begin; copy items from program 'seq -f %.0f,1,row 1 3000' (delimiter ',');
         insert into journal values (pg_current_xact_id()::text::bigint, 3000); commit",
    )?;
    for _ in 0..3 {
        let headwater = scene.launch()?;
        let before = scene.oracle().count(&scene.topic("items"))?;
        eventually(PATIENCE, "another batch", || match scene.oracle().count(&scene.topic("items"))? {
            count if count > before || count >= 3000 => Ok(()),
            count => anyhow::bail!("{count} records\n{}", headwater.output()),
        })?;
        headwater.kill9()?;
    }
    let _headwater = scene.start()?;
    scene.judge()
}

#[test]
fn transactions_come_in_commit_order() -> Result<()> {
    let scene = Scene::journaled("order")?;
    let _headwater = scene.start()?;
    let early = scene.database.connect_sync()?;
    let early = std::sync::Arc::new(early);
    let client = std::sync::Arc::clone(&early);
    testkit::wait(async move {
        client
            .batch_execute(
                "begin; insert into items values (1, 1, 'early begin');
                 insert into journal values (pg_current_xact_id()::text::bigint, 1)",
            )
            .await
    })?;
    insert_journaled(&scene.database, 2, 1)?;
    testkit::wait(async move { early.batch_execute("commit").await })?;
    let events = scene.events("items", 2)?;
    let ids: Vec<_> = events.iter().map(|event| event.after("id").as_i64()).collect();
    assert_eq!(ids, [Some(2), Some(1)]);
    scene.judge()
}
