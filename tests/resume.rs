//! Killed at any moment, headwater goes on: nothing lost, nothing twice, per-key order kept.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::seed;

use crate::support::{PATIENCE, Scene, Store, Writer, insert_journaled};

fn kill_anywhere_exactly_once<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    survives_kills(scene, 50, seed("kill_anywhere_exactly_once"))
}

/// Under load, killed this often at random moments: every change once, in order.
#[expect(clippy::print_stdout, reason = "a test's output is read when it fails")]
pub(crate) fn survives_kills<D: Store>(scene: &Scene<D>, kills: usize, seed: u64) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    // The first start comes before the load: what was committed before it is not headwater's to publish.
    scene.start()?.kill9()?;
    let writer = Writer::start(&scene.database, seed, Duration::from_millis(2))?;
    for _ in 0..kills {
        let headwater = scene.launch()?;
        // The moment of the kill is what is random here: before, in, and after every step of a start and of a batch.
        std::thread::sleep(Duration::from_millis(random.u64(0..1200)));
        headwater.kill9()?;
    }
    let headwater = scene.start()?;
    let transactions = writer.finish()?.transactions;
    println!("{transactions} transactions under {kills} kills");
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

fn a_restart_in_the_middle_of_a_transaction_goes_on_inside_it<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    const ROWS: usize = 60_000;
    scene.more = "[kafka.batch]\nmax_bytes = \"64KiB\"".to_owned();
    let kafka = scene.slow_broker(Duration::from_millis(50))?;
    scene.start()?.kill9()?;
    insert_journaled(&scene.database, 1, ROWS as u64)?;
    for _ in 0..6 {
        let headwater = scene.launch()?;
        let before = scene.oracle().count(&scene.topic("items"))?;
        // Something of the transaction has become visible, the whole has not: the kill is inside.
        let seen = testkit::eventually(PATIENCE, "some more of the transaction", || {
            match scene.oracle().count(&scene.topic("items")) {
                Ok(count) if count > before => Ok(count),
                Ok(count) => Err(format!("{count} records, {before} before\n{}", headwater.output())),
                Err(error) => Err(format!("{error:#}")),
            }
        })?;
        headwater.kill9()?;
        ensure!(seen < ROWS, "everything was published before the kill");
    }
    kafka.proxy().resume()?;
    let _headwater = scene.start()?;
    scene.judge()
}

fn sigterm_drains_and_the_next_start_goes_on<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let headwater = scene.start()?;
    let writer = Writer::start(&scene.database, seed("sigterm_drains"), Duration::from_millis(1))?;
    testkit::eventually(PATIENCE, "events before the end", || match scene.oracle().count(&scene.topic("items"))? {
        0 => anyhow::bail!("no event"),
        _ => Ok(()),
    })?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    writer.finish()?;
    let _headwater = scene.start()?;
    scene.judge()
}

crate::support::everywhere!(
    kill_anywhere_exactly_once,
    a_restart_in_the_middle_of_a_transaction_goes_on_inside_it,
    sigterm_drains_and_the_next_start_goes_on
);
