//! A file of SQL taken apart into its statements, by the rules of the servers' own client: with `DELIMITER`, and without what
//! is only comment. The connection takes one statement at a time.

/// One statement, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// Of its first word, counted from 1.
    pub(crate) line: usize,
    pub(crate) sql: &'a str,
}

/// A line that only the client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientCommand<'a> {
    pub(crate) line: usize,
    pub(crate) command: &'a str,
}

/// The statements of a file, in their order.
///
/// # Errors
///
/// The first command of the client's own that would change what is run.
pub(crate) fn split(script: &str) -> Result<Vec<Statement<'_>>, ClientCommand<'_>> {
    let mut scanner = Scanner { text: script, at: 0, begin: None };
    let mut delimiter = ";";
    let mut statements = Vec::new();
    while let Some(byte) = scanner.byte(0) {
        if scanner.begin.is_none() && !byte.is_ascii_whitespace() {
            let line = scanner.line_rest();
            match line.split_once([' ', '\t']).map(|(word, rest)| (word.to_ascii_lowercase(), rest.trim())) {
                Some((word, rest)) if word == "delimiter" && !rest.is_empty() => {
                    delimiter = rest;
                    scanner.at += line.len();
                    continue;
                }
                Some((word, _)) if word == "source" || word == "\\." => {
                    return Err(ClientCommand { line: scanner.line(scanner.at), command: line });
                }
                _ => {}
            }
        }
        if scanner.rest().starts_with(delimiter) {
            statements.extend(scanner.take());
            scanner.at += delimiter.len();
        } else {
            scanner.step(byte);
        }
    }
    statements.extend(scanner.take());
    Ok(statements)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the statement begins, once a word of it was met.
    begin: Option<usize>,
}

impl<'a> Scanner<'a> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line_rest(&self) -> &'a str {
        self.rest().lines().next().unwrap_or_default()
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// The statement up to here, if there is more of it than blanks and comments.
    fn take(&mut self) -> Option<Statement<'a>> {
        let begin = self.begin.take()?;
        Some(Statement { line: self.line(begin), sql: self.text.get(begin..self.at).unwrap_or_default().trim_end() })
    }

    /// Passes whatever begins here.
    fn step(&mut self, byte: u8) {
        let rest = self.rest();
        let comment = match (byte, self.byte(1), self.byte(2)) {
            (b'#', _, _) => Some(self.line_rest().len()),
            // Two dashes and no blank: a number's sign, twice.
            (b'-', Some(b'-'), after) if after.is_none_or(|after| after <= b' ') => Some(self.line_rest().len()),
            // The server runs what is in these: /*!40101 … */, MariaDB's /*M! … */.
            (b'/', Some(b'*'), Some(b'!' | b'M')) => None,
            (b'/', Some(b'*'), _) => Some(rest.find("*/").map_or(rest.len(), |end| end + 2)),
            _ => None,
        };
        if let Some(length) = comment {
            self.at += length;
            return;
        }
        if !byte.is_ascii_whitespace() && self.begin.is_none() {
            self.begin = Some(self.at);
        }
        self.at += match byte {
            b'\'' | b'"' => quoted(rest, byte, true),
            b'`' => quoted(rest, byte, false),
            // A delimiter may begin with a letter beyond ASCII: the next look is at a whole one.
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
}

/// The length of the text or name in quotes that `text` begins with.
fn quoted(text: &str, quote: u8, backslash: bool) -> usize {
    let mut at = 1;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match *byte {
            b'\\' if backslash => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
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
        assert_eq!(refused, ClientCommand { line: 2, command: "source other.sql" });
        assert_eq!(texts("-- nothing\n# nothing\n/* nothing */;"), Vec::<&str>::new());
    }
}
