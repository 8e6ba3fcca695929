//! Logical messages: which come, in which place, and once.

mod common;

use common::{Server, changes, commits, read_until, resume, started};

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
