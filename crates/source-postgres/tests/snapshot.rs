//! Copies against a real server, where a test needs a checkpoint that no running pipeline would write at will.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use change::{Resume, Source};
use common::{Line, Server, read_silence, read_until, resume, started};
use source_postgres::Snapshot;

fn has_progress(lines: &[Line], words: &str) -> bool {
    lines.iter().any(|line| line.text.starts_with("progress ") && line.text.contains(words))
}

fn reads(lines: &[Line]) -> Vec<&str> {
    common::changes(lines).into_iter().filter_map(|text| text.split_once(" read ").map(|(_, row)| row)).collect()
}

/// Where a copy was interrupted says nothing about a table that has another key now.
#[test]
fn another_primary_key_begins_the_copy_anew() {
    let server = Server::logical();
    server.sql("create table t (a int primary key, b int not null); insert into t select i, 10 - i from generate_series(1, 9) i");
    let mut config = server.config(&["public.*"]);
    let (_, begun) = started(&config, None);
    config.snapshot = Snapshot::Initial;
    let oid = server.sql("select 't'::regclass::oid");
    let entry = server.sql("select oid from pg_publication_rel");
    let half = format!(
        r#"{{"oid":{oid},"entry":{entry},"by":["a/1/23/0"],"after":["5"],"again":[["3"]],"rows":5,"end":false}}"#
    );
    let progress = BTreeMap::from([("public.t".to_owned(), half)]);
    let from = Resume { progress, ..resume(&begun.position, &begun) };

    let (mut source, _) = started(&config, Some(&from));
    let lines = read_until(&mut source, |lines| reads(lines).len() == 5);
    assert_eq!(reads(&lines), ["t - (6,4)", "t - (7,3)", "t - (8,2)", "t - (9,1)", "t - (3,7)"], "{lines:#?}");
    drop(source);

    // The same name is not the same key: another type has another order, another column other values.
    for change in [
        "alter table t drop constraint t_pkey; alter table t add primary key (b)",
        "alter table t drop constraint t_pkey; alter table t add primary key (b, a)",
        "alter table t drop constraint t_pkey; alter table t add primary key (a); alter table t alter a type text",
        "alter table t alter a type text collate \"C\"",
        "alter table t add c int not null default 0; update t set c = a::int; alter table t drop a; \
         alter table t rename c to a; alter table t add primary key (a)",
    ] {
        server.sql(change);
        let (mut source, _) = started(&config, Some(&from));
        let lines = read_until(&mut source, |lines| has_progress(lines, "\"end\":true"));
        let mut found = reads(&lines);
        found.sort_unstable();
        let row =
            |a: i32| if change.contains("add c") { format!("({},{a})", 10 - a) } else { format!("({a},{})", 10 - a) };
        let mut all: Vec<String> = (1..=9).map(|a| format!("t - {}", row(a))).collect();
        all.sort_unstable();
        assert_eq!(found, all, "{change}: {lines:#?}");
        assert!(!has_progress(&lines, "\"again\"") && has_progress(&lines, "\"rows\":9,"), "{lines:#?}");
    }
}

