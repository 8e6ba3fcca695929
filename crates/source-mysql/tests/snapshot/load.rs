//! Tables that are written all the time while they are copied.

use super::*;

/// While somebody writes all the time, a table without a key is copied to exactly one place of the log.
#[test]
fn a_table_without_a_key_is_copied_under_load() {
    everywhere(|database| {
        database.execute("create table k (a int, b int)").unwrap();
        let rows: Vec<String> = (0..2000).map(|n| format!("({n}, 0)")).collect();
        database.execute(&format!("insert into k values {}", rows.join(","))).unwrap();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (stop, mut session) = (stop.clone(), database.session().unwrap());
            move || {
                let mut n = 2000;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    session
                        .run(&format!("insert into k values ({n}, 1); delete from k where a = {}", n - 2000))
                        .unwrap();
                    n += 1;
                }
            }
        });
        // The last row that is there by now: there is something to copy from, and something that follows.
        let written = || database.value("select max(a) from k").unwrap().parse::<u64>().unwrap();
        let written_beyond = |n: u64| {
            let far_enough = || if written() > n { Ok(()) } else { Err(written()) };
            eventually(PATIENCE, "a writer that writes", far_enough).unwrap();
        };
        written_beyond(2000);
        let (mut source, _) = started(&config(database, &["k"]), None);
        let mut lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        written_beyond(written() + 20);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap();
        lines.extend(read_silence(&mut source).unwrap());
        // Rows have no key, so they are counted.
        let mut state: BTreeMap<String, i32> = BTreeMap::new();
        for text in changes(&lines) {
            let words: Vec<&str> = text.split(' ').collect();
            match words[1] {
                "delete" => *state.entry(words[3].to_owned()).or_default() -= 1,
                _ => *state.entry(words[4].to_owned()).or_default() += 1,
            }
        }
        state.retain(|_, count| *count != 0);
        let expected: BTreeMap<String, i32> = database
            .query("select concat('(', a, ',', b, ')'), count(*) from k group by 1")
            .unwrap()
            .into_iter()
            .map(|row| (row[0].clone().unwrap(), row[1].as_ref().unwrap().parse().unwrap()))
            .collect();
        assert_eq!(state, expected);
        source.close().unwrap();
    });
}

/// The server may commit transactions in the engine in another order than they are in the log, late, and in groups; each
/// MariaDB domain has an order of its own.
#[test]
fn copies_hold_in_whatever_order_transactions_become_visible() {
    let slow_groups = |flavour: Flavour| match flavour {
        Flavour::MySql => vec![("binlog-order-commits", "OFF"), ("binlog-group-commit-sync-delay", "3000")],
        _ => vec![("binlog-commit-wait-count", "8"), ("binlog-commit-wait-usec", "3000")],
    };
    let numbered = Flavour::ALL.map(|flavour| (flavour, slow_groups(flavour)));
    let mut without = slow_groups(Flavour::MySql);
    without.extend([("gtid-mode", "OFF"), ("enforce-gtid-consistency", "OFF")]);
    for (flavour, settings) in numbered.into_iter().chain([(Flavour::MySql, without)]) {
        println!("{flavour:?}, {settings:?}");
        let server = settings.iter().fold(MySql::builder(flavour), |server, (name, value)| server.set(name, value));
        copied_under_load(&server.start().unwrap().create_database().unwrap());
    }
}

/// A table is copied three times while five sessions write it.
fn copied_under_load(database: &MySqlDatabase) {
    const ROWS: u32 = 3000;
    database.execute("create table t (id int primary key, v int)").unwrap();
    let rows: Vec<String> = (0..ROWS).map(|id| format!("({id}, 0)")).collect();
    database.execute(&format!("insert into t values {}", rows.join(","))).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let seed = testkit::seed("copies_hold_in_whatever_order_transactions_become_visible");
    let (mut source, _) = started(&config(database, &["t"]), None);
    let mut lines = Vec::new();
    std::thread::scope(|scope| {
        // Writers end with a failure too, or the scope would wait for them.
        let stopping = Stopping(&stop);
        for writer in 0..5 {
            let mut session = database.session().unwrap();
            if database.flavour().is_mariadb() {
                session.run(&format!("set gtid_domain_id = {writer}")).unwrap();
            }
            let (mut random, stop) = (fastrand::Rng::with_seed(seed + writer), &stop);
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Each has rows of its own: domains must not write the same ones.
                    let id = |random: &mut fastrand::Rng| random.u32(0..ROWS / 5) * 5 + u32::try_from(writer).unwrap();
                    let (one, other) = (id(&mut random), id(&mut random));
                    session
                        .run(&match random.u8(0..4) {
                            0 => format!("delete from t where id = {one}"),
                            1 => format!("insert ignore into t values ({one}, 1)"),
                            2 => format!("update ignore t set id = {other} where id = {one}"),
                            _ => format!("update t set v = v + 1 where id in ({one}, {other})"),
                        })
                        .unwrap();
                }
            });
        }
        for round in 0..3 {
            if round > 0 {
                let table = format!("{}.t", database.name);
                let answer = source.copies().ask(Wish::Again { table, condition: None });
                let begun = eventually(PATIENCE, "the copy to begin again", || {
                    lines.extend(next(&mut source).unwrap().map(|text| Line { text, position: source.position() }));
                    let position = source.position();
                    source.confirm(&position).unwrap();
                    answer.try_recv().map_err(|_| "nothing")
                });
                begun.unwrap().unwrap();
            }
            lines.extend(read_until(&mut source, PATIENCE, complete(1)).unwrap());
        }
        drop(stopping);
    });
    lines.extend(read_silence(&mut source).unwrap());
    assert!(reads(&lines).len() > 3 * usize::try_from(ROWS).unwrap() / 4);
    assert_eq!(apply(&lines, "t"), there(database, "t"));
    source.close().unwrap();
}

struct Stopping<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
