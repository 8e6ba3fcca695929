//! Words, names, texts and signs of a statement; comments are left out.
//!
//! `/*!50000 …*/` is part of a statement on servers of that version. Both kinds of server that are read are newer than 5.7,
//! but MariaDB leaves out what names a version between that and 10.0, and MySQL what begins with `/*M!`: whether such a part
//! counts is not certain, and so is what a statement with one means.

/// Double quotes are for names (`MODE_ANSI_QUOTES`).
pub(super) const ANSI_QUOTES: u64 = 4;
/// A backslash in a text stands for itself (`MODE_NO_BACKSLASH_ESCAPES`).
pub(super) const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

/// Versions below are executed by every server that is read.
const SURE: u32 = 5_07_00;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name without quotes, a word of the language, a number.
    Word(&'a str),
    /// A name in quotes.
    Name(String),
    /// A literal in quotes.
    Text,
    Sign(char),
}

pub(super) struct Scanner<'a> {
    sql: &'a str,
    /// Where the next token is looked for, and where the last one began.
    at: usize,
    start: usize,
    sql_mode: u64,
    /// Inside `/*!…*/`.
    versioned: bool,
    certain: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(sql: &'a str, sql_mode: u64) -> Self {
        Self { sql, at: 0, start: 0, sql_mode, versioned: false, certain: true }
    }

    /// Whether all that was read so far means the same to every server.
    pub(super) fn is_certain(&self) -> bool {
        self.certain
    }

    /// Where the last token begins and ends.
    pub(super) fn last(&self) -> (usize, usize) {
        (self.start, self.at)
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// The next token; `None` at the end.
    pub(super) fn token(&mut self) -> Option<Token<'a>> {
        self.skip_comments();
        self.start = self.at;
        let rest = self.rest();
        let first = rest.chars().next()?;
        match first {
            '`' => Some(Token::Name(self.quoted(first))),
            '"' if self.sql_mode & ANSI_QUOTES != 0 => Some(Token::Name(self.quoted(first))),
            '\'' | '"' => {
                self.text(first);
                Some(Token::Text)
            }
            _ if is_part(first) => {
                let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
                self.at += end;
                rest.get(..end).map(Token::Word)
            }
            _ => {
                self.at += first.len_utf8();
                self.certain &= "(),.;=+-*/%<>!@&|^~:".contains(first);
                Some(Token::Sign(first))
            }
        }
    }

    fn skip_comments(&mut self) {
        loop {
            let rest = self.rest();
            let bare = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter.is_control());
            self.at += rest.len() - bare.len();
            let length = if self.versioned && bare.starts_with("*/") {
                self.versioned = false;
                2
            } else if bare.starts_with("/*!") || bare.starts_with("/*M!") {
                self.version(bare)
            } else if let Some(inside) = bare.strip_prefix("/*") {
                inside.find("*/").map_or_else(|| self.unclosed(bare), |end| end + 4)
            } else if bare.starts_with('#') || is_dashes(bare) {
                bare.find('\n').map_or(bare.len(), |end| end + 1)
            } else {
                return;
            };
            self.at += length;
        }
    }

    /// The beginning of a part for certain versions.
    fn version(&mut self, bare: &str) -> usize {
        let head = if bare.starts_with("/*!") { 3 } else { 4 };
        let inside = bare.get(head..).unwrap_or_default();
        let digits = inside.len() - inside.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let number = inside.get(..digits).unwrap_or_default();
        let is_sure =
            head == 3 && (digits == 0 || (digits == 5 && number.parse::<u32>().is_ok_and(|number| number < SURE)));
        self.certain &= is_sure && !self.versioned;
        self.versioned = true;
        head + digits
    }

    fn unclosed(&mut self, rest: &str) -> usize {
        self.certain = false;
        rest.len()
    }

    /// A name in quotes, which are doubled inside.
    fn quoted(&mut self, quote: char) -> String {
        let mut name = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some((part, behind)) = rest.split_once(quote) else {
                self.at += self.unclosed(rest);
                return name + rest;
            };
            name.push_str(part);
            self.at += part.len() + 1;
            if !behind.starts_with(quote) {
                return name;
            }
            name.push(quote);
            self.at += 1;
        }
    }

    fn text(&mut self, quote: char) {
        let has_escapes = self.sql_mode & NO_BACKSLASH_ESCAPES == 0;
        let rest = self.rest();
        let mut letters = rest.char_indices().skip(1).peekable();
        while let Some((at, letter)) = letters.next() {
            if letter == '\\' && has_escapes {
                letters.next();
            } else if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
                self.at += at + 1;
                return;
            }
        }
        self.at += self.unclosed(rest);
    }
}

/// Whether a letter can stand in a name without quotes.
fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$') || (!letter.is_ascii() && !letter.is_whitespace())
}

/// `--` begins a comment where something blank follows.
fn is_dashes(bare: &str) -> bool {
    bare.strip_prefix("--")
        .is_some_and(|rest| rest.chars().next().is_none_or(|letter| letter.is_whitespace() || letter.is_control()))
}
