//! DDL statements, where the log has them.

use super::*;

/// The lines without the names of tables' databases.
fn texts(lines: &[Line], database: &MySqlDatabase) -> Vec<String> {
    let qualified = format!("{}.", database.name);
    lines.iter().map(|line| line.text.replace(&qualified, "")).collect()
}

/// Up to the change of the table `z`, which ends a test.
fn until_the_last(source: &mut MySqlSource) -> Vec<Line> {
    read_until(source, PATIENCE, |lines| {
        lines.last().is_some_and(|line| line.text == "commit")
            && lines.iter().any(|line| line.text.contains("insert z"))
    })
    .unwrap()
}

#[test]
fn statements_come_before_the_shapes_that_they_make() {
    everywhere(|database| {
        database
            .execute(
                "create table t (id int primary key, a int); create table `q ``t` (id int primary key); \
                 create table other (id int); create table z (id int primary key)",
            )
            .unwrap();
        let (mut source, _) = started(&config(database, &["t", "q `t", "new", "z"]), None);
        database
            .execute(
                "insert into t values (1, 1); alter table t add b text comment 'x; y'; insert into t values (2, 2, 'b'); \
                 /* why */ alter table t rename column a to c, drop b; alter table t change c d bigint; \
                 insert into t values (3, 3); alter table other add a int; create index i on t (d); \
                 alter table `q ``t` add `c d` int; create temporary table new (id int); drop temporary table new; \
                 rename table t to t_old, other to t; create table new (id int primary key) as select 7 as id; \
                 drop table t, `q ``t`; insert into z values (1)",
            )
            .unwrap();
        assert!(database.execute("alter table new add id int").is_err());
        let lines = texts(&until_the_last(&mut source), database);
        // Each server writes the two in its own words.
        let is_rewritten = |line: &&String| line.contains("create table") || line.contains("CREATE TABLE");
        let created = lines.iter().find(is_rewritten).unwrap();
        let dropped = lines.iter().find(|line| line.to_lowercase().starts_with("statement t [?] drop table")).unwrap();
        let (_, drop_text) = dropped.split_once("] ").unwrap();
        assert!(created.starts_with("statement new [?] "), "{created}");
        let expected = [
            "begin",
            "table t",
            "1/1 insert t - (1,1)",
            "commit",
            "statement t [] alter table t add b text comment 'x; y'",
            "begin",
            "table t",
            "1/1 insert t - (2,2,b)",
            "commit",
            "statement t [a→c b→] /* why */ alter table t rename column a to c, drop b",
            "statement t [c→d] alter table t change c d bigint",
            "begin",
            "table t",
            "1/1 insert t - (3,3)",
            "commit",
            "statement q `t [] alter table `q ``t` add `c d` int",
            "statement t [?] rename table t to t_old, other to t",
            created,
            "begin",
            "table new",
            "1/1 insert new - (7)",
            "commit",
            dropped,
            &format!("statement q `t [?] {drop_text}"),
            "begin",
            "table z",
            "1/1 insert z - (1)",
            "commit",
        ];
        assert_eq!(lines, expected);
        source.close().unwrap();
    });
}

