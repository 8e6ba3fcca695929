//! The Avro type of a field, and what a reader makes of values that were written as another one.
//!
//! Two kinds of readers are meant. One decodes with the writer's schema and resolves by the specification, so that the
//! writer's logical type stays (Python, and this project's tests by `apache-avro`). The other resolves the bytes and then
//! applies *its own* logical type to them (Java). Where the two differ nobody is told, so the worse one counts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shape::strings;

/// An Avro type without null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    pub base: Base,
    pub logical: Option<Logical>,
}

/// What is on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed {
        name: String,
        size: u64,
    },
    Enum {
        name: String,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Array {
        items: Box<Form>,
        optional: bool,
    },
    /// Anything else, as it was written: it is only compared.
    Other(Value),
}

/// What the bytes mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Logical {
    Decimal {
        precision: u64,
        scale: u64,
    },
    /// A time, timestamp or local timestamp in a unit.
    Time {
        kind: String,
        unit: String,
    },
    /// `uuid`, `date`, a name of Kafka Connect's, or what we do not know.
    Named(String),
}

/// What a reader sees in values of another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// What was written.
    Same,
    /// What was written; null cannot be read.
    FailsAtNull,
    /// An error at some values.
    FailsAt(String),
    /// An error, always.
    Fails,
    /// Another value than was written, or one of another type, and no error.
    Silent(String),
}

impl Reading {
    fn or(self, worse: Self) -> Self {
        if self.rank() >= worse.rank() { self } else { worse }
    }

    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Same => 0,
            Self::FailsAtNull => 1,
            Self::FailsAt(_) => 2,
            Self::Fails => 3,
            Self::Silent(_) => 4,
        }
    }
}

impl Form {
    /// The type, and whether it admits null.
    pub(super) fn read(described: &Value) -> (Self, bool) {
        let Value::Array(branches) = described else { return (Self::read_plain(described), false) };
        let mut others = branches.iter().filter(|branch| *branch != "null");
        match (others.next(), others.next()) {
            (Some(only), None) => (Self::read_plain(only), branches.len() == 2),
            _ => (Self::plain(Base::Other(described.clone())), branches.iter().any(|branch| branch == "null")),
        }
    }

    fn plain(base: Base) -> Self {
        Self { base, logical: None }
    }

    fn read_plain(described: &Value) -> Self {
        let text = |property: &str| described.get(property).and_then(Value::as_str).map(str::to_owned);
        let count = |property: &str| described.get(property).and_then(Value::as_u64).unwrap_or(0);
        let name = || text("name").unwrap_or_default();
        let word = described.as_str().map_or_else(|| text("type"), |word| Some(word.to_owned()));
        let base = match word.as_deref() {
            Some("boolean") => Base::Boolean,
            Some("int") => Base::Int,
            Some("long") => Base::Long,
            Some("float") => Base::Float,
            Some("double") => Base::Double,
            Some("bytes") => Base::Bytes,
            Some("string") => Base::String,
            Some("fixed") => Base::Fixed { name: name(), size: count("size") },
            Some("enum") => {
                Base::Enum { name: name(), symbols: strings(described.get("symbols")), default: text("default") }
            }
            Some("array") => {
                let (items, optional) = Self::read(described.get("items").unwrap_or(&Value::Null));
                Base::Array { items: Box::new(items), optional }
            }
            _ => Base::Other(described.clone()),
        };
        let logical = text("logicalType").map(|logical| match logical.rsplit_once('-') {
            _ if logical == "decimal" => Logical::Decimal { precision: count("precision"), scale: count("scale") },
            Some((kind, unit @ ("millis" | "micros" | "nanos"))) => {
                Logical::Time { kind: kind.to_owned(), unit: unit.to_owned() }
            }
            _ => Logical::Named(logical),
        });
        // Kafka Connect's name for what a number or a text means: Debezium's times have no other.
        let named = || text("connect.name").filter(|_| base.is_primitive()).map(Logical::Named);
        Self { logical: logical.or_else(named), base }
    }

