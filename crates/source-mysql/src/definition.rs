//! Which tables a DDL statement defines anew, and which columns it renames or drops.
//!
//! A statement is taken apart into words, names, texts and signs, by the rules of the session that ran it. Of its grammar
//! only so much is known as says where a clause begins. What is not known is never guessed: then the tables are named that
//! were found, and nothing is said of their columns.

mod scanner;

use std::borrow::Cow;

use change::Moved;
use scanner::{Scanner, Token};

/// A table that a statement defines anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// As it was written, with its database if that was.
    pub table: (Option<String>, String),
    /// The columns that are renamed or dropped. `None`: that is not known, or what has the name afterwards is another table.
    pub moved: Option<Vec<Moved>>,
    /// The columns that were there and are computed by the server from now on.
    pub generated: Vec<String>,
}

impl Definition {
    /// Of whose columns nothing is known.
    fn unknown(table: (Option<String>, String)) -> Self {
        Self { table, moved: None, generated: Vec::new() }
    }
}

/// The bits of a session's `sql_mode`, as a server gives it in words, as far as they matter here.
pub fn sql_mode(words: &str) -> u64 {
    let bit = |word| match word {
        "ANSI_QUOTES" => scanner::ANSI_QUOTES,
        "NO_BACKSLASH_ESCAPES" => scanner::NO_BACKSLASH_ESCAPES,
        _ => 0,
    };
    words.split(',').map(bit).fold(0, |all, bit| all | bit)
}

/// The tables that a statement defines anew, each once, in its order; none for any other statement. Indexes alone define
/// nothing, with one exception: the primary key.
pub fn definitions(sql: &str, sql_mode: u64) -> Vec<Definition> {
    let mut parser = Parser { scanner: Scanner::new(sql, sql_mode), next: None };
    let mut found = Vec::new();
    // A statement that ends too early has named what it has named.
    let _complete = parser.statement(&mut found);
    let mut definitions: Vec<Definition> = Vec::with_capacity(found.len());
    for definition in found {
        if definitions.iter().all(|known| known.table != definition.table) {
            definitions.push(definition);
        }
    }
    definitions
}

/// The statement without the passwords that a table's options may hold: a text behind `CONNECTION` or `PASSWORD`, and any
/// text that looks as if one were in it, as in the options of the engines CONNECT and SPIDER.
pub fn without_secrets(sql: &str, sql_mode: u64) -> Cow<'_, str> {
    let mut scanner = Scanner::new(sql, sql_mode);
    let (mut text, mut kept, mut is_secret) = (String::new(), 0, false);
    loop {
        let token = scanner.token();
        is_secret = match token {
            None => break,
            Some(Token::Word(word)) => ["CONNECTION", "PASSWORD"].iter().any(|name| word.eq_ignore_ascii_case(name)),
            Some(Token::Text) => {
                let (start, end) = scanner.last();
                let hidden = is_secret || holds_password(sql.get(start..end).unwrap_or_default());
                if hidden {
                    let between = sql.get(kept..start).unwrap_or_default();
                    // Two without anything between would become one text with a quote in it.
                    if !between.is_empty() || text.is_empty() {
                        text.push_str(between);
                        text.push_str("'***'");
                    }
                    kept = end;
                }
                // Texts side by side are one.
                hidden
            }
            Some(Token::Sign('=')) => is_secret,
            Some(Token::Name(_) | Token::Sign(_)) => false,
        };
    }
    if kept == 0 {
        return Cow::Borrowed(sql);
    }
    text.push_str(sql.get(kept..).unwrap_or_default());
    Cow::Owned(text)
}

/// Whether a text names a password, or is a URL with one.
fn holds_password(text: &str) -> bool {
    let login = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    text.to_ascii_lowercase().contains("password") || login.is_some_and(|(login, _)| login.contains(':'))
}

/// What follows DROP where it is no column.
const NO_COLUMN: [&str; 13] = [
    "CHECK",
    "CONSTRAINT",
    "FOREIGN",
    "FULLTEXT",
    "INDEX",
    "KEY",
    "PARTITION",
    "PERIOD",
    "PRIMARY",
    "SPATIAL",
    "SYSTEM",
    "UNIQUE",
    "VECTOR",
];

