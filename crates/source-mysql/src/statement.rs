//! What a statement in the log is, as far as the stream has to know: its first words.
//!
//! A row binlog holds statements for the ends of transactions and for DDL. Nothing here parses SQL: what is not one of the
//! listed words is DDL, which shows itself in the next table map.

use change::TableName;

/// What a statement does to the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement<'a> {
    Begin,
    Commit,
    /// Nothing of the transaction stays.
    Rollback,
    /// What came behind a savepoint does not stay.
    RollbackTo,
    /// Savepoints, and changes of the server's own tables.
    Harmless,
    XaStart,
    XaEnd,
    /// `XA COMMIT`, `XA ROLLBACK`, `XA PREPARE`: a transaction of its own.
    XaOver,
    /// It changes rows, which are not in the log: its verb.
    Rows(&'a str),
    /// The table as it was written, with its database if that was.
    Truncate((Option<String>, String)),
    Other,
}

/// Classifies a statement by its first words; comments before it are left out, as clients put hints there.
pub fn classify(sql: &[u8]) -> Statement<'_> {
    // Nearly every transaction of MySQL has this one.
    if sql == b"BEGIN" {
        return Statement::Begin;
    }
    let sql = match std::str::from_utf8(sql) {
        Ok(sql) => sql,
        // In another character set: the first words are ASCII in all of them.
        Err(error) => std::str::from_utf8(sql.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default(),
    };
    let (first, rest) = word(sql);
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    let second = word(rest).0;
    match first.to_ascii_uppercase().as_str() {
        "BEGIN" => Statement::Begin,
        "START" if is(second, "TRANSACTION") => Statement::Begin,
        "COMMIT" => Statement::Commit,
        "ROLLBACK" if is_to_savepoint(rest) => Statement::RollbackTo,
        "ROLLBACK" => Statement::Rollback,
        "SAVEPOINT" | "RELEASE" => Statement::Harmless,
        "XA" => match second.to_ascii_uppercase().as_str() {
            "START" | "BEGIN" => Statement::XaStart,
            "END" => Statement::XaEnd,
            _ => Statement::XaOver,
        },
        "INSERT" | "REPLACE" | "UPDATE" | "DELETE" if is_of_the_server(first, rest) => Statement::Harmless,
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "CALL" | "WITH" | "DO" | "MERGE" => {
            Statement::Rows(first)
        }
        "TRUNCATE" => truncated(rest).map_or(Statement::Rows(first), Statement::Truncate),
        _ => Statement::Other,
    }
}

/// `ROLLBACK [WORK] TO [SAVEPOINT] name`.
fn is_to_savepoint(rest: &str) -> bool {
    let (first, behind) = word(rest);
    let first = if first.eq_ignore_ascii_case("WORK") { word(behind).0 } else { first };
    first.eq_ignore_ascii_case("TO")
}

/// Whether a statement changes a table of the server's own, `mysql.…`, and so no other: those have no triggers. Managed
/// services write their heartbeats there, as statements.
fn is_of_the_server(verb: &str, mut rest: &str) -> bool {
    loop {
        let (next, behind) = word(rest);
        match next.to_ascii_uppercase().as_str() {
            "INTO" | "FROM" | "IGNORE" | "LOW_PRIORITY" | "HIGH_PRIORITY" | "DELAYED" | "QUICK" => rest = behind,
            _ => break,
        }
    }
    let behind_table = || {
        let (_, rest) = name(bare(rest)).filter(|(database, _)| database.eq_ignore_ascii_case("mysql"))?;
        Some(name(bare(bare(rest).strip_prefix('.')?))?.1)
    };
    let Some(rest) = behind_table() else { return false };
    // One table alone: behind it comes no list and no join.
    let next = word(rest).0.to_ascii_uppercase();
    match verb.to_ascii_uppercase().as_str() {
        "UPDATE" => next == "SET",
        "DELETE" => bare(rest).is_empty() || matches!(next.as_str(), "WHERE" | "ORDER" | "LIMIT"),
        _ => true,
    }
}

/// The first word, and what follows it.
fn word(sql: &str) -> (&str, &str) {
    let sql = bare(sql);
    let end = sql.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(sql.len());
    sql.split_at(end)
}

