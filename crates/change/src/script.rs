//! A file of SQL as the sources take it apart, each by its own client's rules: the statements, and a place in the text.

/// One statement, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Of its first word, counted from 1.
    pub line: usize,
    pub sql: &'a str,
}

/// Something in a file that only the database's own client can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub line: usize,
    pub what: String,
    pub help: &'static str,
}

/// How far a file is read, and where the statement there begins.
#[derive(Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    begin: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, begin: None }
    }

    pub fn byte(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub fn line_rest(&self) -> &'a str {
        self.rest().lines().next().unwrap_or_default()
    }

    pub fn pass(&mut self, length: usize) {
        self.at += length;
    }

    /// Whether no word of a statement was met yet.
    pub fn is_between(&self) -> bool {
        self.begin.is_none()
    }

    /// What is here belongs to a statement.
    pub fn begin(&mut self) {
        self.begin.get_or_insert(self.at);
    }

    /// The statement up to here, if there is more of it than blanks and comments.
    pub fn take(&mut self) -> Option<Statement<'a>> {
        let begin = self.begin.take()?;
        Some(Statement { line: self.line_of(begin), sql: self.text.get(begin..self.at).unwrap_or_default().trim_end() })
    }

    pub fn refuse(&self, what: String, help: &'static str) -> Refused {
        Refused { line: self.line_of(self.at), what, help }
    }

    fn line_of(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}

/// The length of the text or name in quotes that `text` begins with; a quote inside is doubled, or follows a backslash where
/// that escapes.
pub fn quoted(text: &str, quote: u8, backslash: bool) -> usize {
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

    #[test]
    fn quotes_end_where_they_end() {
        for (text, backslash, length) in [
            ("'a' b", false, 3),
            ("'it''s' b", false, 7),
            ("'it\\' b", false, 5),
            ("'it\\'s' b", true, 7),
            ("'never", false, 6),
            ("'never\\", true, 7),
        ] {
            assert_eq!(quoted(text, b'\'', backslash), length, "{text}");
        }
    }

    #[test]
    fn a_statement_has_the_line_of_its_first_word() {
        let mut cursor = Cursor::new("\n ab\ncd ");
        assert_eq!((cursor.byte(), cursor.take()), (Some(b'\n'), None));
        cursor.pass(2);
        cursor.begin();
        cursor.pass(3);
        cursor.begin();
        assert_eq!((cursor.line_rest(), cursor.is_between()), ("cd ", false));
        assert_eq!(cursor.refuse(String::new(), "").line, 3);
        cursor.pass(3);
        assert_eq!(cursor.take(), Some(Statement { line: 2, sql: "ab\ncd" }));
        assert!(cursor.is_between() && cursor.byte().is_none());
    }
}
