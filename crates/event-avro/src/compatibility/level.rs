//! What a registry with a compatibility level would say, found out here.
//!
//! Registries call Apache Avro's own checker, which never looks at logical types. The checker of `apache-avro` for Rust does in one
//! place: it refuses decimals of another scale or precision. To say what a registry says, and not more, logical types are
//! taken out before it is asked; [`judge`](super::judge) looks at them. It knows a third answer besides yes and no, `Partial`:
//! some values can be read. Registries take that for a no, and so does this.

use std::fmt;
use std::str::FromStr;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A registry's compatibility level of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

/// Which of two schemas has to read what the other wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The new schema reads data of the old one.
    Backward,
    /// The old schema reads data of the new one.
    Forward,
}

/// Why a registry would refuse the new schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Which of the registered schemas, counted from 1, the oldest.
    pub version: usize,
    pub direction: Direction,
    /// The checker's own words.
    pub message: String,
}

/// A schema that the checker cannot be asked about.
#[derive(Debug, thiserror::Error)]
#[error("{}", match version { Some(version) => format!("version {version} is no avro schema"), None => "the new schema is no avro schema".to_owned() })]
pub struct NoSchema {
    /// As in [`Conflict::version`]; `None`: the new one.
    pub version: Option<usize>,
    #[source]
    source: Box<apache_avro::Error>,
}

/// The name is not that of a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is no compatibility level: NONE, BACKWARD, FORWARD and FULL are, and the last three with _TRANSITIVE")]
pub struct NoLevel {
    pub name: String,
}

impl Level {
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// As registries write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Which directions it asks for.
    const fn directions(self) -> &'static [Direction] {
        match self {
            Self::None => &[],
            Self::Backward | Self::BackwardTransitive => &[Direction::Backward],
            Self::Forward | Self::ForwardTransitive => &[Direction::Forward],
            Self::Full | Self::FullTransitive => &[Direction::Backward, Direction::Forward],
        }
    }

    /// Whether every registered version counts, not only the last.
    const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(name: &str) -> Result<Self, NoLevel> {
        let found = Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| NoLevel { name: name.to_owned() })
    }
}

/// What stands against the new schema at a level, by the versions that the subject has, the oldest first. Empty: it would be
/// accepted.
///
/// # Errors
///
/// [`NoSchema`]: one of the texts is no Avro schema. Versions that the level does not ask for are not looked at.
pub fn conflicts(level: Level, registered: &[&str], new: &str) -> Result<Vec<Conflict>, NoSchema> {
    if level.directions().is_empty() {
        return Ok(Vec::new());
    }
    let new = parse(new, None)?;
    let first = if level.is_transitive() { 0 } else { registered.len().saturating_sub(1) };
    let mut found = Vec::new();
    for (index, text) in registered.iter().enumerate().skip(first) {
        let version = index + 1;
        let old = parse(text, Some(version))?;
        for &direction in level.directions() {
            let refused = match direction {
                Direction::Backward => refusal(&old, &new),
                Direction::Forward => refusal(&new, &old),
            };
            found.extend(refused.map(|message| Conflict { version, direction, message }));
        }
    }
    Ok(found)
}

/// Why the reader cannot read everything that the writer may write.
fn refusal(writer: &Schema, reader: &Schema) -> Option<String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => None,
        Ok(Compatibility::Partial) => Some("some of the values cannot be read".to_owned()),
        Err(problem) => Some(words(&problem)),
    }
}

/// The checker's error with its causes, on one line.
fn words(problem: &dyn std::error::Error) -> String {
    let mut text = problem.to_string();
    let mut cause = problem.source();
    while let Some(problem) = cause {
        text = format!("{text}: {problem}");
        cause = problem.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parse(text: &str, version: Option<usize>) -> Result<Schema, NoSchema> {
    let problem = |error| NoSchema { version, source: Box::new(error) };
    let Ok(mut described) = serde_json::from_str::<Value>(text) else {
        return Schema::parse_str(text).map_err(problem);
    };
    forget_logical_types(&mut described);
    Schema::parse(&described).map_err(problem)
}

/// Takes the logical type from every type in a schema; what only looks like one (in a default, a documentation) stays.
fn forget_logical_types(described: &mut Value) {
    match described {
        Value::Array(branches) => branches.iter_mut().for_each(forget_logical_types),
        Value::Object(object) => {
            object.remove("logicalType");
            for property in ["type", "items", "values"] {
                object.get_mut(property).into_iter().for_each(forget_logical_types);
            }
            let fields = object.get_mut("fields").and_then(Value::as_array_mut);
            fields.into_iter().flatten().for_each(forget_logical_types);
        }
        _ => {}
    }
}
