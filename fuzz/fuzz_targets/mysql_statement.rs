//! Any text as a statement, under any settings: an end, no password that comes back, and renamed columns as they were written.
#![no_main]

use change::Moved;
use libfuzzer_sys::fuzz_target;
use source_mysql::definition::{definitions, without_secrets};
use source_mysql::statement::classify;

fuzz_target!(|input: (u64, &str)| {
    let (sql_mode, text) = input;
    let _class = classify(text.as_bytes());
    let _found = definitions(text, sql_mode);
    let kept = without_secrets(text, sql_mode);
    assert_eq!(without_secrets(&kept, sql_mode), kept);
    // Names in quotes may hold anything.
    let quoted = text.replace('`', "``");
    let found = definitions(&format!("ALTER TABLE `{quoted}` CHANGE `{quoted}` `x{quoted}` int"), sql_mode);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].table, (None, text.to_owned()));
    let moved = Moved { from: text.to_owned(), to: Some(format!("x{text}")) };
    assert_eq!(found[0].moved, Some(vec![moved]));
});
