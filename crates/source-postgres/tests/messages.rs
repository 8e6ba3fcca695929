//! Logical messages: which come, in which place, and once.

mod common;

use change::Position;
use common::{Line, Server, changes, commits, read_until, resume, started};
use source_postgres::Config;

#[test]
fn messages_are_rows_of_a_table_of_their_own_and_come_once() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let mut config = server.config(&["public.*"]);
    config.messages = vec!["shop*".to_owned(), "raw".to_owned()];
    let (mut first, begun) = started(&config, None);
    assert_eq!(
        begun.tables.iter().map(|table| table.name.to_string()).collect::<Vec<_>>(),
        ["public.t", "pg_logical.message"]
    );
    let say = |transactional: bool, prefix: &str, content: &str| {
        format!("select pg_logical_emit_message({transactional}, '{prefix}', {content});")
    };
    server.sql(&say(false, "shop", "'alone'"));
    server.sql(&format!(
        "begin; insert into t values (1); {} insert into t values (2); {} commit",
        say(true, "shop.paid", "'inside'"),
        say(true, "other", "'not wanted'"),
    ));
    // Sent before its transaction, of which nothing else remains.
    server.sql(&format!(
        "begin; insert into t values (3); {} {} rollback",
        say(false, "shop", "'kept'"),
        say(true, "shop", "'gone'")
    ));
    // Its record is followed by the commit's.
    server.sql(&format!("begin; insert into t values (9); {} commit", say(false, "shop", "'last'")));
    server.sql(&say(true, "raw", "'\\x00ff'::bytea"));
    server.sql("insert into t values (4)");
    let all = read_until(&mut first, commits(7));
    let expected = [
        "1/1 message message - (shop,\\x616c6f6e65)",
        "1/1 insert t - (1)",
        "2/1 message message - (shop.paid,\\x696e73696465)",
        "3/2 insert t - (2)",
        "1/1 message message - (shop,\\x6b657074)",
        "1/1 message message - (shop,\\x6c617374)",
        "1/1 insert t - (9)",
        "1/1 message message - (raw,\\x00ff)",
        "1/1 insert t - (4)",
    ];
    assert_eq!(changes(&all), expected, "{all:#?}");
    drop(first);
    for (index, at) in all.iter().enumerate() {
        let (mut again, _) = started(&config, Some(&resume(&at.position, &begun)));
        let lines = read_until(&mut again, |lines| {
            lines.iter().any(|line| line.text.ends_with("insert t - (4)")) || index + 2 >= all.len()
        });
        let left = changes(&all[index + 1..]);
        assert_eq!(changes(&lines), left, "after line {index} ({at:?})");
    }
}

#[test]
fn nobody_gets_messages_who_did_not_ask() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let (mut source, begun) = started(&server.config(&["public.*"]), None);
    assert_eq!(begun.tables.len(), 1);
    server.sql("select pg_logical_emit_message(false, 'shop', 'x'); select pg_logical_emit_message(true, 'shop', 'y')");
    server.sql("insert into t values (1)");
    assert_eq!(changes(&read_until(&mut source, |lines| !changes(lines).is_empty())), ["1/1 insert t - (1)"]);
}

/// Which messages are wanted may be another list at the next start, and the position may lie inside a transaction that
/// holds some: no row is left out and none comes twice, whatever shares its place in the log with a message.
#[test]
fn another_wish_for_messages_costs_no_row_inside_a_transaction() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let config = |messages: &[&str]| {
        let mut config = server.config(&["public.*"]);
        config.messages = messages.iter().map(|&prefix| prefix.to_owned()).collect();
        config
    };
    let configs = [config(&[]), config(&["shop"]), config(&["*"])];
    let (first, begun) = started(&configs[0], None);
    drop(first);
    let say = |prefix: &str| format!("select pg_logical_emit_message(true, '{prefix}', 'x');");
    let (shop, other) = (say("shop"), say("other"));
    server.sql(&format!(
        "begin; {shop} insert into t values (1); {shop} insert into t values (2), (3); {other} {shop} insert into t values (4);
         savepoint a; {shop} insert into t values (5); release a; insert into t values (6); savepoint b; {other}
         insert into t values (7); {shop} rollback to b; {shop} insert into t values (8); {shop} commit"
    ));
    server.sql("insert into t values (9)");
    let rows = |lines: &[Line]| -> Vec<String> {
        let changes = changes(lines).into_iter().filter_map(|text| text.split_once(" insert "));
        changes.map(|(_, row)| row.to_owned()).collect()
    };
    let all_of = |config: &Config, from: &Position| {
        let (mut source, _) = started(config, Some(&resume(from, &begun)));
        read_until(&mut source, |lines| rows(lines).last().is_some_and(|row| row.ends_with("(9)")))
    };
    for before in &configs {
        let all = all_of(before, &begun.position);
        assert_eq!(rows(&all).len(), 8, "{all:#?}");
        // Whoever asks for what comes behind the transaction lets the server forget it.
        for (index, at) in all.iter().enumerate().take_while(|(_, line)| line.text != "commit") {
            for after in &configs {
                let rest = all_of(after, &at.position);
                let what = format!("{:?}, then {:?}, after {at:?}", before.messages, after.messages);
                assert_eq!(rows(&rest), rows(&all[index + 1..]), "{what}: {rest:#?}");
                if before.messages == after.messages {
                    assert_eq!(changes(&rest), changes(&all[index + 1..]), "{what}");
                }
            }
        }
    }
}
