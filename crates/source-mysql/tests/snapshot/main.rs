//! Copies of tables against real servers.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::time::Duration;

use change::{Position, Resume, Source, SourceError, Started, Step, Wish};
use source_mysql::{Config, MySqlSource, Snapshot};
use testkit::lines::{Line, changes, commits, next, read_silence, read_until};
use testkit::{Flavour, MySql, MySqlDatabase, MySqlSession, eventually, shared};

mod load;

const PATIENCE: Duration = Duration::from_secs(30);

fn config(database: &MySqlDatabase, tables: &[&str]) -> Config {
    let tables = tables.iter().map(|table| format!("{}.{table}", database.name));
    let mut config = Config::new(&database.name, database.url(), tables);
    config.snapshot = Snapshot::Initial;
    config.table_interval = Duration::from_millis(200);
    config
}

fn started(config: &Config, from: Option<&Resume>) -> (MySqlSource, Started) {
    let mut source = MySqlSource::new(config.clone()).unwrap();
    let started = source.start(from).unwrap();
    (source, started)
}

fn resume(position: &Position, started: &Started, progress: BTreeMap<String, String>) -> Resume {
    let server_identity = started.info.server_identity.clone();
    Resume { position: position.clone(), server_identity, progress }
}

/// Whether a table's progress with these words was returned.
fn has_progress(lines: &[Line], words: &str) -> bool {
    lines.iter().any(|line| line.text.starts_with("progress ") && line.text.contains(words))
}

/// How many tables are complete, as their last progress says.
fn complete(count: usize) -> impl FnMut(&[Line]) -> bool {
    move |lines| {
        let done = progress_of(lines)
            .into_values()
            .filter(|text| text.contains("\"end\":true") && !text.contains("\"again\""));
        done.count() >= count && lines.last().is_some_and(|line| line.text == "commit")
    }
}

/// The last progress of each table.
fn progress_of(lines: &[Line]) -> BTreeMap<String, String> {
    let words = |line: &Line| {
        let (key, text) = line.text.strip_prefix("progress ")?.split_once(' ')?;
        Some((key.to_owned(), text.to_owned()))
    };
    lines.iter().filter_map(words).collect()
}

/// The rows that were read, as `t - (1,one)`.
fn reads(lines: &[Line]) -> Vec<&str> {
    changes(lines).into_iter().filter_map(|text| text.split_once(" read ").map(|(_, row)| row)).collect()
}

/// On each server, in a database of the test's own, and on one whose transactions have no numbers.
fn everywhere(test: fn(&MySqlDatabase)) {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        test(&shared::mysql(flavour).create_database().unwrap());
    }
    println!("MySql without GTIDs");
    test(&without_numbers().create_database().unwrap());
}

fn without_numbers() -> MySql {
    MySql::builder(Flavour::MySql).set("gtid-mode", "OFF").set("enforce-gtid-consistency", "OFF").start().unwrap()
}

/// Whoever applies the lines in their order, a row by its first column, ends with this: the rest of each row by key.
fn apply(lines: &[Line], table: &str) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for text in changes(lines) {
        let mut words = text.split(' ').skip(1).filter(|word| *word != "key");
        let (Some(kind), Some(name), Some(before), Some(after)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if name != table {
            continue;
        }
        let row = |text: &str| {
            let text = text.trim_matches(['(', ')']);
            let (key, rest) = text.split_once(',').unwrap_or((text, ""));
            (key.to_owned(), rest.to_owned())
        };
        if kind == "truncate" {
            state.clear();
        }
        if matches!(kind, "update" | "delete") {
            state.remove(&row(before).0);
        }
        if matches!(kind, "insert" | "update" | "read") {
            let (key, rest) = row(after);
            state.insert(key, rest);
        }
    }
    state
}

/// A table's rows by their first column.
fn there(database: &MySqlDatabase, table: &str) -> BTreeMap<String, String> {
    let rows = database.query(&format!("select * from {table}")).unwrap();
    let row = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().map(|cell| cell.unwrap_or_else(|| "null".to_owned()));
        (cells.next().unwrap(), cells.collect::<Vec<_>>().join(","))
    };
    rows.into_iter().map(row).collect()
}

