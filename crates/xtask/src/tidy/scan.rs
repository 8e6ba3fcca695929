//! Splits a Rust file into lines of code and comment, good enough for code that rustfmt has formatted.
//!
//! String contents are left out of the code, so that a rule which looks for a word never finds it in a message; the
//! quotation marks stay. Lines inside a `#[cfg(test)] mod … { }` are marked.

/// One line of a Rust file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line without comments and without the contents of strings.
    pub(crate) code: String,
    /// The text of the comments on the line.
    pub(crate) comment: String,
    /// Whether the line belongs to a test module.
    pub(crate) test: bool,
}

impl Line {
    /// Whether the line holds any code.
    pub(crate) fn is_code(&self) -> bool {
        !self.code.trim().is_empty()
    }
}

/// A Rust file, scanned.
#[derive(Debug)]
pub(crate) struct RustFile {
    /// Relative to the root of the repository, with forward slashes.
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
}

impl RustFile {
    pub(crate) fn scan(path: &str, text: &str) -> Self {
        let mut lines = Scanner::default().scan(text);
        if is_test_path(path) {
            lines.iter_mut().for_each(|line| line.test = true);
        } else {
            mark_test_modules(&mut lines);
        }
        Self { path: path.to_owned(), lines }
    }

    /// Line numbers (from 1) and lines outside test modules.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.numbered().filter(|(_, line)| !line.test)
    }

    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Whether a whole file is test code, or a measurement or example beside it.
pub(crate) fn is_test_path(path: &str) -> bool {
    let folder = |name: &str| path.starts_with(&name[1..]) || path.contains(name);
    ["/tests/", "/examples/", "/benches/", "/fuzz/"].into_iter().any(folder)
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

/// Whether `word` stands in `code` with no letter, digit or underscore beside it.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, found)| {
        let before = code[..start].chars().next_back();
        let after = code[start + found.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    /// How deep block comments are nested.
    BlockComment(u32),
    Text,
    /// How many `#` close the raw string.
    RawText(usize),
}

/// The state machine over characters.
struct Scanner {
    state: State,
    line: Line,
    done: Vec<Line>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { state: State::Code, line: Line::default(), done: Vec::new() }
    }
}

impl Scanner {
    fn scan(mut self, text: &str) -> Vec<Line> {
        let characters: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < characters.len() {
            if characters[at] == '\n' {
                self.end_line();
                at += 1;
                continue;
            }
            let rest = &characters[at..];
            at += match self.state {
                State::Code => self.in_code(rest),
                State::LineComment => self.push_comment(rest[0]),
                State::BlockComment(depth) => self.in_block_comment(rest, depth),
                State::Text => self.in_text(rest),
                State::RawText(hashes) => self.in_raw_text(rest, hashes),
            };
        }
        if !self.line.code.is_empty() || !self.line.comment.is_empty() {
            self.end_line();
        }
        self.done
    }

    fn end_line(&mut self) {
        if self.state == State::LineComment {
            self.state = State::Code;
        }
        self.done.push(std::mem::take(&mut self.line));
    }

    fn push_comment(&mut self, c: char) -> usize {
        self.line.comment.push(c);
        1
    }

    fn push_code(&mut self, c: char) -> usize {
        self.line.code.push(c);
        1
    }

    fn in_code(&mut self, rest: &[char]) -> usize {
        match (rest[0], rest.get(1)) {
            ('/', Some('/')) => {
                self.state = State::LineComment;
                self.line.comment.push_str("//");
                2
            }
            ('/', Some('*')) => {
                self.state = State::BlockComment(1);
                self.line.comment.push_str("/*");
                2
            }
            ('"', _) => {
                self.state = State::Text;
                self.push_code('"')
            }
            ('r', Some('"' | '#')) if !self.after_word() || self.after_byte_prefix() => self.raw_start(rest),
            ('\'', _) => self.quote(rest),
            (c, _) => self.push_code(c),
        }
    }

