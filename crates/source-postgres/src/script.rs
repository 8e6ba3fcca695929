//! A file of SQL taken apart into its statements, by the rules that psql has: so that each runs in a transaction of its own,
//! as in a migration, unless the file itself says BEGIN.

/// One statement, without the semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// Of its first word, counted from 1.
    pub(crate) line: usize,
    pub(crate) sql: &'a str,
}

/// A line that only psql understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetaCommand<'a> {
    pub(crate) line: usize,
    pub(crate) command: &'a str,
}

/// What `pg_dump` writes around a dump for psql's own safety; it means nothing here.
const HARMLESS: [&str; 2] = ["\\restrict", "\\unrestrict"];

/// The statements of a file, in their order.
///
/// # Errors
///
/// The first command of psql's own that would change what is run.
pub(crate) fn split(script: &str) -> Result<Vec<Statement<'_>>, MetaCommand<'_>> {
    let mut scanner = Scanner { text: script, at: 0, begin: None, depth: 0, blocks: 0, words: Vec::new() };
    let mut statements = Vec::new();
    while let Some(byte) = scanner.byte(0) {
        match byte {
            b'\\' if scanner.begin.is_none() => {
                let command = scanner.line_rest();
                if !HARMLESS.iter().any(|harmless| command.starts_with(harmless)) {
                    return Err(MetaCommand { line: scanner.line(scanner.at), command });
                }
                scanner.at += command.len();
            }
            b';' if scanner.depth == 0 && scanner.blocks == 0 => {
                statements.extend(scanner.take());
                scanner.at += 1;
            }
            _ => scanner.step(byte),
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
    /// Of round brackets.
    depth: usize,
    /// Of a routine's body in SQL: `BEGIN ATOMIC … END`, with `CASE … END` inside.
    blocks: usize,
    /// The statement's first words, in lower case.
    words: Vec<String>,
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
        let begin = self.begin.take();
        (self.depth, self.blocks) = (0, 0);
        self.words.clear();
        let begin = begin?;
        Some(Statement { line: self.line(begin), sql: self.text.get(begin..self.at).unwrap_or_default().trim_end() })
    }

    /// Passes whatever begins here.
    fn step(&mut self, byte: u8) {
        let comment = match (byte, self.byte(1)) {
            (b'-', Some(b'-')) => Some(self.line_rest().len()),
            (b'/', Some(b'*')) => Some(comment(self.rest())),
            _ => None,
        };
        if let Some(length) = comment {
            self.at += length;
            return;
        }
        if !byte.is_ascii_whitespace() && self.begin.is_none() {
            self.begin = Some(self.at);
        }
        match byte {
            b'\'' => self.at += quoted(self.rest(), b'\'', false),
            b'"' => self.at += quoted(self.rest(), b'"', false),
            b'$' => self.at += dollar(self.rest()),
            _ if is_word(byte) => self.word(),
            _ => {
                match byte {
                    b'(' => self.depth += 1,
                    b')' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                self.at += 1;
            }
        }
    }

    fn word(&mut self) {
        let length = self.rest().bytes().take_while(|byte| is_word(*byte) || *byte == b'$').count();
        let word = self.rest().get(..length).unwrap_or_default().to_ascii_lowercase();
        self.at += length;
        if word == "e" && self.byte(0) == Some(b'\'') {
            self.at += quoted(self.rest(), b'\'', true);
            return;
        }
        let routine = self.words.first().is_some_and(|first| first == "create")
            && self.words.iter().any(|word| word == "function" || word == "procedure");
        match word.as_str() {
            "begin" if routine => self.blocks += 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        // create or replace function
        if self.words.len() < 4 {
            self.words.push(word);
        }
    }
}

/// Part of a word; also every byte of a letter beyond ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of the comment that `text` begins with; comments nest.
fn comment(text: &str) -> usize {
    let (bytes, mut at, mut depth) = (text.as_bytes(), 0, 0_usize);
    while at < bytes.len() {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), Some(b'*')) => (at, depth) = (at + 2, depth + 1),
            (Some(b'*'), Some(b'/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
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

/// The length of the text between dollars (`$tag$ … $tag$`) that `text` begins with; of a lone dollar 1.
fn dollar(text: &str) -> usize {
    let tag = text.bytes().skip(1).take_while(|byte| is_word(*byte)).count();
    let numbered = text.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let Some(open) = text.get(..tag + 2).filter(|open| open.ends_with('$') && !numbered) else { return 1 };
    let inside = text.get(open.len()..).unwrap_or_default();
    inside.find(open).map_or(text.len(), |end| open.len() + end + open.len())
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
            "insert into t values ('a;b', E'it\\'s; c', \"odd;name\")",
            "do $$ begin perform 1; end $$",
            "create function f() returns int language sql as $f$ select 1; select $1; $f$",
            "create function g(a int) returns int begin atomic select case a when 1 then 2 end; select 3; end",
            "create or replace procedure p() begin atomic select 1; end",
            "create rule r as on insert to t do also (select 1; select 2)",
            "select 1 /* a; /* b; */ c; */ + 1 -- d; e",
            "select $1, a$b$c",
        ] {
            let script = format!("{whole}\n;\nselect 2;");
            let found = texts(&script);
            assert_eq!(found.len(), 2, "{found:?}");
            assert_eq!(found[1], "select 2");
        }
    }

    #[test]
    fn each_statement_has_its_line() {
        let script = "-- first\n\nbegin;\nalter table t\n  add a int; /* nothing */ ;\ncommit";
        let found: Vec<(usize, &str)> = split(script).unwrap().iter().map(|one| (one.line, one.sql)).collect();
        assert_eq!(found, [(3, "begin"), (4, "alter table t\n  add a int"), (6, "commit")]);
    }

    #[test]
    fn commands_of_psql() {
        assert_eq!(texts("\\restrict abc\nselect 1;\n\\unrestrict abc\n"), ["select 1"]);
        let refused = split("select 1;\n\\i other.sql\nselect 2;").unwrap_err();
        assert_eq!(refused, MetaCommand { line: 2, command: "\\i other.sql" });
    }

    #[test]
    fn what_never_ends_is_one_statement() {
        for script in ["select 'a", "select $$ a;", "select (1;", "select /* ;", "select \"é;"] {
            assert_eq!(texts(script).len(), 1, "{script}");
        }
    }
}