#[test]
fn rows_that_are_there_come_before_those_that_follow() {
    everywhere(|database| {
        database
            .execute(
                "create table t (id int primary key, a varchar(20)); insert into t values (3, 'three'), (1, 'one'), (2, null); \
                 create table blank (id int primary key); create table other (id int primary key); insert into other values (1)",
            )
            .unwrap();
        let (mut source, _) = started(&config(database, &["t", "blank"]), None);
        let mut lines = read_until(&mut source, PATIENCE, complete(2)).unwrap();
        assert_eq!(reads(&lines), ["t - (1,one)", "t - (2,null)", "t - (3,three)"], "{lines:#?}");
        let chunk: Vec<&str> = lines.iter().map(|line| line.text.split(' ').next().unwrap()).collect();
        let at = chunk.iter().position(|word| word.contains('/')).unwrap();
        assert_eq!(chunk[at - 2..at + 5], ["table", "chunk", "1/1", "2/2", "3/3", "progress", "commit"]);
        database.execute("insert into t values (4, 'four'); update t set a = 'x' where id = 1").unwrap();
        lines = read_until(&mut source, PATIENCE, commits(2)).unwrap();
        assert_eq!(changes(&lines), ["1/1 insert t - (4,four)", "1/1 update t (1,one) (1,x)"]);
        source.close().unwrap();
    });
}

/// A server where nothing happens at all brings every copy to its end.
#[test]
fn an_idle_server_is_copied() {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let server = MySql::start(flavour).unwrap();
        let database = server.create_database().unwrap();
        database.execute("create table t (id int primary key, pad varchar(2000))").unwrap();
        let rows: Vec<String> = (0..3000).map(|id| format!("({id}, repeat('x', 2000))")).collect();
        database.execute(&format!("insert into t values {}", rows.join(","))).unwrap();
        // The server leaves out what is in its file already, and then has nothing to say: its heartbeats name the place.
        let (mut source, begun) = started(&config(&database, &["t"]), None);
        let lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        assert_eq!(reads(&lines).len(), 3000);
        assert!(lines.iter().filter(|line| line.text == "chunk").count() > 2, "it is copied in chunks");
        source.close().unwrap();
        // Again, and the log goes on in new files, in which nothing is.
        database.execute("flush binary logs; flush binary logs").unwrap();
        let (mut source, _) =
            started(&config(&database, &["t"]), Some(&resume(&begun.position, &begun, BTreeMap::new())));
        let lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        assert_eq!(reads(&lines).len(), 3000);
        source.close().unwrap();
    }
}

/// Holds the query of a chunk open at the row with the number 10, as long as the gate is shut.
struct Gate {
    session: MySqlSession,
    name: String,
}

impl Gate {
    fn shut(database: &MySqlDatabase) -> Self {
        let mut session = database.session().unwrap();
        let name = format!("gate_{}", database.name);
        session.run(&format!("do get_lock('{name}', 0)")).unwrap();
        Self { session, name }
    }

    /// For `snapshot_where`. The name depends on the row, so that nobody asks only once.
    fn condition(&self, column: &str) -> String {
        let name = format!("concat('{}', left({column}, 0))", self.name);
        format!("{column} <> 10 or (get_lock({name}, 60) and release_lock({name}))")
    }

    /// Reads on until the query stands before the gate.
    fn reached(database: &MySqlDatabase, source: &mut MySqlSource, lines: &mut Vec<Line>) {
        let waiting = "select count(*) from information_schema.processlist where state like 'User%lock'";
        eventually(PATIENCE, "a query before the gate", || {
            lines.extend(next(source).unwrap().map(|text| Line { text, position: source.position() }));
            let found = database.value(waiting).map_err(|error| error.to_string())?;
            if found == "0" { Err("nobody waits".to_owned()) } else { Ok(()) }
        })
        .unwrap();
    }

    fn open(mut self) {
        self.session.run(&format!("do release_lock('{}')", self.name)).unwrap();
    }
}

fn twenty_rows(database: &MySqlDatabase) {
    let rows: Vec<String> = (1..=20).map(|id| format!("({id}, 'old')")).collect();
    database
        .execute(&format!(
            "create table t (id int primary key, v varchar(20)); insert into t values {}",
            rows.join(",")
        ))
        .unwrap();
}

