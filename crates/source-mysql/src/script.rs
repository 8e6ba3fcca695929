//! A file of SQL taken apart into its statements, by the rules of the servers' own client: with `DELIMITER`, and without what
//! is only comment. The connection takes one statement at a time.

use change::script::{Cursor, Refused, Statement, quoted};

/// The statements of a file, in their order.
///
/// # Errors
///
/// The first command of the client's own that would change what is run.
pub(crate) fn split(script: &str) -> Result<Vec<Statement<'_>>, Refused> {
    let mut cursor = Cursor::new(script);
    let mut delimiter = ";";
    let mut statements = Vec::new();
    while let Some(byte) = cursor.byte() {
        if cursor.is_between() && !byte.is_ascii_whitespace() {
            let line = cursor.line_rest();
            match line.split_once([' ', '\t']).map(|(word, rest)| (word.to_ascii_lowercase(), rest.trim())) {
                Some((word, rest)) if word == "delimiter" && !rest.is_empty() => {
                    delimiter = rest;
                    cursor.pass(line.len());
                    continue;
                }
                Some((word, _)) if word == "source" || word == "\\." => {
                    return Err(cursor.refuse(
                        format!("{line} is a command of the client's, not SQL"),
                        "give the SQL alone, and the included file's name on the command line",
                    ));
                }
                _ => {}
            }
        }
        if cursor.rest().starts_with(delimiter) {
            statements.extend(cursor.take());
            cursor.pass(delimiter.len());
        } else {
            step(&mut cursor, byte);
        }
    }
    statements.extend(cursor.take());
    Ok(statements)
}

/// Passes whatever begins here.
fn step(cursor: &mut Cursor<'_>, byte: u8) {
    let rest = cursor.rest();
    if let Some(length) = comment(rest) {
        cursor.pass(length);
        return;
    }
    if !byte.is_ascii_whitespace() {
        cursor.begin();
    }
    cursor.pass(match byte {
        b'\'' | b'"' => quoted(rest, byte, true),
        b'`' => quoted(rest, byte, false),
        // A delimiter may begin with a letter beyond ASCII: the next look is at a whole one.
        _ => rest.chars().next().map_or(1, char::len_utf8),
    });
}

/// The length of the comment that `rest` begins with, if it is one.
fn comment(rest: &str) -> Option<usize> {
    // The server runs what is in these: /*!40101 … */, MariaDB's /*M! … */.
    let is_run = rest.starts_with("/*!") || rest.starts_with("/*M!");
    // Two dashes and no blank: a number's sign, twice.
    let dashes = rest.strip_prefix("--").filter(|after| after.bytes().next().is_none_or(|byte| byte <= b' '));
    if rest.starts_with('#') || dashes.is_some() {
        Some(rest.lines().next().unwrap_or_default().len())
    } else if rest.starts_with("/*") && !is_run {
        Some(rest.find("*/").map_or(rest.len(), |end| end + 2))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<&str> {
        split(script).unwrap().iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn semicolons_that_end_nothing() {
        for whole in [
            "insert into t values ('a;b', 'it\\'s; c', \"d;e\", `odd;name`)",
            "select 1 /* a; b */ + 1 -- c; d",
            "select 1 # a; b",
            "/*!40101 SET NAMES utf8mb4 */",
            "/*M!100616 SET NAMES utf8mb4 */",
            "select 1 /*Most; of it */ + 1",
            "select 1 --1, 'ü;'",
        ] {
            let script = format!("{whole}\n;\nselect 2;");
            let found = texts(&script);
            assert_eq!(found.len(), 2, "{found:?}");
            assert_eq!(found[1], "select 2");
        }
    }

    #[test]
    fn other_delimiters() {
        let script = "delimiter //\ncreate trigger a before insert on t for each row begin set @a = 1; end//\nDELIMITER ;\n\
                      alter table t add a int;\n";
        let found: Vec<(usize, &str)> = split(script).unwrap().iter().map(|one| (one.line, one.sql)).collect();
        assert_eq!(found[0].0, 2);
        assert!(found[0].1.ends_with("; end"));
        assert_eq!(found[1], (4, "alter table t add a int"));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn commands_of_the_client() {
        let refused = split("select 1;\nsource other.sql\n").unwrap_err();
        assert_eq!((refused.line, refused.what.starts_with("source other.sql is")), (2, true));
        assert_eq!(texts("-- nothing\n# nothing\n/* nothing */;/*Mostly nothing*/;"), Vec::<&str>::new());
    }
}
