//! A file of SQL taken apart into its statements, by the rules that psql has: so that each runs in a transaction of its own,
//! as in a migration, unless the file itself says BEGIN.

use change::script::{Cursor, Refused, Statement, quoted};

/// What `pg_dump` writes around a dump for psql's own safety; it means nothing here.
const HARMLESS: [&str; 2] = ["\\restrict", "\\unrestrict"];

/// The statements of a file, in their order.
///
/// # Errors
///
/// The first thing that only psql can run.
pub(crate) fn split(script: &str) -> Result<Vec<Statement<'_>>, Refused> {
    let mut scanner = Scanner { cursor: Cursor::new(script), depth: 0, blocks: 0, words: Vec::new() };
    let mut statements = Vec::new();
    while let Some(byte) = scanner.cursor.byte() {
        match byte {
            b'\\' if scanner.cursor.is_between() => {
                let command = scanner.cursor.line_rest();
                if !HARMLESS.iter().any(|harmless| command.starts_with(harmless)) {
                    return Err(scanner.cursor.refuse(
                        format!("{command} is a command of psql's, not SQL"),
                        "give the SQL alone: put the included file's name on the command line, and take other commands out",
                    ));
                }
                scanner.cursor.pass(command.len());
            }
            b';' if scanner.depth == 0 && scanner.blocks == 0 => {
                let statement = scanner.take();
                if let Some(copy) = statement.filter(|statement| is_copy_in(statement.sql)) {
                    return Err(Refused { line: copy.line, what: COPY_IN.to_owned(), help: COPY_IN_HELP });
                }
                statements.extend(statement);
                scanner.cursor.pass(1);
            }
            _ => scanner.step(byte),
        }
    }
    statements.extend(scanner.take());
    Ok(statements)
}

pub(crate) const COPY_IN: &str = "COPY FROM STDIN cannot be run here";
pub(crate) const COPY_IN_HELP: &str = "use INSERT, or dump the structure only (pg_dump --schema-only)";

/// Whether data follows the statement, which are no SQL. A way of writing it that is not found here is found by the server.
fn is_copy_in(sql: &str) -> bool {
    let words: Vec<String> = sql.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    words.first().is_some_and(|first| first == "copy") && words.windows(2).any(|pair| pair == ["from", "stdin"])
}

/// Whether a statement is about an event trigger: it changes no table, and needs a superuser.
pub(crate) fn is_event_trigger(sql: &str) -> bool {
    let mut words = sql.split_ascii_whitespace().map(str::to_ascii_lowercase);
    let verb = words.next().unwrap_or_default();
    let is_known = match verb.as_str() {
        "create" | "alter" | "drop" => true,
        "comment" => words.next().is_some_and(|word| word == "on"),
        _ => false,
    };
    is_known && words.next().is_some_and(|word| word == "event") && words.next().is_some_and(|word| word == "trigger")
}

struct Scanner<'a> {
    cursor: Cursor<'a>,
    /// Of round brackets.
    depth: usize,
    /// Of a routine's body in SQL: `BEGIN ATOMIC … END`, with `CASE … END` inside.
    blocks: usize,
    /// The statement's first words, in lower case.
    words: Vec<String>,
}

impl<'a> Scanner<'a> {
    fn take(&mut self) -> Option<Statement<'a>> {
        (self.depth, self.blocks) = (0, 0);
        self.words.clear();
        self.cursor.take()
    }

    /// Passes whatever begins here.
    fn step(&mut self, byte: u8) {
        let rest = self.cursor.rest();
        if rest.starts_with("--") || rest.starts_with("/*") {
            self.cursor.pass(comment(rest));
            return;
        }
        if !byte.is_ascii_whitespace() {
            self.cursor.begin();
        }
        match byte {
            b'\'' | b'"' => self.cursor.pass(quoted(rest, byte, false)),
            b'$' => self.cursor.pass(dollar(rest)),
            _ if is_word(byte) => self.word(),
            _ => {
                match byte {
                    b'(' => self.depth += 1,
                    b')' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                self.cursor.pass(1);
            }
        }
    }

    fn word(&mut self) {
        let rest = self.cursor.rest();
        let length = rest.bytes().take_while(|byte| is_word(*byte) || *byte == b'$').count();
        let word = rest.get(..length).unwrap_or_default().to_ascii_lowercase();
        self.cursor.pass(length);
        if word == "e" && self.cursor.byte() == Some(b'\'') {
            self.cursor.pass(quoted(self.cursor.rest(), b'\'', true));
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

/// The length of the comment that `text` begins with; those in `/* */` nest.
fn comment(text: &str) -> usize {
    if text.starts_with("--") {
        return text.lines().next().unwrap_or_default().len();
    }
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
        assert_eq!((refused.line, refused.what.as_str()), (2, "\\i other.sql is a command of psql's, not SQL"));
    }

    #[test]
    fn data_are_no_sql() {
        for copy in ["COPY public.t (a, b) FROM stdin", "copy t\nfrom STDIN with (format csv)"] {
            let refused = split(&format!("select 1; {copy};\n\\N\tit's\n\\.\n")).unwrap_err();
            assert_eq!(refused.what, "COPY FROM STDIN cannot be run here");
            assert!(refused.help.contains("--schema-only"));
        }
        assert_eq!(texts("copy t to '/tmp/from stdin'; copy t from '/tmp/t'").len(), 2);
    }

    #[test]
    fn event_triggers_are_known_by_their_words() {
        for sql in [
            "CREATE EVENT TRIGGER a ON ddl_command_end EXECUTE FUNCTION f()",
            "alter event\ttrigger a disable",
            "drop event trigger if exists a",
            "COMMENT ON EVENT TRIGGER a IS 'x'",
        ] {
            assert!(is_event_trigger(sql), "{sql}");
        }
        for sql in
            ["create trigger event before insert on t", "create table event (a int)", "comment on table event is 'x'"]
        {
            assert!(!is_event_trigger(sql), "{sql}");
        }
    }

    #[test]
    fn what_never_ends_is_one_statement() {
        for script in ["select 'a", "select $$ a;", "select (1;", "select /* ;", "select \"é;"] {
            assert_eq!(texts(script).len(), 1, "{script}");
        }
    }
}