    /// In words: `string`, `decimal(12,2)`, `array of long`.
    pub fn words(&self) -> String {
        match (&self.logical, &self.base) {
            (Some(Logical::Decimal { precision, scale }), _) => format!("decimal({precision},{scale})"),
            (Some(Logical::Time { kind, unit }), _) => format!("{kind}-{unit}"),
            (Some(Logical::Named(name)), _) => name.clone(),
            (None, Base::Boolean) => "boolean".to_owned(),
            (None, Base::Int) => "int".to_owned(),
            (None, Base::Long) => "long".to_owned(),
            (None, Base::Float) => "float".to_owned(),
            (None, Base::Double) => "double".to_owned(),
            (None, Base::Bytes) => "bytes".to_owned(),
            (None, Base::String) => "string".to_owned(),
            (None, Base::Fixed { size, .. }) => format!("fixed({size})"),
            (None, Base::Enum { symbols, .. }) => format!("enum ({})", symbols.join(", ")),
            (None, Base::Array { items, .. }) => format!("array of {}", items.words()),
            (None, Base::Other(described)) => described.to_string(),
        }
    }

    /// What a reader with the form `self` sees in values that were written as `writer`. `small` says how many bits of an integer
    /// the writer's column uses at most.
    pub(super) fn reads(&self, writer: &Self, small: u32) -> Reading {
        if self == writer {
            return Reading::Same;
        }
        if let (Base::Other(_), _) | (_, Base::Other(_)) = (&self.base, &writer.base) {
            return Reading::Silent("something that these rules cannot judge".to_owned());
        }
        let bytes = self.base.reads(&writer.base, small);
        if matches!(bytes, Reading::Fails) { bytes } else { bytes.or(self.interprets(writer)) }
    }

    /// Whether the servers write a value in the same way as text: a decimal with all digits of its scale.
    pub(super) fn is_written_as(&self, other: &Self) -> bool {
        match ((&self.logical, &self.base), (&other.logical, &other.base)) {
            ((Some(Logical::Decimal { scale, .. }), _), (Some(Logical::Decimal { scale: other, .. }), _)) => {
                scale == other
            }
            ((_, Base::Array { items, .. }), (_, Base::Array { items: others, .. })) => items.is_written_as(others),
            _ => self == other,
        }
    }

    /// What becomes of the meaning, when the bytes can be read.
    fn interprets(&self, writer: &Self) -> Reading {
        use Logical::{Decimal, Named, Time};
        let silent = |what: String| Reading::Silent(what);
        match (&self.logical, &writer.logical) {
            (mine, theirs) if mine == theirs => Reading::Same,
            (Some(Decimal { scale, .. }), Some(Decimal { scale: written, .. })) if scale != written => {
                let (times, by) = (scale.abs_diff(*written), if scale > written { "small" } else { "large" });
                silent(format!(
                    "numbers that are 1{} times too {by}, if it reads as java does, without an error",
                    zeros(times)
                ))
            }
            (Some(Decimal { precision: mine, .. }), Some(Decimal { precision: theirs, .. })) if mine < theirs => {
                silent(format!("numbers of up to {theirs} digits where its schema promises {mine}, without an error"))
            }
            (Some(Decimal { .. }), Some(Decimal { .. })) => Reading::Same,
            (Some(Time { kind: mine, unit }), Some(Time { kind, unit: written })) if mine == kind => silent(format!(
                "{written} taken for {unit}: times that are wrong by a factor of 1000 or more, if it reads as java does, without an error"
            )),
            (Some(Time { kind: mine, .. }), Some(Time { kind, .. })) => {
                silent(format!("the numbers of {kind} taken for {mine}: times that are hours wrong, without an error"))
            }
            (Some(Named(mine)), None) if mine == "uuid" => {
                silent("any text where its schema promises a uuid".to_owned())
            }
            (None, Some(Named(_) | Time { .. } | Decimal { .. })) => {
                silent(format!("the bare {} of {}, without an error", self.words(), writer.words()))
            }
            _ => silent(format!("{} taken for {}, without an error", writer.words(), self.words())),
        }
    }

