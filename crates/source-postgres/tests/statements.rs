//! DDL statements, as the optional event trigger reports them.

mod common;

use change::Severity;
use common::{Line, Server, changes, read_silence, read_until, resume, started};
use source_postgres::DDL_TRIGGER;

fn install(server: &Server) {
    let said = server.script("postgres", DDL_TRIGGER);
    assert!(!said.contains("ERROR"), "{said}");
}

/// A server with the trigger and the table `t`.
fn reporting() -> Server {
    reporting_on(Server::logical())
}

fn reporting_on(server: Server) -> Server {
    server.sql("create table t (id int primary key)");
    install(&server);
    server
}

fn texts(lines: &[Line]) -> Vec<&str> {
    let is_told = |text: &&str| !matches!(*text, "begin" | "commit") && !text.starts_with("progress");
    lines.iter().map(|line| line.text.as_str()).filter(is_told).collect()
}

fn run(server: &Server, sql: &str) {
    let said = server.script("postgres", sql);
    assert!(!said.contains("ERROR") && !said.contains("WARNING"), "{said}");
}

#[test]
fn statements_stand_between_the_rows_of_their_transaction() {
    stand_between_rows(Server::logical());
}

#[test]
fn statements_are_reported_by_postgresql_14() {
    stand_between_rows(Server::logical_of("14.24.0"));
}

#[test]
fn statements_are_reported_by_postgresql_18() {
    stand_between_rows(Server::logical_of("18.4.0"));
}

fn stand_between_rows(server: Server) {
    let server = reporting_on(server);
    // A second time it is made anew.
    install(&server);
    server.sql("create schema other; create table other.t (id int)");
    let mut config = server.config(&["public.*"]);
    config.messages = vec!["*".to_owned()];
    let (mut source, _) = started(&config, None);
    run(
        &server,
        r#"insert into t values (1);
        begin;
        insert into t values (2);
        alter table t add a text;
        insert into t values (3, 'x');
        savepoint s;
        alter table t add gone int;
        rollback to s;
        select pg_logical_emit_message(true, 'shop', 'x');
        alter table t rename column a to "b c";
        insert into t values (4, 'y');
        commit;
        begin;
        alter table t add gone int;
        insert into t values (5, 'z', 1);
        rollback;
        alter table other.t add a int;
        create temporary table temporary (id int);
        alter table temporary add a int;
        create index i on t (id);
        comment on column t.id is 'x';
        grant select on t to public;
        create table "q ""t" (id serial primary key);
        create table u (id int primary key);
        drop table "q ""t", u, other.t;
        create type mood as enum ('good');
        alter table t add mood mood;
        drop type mood cascade;
        alter table t drop column "b c";
        alter table t set schema other;
        insert into other.t values (6);"#,
    );
    let lines = read_until(&mut source, |lines| lines.iter().any(|line| line.text.contains("set schema")));
    let drop = r#"drop table "q ""t", u, other.t;"#;
    assert_eq!(
        texts(&lines),
        [
            "table public.t",
            "1/1 insert t - (1)",
            "1/1 insert t - (2)",
            "statement public.t by postgres: alter table t add a text;",
            "table public.t",
            "2/2 insert t - (3,x)",
            "table pg_logical.message",
            "3/1 message message - (shop,\\x78)",
            "statement public.t by postgres: alter table t rename column a to \"b c\";",
            "table public.t",
            "4/3 insert t - (4,y)",
            "statement public.q \"t by postgres: create table \"q \"\"t\" (id serial primary key);",
            "statement public.u by postgres: create table u (id int primary key);",
            &format!("statement public.u by postgres: {drop}"),
            &format!("statement public.q \"t by postgres: {drop}"),
            "statement public.t by postgres: alter table t add mood mood;",
            "statement public.t by postgres: drop type mood cascade;",
            "statement public.t by postgres: alter table t drop column \"b c\";",
            "statement public.t by postgres: alter table t set schema other;",
        ],
        "{lines:#?}"
    );
}

