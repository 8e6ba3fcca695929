//! Copies against a real server, where a test needs a checkpoint that no running pipeline would write at will.

mod common;

use std::collections::BTreeMap;

use change::Resume;
use common::{Line, Server, read_until, resume, started};
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