    /// The kind of difference between two forms: the stable name of the rule that judges it.
    pub(super) fn rule(&self, other: &Self) -> &'static str {
        use Logical::{Decimal, Named, Time};
        let uuid = |form: &Self| form.logical == Some(Named("uuid".to_owned()));
        match ((&self.base, &self.logical), (&other.base, &other.logical)) {
            ((Base::Array { items: a, .. }, _), (Base::Array { items: b, .. }, _)) => a.rule(b),
            ((Base::Array { .. }, _), _) | (_, (Base::Array { .. }, _)) => "array-scalar",
            ((Base::Enum { .. }, _), (Base::Enum { .. }, _)) => "enum-symbols",
            ((Base::Fixed { .. }, _), (Base::Fixed { .. }, _)) => "fixed-size",
            ((_, Some(Decimal { scale: a, .. })), (_, Some(Decimal { scale: b, .. }))) if a != b => "decimal-scale",
            ((_, Some(Decimal { .. })), (_, Some(Decimal { .. }))) => "decimal-precision",
            ((_, Some(Time { kind: a, .. })), (_, Some(Time { kind: b, .. }))) if a == b => "time-unit",
            ((_, Some(Time { kind: a, .. })), (_, Some(Time { kind: b, .. })))
                if a.ends_with("timestamp") && b.ends_with("timestamp") =>
            {
                "time-zone"
            }
            ((Base::String, None), (Base::String, _)) | ((Base::String, _), (Base::String, None))
                if uuid(self) || uuid(other) =>
            {
                "uuid-text"
            }
            ((Base::String, None), (Base::Bytes, None)) | ((Base::Bytes, None), (Base::String, None)) => "text-bytes",
            ((_, None), (_, None)) if self.base.is_number() && other.base.is_number() => "number-width",
            ((a, _), (b, _)) if a.is_like(b) => "logical-type",
            _ => "type-changed",
        }
    }
}

impl Base {
    fn is_primitive(&self) -> bool {
        self.is_number() || matches!(self, Self::Boolean | Self::Bytes | Self::String)
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Float | Self::Double)
    }

    /// Whether one can be read as the other, in one direction at least, by the specification.
    fn is_like(&self, other: &Self) -> bool {
        let texts = |base: &Self| matches!(base, Self::String | Self::Bytes);
        self == other || (self.is_number() && other.is_number()) || (texts(self) && texts(other))
    }

    /// Avro's resolution: what of the writer's values a reader of this type can read.
    fn reads(&self, writer: &Self, small: u32) -> Reading {
        let rounded = |digits: u32| {
            if small <= digits {
                Reading::Same
            } else {
                Reading::Silent(format!("whole numbers beyond 2^{digits} rounded, without an error"))
            }
        };
        match (writer, self) {
            (writer, reader) if writer == reader => Reading::Same,
            (Self::Int, Self::Long | Self::Double) | (Self::Float, Self::Double) => Reading::Same,
            (Self::Int | Self::Long, Self::Float) => rounded(24),
            (Self::Long, Self::Double) => rounded(53),
            (Self::String, Self::Bytes) => {
                Reading::Silent("the text's bytes, without an error or a word about its encoding".to_owned())
            }
            (Self::Bytes, Self::String) => {
                Reading::Silent("the bytes taken for text, without an error where they happen to be some".to_owned())
            }
            (Self::Enum { name, symbols, .. }, Self::Enum { name: mine, symbols: known, default }) if name == mine => {
                read_symbols(symbols, known, default.as_ref())
            }
            (Self::Array { items, optional }, Self::Array { items: mine, optional: nulls }) => {
                let null = if *optional && !nulls { Reading::FailsAtNull } else { Reading::Same };
                mine.reads(items, small).or(null)
            }
            _ => Reading::Fails,
        }
    }
}

/// So many zeros; too many of them as an exponent.
fn zeros(count: u64) -> String {
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= 9)
        .map_or_else(|| format!("0^{count}"), |count| "0".repeat(count))
}

fn read_symbols(written: &[String], known: &[String], default: Option<&String>) -> Reading {
    let unknown: Vec<&str> = written.iter().filter(|symbol| !known.contains(symbol)).map(String::as_str).collect();
    match (unknown.as_slice(), default) {
        ([], _) => Reading::Same,
        (unknown, Some(default)) => {
            Reading::Silent(format!("{default:?} instead of {}, without an error", unknown.join(", ")))
        }
        (unknown, None) => Reading::FailsAt(unknown.join(", ")),
    }
}
