//! Memory stays flat, however large a transaction is. A binary of its own, so that its peak is nobody else's.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::{Duration, Instant};

use change::{Source, Step};
use common::{Server, started};

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_transaction_takes_no_more_memory_than_a_small_one() {
    let server = Server::logical();
    server.sql("create table t (id int primary key, v text)");
    let (mut source, _) = started(&server.config(&["public.*"]), None);
    server.sql("insert into t select g, repeat('x', 200) from generate_series(1, 500000) g");
    let before = peak_kilobytes();
    let (mut rows, mut begin) = (0u64, None);
    loop {
        match source.next(Duration::from_secs(30)).unwrap() {
            Step::Change(_) => {
                begin.get_or_insert_with(Instant::now);
                rows += 1;
            }
            Step::Commit { .. } => break,
            _ => {}
        }
    }
    let grown = peak_kilobytes() - before;
    println!("{rows} rows in {:?}, peak grew by {grown} kB", begin.unwrap().elapsed());
    assert_eq!(rows, 500_000);
    // The queue's 8 MiB, the buffers in hand, and some room.
    assert!(grown < 16 << 10, "{grown} kB");
}
