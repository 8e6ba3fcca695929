//! Reads the file and the flags into settings: one value per key of the table, each knowing where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Absent, KEYS, Key, Kind};
use super::problem::{Document, Problem};
use super::secret::{Text, expand};
use super::value::{self, Refusal, Value, nearest};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    Flag(&'static str),
    File(Range<usize>),
}

#[derive(Clone)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Everything that was given, before the keys are looked at together.
pub(super) struct Settings {
    document: Option<Document>,
    given: BTreeMap<&'static str, Setting>,
    /// Places of the entries of tables with free keys, by `path.entry`.
    entries: BTreeMap<String, Range<usize>>,
    taken: BTreeSet<&'static str>,
    /// Keys about which a problem has been reported already: that they are missing is no news.
    excused: BTreeSet<String>,
    /// The file is no TOML, so nothing can be said about its keys.
    pub(super) unreadable: bool,
    pub(super) problems: Vec<Problem>,
}

impl Settings {
    /// Reads the file, then the flags, which win.
    pub(super) fn read(
        document: Option<Document>,
        flags: &[(&'static str, Vec<String>)],
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let mut settings = Self {
            document: None,
            given: BTreeMap::new(),
            entries: BTreeMap::new(),
            taken: BTreeSet::new(),
            excused: BTreeSet::new(),
            unreadable: false,
            problems: Vec::new(),
        };
        if let Some(document) = document {
            settings.read_file(&document, variable);
            settings.document = Some(document);
        }
        for (path, values) in flags {
            settings.read_flag(path, values);
        }
        settings
    }

    /// Gives required keys that nobody gave the value of their example.
    pub(super) fn do_without(&mut self, paths: &[&'static str]) {
        for key in paths.iter().filter_map(|path| keys::find(path)) {
            let Absent::Required { example } = key.absent else { continue };
            let text = Text::new(example.to_owned(), false);
            let value = match key.kind {
                Kind::List => Ok(Value::List(vec![text])),
                kind => value::parse(kind, text),
            };
            if let (false, Ok(value)) = (self.given.contains_key(key.path), value) {
                self.given.insert(key.path, Setting { value, origin: Origin::Default });
            }
        }
    }

    fn read_file(&mut self, document: &Document, variable: &dyn Fn(&str) -> Option<String>) {
        match DeTable::parse(document.text()) {
            Ok(table) => {
                let mut reader = Reader { settings: self, document, variable };
                reader.section(table.get_ref(), "");
                self.problems.sort_by_key(|problem| problem.place.as_ref().map(super::problem::Place::start));
            }
            Err(error) => {
                let what = error.message().lines().collect::<Vec<_>>().join(", ");
                let problem = document.problem(error.span().unwrap_or(0..0), what, None);
                self.problems.push(problem);
                self.unreadable = true;
            }
        }
    }

    fn read_flag(&mut self, path: &'static str, values: &[String]) {
        let Some(key) = keys::find(path) else { return };
        let flag = key.flag.unwrap_or(path);
        let mut texts = values.iter().map(|value| Text::new(value.clone(), key.is_secret()));
        let parsed = match key.kind {
            Kind::List => Ok(Value::List(texts.collect())),
            kind => texts.next_back().map_or_else(
                || Err(Refusal { what: "needs a value".into(), help: None }),
                |text| value::parse(kind, text),
            ),
        };
        match parsed {
            Ok(value) => {
                self.given.insert(path, Setting { value, origin: Origin::Flag(flag) });
            }
            Err(refusal) => {
                self.excused.insert(path.into());
                let (what, help) = (refusal.what, refusal.help);
                self.problems.push(Problem { place: None, subject: Some(flag.into()), what, help });
            }
        }
    }

    /// The value of a key: given, or its default. A required key that is absent is a problem.
    pub(super) fn take(&mut self, path: &'static str) -> Option<Setting> {
        self.taken.insert(path);
        if let Some(setting) = self.given.get(path) {
            return Some(setting.clone());
        }
        let key = keys::find(path)?;
        match key.absent {
            Absent::Value(text) => {
                let value = value::parse(key.kind, Text::new(text, false)).ok()?;
                Some(Setting { value, origin: Origin::Default })
            }
            Absent::Name => self.given.get("name").map(|name| Setting { origin: Origin::Default, ..name.clone() }),
            Absent::Required { example } => {
                self.missing(key, example);
                None
            }
            Absent::Nothing => None,
        }
    }

    /// Whether somebody wrote the key.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.given.contains_key(path)
    }

    fn missing(&mut self, key: &Key, example: &str) {
        if self.excused.iter().any(|path| within(key.path, path)) {
            return;
        }
        let value = if key.kind == Kind::List { format!("[\"{example}\"]") } else { format!("\"{example}\"") };
        let line = format!("{} = {value}", key.leaf());
        let place =
            if key.section().is_empty() { "at the top of the file".into() } else { format!("in [{}]", key.section()) };
        let flag = key.flag.map(|flag| format!("{flag} '{example}'"));
        let help = match (&self.document, flag) {
            (Some(_), Some(flag)) => format!("write {line} {place}, or pass {flag}"),
            (None, Some(flag)) => format!("pass {flag}, or name a file with -c"),
            (_, None) => format!("write {line} {place}"),
        };
        let subject = self.document.as_ref().map(|document| document.path().display().to_string());
        let what = format!("`{}` is required", key.path);
        self.problems.push(Problem { place: None, subject, what, help: Some(help) });
    }

    /// A problem with the value of a key, at the place where it was given. `path` may name an entry of a table:
    /// `kafka.properties.acks`.
    pub(super) fn problem(&self, path: &str, what: impl Into<String>, help: Option<String>) -> Problem {
        let origin = self.entries.get(path).cloned().map(Origin::File);
        let origin = origin.or_else(|| self.given.get(path).map(|setting| setting.origin.clone()));
        match (origin, &self.document) {
            (Some(Origin::File(span)), Some(document)) => document.problem(span, what, help),
            (Some(Origin::Flag(flag)), _) => {
                Problem { place: None, subject: Some(flag.into()), what: what.into(), help }
            }
            _ => Problem { place: None, subject: Some(format!("`{path}`")), what: what.into(), help },
        }
    }

    /// The same about a value by itself: its key is named in any case.
    pub(super) fn refusal(&self, path: &str, refusal: Refusal) -> Problem {
        let mut problem = self.problem(path, refusal.what, refusal.help);
        if problem.place.is_some() {
            problem.subject = Some(format!("`{path}`"));
        }
        problem
    }

    /// Every value as a person may see it, with where it came from.
    pub(super) fn shown(&mut self) -> Vec<super::Shown> {
        let mut shown = Vec::new();
        for key in KEYS {
            let Some(setting) = self.take(key.path) else { continue };
            let origin = match (&setting.origin, &self.document) {
                (Origin::Default, _) => "default".to_owned(),
                (Origin::Flag(flag), _) => (*flag).to_owned(),
                (Origin::File(span), Some(document)) => {
                    format!("{}:{}", document.path().display(), document.line_column(span.start).0)
                }
                (Origin::File(_), None) => "file".to_owned(),
            };
            shown.push(super::Shown { key: key.path, value: setting.value.shown(), origin });
        }
        shown
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> &BTreeSet<&'static str> {
        &self.taken
    }
}

/// Walks the parsed file.
struct Reader<'a> {
    settings: &'a mut Settings,
    document: &'a Document,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn section(&mut self, table: &DeTable<'_>, section: &str) {
        for (name, value) in table {
            let path = join(section, name.get_ref());
            if let Some(key) = keys::find(&path) {
                match self.value(key, value) {
                    Some(read) => {
                        let origin = Origin::File(value.span());
                        self.settings.given.insert(key.path, Setting { value: read, origin });
                    }
                    None => {
                        self.settings.excused.insert(path);
                    }
                }
            } else if KEYS.iter().any(|key| within(key.section(), &path)) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.section(inner, &path),
                    _ => {
                        let help = format!("write [{path}] on a line of its own, and its keys below");
                        self.refuse(value.span(), format!("`{path}` is a section, not a value"), help);
                        self.settings.excused.insert(path);
                    }
                }
            } else {
                self.unknown(section, name, &path);
            }
        }
    }

    fn refuse(&mut self, span: Range<usize>, what: impl Into<String>, help: impl Into<String>) {
        let problem = self.document.problem(span, what, Some(help.into()));
        self.settings.problems.push(problem);
    }

    fn unknown(&mut self, section: &str, name: &Spanned<impl AsRef<str>>, path: &str) {
        let word = name.get_ref().as_ref();
        let place = if section.is_empty() { "at the top of the file".into() } else { format!("in [{section}]") };
        let mut names = BTreeSet::new();
        for key in KEYS {
            if key.section() == section {
                names.insert(key.leaf());
            } else if within(key.section(), section) || section.is_empty() {
                let inner = key.section().strip_prefix(section).unwrap_or("").trim_start_matches('.');
                names.insert(inner.split('.').next().unwrap_or(inner));
            }
        }
        let elsewhere = || KEYS.iter().find(|key| key.leaf() == word);
        let help = match nearest(word, names.iter().copied()) {
            Some(near) => {
                self.settings.excused.insert(join(section, near));
                format!("did you mean `{near}`?")
            }
            None => match elsewhere() {
                Some(key) if key.section().is_empty() => format!("`{word}` stands at the top of the file"),
                Some(key) => format!("`{word}` stands in [{}]", key.section()),
                None => {
                    let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    format!("known {place}: {known}")
                }
            },
        };
        self.refuse(name.span(), format!("unknown key `{path}`"), help);
    }

    fn value(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let span = value.span();
        let parsed = match (key.kind, value.get_ref()) {
            (Kind::List, DeValue::Array(items)) => {
                let texts: Vec<_> = items.iter().map(|item| self.text(key, item)).collect();
                return texts.into_iter().collect::<Option<Vec<_>>>().map(Value::List);
            }
            (Kind::Map { .. }, DeValue::Table(entries)) => {
                let mut map = BTreeMap::new();
                self.entries(key, entries, "", &mut map);
                return Some(Value::Map(map));
            }
            (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
            (Kind::Integer { min, max }, DeValue::Integer(number)) => match whole(number) {
                Some(number) => value::integer(number, min, max),
                None => Err(Refusal::new("the number is too large", format!("write a number from {min} to {max}"))),
            },
            (Kind::Size { .. }, DeValue::Integer(number)) => match whole(number) {
                Some(number) => value::parse(key.kind, Text::new(number.to_string(), false)),
                None => Err(Refusal::new("the number is too large", "write a size such as \"16MiB\"")),
            },
            (Kind::Map { .. }, _) | (Kind::Bool | Kind::Integer { .. }, DeValue::Array(_) | DeValue::Table(_)) => {
                Err(Self::wrong_kind(key, value.get_ref()))
            }
            (_, DeValue::String(_)) => value::parse(key.kind, self.text(key, value)?),
            _ => Err(Self::wrong_kind(key, value.get_ref())),
        };
        match parsed {
            Ok(value) => Some(value),
            Err(refusal) => {
                let problem = self.document.problem(span, format!("`{}`: {}", key.path, refusal.what), refusal.help);
                self.settings.problems.push(problem);
                None
            }
        }
    }

    fn wrong_kind(key: &Key, value: &DeValue<'_>) -> Refusal {
        let (wanted, example) = match key.kind {
            Kind::Text | Kind::Secret => ("a text", format!("{} = \"…\"", key.leaf())),
            Kind::List => ("a list of texts", format!("{} = [\"…\"]", key.leaf())),
            Kind::Bool => ("true or false", format!("{} = true", key.leaf())),
            Kind::Integer { .. } => ("a whole number", format!("{} = 1", key.leaf())),
            Kind::Duration { .. } => ("a duration with a unit", format!("{} = \"10s\"", key.leaf())),
            Kind::Size { .. } => ("a size", format!("{} = \"16MiB\"", key.leaf())),
            Kind::Choice(choices) => ("a text", format!("{} = \"{}\"", key.leaf(), choices.first().unwrap_or(&""))),
            Kind::Map { .. } => ("a table", format!("[{}]", key.path)),
        };
        Refusal::new(format!("expected {wanted}, found {}", found(value)), format!("write {example}"))
    }

    /// The text of a value, expanded. Numbers and truth values are taken as they are written where any text is right.
    fn text(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Text> {
        match value.get_ref() {
            DeValue::String(text) => match expand(text, self.variable) {
                Ok((text, expanded)) => Some(Text::new(text, expanded || key.is_secret())),
                Err(error) => {
                    self.refuse(value.span(), format!("`{}`: {error}", key.path), error.help());
                    None
                }
            },
            DeValue::Integer(number) if is_map(key) => Some(Text::new(number.to_string(), key.is_secret())),
            DeValue::Float(number) if is_map(key) => Some(Text::new(number.to_string(), key.is_secret())),
            DeValue::Boolean(flag) if is_map(key) => Some(Text::new(flag.to_string(), key.is_secret())),
            other => {
                let what = format!("`{}`: expected a text, found {}", key.path, found(other));
                self.refuse(value.span(), what, "put it between double quotes");
                None
            }
        }
    }

    /// The entries of a table with free keys. `sasl.password = "x"` without quotes is a table inside for TOML, and one
    /// key for everybody else.
    fn entries(&mut self, key: &'static Key, table: &DeTable<'_>, prefix: &str, map: &mut BTreeMap<String, Text>) {
        for (name, value) in table {
            let entry = join(prefix, name.get_ref());
            if let DeValue::Table(inner) = value.get_ref() {
                self.entries(key, inner, &entry, map);
            } else if let Some(text) = self.text(key, value) {
                self.settings.entries.insert(format!("{}.{entry}", key.path), value.span());
                map.insert(entry, text);
            }
        }
    }
}

fn is_map(key: &Key) -> bool {
    matches!(key.kind, Kind::Map { .. })
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.into() } else { format!("{section}.{name}") }
}

/// Whether a section is `outer` or stands inside it.
fn within(section: &str, outer: &str) -> bool {
    section.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn whole(number: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number without quotes",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