/// The heart of it: what is written while a chunk is read is never overwritten by what the chunk has read.
#[test]
fn nothing_old_is_read_over_something_newer() {
    everywhere(|database| {
        twenty_rows(database);
        let gate = Gate::shut(database);
        let mut config = config(database, &["t"]);
        config.snapshot_where.insert(format!("{}.t", database.name), gate.condition("id"));
        let (mut source, _) = started(&config, None);
        let mut lines = Vec::new();
        Gate::reached(database, &mut source, &mut lines);
        assert_eq!(reads(&lines), [""; 0], "nothing is published of half a chunk");
        database
            .execute(
                "update t set v = 'new' where id in (3, 10); delete from t where id = 4; insert into t values (0, 'front'), (100, 'back'); \
                 update t set id = 50 where id = 5; update t set id = -12 where id = 12; \
                 delete from t where id = 7; insert into t values (7, 'again')",
            )
            .unwrap();
        lines.extend(read_until(&mut source, PATIENCE, commits(7)).unwrap());
        gate.open();
        lines.extend(read_until(&mut source, PATIENCE, complete(1)).unwrap());
        for stale in ["(3,", "(4,", "(5,", "(7,", "(10,", "(12,"] {
            assert!(!reads(&lines).iter().any(|row| row.contains(stale)), "{stale} {lines:#?}");
        }
        assert_eq!(reads(&lines).len(), 14);
        assert_eq!(apply(&lines, "t"), there(database, "t"));
        source.close().unwrap();
    });
}

/// A TRUNCATE right behind a chunk.
#[test]
fn what_was_emptied_meanwhile_is_not_read() {
    everywhere(|database| {
        twenty_rows(database);
        // TRUNCATE waits for the chunk's lock; so the chunk is read, but nobody asks for it before the table is empty.
        let (mut source, _) = started(&config(database, &["t"]), None);
        order(&mut source);
        // Whoever is slower than this makes the test weaker, never wrong.
        std::thread::sleep(Duration::from_millis(300));
        database.execute("truncate t; insert into t values (5, 'new')").unwrap();
        let mut lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        lines.extend(read_silence(&mut source).unwrap());
        assert_eq!(apply(&lines, "t"), there(database, "t"), "{lines:#?}");
        source.close().unwrap();
    });
}

/// Steps on until a first order is given, and no longer.
fn order(source: &mut MySqlSource) {
    assert!(matches!(source.next(Duration::ZERO).unwrap(), Step::Idle));
}

/// What a snapshot shows does not come again behind it: a chunk waits for the stream.
#[test]
fn a_chunk_waits_until_the_stream_has_passed_what_it_shows() {
    everywhere(|database| {
        twenty_rows(database);
        let mut writer = database.session().unwrap();
        // The guard of the snapshot waits behind this one, so that the snapshot is taken after the update.
        writer.run("lock tables t write").unwrap();
        let (mut source, _) = started(&config(database, &["t"]), None);
        order(&mut source);
        eventually(PATIENCE, "a snapshot that waits for its lock", || {
            let waiting = "select count(*) from information_schema.processlist where state like 'Waiting for table metadata lock'";
            let found = database.value(waiting).map_err(|error| error.to_string())?;
            if found == "0" { Err("nobody waits".to_owned()) } else { Ok(()) }
        })
        .unwrap();
        writer
            .run("update t set v = 'one' where id < 15; update t set v = 'two' where id < 10; unlock tables")
            .unwrap();
        // Whoever is slower than this makes the test weaker, never wrong.
        std::thread::sleep(Duration::from_millis(300));
        let lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        let texts = changes(&lines);
        let first_read = texts.iter().position(|text| text.contains(" read ")).unwrap();
        let last_update = texts.iter().rposition(|text| text.contains(" update ")).unwrap();
        assert!(last_update < first_read, "{lines:#?}");
        assert_eq!(apply(&lines, "t"), there(database, "t"));
        source.close().unwrap();
    });
}

