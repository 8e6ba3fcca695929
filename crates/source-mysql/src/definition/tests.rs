//! Statements of both servers, and what is known of them.

use super::scanner::{ANSI_QUOTES, NO_BACKSLASH_ESCAPES};
use super::*;

/// Each table, and behind a colon its renamed and dropped columns, or `?`.
fn shown_in(sql: &str, sql_mode: u64) -> Vec<String> {
    let show = |Definition { table: (database, table), moved, .. }: &Definition| {
        let database = database.as_ref().map(|database| format!("{database}.")).unwrap_or_default();
        let one = |Moved { from, to }: &Moved| format!("{from}→{}", to.as_deref().unwrap_or_default());
        let moved = moved.as_ref().map(|moved| moved.iter().map(one).collect::<Vec<_>>().join(" "));
        format!("{database}{table}:{}", moved.as_deref().unwrap_or("?"))
    };
    definitions(sql, sql_mode).iter().map(show).collect()
}

fn shown(sql: &str) -> Vec<String> {
    shown_in(sql, 0)
}

#[test]
fn columns_that_are_renamed_or_dropped() {
    for (sql, expected) in [
        ("ALTER TABLE t RENAME COLUMN a TO b", "t:a→b"),
        ("alter table `s`.`t u` rename column `a``b` to `c d`, add column e int", "s.t u:a`b→c d"),
        ("ALTER TABLE s . t CHANGE a b varchar(20) COMMENT 'x, CHANGE c d'", "s.t:a→b"),
        ("ALTER TABLE t CHANGE COLUMN a a bigint, CHANGE `b` `B` int first", "t:b→B"),
        ("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a", "t:a→b b→a"),
        ("ALTER TABLE größe CHANGE länge width decimal(10,2) /* , CHANGE c d int */", "größe:länge→width"),
        ("ALTER ONLINE IGNORE TABLE IF EXISTS t WAIT 3 RENAME COLUMN a TO b", "t:a→b"),
        ("ALTER TABLE t NOWAIT DROP c, RENAME COLUMN a TO b;", "t:c→ a→b"),
        ("SET STATEMENT max_statement_time=1, sql_mode='x' FOR ALTER TABLE t CHANGE a b int", "t:a→b"),
        ("ALTER TABLE t -- CHANGE x y int,\n CHANGE a b int # , CHANGE c d int", "t:a→b"),
        ("ALTER TABLE t COMMENT='it''s \\' , CHANGE c d int', CHANGE a b int", "t:a→b"),
        ("ALTER TABLE t /*!40100 CHANGE a b int */", "t:a→b"),
        ("ALTER TABLE t MODIFY a enum('x','RENAME'), CHANGE a b int", "t:a→b"),
        ("ALTER TABLE t CHANGE `column` `to` int", "t:column→to"),
        ("ALTER TABLE t DROP COLUMN a, ADD a varchar(9)", "t:a→"),
        ("ALTER TABLE t ADD (b int, A int), DROP IF EXISTS `a b` RESTRICT, DROP INDEX a", "t:a b→"),
    ] {
        assert_eq!(shown(sql), [expected], "{sql}");
    }
}

#[test]
fn columns_that_become_generated() {
    for (sql, expected) in [
        ("ALTER TABLE t MODIFY a int GENERATED ALWAYS AS (b + 1) STORED", &["a"][..]),
        (
            "ALTER TABLE t MODIFY COLUMN IF EXISTS `a b` int as(b) virtual, CHANGE c d int AS (e) PERSISTENT",
            &["a b", "d"],
        ),
        ("ALTER TABLE t ADD a int AS (b), MODIFY c int DEFAULT (1 + (2)) COMMENT 'as (x)', ALTER d SET DEFAULT 1", &[]),
        ("ALTER TABLE t MODIFY a int, RENAME AS u", &[]),
    ] {
        assert_eq!(definitions(sql, 0)[0].generated, expected, "{sql}");
    }
}

#[test]
fn nothing_is_renamed_or_dropped() {
    for clauses in [
        "ADD a int",
        "ADD COLUMN IF NOT EXISTS a int AFTER `rename`",
        "ADD (a int, b decimal(5,2) default (1+(2)), KEY k (a), UNIQUE (b))",
        "DROP INDEX a, ADD INDEX a (b), DROP KEY c, ADD KEY c (d)",
        "RENAME INDEX a TO b, RENAME KEY c TO d",
        "MODIFY a bigint NOT NULL, ALTER COLUMN b SET DEFAULT 'x', ALGORITHM=INPLACE, LOCK = NONE",
        "DROP PARTITION p1, p2",
        "REORGANIZE PARTITION p1, p2 INTO (PARTITION p VALUES LESS THAN (3), PARTITION q VALUES LESS THAN MAXVALUE)",
        "PARTITION BY RANGE COLUMNS (a, b) (PARTITION p VALUES LESS THAN (1, 2))",
        "ADD PARTITION (PARTITION p VALUES IN (1, 2))",
        "ENGINE=InnoDB ROW_FORMAT=COMPRESSED, COMMENT \"a 'b' \\\" c\"",
        "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "DISABLE KEYS",
        "ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (b) ON DELETE CASCADE, ADD PRIMARY KEY (a)",
        "DISCARD TABLESPACE",
        "",
    ] {
        assert_eq!(shown(&format!("ALTER TABLE t {clauses}")), ["t:"], "{clauses}");
    }
    assert_eq!(shown("/*!40000 ALTER TABLE `t` ENABLE KEYS */"), ["t:"]);
    assert_eq!(shown("DROP INDEX `PRIMARY` ON s.t"), ["s.t:"]);
    assert_eq!(shown("CREATE TABLE IF NOT EXISTS t (a int)"), ["t:"]);
}