/// Without blanks and comments at the beginning. What stands in `/*!…*/` is part of the statement.
fn bare(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches([' ', '\t', '\r', '\n', '(', ';']);
        if let Some(rest) = sql.strip_prefix("/*!") {
            sql = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        } else if let Some(rest) = sql.strip_prefix("/*") {
            let Some((_, rest)) = rest.split_once("*/") else { return "" };
            sql = rest;
        } else if sql.starts_with("-- ") || sql.starts_with('#') {
            let Some((_, rest)) = sql.split_once('\n') else { return "" };
            sql = rest;
        } else {
            return sql;
        }
    }
}

/// `TABLE` may be left out. None: this is not understood.
fn truncated(rest: &str) -> Option<(Option<String>, String)> {
    let (first, behind) = word(rest);
    let rest = if first.eq_ignore_ascii_case("TABLE") { behind } else { rest };
    Some(table_name(rest)?.0)
}

/// The table whose rows a statement removes or exchanges in one piece, without a word about any of them: a partition that
/// is dropped, emptied or exchanged, or a file that is put in the table's place.
pub(crate) fn replaces_rows(sql: &str) -> Option<(Option<String>, String)> {
    let (first, mut rest) = word(sql);
    if !first.eq_ignore_ascii_case("ALTER") {
        return None;
    }
    loop {
        let (next, behind) = word(rest);
        rest = behind;
        match next.to_ascii_uppercase().as_str() {
            "ONLINE" | "OFFLINE" | "IGNORE" => {}
            "TABLE" => break,
            _ => return None,
        }
    }
    let (table, mut rest) = table_name(rest)?;
    while !rest.is_empty() {
        let (first, behind) = word(rest);
        let second = word(behind).0.to_ascii_uppercase();
        match (first.to_ascii_uppercase().as_str(), second.as_str()) {
            ("DROP" | "TRUNCATE" | "EXCHANGE" | "IMPORT", "PARTITION") | ("DISCARD" | "IMPORT", "TABLESPACE") => {
                return Some(table);
            }
            _ => {}
        }
        // A sign is as good as a word.
        rest = if first.is_empty() { bare(behind).get(1..).unwrap_or_default() } else { behind };
    }
    None
}

/// A table as it was written, with its database if that was, and what follows it.
fn table_name(rest: &str) -> Option<((Option<String>, String), &str)> {
    let (name, rest) = name(bare(rest))?;
    match bare(rest).strip_prefix('.') {
        Some(rest) => self::name(bare(rest)).map(|(table, rest)| ((Some(name), table), rest)),
        None => Some(((None, name), rest)),
    }
}