/// Words that begin a clause of ALTER TABLE which renames and drops no column.
const HARMLESS: [&str; 58] = [
    "ADD",
    "ALGORITHM",
    "ALTER",
    "ANALYZE",
    "AUTOEXTEND_SIZE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHARACTER",
    "CHARSET",
    "CHECK",
    "CHECKSUM",
    "COALESCE",
    "COLLATE",
    "COMMENT",
    "COMPRESSION",
    "CONNECTION",
    "CONVERT",
    "DATA",
    "DEFAULT",
    "DELAY_KEY_WRITE",
    "DISABLE",
    "DISCARD",
    "ENABLE",
    "ENCRYPTED",
    "ENCRYPTION",
    "ENCRYPTION_KEY_ID",
    "ENGINE",
    "ENGINE_ATTRIBUTE",
    "EXCHANGE",
    "FORCE",
    "IMPORT",
    "INDEX",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "LOCK",
    "MAX_ROWS",
    "MIN_ROWS",
    "OPTIMIZE",
    "ORDER",
    "PACK_KEYS",
    "PAGE_CHECKSUM",
    "PAGE_COMPRESSED",
    "PASSWORD",
    "REBUILD",
    "REMOVE",
    "REORGANIZE",
    "REPAIR",
    "ROW_FORMAT",
    "SECONDARY_ENGINE",
    "SECONDARY_LOAD",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "TABLESPACE",
    "TRUNCATE",
    "UNION",
    "WITH",
    "WITHOUT",
];

struct Parser<'a> {
    scanner: Scanner<'a>,
    /// A token that was looked at already; `Some(None)` is the end.
    next: Option<Option<Token<'a>>>,
}

/// What the clauses of an ALTER TABLE do to columns.
#[derive(Default)]
struct Clauses {
    moved: Vec<Moved>,
    generated: Vec<String>,
    /// The column that the clause defines anew.
    defined: Option<String>,
    /// The table's new name.
    table: Option<(Option<String>, String)>,
}