#[test]
fn what_is_not_understood_says_nothing_of_columns() {
    for clauses in [
        "FROBNICATE a b, ADD c int",
        "RENAME COLUMN a",
        "RENAME COLUMN IF EXISTS a TO b",
        "CHANGE IF EXISTS a b int",
        "CHANGE a 'b' int",
        "/*!80000 RENAME COLUMN a TO b */",
        "/*!100100 ADD a int */",
        "ADD a int /*M! COMMENT 'x' */",
        "COMMENT 'never closed",
        "ADD a int /* never closed",
        "ADD a int)",
        "ADD (a int",
        "ADD a int default (1, CHANGE b c int",
        "ADD a int; CHANGE b c int",
    ] {
        assert_eq!(shown(&format!("ALTER TABLE t {clauses}")), ["t:?"], "{clauses}");
    }
}

#[test]
fn every_table_of_a_statement() {
    for (sql, expected) in [
        ("RENAME TABLE t TO _t_del, s._t_gho TO t", &["t:?", "_t_del:?", "s._t_gho:?"][..]),
        ("rename tables if exists a wait 5 to b", &["a:?", "b:?"]),
        ("ALTER TABLE a RENAME b", &["a:?", "b:?"]),
        ("ALTER TABLE a CHANGE c d int, RENAME TO s.b, FROBNICATE", &["a:?", "s.b:?"]),
        ("DROP TABLE IF EXISTS `a`, s.`b.c` /* generated by server */", &["a:?", "s.b.c:?"]),
        ("CREATE OR REPLACE TABLE a LIKE b", &["a:?"]),
        ("CREATE TABLE `a` (\n `id` int) START TRANSACTION", &["a:?"]),
        ("DROP TABLE a, 'b'", &["a:?"]),
    ] {
        assert_eq!(shown(sql), expected, "{sql}");
    }
    for sql in [
        "",
        "ALTER",
        "ALTER TABLE",
        "ALTER DATABASE t CHARACTER SET utf8mb4",
        "ALTER VIEW t AS SELECT 1",
        "CREATE INDEX i ON t (a)",
        "CREATE UNIQUE INDEX i ON t (a)",
        "DROP INDEX i ON t",
        "CREATE TEMPORARY TABLE t (a int)",
        "DROP TEMPORARY TABLE IF EXISTS t",
        "CREATE VIEW t AS SELECT 1",
        "DROP VIEW t",
        "DROP DATABASE t",
        "RENAME USER a TO b",
        "SET PASSWORD = 'x'",
        "ANALYZE TABLE t",
        "GRANT ALTER ON t TO u",
        "/* ALTER TABLE t ADD a int */",
        "'ALTER TABLE t'",
        "\u{0}\u{85}",
    ] {
        assert_eq!(shown(sql), [""; 0], "{sql}");
    }
}

/// The same text means another thing where the session's settings are others.
#[test]
fn quotes_are_those_of_the_session() {
    let sql = r#"ALTER TABLE "t" RENAME COLUMN "a""b" TO "c""#;
    assert_eq!(shown_in(sql, ANSI_QUOTES), ["t:a\"b→c"]);
    assert_eq!(shown(sql), [""; 0]);
    let sql = r"ALTER TABLE t COMMENT 'a\', CHANGE b c int COMMENT ', d'";
    assert_eq!(shown_in(sql, NO_BACKSLASH_ESCAPES), ["t:b→c"]);
    assert_eq!(shown(sql), ["t:?"], "a text that never ends");
}

#[test]
fn passwords_of_options_are_not_kept() {
    let sql = "CREATE TABLE t (connection text) COMMENT 'x' CONNECTION = 'mysql://u:it''s@h/d' PASSWORD 'p'";
    assert_eq!(
        without_secrets(sql, 0),
        "CREATE TABLE t (connection text) COMMENT 'x' CONNECTION = '***' PASSWORD '***'"
    );
    let sql = "ALTER TABLE t ADD password varchar(9) default 'x', ADD connection text comment 'y'";
    assert!(matches!(without_secrets(sql, 0), Cow::Borrowed(text) if text == sql));
}

#[test]
fn a_text_with_a_password_in_it_is_not_kept() {
    for (sql, kept) in [
        (
            "CREATE TABLE t (a int COMMENT 'x') ENGINE=CONNECT OPTION_LIST='user=u,Password=s3cret' COMMENT='y'",
            "CREATE TABLE t (a int COMMENT 'x') ENGINE=CONNECT OPTION_LIST='***' COMMENT='y'",
        ),
        (
            r#"ALTER TABLE t ENGINE=SPIDER COMMENT = 'wrapper "mysql", user "u", password "s3cret"'"#,
            "ALTER TABLE t ENGINE=SPIDER COMMENT = '***'",
        ),
        ("ALTER TABLE t COMMENT \"mysql://u:s3/cret@h/d\"", "ALTER TABLE t COMMENT '***'"),
        ("ALTER TABLE t PASSWORD 's3' 'cret'", "ALTER TABLE t PASSWORD '***' '***'"),
        ("ALTER TABLE t PASSWORD 's3'\"cret\" x", "ALTER TABLE t PASSWORD '***' x"),
        ("ALTER TABLE t COMMENT 'see https://u@h:80/'", "ALTER TABLE t COMMENT 'see https://u@h:80/'"),
    ] {
        assert_eq!(without_secrets(sql, 0), kept);
    }
}