/// A transaction is in the log before it is in snapshots, and can stay so for long: when it waits for a replica.
#[test]
fn a_snapshot_shows_what_was_passed_before_it_was_ordered() {
    let numbered = Flavour::ALL.into_iter().map(|flavour| (MySql::start(flavour).unwrap(), flavour == Flavour::MySql));
    for (server, has_set) in numbered.chain(std::iter::once_with(|| (without_numbers(), false))) {
        let flavour = server.flavour();
        println!("{flavour:?}, {has_set}");
        let word = if flavour.is_mariadb() { "master" } else { "source" };
        let database = server.create_database().unwrap();
        twenty_rows(&database);
        if !flavour.is_mariadb() {
            database.execute("install plugin rpl_semi_sync_source soname 'semisync_source.so'").unwrap();
        }
        let mut config = config(&database, &["t"]);
        config.snapshot = Snapshot::Never;
        let (mut source, begun) = started(&config, None);
        database
            .execute(&format!(
                "set global rpl_semi_sync_{word}_timeout = 60000; set global rpl_semi_sync_{word}_wait_point = 'AFTER_SYNC'; \
                 set global rpl_semi_sync_{word}_enabled = 1"
            ))
            .unwrap();
        let url = database.url();
        let name = database.name.clone();
        let waiting = std::thread::spawn({
            let server = server.database(&name);
            move || server.execute("update t set v = 'new' where id = 3")
        });
        let mut lines = read_until(&mut source, PATIENCE, commits(1)).unwrap();
        assert_eq!(changes(&lines), ["1/1 update t (3,old) (3,new)"], "{url}");
        assert_eq!(database.value("select v from t where id = 3").unwrap(), "old", "it is in the log only");
        let restarted = resume(&source.position(), &begun, BTreeMap::new());
        let answer = source.copies().ask(Wish::Again { table: format!("{name}.t"), condition: None });
        lines.extend(read_silence(&mut source).unwrap());
        lines.extend(read_silence(&mut source).unwrap());
        assert_eq!(reads(&lines), [""; 0], "no snapshot is new enough: {lines:#?}");
        // Nor is one for another process, which has passed nothing itself. (MySQL's set lacks the transaction until it is
        // committed, so there the other one does not begin.)
        if !has_set {
            source.close().unwrap();
            config.snapshot = Snapshot::Initial;
            (source, _) = started(&config, Some(&restarted));
            lines = read_silence(&mut source).unwrap();
            lines.extend(read_silence(&mut source).unwrap());
            assert_eq!(reads(&lines), [""; 0], "no snapshot is new enough: {lines:#?}");
        }
        database.execute(&format!("set global rpl_semi_sync_{word}_enabled = 0")).unwrap();
        waiting.join().unwrap().unwrap();
        lines.extend(read_until(&mut source, PATIENCE, complete(1)).unwrap());
        assert_eq!(apply(&lines, "t"), there(&database, "t"));
        assert_eq!(reads(&lines).len(), 20);
        drop(answer);
        source.close().unwrap();
    }
}

/// From each progress that a checkpoint could hold, the rest is read, and nothing but the rest.
#[test]
fn a_copy_goes_on_behind_its_last_chunk() {
    everywhere(|database| {
        database
            .execute(
                "create table t (a varchar(20) character set latin1, b int, pad varchar(2000), primary key (a, b)); \
                 create table u (id int primary key)",
            )
            .unwrap();
        let rows: Vec<String> =
            (0..4000).map(|n| format!("('{}', {}, repeat('x', 1500))", ["é", "a", "B", "ß"][n % 4], n)).collect();
        database.execute(&format!("insert into t values {}; insert into u values (1), (2)", rows.join(","))).unwrap();
        let config = config(database, &["t", "u"]);
        let (mut source, begun) = started(&config, None);
        let all = read_until(&mut source, PATIENCE, complete(2)).unwrap();
        source.close().unwrap();
        assert_eq!(reads(&all).len(), 4002);
        assert_eq!(apply(&all, "u"), there(database, "u"));
        let ends: Vec<usize> =
            all.iter().enumerate().filter(|(_, line)| line.text == "commit").map(|(at, _)| at).collect();
        assert!(ends.len() >= 4, "{} chunks", ends.len());
        for end in ends {
            let (before, after) = all.split_at(end + 1);
            let progress = progress_of(before);
            assert_eq!(
                after.last().is_none(),
                progress.len() == 2 && progress.values().all(|text| text.contains("\"end\":true"))
            );
            let (mut again, _) = started(&config, Some(&resume(&begun.position, &begun, progress)));
            let rest = if after.is_empty() {
                read_silence(&mut again).unwrap()
            } else {
                let mut known = before.to_vec();
                let seen = known.len();
                while !complete(2)(&known) {
                    known.extend(next(&mut again).unwrap().map(|text| Line { text, position: again.position() }));
                }
                known.split_off(seen)
            };
            let sorted = |lines: &[Line]| {
                let mut rows: Vec<String> = reads(lines).into_iter().map(str::to_owned).collect();
                rows.sort_unstable();
                rows
            };
            assert!(sorted(&rest) == sorted(after), "{} and not {} rows", reads(&rest).len(), reads(after).len());
            again.close().unwrap();
        }
    });
}

