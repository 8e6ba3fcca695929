//! One value: how a text becomes a duration, a size, a choice, and what is said when it does not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::Kind;
use super::secret::Text;

/// A value that has the kind its key wants.
#[derive(Clone)]
pub(super) enum Value {
    Text(Text),
    List(Vec<Text>),
    Bool(bool),
    Integer(i64),
    Duration(Duration),
    Size(u64),
    Map(BTreeMap<String, Text>),
}

impl Value {
    /// The value as a person may see it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.shown(),
            Self::List(items) => items.iter().map(Text::shown).collect::<Vec<_>>().join(", "),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Duration(value) => show_duration(*value),
            Self::Size(value) => show_size(*value),
            Self::Map(entries) => {
                let shown = entries.iter().map(|(key, text)| format!("{key} = {}", text.shown()));
                shown.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Why a value was refused, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) help: Option<String>,
}

impl Refusal {
    pub(super) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: Some(help.into()) }
    }
}

/// Reads a text, from a file, a flag or a default, as the kind its key wants.
pub(super) fn parse(kind: Kind, text: Text) -> Result<Value, Refusal> {
    match kind {
        Kind::Text | Kind::Secret => Ok(Value::Text(text)),
        Kind::List => Ok(Value::List(vec![text])),
        Kind::Bool => match text.expose() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(Refusal::new(format!("{} is neither true nor false", text.quoted()), "write true or false")),
        },
        Kind::Integer { min, max } => match text.expose().parse() {
            Ok(number) => integer(number, min, max),
            Err(_) => Err(Refusal::new(
                format!("{} is not a whole number", text.quoted()),
                format!("write a number from {min} to {max}"),
            )),
        },
        Kind::Duration { min, max } => {
            let value = read_duration(text.expose()).ok_or_else(|| {
                Refusal::new(
                    format!("{} is not a duration", text.quoted()),
                    "write a number with a unit: \"500ms\", \"10s\", \"5m\" or \"1h\"",
                )
            })?;
            let limits = (show_duration(min), show_duration(max));
            within(value, min, max, &text.quoted(), &limits).map(Value::Duration)
        }
        Kind::Size { min, max } => {
            let value = read_size(text.expose()).ok_or_else(|| {
                Refusal::new(
                    format!("{} is not a size", text.quoted()),
                    "write bytes, or a number with a unit: \"512KiB\" or \"16MiB\"",
                )
            })?;
            within(value, min, max, &text.quoted(), &(show_size(min), show_size(max))).map(Value::Size)
        }
        Kind::Choice(choices) => {
            if choices.contains(&text.expose()) {
                return Ok(Value::Text(text));
            }
            let list = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(" or ");
            Err(Refusal::new(format!("{} is not one of the choices", text.quoted()), format!("write {list}")))
        }
        Kind::Map { .. } => Err(Refusal::new("expected a table of texts", "write key = \"value\" lines below it")),
    }
}

/// Checks the limits of a whole number.
pub(super) fn integer(number: i64, min: i64, max: i64) -> Result<Value, Refusal> {
    within(number, min, max, &format!("`{number}`"), &(min.to_string(), max.to_string())).map(Value::Integer)
}

fn within<T: PartialOrd + Copy>(
    value: T,
    min: T,
    max: T,
    quoted: &str,
    limits: &(String, String),
) -> Result<T, Refusal> {
    if value >= min && value <= max {
        return Ok(value);
    }
    let side = if value < min { "small" } else { "large" };
    Err(Refusal::new(format!("{quoted} is too {side}"), format!("write a value from {} to {}", limits.0, limits.1)))
}

/// `500ms`, `10s`, `1m30s`: whole numbers, each with a unit.
pub(super) fn read_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let unit_end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let milliseconds = match &after[..unit_end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = &after[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

/// `8388608`, `512KiB`, `16MiB`, `16MB`.
pub(super) fn read_size(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

pub(super) fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        _ if milliseconds == 0 || !milliseconds.is_multiple_of(1_000) => format!("{milliseconds}ms"),
        _ if milliseconds.is_multiple_of(3_600_000) => format!("{}h", milliseconds / 3_600_000),
        _ if milliseconds.is_multiple_of(60_000) && milliseconds > 60_000 => format!("{}m", milliseconds / 60_000),
        _ => format!("{}s", milliseconds / 1_000),
    }
}

pub(super) fn show_size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// How many letters must change to make one word of the other.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

/// The candidate that was probably meant: at most a third of its letters differ.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (best, changes) = candidates.map(|name| (name, distance(word, name))).min_by_key(|(_, changes)| *changes)?;
    (changes <= best.chars().count().div_ceil(3)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(read_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read_duration("1m30s"), Some(Duration::from_secs(90)));
        for text in ["", "10", "s", "10 s", "1.5s", "-1s", "10days", "99999999999999999999s", "9999999999999999999h"] {
            assert_eq!(read_duration(text), None, "{text}");
        }
        for text in ["1ms", "250ms", "60s", "90s", "5m", "1h"] {
            assert_eq!(show_duration(read_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_may_have_a_unit() {
        assert_eq!(read_size("8388608"), Some(8 << 20));
        assert_eq!(read_size("8 MiB"), Some(8 << 20));
        assert_eq!(read_size("8MB"), Some(8_000_000));
        for text in ["", "MiB", "-1", "1.5MiB", "8mib", "99999999999GiB"] {
            assert_eq!(read_size(text), None, "{text}");
        }
        assert_eq!(show_size(16 << 20), "16MiB");
        assert_eq!(show_size(1000), "1000");
    }

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("tabels", ["tables", "slot"].into_iter()), Some("tables"));
        assert_eq!(nearest("nmae", ["name"].into_iter()), Some("name"));
        assert_eq!(nearest("broker", ["brokers", "delivery"].into_iter()), Some("brokers"));
        assert_eq!(nearest("zzz", ["tables", "slot"].into_iter()), None);
    }
}