/// From each place that a checkpoint could name, the rest comes, and nothing of it twice.
#[test]
fn a_restart_beside_statements_loses_nothing() {
    let server = reporting();
    let config = server.config(&["public.*"]);
    let (mut source, begun) = started(&config, None);
    run(
        &server,
        "begin; alter table t add a int; insert into t values (1, 1), (2, 2); alter table t drop a, add b int;
         create table u (id int primary key); insert into t values (3, 3); alter table t rename to v; drop table u;
         alter table v rename to t; insert into t values (4, 4); alter table t rename b to c; commit;
         insert into t values (5, 5);",
    );
    let is_end = |lines: &[Line]| lines.len() > 1 && lines[lines.len() - 2].text.contains("(5,5)");
    let all = read_until(&mut source, is_end);
    drop(source);
    let told = |lines: &[Line]| -> Vec<String> {
        let is_told = |text: &&str| text.starts_with("statement") || text.contains("insert");
        texts(lines).into_iter().filter(is_told).map(str::to_owned).collect()
    };
    assert_eq!(told(&all).len(), 12, "{all:#?}");
    let is_told = |line: &&Line| told(std::slice::from_ref(*line)).len() == 1;
    for at in all.iter().filter(is_told) {
        if at.text.contains("(5,5)") {
            break;
        }
        let index = all.iter().position(|line| line == at).unwrap();
        // The trigger may be gone by then: what is behind the place in the log is there all the same.
        for state in ["disable", "enable"] {
            server.sql(&format!("alter event trigger headwater_ddl {state}"));
            let (mut again, _) = started(&config, Some(&resume(&at.position, &begun)));
            let lines = read_until(&mut again, is_end);
            assert_eq!(changes(&lines), changes(&all[index + 1..]), "after {at:?}, {state}");
            if state == "enable" {
                assert_eq!(told(&lines), told(&all[index + 1..]), "after {at:?}");
            }
        }
    }
}

/// The trigger reports what anybody does, and never stands in the way.
#[test]
fn no_statement_fails_because_of_the_trigger() {
    let server = reporting();
    server.sql("create role app login; grant create on schema public to app");
    let (mut source, _) = started(&server.config(&["public.*"]), None);
    assert_eq!(server.script("app", "create table mine (id int);"), "");
    let long = "é".repeat(100_000);
    run(&server, &format!("alter table t add a text default '{long}';"));
    // Everything in one message to the server is one text.
    server.sql("alter role app password 'secret'; alter table t add more text");
    server.sql("alter table t add password text");
    server.sql("revoke execute on function pg_logical_emit_message(boolean, text, bytea) from public");
    let said = server.script("app", "alter table mine add a int; drop table mine;");
    assert_eq!(said.matches("headwater is not told of this statement").count(), 2, "{said}");
    assert!(!said.contains("ERROR"), "{said}");
    assert_eq!(server.sql("select count(*) from pg_class where relname = 'mine'"), "0");
    let lines = read_silence(&mut source);
    let kept = format!("alter table t add a text default '{}", "é".repeat((16 << 10) / 2 - 17));
    assert_eq!(
        texts(&lines),
        [
            "statement public.mine by app: create table mine (id int);",
            &format!("statement public.t by postgres: {kept} … (cut here)"),
            "statement public.t by postgres: (left out: it may hold a password)",
            "statement public.t by postgres: alter table t add password text",
        ]
    );
}

/// Whoever reads the log reads the texts: one that may hold a password is left out as a whole.
#[test]
fn no_password_is_reported() {
    let server = reporting();
    let (mut source, _) = started(&server.config(&["public.*"]), None);
    let long = "x".repeat(20_000);
    for sql in [
        "create table a as select 'postgres://app:s3cret@h/d' as url",
        "set app.db_password = 's3cret'; alter table t add b int",
        "alter table t add c text default 'PassWord /* x */ s3cret'",
        "do $$ begin perform 1 as password, $x$s3cret$x$; alter table t add d int; end $$",
        &format!("alter table t add e text default 'postgres://app:{long}@h/d'"),
        "set standard_conforming_strings = off; alter table t add f text default E'password=s3cret'",
        "create table password (id int)",
    ] {
        server.sql(sql);
    }
    let lines = read_until(&mut source, |lines| lines.iter().any(|line| line.text.contains("table password")));
    let told: Vec<&str> = texts(&lines).iter().filter_map(|text| text.split_once(": ")).map(|(_, text)| text).collect();
    let (last, others) = told.split_last().unwrap();
    assert_eq!(*last, "create table password (id int)");
    assert_eq!(others, ["(left out: it may hold a password)"; 6], "{told:?}");
}

