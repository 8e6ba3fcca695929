//! Where a pipeline goes on, while others write and the server changes.

use super::*;

/// Changes of others move the position: a pipeline that is idle for a year can still go on.
#[test]
fn idle_tables_move_the_position() {
    everywhere(|database| {
        database.execute("create table t (id int primary key); create table other (id int primary key)").unwrap();
        let config = config(database, &["t"]);
        let (mut source, begun) = started(&config, None);
        database.execute("insert into other values (1); insert into other values (2)").unwrap();
        let begin = std::time::Instant::now();
        while source.position() == begun.position {
            assert!(begin.elapsed() < PATIENCE, "{}", source.position());
            assert_eq!(next(&mut source).unwrap(), None);
        }
        let lines = read_silence(&mut source).unwrap();
        assert!(lines.is_empty(), "{lines:#?}");
        let at = source.position();
        source.close().unwrap();
        database.execute("insert into t values (1)").unwrap();
        let (mut source, _) = started(&config, Some(&resume(&at, &begun)));
        let lines = read(&mut source, 1);
        assert_eq!(changes(&lines), ["1/1 insert t - (1)"]);
    });
}

/// Files and offsets hold on one server only. Once it numbers its transactions, positions are made of the numbers.
#[test]
fn positions_change_over_to_numbers() {
    let server =
        MySql::builder(Flavour::MySql).set("gtid-mode", "OFF").set("enforce-gtid-consistency", "OFF").start().unwrap();
    let database = server.create_database().unwrap();
    database.execute("create table t (id int primary key)").unwrap();
    let config = config(&database, &["t"]);
    let (mut source, begun) = started(&config, None);
    database.execute("insert into t values (1)").unwrap();
    let mut position = read(&mut source, 1).last().unwrap().position.clone();
    source.close().unwrap();
    // The way that the manual describes, each step in a file of its own, and the pipeline is away for all of it.
    for mode in ["enforce_gtid_consistency = on", "gtid_mode = off_permissive", "gtid_mode = on_permissive"] {
        database.execute(&format!("set global {mode}")).unwrap();
    }
    database
        .execute(
            "insert into t values (2); flush binary logs; set gtid_next = 'anonymous'; insert into t values (3); \
             set gtid_next = 'automatic'; set global gtid_mode = on; insert into t values (4)",
        )
        .unwrap();
    // What has no number is sent to nobody now; and numbers say nothing of it, so the position is not made of them.
    let (mut source, _) = started(&config, Some(&resume(&position, &begun)));
    assert_eq!(changes(&read(&mut source, 1)), ["1/1 insert t - (2)"]);
    let (what, help) = stopped(&mut source);
    assert!(what.contains("anonymous transaction") && help.contains("gtid_mode = ON_PERMISSIVE"), "{what}: {help}");
    position = source.position();
    assert!(position.as_str().starts_with("file="), "{position}");
    source.close().unwrap();
    // The way out that it names.
    database.execute("set global gtid_mode = on_permissive").unwrap();
    let (mut source, _) = started(&config, Some(&resume(&position, &begun)));
    let lines = read(&mut source, 2);
    assert_eq!(changes(&lines), ["1/1 insert t - (3)", "1/1 insert t - (4)"]);
    position.clone_from(&lines.last().unwrap().position);
    source.close().unwrap();
    database.execute("set global gtid_mode = on").unwrap();
    let (mut source, _) = started(&config, Some(&resume(&position, &begun)));
    database.execute("flush binary logs; insert into t values (5)").unwrap();
    let lines = read(&mut source, 1);
    assert_eq!(changes(&lines), ["1/1 insert t - (5)"]);
    position.clone_from(&lines.last().unwrap().position);
    let executed = database.value("select @@global.gtid_executed").unwrap();
    assert_eq!(position.as_str(), format!("mysql={executed}"));
    source.close().unwrap();
    let (mut source, _) = started(&config, Some(&resume(&position, &begun)));
    database.execute("insert into t values (6)").unwrap();
    assert_eq!(changes(&read(&mut source, 1)), ["1/1 insert t - (6)"]);
}