/// The log can leave values out. A row that was changed so while it was read is read once more, at its new place if it has one.
#[test]
fn rows_whose_changes_lack_values_are_read_again() {
    everywhere(|database| {
        let rows: Vec<String> = (1..=20).map(|id| format!("({id}, 'old', 'kept_{id}')")).collect();
        database
            .execute(&format!(
                "create table t (id int primary key, v varchar(20), w text); insert into t values {}",
                rows.join(",")
            ))
            .unwrap();
        let gate = Gate::shut(database);
        let mut config = config(database, &["t"]);
        config.snapshot_where.insert(format!("{}.t", database.name), gate.condition("id"));
        let (mut source, _) = started(&config, None);
        let mut lines = Vec::new();
        Gate::reached(database, &mut source, &mut lines);
        database
            .execute(
                "set session binlog_row_image = 'MINIMAL'; update t set v = 'new' where id = 3; update t set id = 50 where id = 5; \
                 update t set id = -12 where id = 12; delete from t where id = 4; update t set v = 'x' where id = 6; delete from t where id = 6",
            )
            .unwrap();
        lines.extend(read_until(&mut source, PATIENCE, commits(6)).unwrap());
        gate.open();
        lines.extend(read_until(&mut source, PATIENCE, complete(1)).unwrap());
        assert_eq!(apply(&lines, "t"), there(database, "t"), "{lines:#?}");
        for again in ["t - (3,new,kept_3)", "t - (50,old,kept_5)", "t - (-12,old,kept_12)"] {
            assert!(reads(&lines).contains(&again), "{again}: {lines:#?}");
        }
        source.close().unwrap();
    });
}

#[test]
fn tables_that_come_later_are_copied_and_tables_without_a_key_are_copied_whole() {
    everywhere(|database| {
        let rows: Vec<String> = (0..3000).map(|n| format!("({}, repeat('x', 2000))", n / 2)).collect();
        database
            .execute(&format!("create table k (a int, pad text); insert into k values {}", rows.join(",")))
            .unwrap();
        let (mut source, _) = started(&config(database, &["*"]), None);
        let mut lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        assert_eq!(reads(&lines).len(), 3000, "each row once, equal ones too");
        assert!(lines.iter().filter(|line| line.text == "chunk").count() > 1);
        database.execute("insert into k values (1, 'later'); delete from k where a < 1400 and pad <> 'later'").unwrap();
        lines = read_until(&mut source, PATIENCE, commits(2)).unwrap();
        assert_eq!(changes(&lines).len(), 1 + 2800);
        database.execute("create table later (id int primary key); insert into later values (1), (2)").unwrap();
        lines = read_until(&mut source, PATIENCE, |lines| has_progress(lines, "\"end\":true") && complete(1)(lines))
            .unwrap();
        assert_eq!(apply(&lines, "later"), there(database, "later"));
        assert_eq!(reads(&lines), ["later - (1)", "later - (2)"]);
        source.close().unwrap();
    });
}

