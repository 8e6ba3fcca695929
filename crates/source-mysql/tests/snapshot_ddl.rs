//! Tables that change while they are copied.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::time::Duration;

use change::Source;
use source_mysql::{Config, MySqlSource, Snapshot};
use testkit::lines::{Line, changes, next, read_silence, read_until};
use testkit::{Flavour, MySqlDatabase, shared};

const PATIENCE: Duration = Duration::from_secs(60);
/// In several chunks.
const ROWS: u32 = 4000;

/// A table of several chunks, and what happens to it when the first of them was published.
struct Scenario {
    name: &'static str,
    /// `T` is the table. Between two statements the stream is read until it is silent.
    changes: &'static [&'static str],
    /// The table in the end: its name, and the number of columns that every row was shown with. 0: with any.
    ends: (&'static str, usize),
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "another_key",
        changes: &[
            "alter table T add k int; update T set k = -id; alter table T drop primary key, add primary key (k); \
             update T set v = 'new' where id % 100 = 0",
        ],
        ends: ("T", 4),
    },
    Scenario {
        name: "another_type",
        changes: &["alter table T modify id varchar(20); update T set v = 'new' where id like '%00'"],
        ends: ("T", 3),
    },
    Scenario {
        name: "no_key_for_a_while",
        changes: &[
            "alter table T drop primary key",
            "alter table T add primary key (v, id); update T set v = 'new' where id % 100 = 0",
        ],
        ends: ("T", 3),
    },
    Scenario {
        name: "another_name",
        changes: &["rename table T to T_moved; update T_moved set v = 'new' where id % 100 = 0"],
        ends: ("T_moved", 3),
    },
    Scenario {
        name: "another_table",
        changes: &[
            "drop table T; create table T (id varchar(9) primary key, v varchar(20)); insert into T values ('only', 'one')",
        ],
        ends: ("T", 2),
    },
    Scenario {
        name: "two_tables_swapped",
        // The one that takes the place was not captured.
        changes: &["rename table T to T_old, hidden_T to T; update T set v = 'new' where id % 100 = 0"],
        ends: ("T", 3),
    },
    Scenario { name: "emptied", changes: &["truncate T; insert into T values (3, 'after', 'c')"], ends: ("T", 3) },
    Scenario {
        name: "other_columns",
        changes: &[
            "alter table T add more int default 7; update T set v = 'new' where id % 100 = 0; alter table T drop pad; \
             alter table T rename column v to w; alter table T add last decimal(5,1) default 1.5",
        ],
        ends: ("T", 0),
    },
];

/// What was read of a table under another shape, key or name is never taken for what it is now.
#[test]
fn tables_change_while_they_are_copied() {
    for flavour in Flavour::ALL {
        for scenario in SCENARIOS {
            println!("{flavour:?} {}", scenario.name);
            run(&shared::mysql(flavour).create_database().unwrap(), scenario);
        }
    }
}

fn create(database: &MySqlDatabase, table: &str, v: &str) {
    let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, '{v}', repeat('x', 1500))")).collect();
    let rows = rows.join(",");
    database
        .execute(&format!(
            "create table {table} (id int primary key, v varchar(20), pad varchar(2000)); insert into {table} values {rows}"
        ))
        .unwrap();
}

fn run(database: &MySqlDatabase, scenario: &Scenario) {
    let Scenario { name: table, changes, ends: (last, columns) } = scenario;
    let last = last.replace('T', table);
    create(database, table, "old");
    create(database, &format!("hidden_{table}"), "swapped");
    let mut config = Config::new(&database.name, database.url(), [format!("{}.{table}*", database.name)]);
    config.snapshot = Snapshot::Initial;
    config.table_interval = Duration::from_millis(200);
    if table == &"two_tables_swapped" {
        // A table that takes the place of one whose copy is complete is only warned of: this copy is still under way then.
        config.snapshot_rate = Some(2 << 20);
    }
    let mut source = MySqlSource::new(config).unwrap();
    source.start(None).unwrap();
    let is_progress = |line: &Line| line.text.starts_with("progress ") && line.text.contains("\"end\":false");
    let mut all = read_until(&mut source, PATIENCE, |lines| lines.last().is_some_and(is_progress)).unwrap();
    for change in *changes {
        // DDL waits for the chunk that is being read, and a table that is copied whole is read as it is published.
        let (database, change) =
            (shared::mysql(database.flavour()).database(&database.name), change.replace('T', table));
        let altering = std::thread::spawn(move || database.execute(&change));
        while !altering.is_finished() {
            all.extend(next(&mut source).unwrap().map(|text| Line { text, position: source.position() }));
        }
        altering.join().unwrap().unwrap();
        all.extend(read_silence(&mut source).unwrap());
    }
    let words = format!("progress {}.{last} ", database.name);
    let complete = |lines: &[Line]| {
        let found = lines.iter().rfind(|line| line.text.starts_with(&words));
        found.is_some_and(|line| line.text.contains("\"end\":true"))
    };
    // The table may have been found before.
    if !complete(&all) {
        let arrived = |lines: &[Line]| complete(&lines[lines.len().saturating_sub(1)..]);
        all.extend(read_until(&mut source, PATIENCE, arrived).unwrap());
    }
    all.extend(read_silence(&mut source).unwrap());
    judge(database, scenario.name, &last, *columns, &all);
    source.close().unwrap();
}

/// The last event of each row says what the row says, and each row came in the table's last shape.
fn judge(database: &MySqlDatabase, name: &str, last: &str, columns: usize, lines: &[Line]) {
    let mut state: BTreeMap<String, String> = BTreeMap::new();
    let mut in_shape: BTreeMap<String, usize> = BTreeMap::new();
    for text in changes(lines) {
        let mut words = text.split(' ').skip(1);
        let (kind, table) = (words.next(), words.next());
        if table != Some(last) {
            continue;
        }
        let row = text.rsplit_once('(').and_then(|(_, row)| row.split_once(')')).map_or("", |(row, _)| row);
        let cells: Vec<&str> = row.split(',').collect();
        match kind {
            Some("truncate") => state.clear(),
            Some("delete") => drop(state.remove(cells[0])),
            _ => {
                state.insert(cells[0].to_owned(), cells[1].to_owned());
                *in_shape.entry(cells[0].to_owned()).or_default() +=
                    usize::from(columns == 0 || cells.len() == columns);
            }
        }
    }
    let rows = database.query(&format!("select * from {last}")).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let cells: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap_or("null")).collect();
        if state.get(cells[0]).map(String::as_str) != Some(cells[1])
            || in_shape.get(cells[0]).is_none_or(|&seen| seen == 0)
        {
            wrong.push(format!("{} is {}, shown as {:?}", cells[0], cells[1], state.get(cells[0])));
        }
    }
    let count = (wrong.len(), rows.len());
    wrong.truncate(5);
    assert!(wrong.is_empty(), "{name}: {count:?} rows are wrong or not in their last shape: {wrong:?}");
}
