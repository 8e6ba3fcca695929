//! The stream against a real server: rows, replica identities, positions, and what happens when something breaks.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use change::{Source, SourceError, Step};
use common::{Server, changes, commits, line, read_until, resume, source, started, stop};

#[test]
fn rows_of_every_replica_identity() {
    let server = Server::logical();
    server.sql(
        "create table d (id int primary key, a text, big text); alter table d alter big set storage external; \
         create table f (a text, big text); alter table f replica identity full; alter table f alter big set storage external; \
         create table i (x int not null unique, y text); alter table i replica identity using index i_x_key",
    );
    let (mut source, _) = started(&server.config(&["public.*"]), None);
    server.sql("insert into d values (1, 'one', repeat('x', 9000)), (2, null, null)");
    server.sql("update d set a = 'uno' where id = 1; update d set id = 3 where id = 2; delete from d where id = 3");
    server.sql("insert into f values ('k', repeat('y', 9000)); update f set a = 'l'; delete from f");
    server.sql("insert into i values (1, 'a'); update i set y = 'b'; update i set x = 2; delete from i; truncate d, f");
    let lines = read_until(&mut source, commits(4));
    let (x, y) = ("x".repeat(9000), "y".repeat(9000));
    assert_eq!(
        changes(&lines),
        [
            format!("1/1 insert d - (1,one,{x})"),
            "2/2 insert d - (2,null,null)".to_owned(),
            "1/1 update d - (1,uno,<unchanged>)".to_owned(),
            "2/2 update d (2,<key-only>,<key-only>) key (3,null,null)".to_owned(),
            "3/3 delete d (3,<key-only>,<key-only>) key -".to_owned(),
            format!("1/1 insert f - (k,{y})"),
            format!("2/2 update f (k,{y}) (l,{y})"),
            format!("3/3 delete f (l,{y}) -"),
            "1/1 insert i - (1,a)".to_owned(),
            "2/2 update i - (1,b)".to_owned(),
            "3/3 update i (1,<key-only>) key (2,b)".to_owned(),
            "4/4 delete i (2,<key-only>) key -".to_owned(),
            "5/1 truncate d - -".to_owned(),
            "6/1 truncate f - -".to_owned(),
        ]
    );
}

#[test]
fn restart_at_every_position() {
    let server = Server::logical();
    server.sql("create table t (id int primary key, v text); create table u (id int primary key)");
    let config = server.config(&["public.*"]);
    let (mut first, begun) = started(&config, None);
    // COPY and multi-row inserts write many rows into one record: they share an LSN.
    server.sql("copy (select g, 'v' || g from generate_series(1, 12) g) to '/dev/null'; insert into t select g, 'v' from generate_series(1, 5) g");
    let file = server.path("rows");
    std::fs::write(&file, (10..30).map(|n| format!("{n}\tc\n")).collect::<String>()).unwrap();
    server.sql(&format!(
        "begin; copy t from '{}'; insert into u values (1); update t set v = 'w' where id < 4; truncate t, u; insert into u values (2); commit",
        file.display()
    ));
    server.sql("insert into u values (3)");
    let all = read_until(&mut first, commits(3));
    first.close().unwrap();
    let shared = changes(&all).len();
    assert!(shared > 30, "{shared}");
    for (index, at) in all.iter().enumerate() {
        if at.position.as_str().ends_with("nth=3") {
            // Another change at that place: nothing is guessed.
            let wrong = change::Position::new(at.position.as_str().replace("nth=3", "nth=300"));
            let mut again = source(&config);
            again.start(Some(&resume(&wrong, &begun))).unwrap();
            let error = loop {
                match line(&mut again) {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert!(matches!(&error, SourceError::Stop { what, .. } if what.contains("was not met")), "{error:?}");
        }
        let (mut again, _) = started(&config, Some(&resume(&at.position, &begun)));
        let done = all[..=index].iter().filter(|line| line.text == "commit").count();
        let rest = read_until(&mut again, commits(3 - done));
        assert_eq!(changes(&rest), changes(&all[index + 1..]), "after {} ({})", at.text, at.position);
        // The same numbers again, whatever keep-alives came between.
        let inside = |line: &common::Line| line.position.as_str().split_once("final=").map(|(_, cut)| cut.to_owned());
        let cuts = |lines: &[common::Line]| lines.iter().filter_map(inside).collect::<BTreeSet<_>>();
        assert!(cuts(&rest).is_subset(&cuts(&all)));
    }
}

#[test]
fn idle_tables_move_the_slot() {
    let server = Server::logical();
    server.sql("create table t (id int primary key); create table other (id int)");
    let (mut source, begun) = started(&server.config(&["public.t"]), None);
    server.sql("insert into other select generate_series(1, 1000)");
    let end = server.sql("select pg_current_wal_lsn()");
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(matches!(source.next(Duration::from_millis(20)).unwrap(), Step::Idle | Step::Progress { .. }));
        let position = source.position();
        assert!(!position.as_str().contains("before"));
        if position != begun.position {
            source.confirm(&position).unwrap();
        }
        let moved = format!("select confirmed_flush_lsn >= '{end}' from pg_replication_slots");
        if server.sql(&moved) == "t" {
            break;
        }
    }
}

#[test]
fn a_slow_consumer_keeps_its_connection() {
    let server = Server::start(&["wal_level=logical", "wal_sender_timeout=1s"]);
    server.sql("create table t (id int primary key, v text)");
    let mut config = server.config(&["public.*"]);
    config.queue_bytes = 1 << 20;
    let (mut source, _) = started(&config, None);
    server.sql("insert into t select g, repeat('x', 1000) from generate_series(1, 40000) g");
    let pid = server.sql("select active_pid from pg_replication_slots");
    std::thread::sleep(Duration::from_secs(4));
    let mut rows = 0;
    loop {
        match source.next(Duration::from_secs(5)).unwrap() {
            Step::Change(_) => rows += 1,
            Step::Commit { .. } => break,
            _ => {}
        }
    }
    assert_eq!(rows, 40_000);
    assert_eq!(server.sql("select active_pid from pg_replication_slots"), pid);
}

#[test]
fn only_confirmed_places_are_forgotten_also_at_close() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let config = server.config(&["public.*"]);
    let (mut first, begun) = started(&config, None);
    server.sql("insert into t values (1)");
    server.sql("insert into t values (2), (3)");
    let lines = read_until(&mut first, commits(2));
    let cut = lines.iter().rfind(|line| line.position.as_str().contains("nth=")).unwrap();
    first.confirm(&cut.position).unwrap();
    first.close().unwrap();
    let confirmed = server.sql("select confirmed_flush_lsn from pg_replication_slots");
    assert!(cut.position.as_str().starts_with(&format!("before={confirmed};")), "{confirmed} {}", cut.position);
    // Without a checkpoint: where the slot remembers. With one that is behind the slot: a gap.
    let (mut again, _) = started(&config, None);
    assert_eq!(changes(&read_until(&mut again, commits(1))), ["1/1 insert t - (2)", "2/2 insert t - (3)"]);
    again.close().unwrap();
    let (what, _) = stop(source(&config).start(Some(&resume(&begun.position, &begun))));
    assert!(what.contains("ahead of the checkpoint"), "{what}");
}