/// From every place that a checkpoint could name, the rest comes: no row twice, and no statement is missing.
#[test]
fn a_restart_beside_statements_loses_nothing() {
    everywhere(|database| {
        database
            .execute("create table t (id int primary key); create table u (id int); create table z (id int)")
            .unwrap();
        let config = config(database, &["t", "u", "new", "z"]);
        let (mut source, begun) = started(&config, None);
        database
            .execute(
                "insert into t values (1); alter table t add a int; rename table t to new, u to t; alter table new add b int; \
                 drop table t; create table u as select 8 as id union select 9; insert into new values (2, 2, 2); \
                 insert into z values (1)",
            )
            .unwrap();
        let told = |source: &mut MySqlSource| {
            let mut lines = until_the_last(source);
            lines.retain(|line| line.text.contains("insert") || line.text.starts_with("statement"));
            lines
        };
        let lines = told(&mut source);
        source.close().unwrap();
        assert_eq!(lines.len(), 12, "{lines:#?}");
        let is_whole = |at: usize| {
            let (_, text) = lines[at].text.split_once("] ").unwrap_or_default();
            let is_last = text.is_empty() || !lines[at + 1].text.ends_with(text);
            is_last && !text.contains("CREATE TABLE")
        };
        for (at, line) in lines[..lines.len() - 1].iter().enumerate() {
            // Until the last table of a statement is returned, it is still to come; so is one with rows.
            let from = if is_whole(at) { at + 1 } else { (0..at).rev().find(|at| is_whole(*at)).unwrap() + 1 };
            let (mut source, _) = started(&config, Some(&resume(&line.position, &begun)));
            let texts = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
            assert_eq!(texts(&told(&mut source)), texts(&lines[from..]), "behind {:?}", line.text);
            source.close().unwrap();
        }
    });
}

/// The text is in the session's character set, its quotes are those of the session, and nobody's password is in it.
#[test]
fn statements_are_read_as_their_session_means_them() {
    everywhere(|database| {
        database.execute("create table t (id int primary key, `größe` int); create table z (id int)").unwrap();
        let (mut source, _) = started(&config(database, &["t", "z"]), None);
        let long = "x".repeat(1000);
        let columns: Vec<String> = (0..30).map(|n| format!("add c{n} int comment '{long}'")).collect();
        let long = format!("alter table t {}, rename column g to w", columns.join(", "));
        database
            .execute(&format!(
                "set names latin1; alter table t comment 'é'; set names utf8mb4; set sql_mode = 'ANSI_QUOTES'; \
                 alter table t change \"größe\" \"a\"\"b\" int; set sql_mode = 'NO_BACKSLASH_ESCAPES'; \
                 alter table t change `a\"b` g int comment '\\'; set sql_mode = ''; \
                 alter table t connection 'mysql://u:secret@h/d'; {long}; insert into z values (1)",
            ))
            .unwrap();
        let lines = texts(&until_the_last(&mut source), database);
        let statements: Vec<&String> = lines.iter().filter(|line| line.starts_with("statement")).collect();
        assert_eq!(
            statements,
            [
                // The server was told that the two bytes of the letter are two letters.
                "statement t [] alter table t comment 'Ã©'",
                "statement t [größe→a\"b] alter table t change \"größe\" \"a\"\"b\" int",
                "statement t [a\"b→g] alter table t change `a\"b` g int comment '\\'",
                "statement t [] alter table t connection '***'",
                &format!("statement t [g→w] {} … (cut here)", &long[..16 << 10]),
            ]
        );
        source.close().unwrap();
    });
}

/// MariaDB can log an ALTER TABLE when it begins, and again when it is done or has failed.
#[test]
fn an_alter_table_in_two_phases_is_one_statement() {
    for flavour in [Flavour::MariaDb, Flavour::MariaDbUnstable] {
        println!("{flavour:?}");
        let database = shared::mysql(flavour).create_database().unwrap();
        database.execute("create table t (id int primary key, a int); create table z (id int)").unwrap();
        let (mut source, _) = started(&config(&database, &["t", "z"]), None);
        database
            .execute(
                "set binlog_alter_two_phase = 1; alter table t rename column a to b; insert into t values (1, 1), (2, 1)",
            )
            .unwrap();
        let failing = "set binlog_alter_two_phase = 1; alter table t add unique (b), algorithm = copy";
        assert!(database.execute(failing).is_err());
        database.execute("insert into z values (1)").unwrap();
        let lines = texts(&until_the_last(&mut source), &database);
        let expected = [
            "statement t [a→b] alter table t rename column a to b",
            "begin",
            "table t",
            "1/1 insert t - (1,1)",
            "2/2 insert t - (2,1)",
            "commit",
            "begin",
            "table z",
            "1/1 insert z - (1)",
            "commit",
        ];
        assert_eq!(lines, expected);
        source.close().unwrap();
    }
}