#[test]
fn wishes_from_outside() {
    everywhere(|database| {
        twenty_rows(database);
        let mut config = config(database, &["t"]);
        config.snapshot = Snapshot::Never;
        let (mut source, _) = started(&config, None);
        let table = format!("{}.t", database.name);
        let mut ask = |wish: Wish, until: &str| {
            let answer = source.copies().ask(wish);
            let mut lines = Vec::new();
            let found = eventually(PATIENCE, "an answer", || {
                lines.extend(next(&mut source).unwrap().map(|text| Line { text, position: source.position() }));
                let position = source.position();
                source.confirm(&position).unwrap();
                answer.try_recv().map_err(|_| "nothing")
            })
            .unwrap();
            if !until.is_empty() {
                lines.extend(read_until(&mut source, PATIENCE, complete(1)).unwrap());
            }
            (found, lines)
        };
        let again = |condition: &str| Wish::Again { table: table.clone(), condition: Some(condition.to_owned()) };
        let (found, lines) = ask(again("id between 3 and 4 -- few"), "end");
        assert!(found.unwrap().contains("is copied again"));
        assert_eq!(reads(&lines), ["t - (3,old)", "t - (4,old)"]);
        for bad in ["nonsense", "false) or (true", "1; drop table t", "1, 1) or if(1"] {
            assert!(ask(again(bad), "").0.unwrap_err().contains("cannot be used"), "{bad}");
        }
        let (found, _) = ask(Wish::Again { table: "nobody.t".to_owned(), condition: None }, "");
        assert!(found.unwrap_err().contains("is not captured"));
        let (found, _) = ask(Wish::Pause { table: None }, "");
        assert_eq!(found.unwrap(), "nothing is being copied that could be paused");
        let (found, _) = ask(Wish::Resume { table: Some(table.clone()) }, "");
        assert_eq!(found.unwrap(), "no copy is paused");
        source.close().unwrap();
    });
}

/// All copies together read no faster than they may.
#[test]
fn a_rate_holds() {
    let database = shared::mysql(Flavour::MariaDb).create_database().unwrap();
    database.execute("create table t (id int primary key, pad varchar(2000))").unwrap();
    let rows: Vec<String> = (0..3000).map(|id| format!("({id}, repeat('x', 2000))")).collect();
    database.execute(&format!("insert into t values {}", rows.join(","))).unwrap();
    let mut config = config(&database, &["t"]);
    config.snapshot_rate = Some(3 << 20);
    let (mut source, _) = started(&config, None);
    let begin = std::time::Instant::now();
    let lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
    assert_eq!(reads(&lines).len(), 3000);
    assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());
}

/// Without numbers a table has to be locked, for which a right is needed that copies need nowhere else.
#[test]
fn who_may_not_lock_a_table_is_told() {
    let server = without_numbers();
    let database = server.create_database().unwrap();
    let name = &database.name;
    database.execute("create table t (id int primary key); insert into t values (1)").unwrap();
    database
        .execute(&format!(
            "create user reader identified by 'secret'; grant replication slave, replication client on *.* to reader; \
             grant select on {name}.* to reader"
        ))
        .unwrap();
    let mut config = config(&database, &["t"]);
    config.url = database.url().replace("root@", "reader:secret@");
    let (mut source, _) = started(&config, None);
    let begin = std::time::Instant::now();
    let (what, help) = loop {
        match next(&mut source) {
            Err(SourceError::Stop { what, help }) => break (what, help),
            other => assert!(begin.elapsed() < PATIENCE, "{other:?}"),
        }
    };
    assert!(what.contains("denied"), "{what}");
    assert!(help.contains("GRANT LOCK TABLES ON") && help.contains("without GTIDs"), "{help}");
    source.close().unwrap();
    database.execute(&format!("grant lock tables on {name}.* to reader")).unwrap();
    let (mut source, _) = started(&config, None);
    assert_eq!(reads(&read_until(&mut source, PATIENCE, complete(1)).unwrap()), ["t - (1)"]);
}

/// The next rows are looked up in the key's index, not sorted and not read from the beginning.
#[test]
fn chunks_are_ranges_of_the_key() {
    everywhere(|database| {
        let rows: Vec<String> = (0..2000).map(|n| format!("('{}', {n}, 'x')", n % 7)).collect();
        database
            .execute(&format!(
                "create table t (a varchar(20) character set latin1, b int, c text, primary key (a, b), key (b)); \
                 insert into t values {}; analyze table t",
                rows.join(",")
            ))
            .unwrap();
        let plan = database
            .query(
                "explain select a, b, c from t force index (primary) where ((a > _latin1 x'35') or (a = _latin1 x'35' and b > 7)) \
                 order by a, b limit 100",
            )
            .unwrap();
        let plan: Vec<String> = plan.into_iter().flatten().flatten().collect();
        let plan = plan.join(" ").to_lowercase();
        assert!(plan.contains("range") && plan.contains("primary") && !plan.contains("sort"), "{plan}");
    });
}