#[test]
fn a_killed_sender_and_a_restart_are_retried() {
    let mut server = Server::logical();
    server.sql("create table t (id int primary key)");
    let config = server.config(&["public.*"]);
    let (mut stream, begun) = started(&config, None);
    server.sql("select pg_terminate_backend(active_pid) from pg_replication_slots");
    let error = loop {
        match line(&mut stream) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, SourceError::Retry { what } if what.contains("57P01")), "{error:?}");
    drop(stream);
    server.halt();
    assert!(matches!(source(&config).start(None), Err(SourceError::Retry { .. })));
    server.boot();
    let (mut stream, _) = started(&config, Some(&resume(&begun.position, &begun)));
    server.sql("insert into t values (1)");
    assert_eq!(changes(&read_until(&mut stream, commits(1))), ["1/1 insert t - (1)"]);
}

#[test]
fn a_successor_takes_the_slot_over() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let config = server.config(&["public.*"]);
    let (mut old, begun) = started(&config, None);
    let (mut new, _) = started(&config, Some(&resume(&begun.position, &begun)));
    server.sql("insert into t values (1)");
    assert_eq!(changes(&read_until(&mut new, commits(1))), ["1/1 insert t - (1)"]);
    let error = loop {
        match line(&mut old) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SourceError::Retry { .. }), "{error:?}");
}

#[test]
fn later_tables_join_and_shapes_follow() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let (mut source, _) = started(&server.config(&["public.*"]), None);
    server.sql("create table late (id int primary key, n numeric(5,2))");
    let begin = Instant::now();
    while server.sql("select count(*) from pg_publication_tables where tablename = 'late'") != "1" {
        assert!(begin.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
    server.sql("insert into late values (1, 1.5)");
    server.sql("alter table late add column more text; insert into late values (2, null, 'm')");
    let lines = read_until(&mut source, commits(2));
    // Which entry of the publication lists a table is noted beside the checkpoint.
    let texts: Vec<_> =
        lines.iter().map(|line| line.text.as_str()).filter(|text| !text.starts_with("progress")).collect();
    assert_eq!(
        texts,
        [
            "begin",
            "table public.late",
            "1/1 insert late - (1,1.50)",
            "commit",
            "begin",
            "table public.late",
            "1/1 insert late - (2,null,m)",
            "commit",
        ]
    );
}

#[test]
fn partitions_come_under_the_name_of_their_root() {
    let server = Server::logical();
    server.sql("create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (9)");
    let (mut source, begun) = started(&server.config(&["public.*"]), None);
    assert_eq!(begun.tables.len(), 1);
    server.sql("insert into p values (1); insert into p1 values (2)");
    assert_eq!(changes(&read_until(&mut source, commits(1))), ["1/1 insert p - (1)", "2/2 insert p - (2)"]);
}

#[test]
fn a_row_of_a_hundred_megabytes() {
    let server = Server::logical();
    server.sql("create table t (id int primary key, v text)");
    let (mut source, _) = started(&server.config(&["public.*"]), None);
    server.sql("insert into t values (1, 'a'), (2, repeat('x', 100000000)), (3, 'b')");
    let lines = read_until(&mut source, commits(1));
    let sizes: Vec<_> = changes(&lines).iter().map(|text| text.len()).collect();
    assert_eq!(sizes, [20, 100_000_019, 20]);
}

#[test]
fn a_frozen_peer_is_noticed() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let mut config = server.config(&["public.*"]);
    config.deadline = Duration::from_secs(2);
    let (mut source, _) = started(&config, None);
    // While the peer lives, silence on the tables is no reason to give up: it is asked, and answers.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        assert!(matches!(source.next(Duration::from_millis(100)).unwrap(), Step::Idle | Step::Progress { .. }));
    }
    let pid = server.sql("select active_pid from pg_replication_slots");
    let signal = |name: &str| std::process::Command::new("kill").args([name, &pid]).status().unwrap();
    signal("-STOP");
    let begin = Instant::now();
    let error = loop {
        match line(&mut source) {
            Ok(_) => assert!(begin.elapsed() < Duration::from_secs(8)),
            Err(error) => break error,
        }
    };
    signal("-CONT");
    assert!(matches!(&error, SourceError::Retry { what } if what.contains("not a byte")), "{error:?}");
}