/// A name, in backquotes (which are doubled inside) or without, and what follows it.
fn name(sql: &str) -> Option<(String, &str)> {
    if let Some(mut rest) = sql.strip_prefix('`') {
        let mut name = String::new();
        loop {
            let (part, behind) = rest.split_once('`')?;
            name.push_str(part);
            match behind.strip_prefix('`') {
                Some(more) => (name, rest) = (name + "`", more),
                None => return Some((name, behind)),
            }
        }
    }
    let end = sql
        .find(|letter: char| letter.is_whitespace() || matches!(letter, '.' | ',' | ';' | '(' | '/' | '-' | '`'))
        .unwrap_or(sql.len());
    let (name, rest) = sql.split_at(end);
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// Whether a statement, run in a database, names a table. It may say so of one that it only mentions.
pub(crate) fn names(sql: &str, database: &str, table: &TableName) -> bool {
    has_word(sql, &table.table) && (table.schema.eq_ignore_ascii_case(database) || has_word(sql, &table.schema))
}

/// Whether a name stands by itself somewhere in a statement. Servers may be told not to know capitals.
pub(crate) fn has_word(sql: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    let (sql, word) = (sql.to_lowercase(), word.to_lowercase());
    sql.match_indices(&word).any(|(at, _)| {
        let (before, after) = (sql.get(..at).unwrap_or_default(), sql.get(at + word.len()..).unwrap_or_default());
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words() {
        for (sql, expected) in [
            ("BEGIN", Statement::Begin),
            ("begin", Statement::Begin),
            ("START TRANSACTION", Statement::Begin),
            ("COMMIT /* generated by server */", Statement::Commit),
            ("ROLLBACK", Statement::Rollback),
            ("ROLLBACK /* to */ AND CHAIN", Statement::Rollback),
            ("ROLLBACK TO `a`", Statement::RollbackTo),
            ("rollback work to savepoint a", Statement::RollbackTo),
            ("SAVEPOINT `a`", Statement::Harmless),
            ("XA START X'61',X'',1", Statement::XaStart),
            ("XA END X'61',X'',1", Statement::XaEnd),
            ("XA COMMIT X'61',X'',1", Statement::XaOver),
            ("/* ApplicationName=x */ insert into t values (1)", Statement::Rows("insert")),
            ("-- a remark\nUPDATE t SET a = 1", Statement::Rows("UPDATE")),
            (
                "INSERT INTO mysql.rds_heartbeat2(id, value) values (1, 2) ON DUPLICATE KEY UPDATE value = 2",
                Statement::Harmless,
            ),
            ("delete from `mysql`.`t`", Statement::Harmless),
            ("UPDATE mysql.t JOIN shop.u SET u.a = 1", Statement::Rows("UPDATE")),
            ("UPDATE mysql.t SET a = 1", Statement::Harmless),
            ("UPDATE mysql SET a = 1", Statement::Rows("UPDATE")),
            ("INSERT INTO t SELECT * FROM mysql.user", Statement::Rows("INSERT")),
            ("DELETE t FROM t, mysql.user", Statement::Rows("DELETE")),
            ("UPDATE mysql.t, shop.u SET u.a = 1", Statement::Rows("UPDATE")),
            ("/*!40000 ALTER TABLE t DISABLE KEYS */", Statement::Other),
            ("CREATE TABLE insert_log (id int)", Statement::Other),
            ("TRUNCATE t", Statement::Truncate((None, "t".to_owned()))),
            ("truncate table `a b`.`t.u`", Statement::Truncate((Some("a b".to_owned()), "t.u".to_owned()))),
            (
                "TRUNCATE TABLE shop . orders /* now */",
                Statement::Truncate((Some("shop".to_owned()), "orders".to_owned())),
            ),
            ("TRUNCATE TABLE `a``b`", Statement::Truncate((None, "a`b".to_owned()))),
            ("TRUNCATE TABLE ", Statement::Rows("TRUNCATE")),
            ("", Statement::Other),
            ("/* never closed", Statement::Other),
        ] {
            assert_eq!(classify(sql.as_bytes()), expected, "{sql}");
        }
        assert_eq!(classify(b"INSERT INTO t VALUES ('\xff')"), Statement::Rows("INSERT"));
    }

    #[test]
    fn rows_that_go_without_a_word() {
        for sql in [
            "ALTER TABLE shop.t DROP PARTITION p1, p2",
            "alter online table `shop`.`t` truncate partition all",
            "ALTER TABLE shop.t /* swap */ EXCHANGE PARTITION p WITH TABLE x",
            "ALTER TABLE shop.t, ALGORITHM = INPLACE, DROP PARTITION p",
            "ALTER TABLE shop.t IMPORT TABLESPACE",
        ] {
            assert_eq!(replaces_rows(sql), Some((Some("shop".to_owned()), "t".to_owned())), "{sql}");
        }
        assert_eq!(replaces_rows("ALTER TABLE t DROP PARTITION größe"), Some((None, "t".to_owned())));
        for sql in [
            "ALTER TABLE t DROP COLUMN partitions",
            "ALTER TABLE t ADD PARTITION (p)",
            "DROP TABLE t",
            "ALTER TABLE",
            "é",
        ] {
            assert_eq!(replaces_rows(sql), None, "{sql}");
        }
    }

    #[test]
    fn names_stand_by_themselves() {
        assert!(has_word("rename table `t` to t_old", "t") && has_word("alter table s.t rename x", "t"));
        assert!(!has_word("rename table t_old to tt", "t") && !has_word("", "t"));
    }
}