/// Who made the function first would stay its owner, and could give it another body later.
#[test]
fn nothing_of_anybody_is_kept() {
    let server = Server::logical();
    server.sql("create role app login; grant create on database postgres to app");
    let made = "create schema headwater; grant all on schema headwater to public;
        create function headwater.report_ddl() returns event_trigger language plpgsql as 'begin end';";
    assert_eq!(server.script("app", made), "");
    install(&server);
    let owners = "select distinct pg_get_userbyid(owner) from
        (select proowner from pg_proc where proname = 'report_ddl'
         union all select nspowner from pg_namespace where nspname = 'headwater') o (owner)";
    assert_eq!(server.sql(owners), "postgres");
    assert_eq!(server.sql("select has_schema_privilege('app', 'headwater', 'create')"), "f");
    let said = server.script(
        "app",
        "create or replace function headwater.report_ddl() returns event_trigger language plpgsql as 'begin end';",
    );
    assert!(said.contains("permission denied"), "{said}");
    // What is somebody's else in the schema is not taken away: then nothing is made.
    server.sql("create table headwater.notes (id int)");
    let said = server.script("postgres", DDL_TRIGGER);
    assert!(said.contains("cannot drop schema headwater"), "{said}");
    assert_eq!(server.sql("select count(*) from pg_event_trigger"), "2");
}

/// Everybody may write a message: one that is no report changes nothing, and is not published.
#[test]
fn messages_of_others_are_left_out() {
    let server = reporting();
    let mut config = server.config(&["public.*"]);
    config.messages = vec!["headwater.*".to_owned()];
    let (mut source, begun) = started(&config, None);
    let say = |transactional: bool, content: &str| {
        format!("select pg_logical_emit_message({transactional}, 'headwater.ddl', '{content}');")
    };
    server.sql(&format!("{} {} insert into t values (1)", say(true, "x"), say(true, "{}")));
    server.sql(&say(false, "x"));
    let forged = format!(r#"{{"schema":"public","table":"t","oid":1,"statement":"","user":"{}"}}"#, "x".repeat(64));
    server.sql(&say(true, &forged));
    server.sql("insert into t values (2)");
    let lines = read_until(&mut source, |lines| lines.iter().any(|line| line.text.ends_with("(2)")));
    assert_eq!(texts(&lines), ["table public.t", "1/1 insert t - (1)", "1/1 insert t - (2)"]);
    drop(source);
    let first = lines.iter().find(|line| line.text.ends_with("(1)")).unwrap();
    let (mut source, _) = started(&config, Some(&resume(&first.position, &begun)));
    assert_eq!(changes(&read_silence(&mut source)), ["1/1 insert t - (2)"]);
}

#[test]
fn the_trigger_is_looked_for_and_can_be_removed() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let config = server.config(&["public.*"]);
    let finding = || {
        let findings = source_postgres::check(&config).unwrap();
        findings.into_iter().find(|finding| finding.subject == "DDL statements").unwrap()
    };
    let absent = finding();
    assert_eq!((absent.severity, absent.help), (Severity::Good, None));
    assert!(absent.what.contains("--print-ddl-trigger"), "{}", absent.what);
    install(&server);
    assert!(finding().severity == Severity::Good && finding().what.contains("by an event trigger"));
    server.sql("alter event trigger headwater_ddl disable");
    assert_eq!(finding().severity, Severity::Warning);
    run(&server, &finding().help.unwrap());
    assert_eq!(finding().severity, Severity::Good);
    let removal: String =
        DDL_TRIGGER.lines().filter_map(|line| line.strip_prefix("--   ")).map(|line| format!("{line}\n")).collect();
    assert_eq!(removal.matches("DROP ").count(), 4, "{removal}");
    run(&server, &removal);
    assert_eq!(finding().what, absent.what);
    let left = "select (select count(*) from pg_event_trigger) + (select count(*) from pg_namespace where nspname = 'headwater')";
    assert_eq!(server.sql(left), "0");
    server.sql("alter table t add a int");
}