/// A chunk's snapshot is older than what the stream returns while it is read. The gate is a sequence: its value is the same
/// for every snapshot, so a condition can hold the chunk's query until the test has opened it.
#[test]
fn what_the_stream_has_shown_since_the_chunk_was_ordered_is_not_read_over_it() {
    let server = Server::logical();
    server.sql(
        "create table t (id int primary key, v text, pad text); alter table t alter pad set storage external; \
         insert into t select i, 'old', repeat('x', 5000) from generate_series(1, 9) i; \
         create sequence gate; create function opened() returns bool language plpgsql as \
         $$ begin while not (select is_called from public.gate) loop perform pg_sleep(0.01); end loop; return true; end $$",
    );
    let mut config = server.config(&["public.t"]);
    config.snapshot = Snapshot::Initial;
    config.snapshot_where = BTreeMap::from([("public.t".to_owned(), "public.opened()".to_owned())]);
    let (mut source, _) = started(&config, None);
    let begin = Instant::now();
    let mut all = Vec::new();
    while server.sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "0" {
        assert!(begin.elapsed() < Duration::from_secs(60), "no chunk is being read: {all:#?}");
        all.extend(read_silence(&mut source));
    }
    server.sql("update t set v = 'new', pad = 'short' where id = 1");
    server.sql("delete from t where id = 2");
    // The log does not carry the long value: the row has to be read once more, at its new place.
    server.sql("update t set id = 33 where id = 3");
    server.sql("insert into t values (40, 'inserted', 'short')");
    server.sql("update t set v = 'partly' where id = 5");
    server.sql("begin; update t set v = 'never' where id = 6; rollback");
    all.extend(read_until(&mut source, common::commits(5)));
    assert_eq!(reads(&all), [""; 0], "the gate is closed");
    server.sql("select nextval('gate')");
    let over = |line: &Line| has_progress(std::slice::from_ref(line), "\"end\":true") && !line.text.contains("again");
    all.extend(read_until(&mut source, |lines| lines.iter().any(over)));
    let found: BTreeMap<String, usize> = reads(&all).into_iter().fold(BTreeMap::new(), |mut found, row| {
        *found.entry(row.replace(&"x".repeat(5000), "…")).or_default() += 1;
        found
    });
    let expected = [
        "t - (4,old,…)",
        "t - (5,partly,…)",
        "t - (6,old,…)",
        "t - (7,old,…)",
        "t - (8,old,…)",
        "t - (9,old,…)",
        "t - (33,old,…)",
    ];
    assert_eq!(found, expected.map(|row| (row.to_owned(), 1)).into(), "{all:#?}");
    source.close().unwrap();
}

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
            "alter table T add k int; update T set k = -id; alter table T drop constraint T_pkey, add primary key (k); \
             update T set v = 'new' where id % 100 = 0",
        ],
        ends: ("T", 4),
    },
    Scenario {
        name: "another_type",
        changes: &["alter table T alter id type text; update T set v = 'new' where id like '%00'"],
        ends: ("T", 3),
    },
    Scenario {
        name: "no_key_for_a_while",
        changes: &[
            "alter table T drop constraint T_pkey",
            "alter table T add primary key (v, id); update T set v = 'new' where id % 100 = 0",
        ],
        ends: ("T", 3),
    },
    Scenario {
        name: "another_identity",
        changes: &["create unique index T_i on T (pad, id); alter table T alter pad set not null; \
             alter table T replica identity using index T_i; update T set v = 'new' where id % 100 = 0"],
        ends: ("T", 3),
    },
    Scenario {
        name: "another_name",
        changes: &["alter table T rename to T_moved; update T_moved set v = 'new' where id % 100 = 0"],
        ends: ("T_moved", 3),
    },
    Scenario {
        name: "another_table",
        changes: &["drop table T; create table T (id text primary key, v text); insert into T values ('only', 'one')"],
        ends: ("T", 2),
    },
    Scenario {
        name: "two_tables_swapped",
        changes: &["alter table T rename to T_old; create table T (id int primary key, v text, pad text); \
             insert into T select i, 'swapped', 'x' from generate_series(1, 20000) i"],
        ends: ("T", 3),
    },
    Scenario { name: "emptied", changes: &["truncate T; insert into T values (3, 'after', 'c')"], ends: ("T", 3) },
    Scenario {
        name: "other_columns",
        changes: &[
            "alter table T add more int default 7; update T set v = 'new' where id % 100 = 0; alter table T drop pad; \
             alter table T rename v to w; alter table T add last numeric(5,1) default 1.5",
        ],
        ends: ("T", 0),
    },
];

/// What was read of a table under another shape, key or name is never taken for what it is now.
#[test]
fn tables_change_while_they_are_copied() {
    let server = Server::logical();
    for scenario in SCENARIOS {
        let Scenario { name: table, changes, ends: (last, columns) } = scenario;
        let last = last.replace('T', table);
        server.sql(&format!(
            "create table {table} (id int primary key, v text, pad text); \
             insert into {table} select i, 'old', repeat('x', 1500) from generate_series(1, 20000) i"
        ));
        let mut config = server.config(&[&format!("public.{table}*")]);
        config.snapshot = Snapshot::Initial;
        (config.slot, config.publication) = ((*table).to_owned(), (*table).to_owned());
        config.temporary = true;
        let (mut source, _) = started(&config, None);
        let mut all =
            read_until(&mut source, |lines| has_progress(&lines[lines.len().saturating_sub(1)..], "\"end\":false"));
        for change in *changes {
            server.sql(&change.replace('T', table));
            all.extend(read_silence(&mut source));
        }
        let complete = |lines: &[Line]| {
            let words = format!("progress public.{last} ");
            lines.iter().any(|line| line.text.starts_with(&words) && line.text.contains("\"end\":true"))
        };
        // The table may have been found before.
        if !complete(&all) {
            let arrived = |lines: &[Line]| complete(&lines[lines.len().saturating_sub(1)..]);
            all.extend(common::read_within(&mut source, Duration::from_secs(60), arrived));
        }
        all.extend(read_silence(&mut source));
        judge(&server, scenario, &last, *columns, &all);
        source.close().unwrap();
    }
}

/// The last event of each row says what the row says, and each row came in the table's last shape.
fn judge(server: &Server, scenario: &Scenario, last: &str, columns: usize, lines: &[Line]) {
    let mut state: BTreeMap<String, String> = BTreeMap::new();
    let mut in_shape: BTreeMap<String, usize> = BTreeMap::new();
    for text in common::changes(lines) {
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
    let rows = server.sql(&format!("select * from {last}"));
    let mut wrong = Vec::new();
    for row in rows.lines() {
        let cells: Vec<&str> = row.split('|').collect();
        if state.get(cells[0]).map(String::as_str) != Some(cells[1])
            || in_shape.get(cells[0]).is_none_or(|&seen| seen == 0)
        {
            wrong.push(format!("{} is {}, shown as {:?}", cells[0], cells[1], state.get(cells[0])));
        }
    }
    let described = lines.iter().rfind(|line| line.text.starts_with(&format!("table public.{last}")));
    let by_index = described.is_some_and(|line| line.text.ends_with(" by pad, id"));
    assert_eq!(by_index, scenario.name == "another_identity", "{}: {described:?}", scenario.name);
    let rest = (wrong.len(), rows.lines().count());
    wrong.truncate(5);
    assert!(wrong.is_empty(), "{}: {rest:?} rows are wrong or not in their last shape: {wrong:?}", scenario.name);
}