    fn after_word(&self) -> bool {
        self.line.code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// `br"…"` and `cr"…"`.
    fn after_byte_prefix(&self) -> bool {
        let mut back = self.line.code.chars().rev();
        matches!(back.next(), Some('b' | 'c')) && !back.next().is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// `r"`, `r#"`; but `r#type` is an identifier.
    fn raw_start(&mut self, rest: &[char]) -> usize {
        let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
        if rest.get(1 + hashes) != Some(&'"') {
            return self.push_code('r');
        }
        self.state = State::RawText(hashes);
        self.line.code.push('"');
        hashes + 2
    }

    /// A character literal, or the start of a lifetime.
    fn quote(&mut self, rest: &[char]) -> usize {
        let length = match (rest.get(1), rest.get(2)) {
            (Some('\\'), _) => rest[3..].iter().position(|c| *c == '\'').map(|end| end + 4),
            (Some(_), Some('\'')) => Some(3),
            _ => None,
        };
        match length {
            Some(length) => {
                self.line.code.push_str("''");
                length
            }
            None => self.push_code('\''),
        }
    }

    fn in_block_comment(&mut self, rest: &[char], depth: u32) -> usize {
        match (rest[0], rest.get(1)) {
            ('*', Some('/')) => {
                self.state = if depth == 1 { State::Code } else { State::BlockComment(depth - 1) };
                2
            }
            ('/', Some('*')) => {
                self.state = State::BlockComment(depth + 1);
                2
            }
            (c, _) => self.push_comment(c),
        }
    }

    fn in_text(&mut self, rest: &[char]) -> usize {
        match rest[0] {
            // A backslash before the end of a line continues the string; the end of the line is still counted.
            '\\' if rest.get(1) != Some(&'\n') => 2,
            '"' => {
                self.state = State::Code;
                self.push_code('"')
            }
            _ => 1,
        }
    }

    fn in_raw_text(&mut self, rest: &[char], hashes: usize) -> usize {
        let closes = rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes;
        if !closes {
            return 1;
        }
        self.state = State::Code;
        self.line.code.push('"');
        1 + hashes
    }
}

/// Marks `#[cfg(test)]` items up to the brace that closes them.
fn mark_test_modules(lines: &mut [Line]) {
    let mut at = 0;
    while at < lines.len() {
        if !lines[at].code.contains("#[cfg(test)]") {
            at += 1;
            continue;
        }
        let end = item_end(lines, at).unwrap_or(lines.len() - 1);
        lines[at..=end].iter_mut().for_each(|line| line.test = true);
        at = end + 1;
    }
}

/// The index of the line on which the item that begins at `start` ends: at its closing brace, or at a `;` before any brace.
pub(crate) fn item_end(lines: &[Line], start: usize) -> Option<usize> {
    let mut braces = 0usize;
    let mut brackets = 0usize;
    for (index, line) in lines.iter().enumerate().skip(start) {
        for c in line.code.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                '{' => braces += 1,
                '}' if braces <= 1 => return Some(index),
                '}' => braces -= 1,
                ';' if braces == 0 && brackets == 0 => return Some(index),
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        RustFile::scan("crates/x/src/a.rs", text).lines.into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        assert_eq!(code("let a = \"tokio // {\"; // std::net"), ["let a = \"\"; "]);
        assert_eq!(code("a /* one /* two */ still */ b"), ["a  b"]);
        assert_eq!(code("let a = r#\"a \" b {\"#;"), ["let a = \"\";"]);
        assert_eq!(code("let a = br\"x\";"), ["let a = b\"\";"]);
        assert_eq!(code("let a = \"one\ntwo\";\nb"), ["let a = \"", "\";", "b"]);
        assert_eq!(code("let a = \"one \\\n  two\";\nb"), ["let a = \"", "\";", "b"]);
    }

    #[test]
    fn a_quote_can_begin_a_lifetime() {
        assert_eq!(
            code("fn a<'x>(c: &'x str) { m('{', '\\'', '\\u{7d}') }"),
            ["fn a<'x>(c: &'x str) { m('', '', '') }"]
        );
        assert_eq!(code("let r#type = for_r;"), ["let r#type = for_r;"]);
    }

    #[test]
    fn test_modules_are_marked_to_their_last_brace() {
        let file = RustFile::scan("crates/x/src/a.rs", "a\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nc\n");
        assert_eq!(file.lines.iter().map(|line| line.test).collect::<Vec<_>>(), [false, true, true, true, true, false]);
        let file = RustFile::scan("crates/x/src/a.rs", "#[cfg(test)]\nmod tests;\nc\n");
        assert_eq!(file.lines.iter().map(|line| line.test).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn words_have_edges() {
        assert!(has_word("use tokio::net;", "tokio"));
        assert!(!has_word("use tokio_util::net;", "tokio"));
        assert!(!has_word("let instants = 1;", "Instant"));
    }
}
