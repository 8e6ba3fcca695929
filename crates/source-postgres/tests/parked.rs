//! A commit that waits for a standby is in the log, and returned, before any snapshot sees it. A chunk that is ordered only
//! then knows nothing of it from the log: it has to wait until its snapshot sees it.

mod common;

use std::time::{Duration, Instant};

use change::Source;
use common::{Line, Server, read_silence, read_within, started};
use source_postgres::Snapshot;

/// Many chunks: the last one is ordered long after the parked commit was passed, whatever was read ahead.
const ROWS: u32 = 30_000;

fn wait_parked(server: &Server, count: u32) {
    let begin = Instant::now();
    let parked = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
    while server.sql(parked).parse::<u32>().is_ok_and(|found| found < count) {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing waits for a standby");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whatever goes wrong, nobody stays parked.
struct Settle<'a>(&'a Server);

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        self.0.sql("alter system reset synchronous_standby_names");
        self.0.sql("select pg_reload_conf()");
    }
}

fn reads_of(lines: &[Line], row: &str) -> usize {
    lines.iter().filter(|line| line.text.contains(" read t ") && line.text.contains(row)).count()
}

#[test]
fn a_chunk_waits_for_a_commit_that_the_log_has_shown_before_it_was_ordered() {
    let server = Server::logical();
    server.sql(&format!(
        "create table t (id int primary key, v text, pad text); create schema aside; create table aside.probe (id int); \
         insert into t select i, 'old', repeat('x', 1500) from generate_series(1, {ROWS}) i"
    ));
    let mut config = server.config(&["public.t"]);
    config.snapshot = Snapshot::Initial;
    let (mut source, _) = started(&config, None);
    let deadline = Duration::from_secs(60);
    let last_has = |lines: &[Line], words: &str| lines.last().is_some_and(|line| line.text.contains(words));
    // With the first chunk the table has its transaction id of the join: from here on that one protects nothing.
    let mut all = read_within(&mut source, deadline, |lines| last_has(lines, "\"end\":false"));
    std::thread::scope(|scope| {
        let settle = Settle(&server);
        server.sql("alter system set synchronous_standby_names = 'nobody'");
        server.sql("select pg_reload_conf()");
        // The server takes its new setting in its own time: from the first parked commit on every one is.
        scope.spawn(|| {
            while server.sql("show synchronous_standby_names") == "nobody" {
                server.sql("insert into aside.probe values (1)");
            }
        });
        wait_parked(&server, 1);
        scope.spawn(|| server.sql(&format!("update t set v = 'parked' where id = {ROWS}")));
        wait_parked(&server, 2);
        all.extend(read_within(&mut source, deadline, |lines| last_has(lines, "parked")));
        assert_eq!(reads_of(&all, &format!("({ROWS},")), 0, "the last chunk was read before the commit was parked");
        all.extend(read_silence(&mut source));
        assert!(!all.iter().any(|line| line.text.contains("\"end\":true")), "a chunk was read that does not show it");
        drop(settle);
        let complete = |lines: &[Line]| last_has(lines, "\"end\":true");
        all.extend(read_within(&mut source, deadline, complete));
    });
    assert_eq!(reads_of(&all, &format!("({ROWS},old,")), 0, "an old row came after the commit that changed it");
    let copied: u32 = all.iter().filter(|line| line.text.contains(" read t ")).count().try_into().unwrap();
    assert!(copied >= ROWS - 1, "{copied} rows");
    source.close().unwrap();
}
