//! Five changes of a table, one of each verdict, under load and kills, while another table's events are timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::support::{Journaled, Writer, Written};

/// What each verdict's change is, and whether it is held.
fn changes(is_mysql: bool) -> [(&'static str, String, bool); 5] {
    let retype = |column: &str, kind: &str, default: &str| {
        // MySQL forgets the default of a column that is declared anew.
        let (how, default) = if is_mysql { ("modify", default) } else { ("alter column", "") };
        let kind = if is_mysql { kind.to_owned() } else { format!("type {kind}") };
        format!("alter table items {how} {column} {kind} {default}")
    };
    let (float, double) = if is_mysql { ("float", "double") } else { ("real", "double precision") };
    [
        ("safe", "alter table items add column later bigint".to_owned(), false),
        ("safe-if-agreed", "alter table items drop column later".to_owned(), false),
        ("breaks-running", retype("narrow", double, "default 1.5"), true),
        ("breaks-replay", retype("wide", float, "default 2.5"), true),
        ("corrupts-silently", RENAME.to_owned(), true),
    ]
}

/// Inserts into the other table all the time; its events say how long they took.
fn bystander<D: Store>(scene: &Scene<D>, stop: &Arc<AtomicBool>) -> Result<std::thread::JoinHandle<Result<usize>>> {
    let (mut run, stop) = (scene.database.session()?, Arc::clone(stop));
    Ok(std::thread::spawn(move || {
        let mut id = 0;
        while !stop.load(Ordering::Relaxed) {
            id += 1;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros();
            run(&format!("insert into bystander values ({id}, {now})"))?;
            std::thread::sleep(Duration::from_millis(20)); // the load's rate, not a wait for anything
        }
        Ok(id)
    }))
}

#[expect(clippy::print_stdout, reason = "a test's output is read when it fails")]
fn five_changes_under_load_and_kills<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    with_extra(scene)?;
    let is_mysql = !scene.database.url().starts_with("postgres");
    let (float, double) = if is_mysql { ("float", "double") } else { ("real", "double precision") };
    scene.database.execute(&format!("alter table items add column narrow {float} default 1.5"))?;
    scene.database.execute(&format!("alter table items add column wide {double} default 2.5"))?;
    let seed = testkit::seed("five_changes_under_load_and_kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut headwater = scene.start()?;
    let mut changes_of = fastrand::Rng::with_seed(seed);
    let one = move || D::transaction(&[Journaled::random(&mut changes_of)], true);
    let writer = Writer::paced(&scene.database, 500, one)?;
    let stop = Arc::new(AtomicBool::new(false));
    let other = bystander(scene, &stop)?;
    let mut count = 0;
    for (verdict, statement, is_held) in changes(is_mysql) {
        scene.database.execute(&statement)?;
        count += 1;
        let (action, event) = &told(scene, count)?[count - 1];
        assert_eq!(event.field("verdict"), verdict, "seed {seed}: {statement}\n{event:?}");
        assert_eq!(action, if is_held { "held" } else { "published" }, "seed {seed}: {statement}");
        std::thread::sleep(Duration::from_millis(random.u64(0..500))); // where the kill falls
        headwater.kill9()?;
        headwater = scene.start()?;
        if is_held {
            assert_eq!(wait_held(&headwater, "items")?["verdict"], verdict);
            let (status, said) = release(&headwater, &name(scene), "accept")?;
            assert_eq!(status, 200, "seed {seed}: {said}");
            std::thread::sleep(Duration::from_millis(random.u64(0..300))); // where the kill falls
            headwater.kill9()?;
            headwater = scene.start()?;
            wait_not_held(&headwater).with_context(|| format!("seed {seed}"))?;
            count += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let inserted = other.join().map_err(|_| anyhow::anyhow!("the other writer panicked"))??;
    let Written { transactions, per_second } = writer.finish()?;
    scene.judge().with_context(|| format!("seed {seed}"))?;
    for event in scene.oracle().read(&scene.topic("items"))?.iter().filter(|event| event.op() == "c") {
        for (column, value) in [("narrow", 1.5), ("wide", 2.5)] {
            assert_eq!(event.after(column).as_f64(), Some(value), "{event:?}");
        }
    }
    let events = scene.events("bystander", inserted)?;
    let ids: Vec<_> = events.iter().filter_map(|event| event.after("id").as_u64()).collect();
    ensure!(ids.len() == inserted && events.len() == inserted, "{} events of {inserted}", events.len());
    // From before the insert: MariaDB's log has whole seconds.
    let delay = |event: &Event| event.field("ts_us").as_i64().zip(event.after("at").as_i64());
    let longest = events.iter().filter_map(delay).map(|(published, inserted)| published - inserted).max();
    println!(
        "{transactions} transactions, {per_second:.0} a second, {inserted} of the other table, at most {longest:?} us late, kills included"
    );
    Ok(())
}

crate::support::everywhere!(five_changes_under_load_and_kills);
