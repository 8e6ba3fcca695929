//! What is wrong with a configuration: where, which line, and the next step. A line is shown only as far as nothing in
//! it can be secret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::keys::{self, KEYS};
use super::secret::{HIDDEN, redact};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
    Invalid(Vec<Problem>),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) place: Option<Place>,
    /// Which flag or key, where no line can be shown.
    pub(super) subject: Option<String>,
    pub(super) what: String,
    pub(super) help: Option<String>,
}

/// A place in the file, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: PathBuf,
    line: usize,
    column: usize,
    excerpt: String,
    caret: Range<usize>,
}

impl Place {
    /// For the order of problems.
    pub(super) fn start(&self) -> (usize, usize) {
        (self.line, self.column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(formatter, "{}:{}:{}: ", place.file.display(), place.line, place.column)?;
        }
        if let Some(subject) = &self.subject {
            write!(formatter, "{subject}: ")?;
        }
        formatter.write_str(&self.what)?;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            write!(formatter, "\n  {number} | {}", place.excerpt)?;
            let (indent, carets) = (" ".repeat(place.caret.start), "^".repeat(place.caret.len().max(1)));
            write!(formatter, "\n  {margin} | {indent}{carets}")?;
        }
        if let Some(help) = &self.help {
            write!(formatter, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// A configuration file's name and text.
#[derive(Clone)]
pub(super) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    pub(super) fn new(path: &Path, text: String) -> Self {
        Self { path: path.into(), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both from 1.
    pub(super) fn line_column(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..self.floor(at)];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn problem(&self, span: Range<usize>, what: impl Into<String>, help: Option<String>) -> Problem {
        Problem { place: Some(self.place(span)), subject: None, what: what.into(), help }
    }

    fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at.min(self.text.len()))
    }

    fn place(&self, span: Range<usize>) -> Place {
        let at = self.floor(span.start);
        let (line, column) = self.line_column(at);
        let start = self.text[..at].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |length| at + length);
        let raw = self.text[start..end].trim_end();
        let excerpt = mask(raw, self.section_before(start)).replace('\t', " ");
        let width = excerpt.chars().count();
        let first = (column - 1).min(width);
        let length = self.text[at..self.floor(span.end).clamp(at, end)].chars().count().max(1);
        let last = (first + length).min(width.max(first + 1));
        Place { file: self.path.clone(), line, column, excerpt, caret: first..last }
    }

    /// The section that a line stands in, by the last `[header]` above it.
    fn section_before(&self, start: usize) -> &str {
        let headers = self.text[..start].lines().rev();
        let header = headers.map(str::trim).find(|line| line.starts_with('['));
        header.and_then(|line| line.strip_prefix('[')?.split(']').next()).unwrap_or("").trim()
    }
}

/// A line of the file without what may be secret. Only the value of a key that is known and not secret is shown; any
/// other value may be one that stands at the wrong place.
fn mask(line: &str, section: &str) -> String {
    let trimmed = line.trim_start();
    let Some(equals) = line.find('=') else {
        let word = trimmed.split_whitespace().next().unwrap_or("");
        let is_key = KEYS.iter().any(|key| key.leaf() == word || key.section() == word);
        return match () {
            () if trimmed.starts_with('[') && !trimmed.contains(['"', '\'']) => line.into(),
            () if is_key && word.len() < trimmed.len() => {
                format!("{}{word} {HIDDEN}", &line[..line.len() - trimmed.len()])
            }
            () if is_key || trimmed.is_empty() => line.into(),
            () => HIDDEN.into(),
        };
    };
    let name = line[..equals].trim();
    let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
    let public = keys::find(&path).is_some_and(|key| !key.is_secret()) || path.starts_with("kafka.topics.config.");
    if public { redact(line) } else { format!("{} {HIDDEN}", &line[..=equals]) }
}