impl Clauses {
    fn rename(&mut self, from: String, to: String) {
        if from != to {
            self.moved.push(Moved { from, to: Some(to) });
        }
    }
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Option<&Token<'a>> {
        let Self { scanner, next } = self;
        next.get_or_insert_with(|| scanner.token()).as_ref()
    }

    fn take(&mut self) -> Option<Token<'a>> {
        self.next.take().unwrap_or_else(|| self.scanner.token())
    }

    fn sees(&mut self, words: &[&str]) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if words.iter().any(|name| word.eq_ignore_ascii_case(name)))
    }

    fn accept(&mut self, words: &[&str]) -> bool {
        let seen = self.sees(words);
        if seen {
            self.next = None;
        }
        seen
    }

    fn accept_sign(&mut self, sign: char) -> bool {
        let seen = self.peek() == Some(&Token::Sign(sign));
        if seen {
            self.next = None;
        }
        seen
    }

    fn name(&mut self) -> Option<String> {
        match self.take()? {
            Token::Word(word) => Some(word.to_owned()),
            Token::Name(name) => Some(name),
            Token::Text | Token::Sign(_) => None,
        }
    }

    fn table(&mut self) -> Option<(Option<String>, String)> {
        let name = self.name()?;
        if self.accept_sign('.') { Some((Some(name), self.name()?)) } else { Some((None, name)) }
    }

    /// `IF EXISTS`, `IF NOT EXISTS`.
    fn accept_if(&mut self) -> bool {
        let seen = self.accept(&["IF"]);
        if seen {
            self.accept(&["NOT"]);
            self.accept(&["EXISTS"]);
        }
        seen
    }

    /// MariaDB's `WAIT n`, `NOWAIT`.
    fn accept_wait(&mut self) {
        if self.accept(&["WAIT"]) {
            self.take();
        } else {
            self.accept(&["NOWAIT"]);
        }
    }

    fn statement(&mut self, found: &mut Vec<Definition>) -> Option<()> {
        // MariaDB's settings for one statement.
        if self.accept(&["SET"]) {
            if !self.accept(&["STATEMENT"]) {
                return None;
            }
            while !self.accept(&["FOR"]) {
                self.take()?;
            }
        }
        if self.accept(&["ALTER"]) {
            while self.accept(&["ONLINE", "OFFLINE", "IGNORE"]) {}
            if self.accept(&["TABLE"]) {
                self.alter(found)?;
            }
        } else if self.accept(&["RENAME"]) {
            if self.accept(&["TABLE", "TABLES"]) {
                self.rename(found)?;
            }
        } else if self.accept(&["DROP"]) {
            self.drop_table(found)?;
        } else if self.accept(&["CREATE"]) {
            while self.accept(&["OR", "REPLACE"]) {}
            if self.accept(&["TABLE"]) {
                // It makes the table where there was none: no column of another one is behind a name.
                let moved = if self.accept_if() { Some(Vec::new()) } else { None };
                let table = self.table()?;
                let moved = moved.filter(|_| self.scanner.is_certain());
                found.push(Definition { table, moved, generated: Vec::new() });
            }
        }
        Some(())
    }

    fn drop_table(&mut self, found: &mut Vec<Definition>) -> Option<()> {
        if self.accept(&["INDEX"]) {
            self.accept_if();
            let is_key = self.name()?.eq_ignore_ascii_case("PRIMARY");
            if self.accept(&["ON"]) && is_key {
                let table = self.table()?;
                let moved = Some(Vec::new()).filter(|_| self.scanner.is_certain());
                found.push(Definition { table, moved, generated: Vec::new() });
            }
        } else if self.accept(&["TABLE", "TABLES"]) {
            self.accept_if();
            loop {
                found.push(Definition::unknown(self.table()?));
                if !self.accept_sign(',') {
                    break;
                }
            }
        }
        Some(())
    }

    fn rename(&mut self, found: &mut Vec<Definition>) -> Option<()> {
        self.accept_if();
        loop {
            let from = self.table()?;
            self.accept_wait();
            found.push(Definition::unknown(from));
            if !self.accept(&["TO"]) {
                return None;
            }
            found.push(Definition::unknown(self.table()?));
            if !self.accept_sign(',') {
                return Some(());
            }
        }
    }

    fn alter(&mut self, found: &mut Vec<Definition>) -> Option<()> {
        self.accept_if();
        let table = self.table()?;
        self.accept_wait();
        let mut clauses = Clauses::default();
        let understood = self.clauses(&mut clauses).is_some() && self.scanner.is_certain();
        let Clauses { moved, generated, table: to, .. } = clauses;
        let moved = Some(moved).filter(|_| understood && to.is_none());
        found.push(Definition { table, moved, generated });
        found.extend(to.map(Definition::unknown));
        Some(())
    }

    /// None: something is not understood. A new name of the table is looked for all the same.
    fn clauses(&mut self, clauses: &mut Clauses) -> Option<()> {
        let mut understood = Some(());
        while self.peek().is_some() {
            if self.clause(clauses).is_none() {
                understood = None;
            }
            if !self.skip_clause(clauses) {
                return None;
            }
        }
        understood
    }

    fn clause(&mut self, clauses: &mut Clauses) -> Option<()> {
        clauses.defined = None;
        if self.accept(&["CHANGE"]) {
            self.accept(&["COLUMN"]);
            if self.accept_if() {
                return None;
            }
            let (from, to) = (self.name()?, self.name()?);
            clauses.defined = Some(to.clone());
            clauses.rename(from, to);
        } else if self.accept(&["MODIFY"]) {
            self.accept(&["COLUMN"]);
            self.accept_if();
            clauses.defined = Some(self.name()?);
        } else if self.accept(&["RENAME"]) {
            self.rename_clause(clauses)?;
        } else if self.accept(&["DROP"]) {
            self.accept(&["COLUMN"]);
            self.accept_if();
            if self.sees(&["PARTITION"]) {
                self.skip_rest();
            } else if !self.sees(&NO_COLUMN) {
                clauses.moved.push(Moved { from: self.name()?, to: None });
            }
        } else if self.accept(&["PARTITION"]) {
            self.skip_rest();
        } else if self.accept(&HARMLESS) {
            // A list of partitions has commas of its own; nothing else can be said beside it.
            if self.sees(&["PARTITION"]) {
                self.skip_rest();
            }
        } else {
            return None;
        }
        Some(())
    }

    fn rename_clause(&mut self, clauses: &mut Clauses) -> Option<()> {
        if self.accept(&["COLUMN"]) {
            if self.accept_if() {
                return None;
            }
            let from = self.name()?;
            if !self.accept(&["TO"]) {
                return None;
            }
            clauses.rename(from, self.name()?);
        } else if !self.accept(&["INDEX", "KEY"]) {
            let _filler = self.accept(&["TO", "AS"]) || self.accept_sign('=');
            clauses.table = Some(self.table()?);
        }
        Some(())
    }

    /// Takes all up to the comma behind a clause; `false`: brackets do not match, or something follows the statement.
    fn skip_clause(&mut self, clauses: &mut Clauses) -> bool {
        loop {
            // `[GENERATED ALWAYS] AS (expression)`: nothing else in a column's definition has this word.
            if self.accept(&["AS"]) && self.peek() == Some(&Token::Sign('(')) {
                clauses.generated.extend(clauses.defined.take());
            }
            match self.peek() {
                None | Some(Token::Sign(',')) => break,
                Some(Token::Sign(';')) => {
                    self.take();
                    return self.peek().is_none();
                }
                Some(Token::Sign('(')) => {
                    self.take();
                    if self.close().is_none() {
                        return false;
                    }
                }
                Some(Token::Sign(')')) => return false,
                Some(_) => drop(self.take()),
            }
        }
        self.take();
        true
    }

    /// Takes all up to the bracket that closes the one before.
    fn close(&mut self) -> Option<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.take()? {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }

    fn skip_rest(&mut self) {
        while self.take().is_some() {}
    }
}

#[cfg(test)]
mod tests;
