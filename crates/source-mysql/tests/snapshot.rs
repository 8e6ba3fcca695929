//! Copies of tables against real servers.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::time::Duration;

use change::{Position, Resume, Source, Started};
use source_mysql::{Config, MySqlSource, Snapshot};
use testkit::lines::{Line, changes, read_silence, read_until};
use testkit::{Flavour, MySqlDatabase, shared};

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

/// On each server, in a database of the test's own.
fn everywhere(test: fn(&MySqlDatabase)) {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        test(&shared::mysql(flavour).create_database().unwrap());
    }
}

/// Whoever applies the lines in their order, a row by its first column, ends with this: the rest of each row by key.
fn apply(lines: &[Line], table: &str) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for text in changes(lines) {
        let mut words = text.split(' ').skip(1);
        let (Some(kind), Some(name), Some(before), Some(after)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if name != table {
            continue;
        }
        let row = |text: &str| {
            let (key, rest) = text.trim_matches(['(', ')']).split_once(',').unwrap_or((text, ""));
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
        lines = read_until(&mut source, PATIENCE, testkit::lines::commits(2)).unwrap();
        assert_eq!(changes(&lines), ["1/1 insert t - (4,four)", "1/1 update t (1,one) (1,x)"]);
        source.close().unwrap();
    });
}

/// A server where nothing happens at all brings every copy to its end.
#[test]
fn an_idle_server_is_copied() {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let server = testkit::MySql::start(flavour).unwrap();
        let database = server.create_database().unwrap();
        database.execute("create table t (id int primary key, pad varchar(2000))").unwrap();
        let rows: Vec<String> = (0..3000).map(|id| format!("({id}, repeat('x', 2000))")).collect();
        database.execute(&format!("insert into t values {}", rows.join(","))).unwrap();
        // The log goes on in a new file, in which nothing is.
        database.execute("flush binary logs").unwrap();
        let (mut source, begun) = started(&config(&database, &["t"]), None);
        let lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        assert_eq!(reads(&lines).len(), 3000);
        assert!(lines.iter().filter(|line| line.text == "chunk").count() > 2, "it is copied in chunks");
        source.close().unwrap();
        // Again, with all of it behind the position, and the end in a file behind.
        database.execute("flush binary logs").unwrap();
        let (mut source, _) =
            started(&config(&database, &["t"]), Some(&resume(&begun.position, &begun, BTreeMap::new())));
        let lines = read_until(&mut source, PATIENCE, complete(1)).unwrap();
        assert_eq!(reads(&lines).len(), 3000);
        source.close().unwrap();
    }
}
