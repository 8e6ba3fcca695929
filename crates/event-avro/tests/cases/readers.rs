//! Two readers of rows that were written with another schema, and what became of the values.
//!
//! The first is `apache-avro` with its own resolution. The second follows the rules of Avro's Java library, which decodes with the
//! writer's schema, resolves by name and base type, and then applies the *reader's* logical type to what it got.
//! Schemas are JSON here, and may be those of a row or of an envelope, of which `after` is the row.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use event_avro::compatibility::Verdict;
use serde_json::Value as Json;

/// What a consumer's program holds for a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Null,
    /// The reader's own default, because nothing was written.
    Default(String),
    /// What it takes it for, and the value.
    Value(String, String),
}

/// By the fields of the reader's schema.
pub(crate) type Row = BTreeMap<String, Seen>;

/// What became of a value on the way to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Same,
    /// Null or a default, where nothing was written.
    Blank,
    /// The reader failed.
    Error,
    /// Another value, null in the place of one, or one of another type.
    Wrong,
}

/// The rules of Avro's Java library.
pub(crate) fn java(writer: &Json, reader: &Json, bytes: &[u8]) -> Result<Row, String> {
    let raw = row(decode(&without_logical_types(writer), bytes)?)?;
    let mut seen = Row::new();
    for field in fields(reader) {
        let names = [field["name"].as_str()]
            .into_iter()
            .chain(field["aliases"].as_array().into_iter().flatten().map(Json::as_str));
        let found = names.flatten().find_map(|name| raw.iter().find(|(written, _)| written == name));
        let value = match (found, field.get("default")) {
            (Some((_, value)), _) => resolve(value, &field["type"])?,
            (None, Some(Json::Null)) => Seen::Null,
            (None, Some(default)) => Seen::Default(default.to_string()),
            (None, None) => return Err(format!("nothing was written for {}, which has no default", field["name"])),
        };
        seen.insert(field["name"].as_str().unwrap_or_default().to_owned(), value);
    }
    Ok(seen)
}

/// `apache-avro`. It does not tell a default from a value, so that the schemas have to.
pub(crate) fn rust(writer: &Json, reader: &Json, bytes: &[u8]) -> Result<Row, String> {
    let said = |error: apache_avro::Error| error.to_string();
    let (written, schema) = (Schema::parse(writer).map_err(said)?, Schema::parse(reader).map_err(said)?);
    let resolving = GenericDatumReader::builder(&written).reader_schema(&schema).build().map_err(said)?;
    let read = row(resolving.read_value(&mut &bytes[..]).map_err(said)?)?;
    let names: BTreeSet<&str> = fields(writer).filter_map(|field| field["name"].as_str()).collect();
    let mut seen = Row::new();
    for (field, (name, value)) in fields(reader).zip(&read) {
        let aliases = field["aliases"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let was_written = aliases.chain([name.as_str()]).any(|name| names.contains(name));
        let shown = match plain(value) {
            Value::Null => Seen::Null,
            _ if !was_written => Seen::Default(field["default"].to_string()),
            value => show(&value, branch(&value, &field["type"])?)?,
        };
        seen.insert(name.clone(), shown);
    }
    Ok(seen)
}

/// What became of a row. `written` is the row as its writer sees it; `sources` names, of the fields of the reader that are not
/// called as they are for the writer, both names: the reader's, and the writer's (empty: none is the same column).
pub(crate) fn outcomes(written: &Row, seen: &Result<Row, String>, sources: &[(&str, &str)]) -> BTreeSet<Outcome> {
    let Ok(seen) = seen else { return BTreeSet::from([Outcome::Error]) };
    let of_field = |(name, shown): (&String, &Seen)| {
        let source = sources.iter().find(|(mine, _)| mine == name).map_or(name.as_str(), |(_, theirs)| theirs);
        match written.get(source) {
            Some(value) if value == shown => Outcome::Same,
            Some(_) => Outcome::Wrong,
            None if matches!(shown, Seen::Value(..)) => Outcome::Wrong,
            None => Outcome::Blank,
        }
    };
    seen.iter().map(of_field).collect()
}

/// A reader: the writer's schema, its own, and a row.
pub(crate) type Reader = fn(&Json, &Json, &[u8]) -> Result<Row, String>;

/// What happened to a running and to a replaying consumer.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) running: BTreeSet<Outcome>,
    pub(crate) replaying: BTreeSet<Outcome>,
}

impl Happened {
    fn has(&self, outcome: Outcome) -> bool {
        self.running.contains(&outcome) || self.replaying.contains(&outcome)
    }

    pub(crate) fn is_harm(&self) -> bool {
        self.has(Outcome::Wrong) || self.has(Outcome::Error)
    }

    /// Whether the verdict is what happened, as this reader has it.
    pub(crate) fn is(&self, verdict: Verdict) -> bool {
        let fails = |outcomes: &BTreeSet<Outcome>| outcomes.contains(&Outcome::Error);
        let found = match () {
            () if self.has(Outcome::Wrong) => Verdict::CorruptsSilently,
            () if fails(&self.running) => Verdict::BreaksRunning,
            () if fails(&self.replaying) => Verdict::BreaksReplay,
            () => Verdict::SafeIfAgreed,
        };
        // Whether people have agreed to it cannot be read from values.
        found == verdict.max(Verdict::SafeIfAgreed)
    }
}

/// Decodes a row or an envelope with the schema that it was written with.
fn decode(writer: &Json, bytes: &[u8]) -> Result<Value, String> {
    let schema = Schema::parse(writer).map_err(|error| error.to_string())?;
    let reader = GenericDatumReader::builder(&schema).build().map_err(|error| error.to_string())?;
    let mut rest = bytes;
    let value = reader.read_value(&mut rest).map_err(|error| error.to_string())?;
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes are left", rest.len())) }
}

/// The fields of the row.
pub(crate) fn fields(schema: &Json) -> impl Iterator<Item = &Json> {
    let all = schema["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let before = all.iter().find(|field| field["name"] == "before").map(|field| &field["type"][1]["fields"]);
    before.and_then(Json::as_array).map_or(all, Vec::as_slice).iter()
}

fn row(value: Value) -> Result<Vec<(String, Value)>, String> {
    let Value::Record(mut fields) = value else { return Err("no record".to_owned()) };
    match fields.iter().position(|(name, _)| name == "after") {
        None => Ok(fields),
        Some(at) => row(plain(&fields.swap_remove(at).1)),
    }
}

/// Without the union around it, and without a logical type.
fn plain(value: &Value) -> Value {
    match value {
        Value::Union(_, value) => plain(value),
        Value::Date(days) | Value::TimeMillis(days) => Value::Int(*days),
        Value::TimeMicros(count)
        | Value::TimestampMillis(count)
        | Value::TimestampMicros(count)
        | Value::TimestampNanos(count)
        | Value::LocalTimestampMillis(count)
        | Value::LocalTimestampMicros(count)
        | Value::LocalTimestampNanos(count) => Value::Long(*count),
        Value::Decimal(number) => Value::Bytes(Vec::try_from(number).unwrap_or_default()),
        Value::Uuid(uuid) => Value::String(uuid.to_string()),
        value => value.clone(),
    }
}

/// The branch of a union that a value without a logical type is one of; any other type itself.
fn branch<'a>(value: &Value, kind: &'a Json) -> Result<&'a Json, String> {
    let Json::Array(branches) = kind else { return Ok(kind) };
    let fits = |branch: &&Json| base(branch) == base_of(value);
    branches.iter().find(fits).ok_or_else(|| format!("no branch for a {}", base_of(value)))
}

fn base(kind: &Json) -> &str {
    kind.as_str().or_else(|| kind["type"].as_str()).unwrap_or_default()
}

fn base_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "boolean",
        Value::Int(_) => "int",
        Value::Long(_) => "long",
        Value::Float(_) => "float",
        Value::Double(_) => "double",
        Value::Bytes(_) => "bytes",
        Value::String(_) => "string",
        Value::Fixed(..) => "fixed",
        Value::Enum(..) => "enum",
        Value::Array(_) => "array",
        _ => "something else",
    }
}

/// Java's resolution of a value to a reader's type, and the reader's logical type applied to what comes out.
fn resolve(value: &Value, kind: &Json) -> Result<Seen, String> {
    let value = plain(value);
    if let Json::Array(branches) = kind {
        if let Ok(exact) = branch(&value, kind) {
            return resolve(&value, exact);
        }
        let resolved = branches.iter().find_map(|branch| resolve(&value, branch).ok());
        return resolved.ok_or_else(|| format!("found {}, expecting {kind}", base_of(&value)));
    }
    #[expect(clippy::cast_precision_loss, reason = "java's own promotion")]
    let promoted = match (value, base(kind)) {
        (value, base) if base_of(&value) == base => value,
        (Value::Int(number), "long") => Value::Long(number.into()),
        (Value::Int(number), "float") => Value::Float(number as f32),
        (Value::Int(number), "double") => Value::Double(number.into()),
        (Value::Long(number), "float") => Value::Float(number as f32),
        (Value::Long(number), "double") => Value::Double(number as f64),
        (Value::Float(number), "double") => Value::Double(number.into()),
        (Value::String(text), "bytes") => Value::Bytes(text.into_bytes()),
        (Value::Bytes(bytes), "string") => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        (value, base) => return Err(format!("found {}, expecting {base}", base_of(&value))),
    };
    match &promoted {
        Value::Enum(_, symbol) if !has_symbol(kind, symbol) => match kind["default"].as_str() {
            Some(default) => Ok(Seen::Value("enum".to_owned(), default.to_owned())),
            None => Err(format!("no match for {symbol}")),
        },
        Value::Fixed(size, _) if Some(*size as u64) != kind["size"].as_u64() => Err("size of fixed".to_owned()),
        value => show(value, kind),
    }
}

fn has_symbol(kind: &Json, symbol: &str) -> bool {
    kind["symbols"].as_array().is_some_and(|symbols| symbols.iter().any(|known| known == symbol))
}

/// A value as a reader's program has it, once the logical type is applied.
fn show(value: &Value, kind: &Json) -> Result<Seen, String> {
    let seen = |kind: &str, text: String| Ok(Seen::Value(kind.to_owned(), text));
    let logical = kind["logicalType"].as_str().unwrap_or_default();
    match (value, logical.rsplit_once('-')) {
        (Value::Null, _) => Ok(Seen::Null),
        // A program that goes by Kafka Connect's name for it.
        (Value::Long(number), _) if kind["connect.name"].is_string() => {
            seen(kind["connect.name"].as_str().unwrap_or_default(), number.to_string())
        }
        (Value::Bytes(bytes), _) if logical == "decimal" => Ok(decimal(bytes, kind)),
        (Value::String(text), _) if logical == "uuid" => match text.len() {
            36 => seen("uuid", text.to_lowercase()),
            _ => Err(format!("invalid uuid {text}")),
        },
        (Value::Int(days), _) if logical == "date" => seen("date", days.to_string()),
        (Value::Int(count), Some((kind, unit))) => seen(kind, nanoseconds((*count).into(), unit)),
        (Value::Long(count), Some((kind, unit))) => seen(kind, nanoseconds((*count).into(), unit)),
        (Value::Int(number), _) => seen("number", number.to_string()),
        (Value::Long(number), _) => seen("number", number.to_string()),
        (Value::Float(number), _) => seen("number", f64::from(*number).to_string()),
        (Value::Double(number), _) => seen("number", number.to_string()),
        (Value::Boolean(flag), _) => seen("boolean", flag.to_string()),
        (Value::String(text), _) => seen("text", text.clone()),
        (Value::Bytes(bytes) | Value::Fixed(_, bytes), _) => seen("bytes", format!("{bytes:02x?}")),
        (Value::Enum(_, symbol), _) => seen("enum", symbol.clone()),
        (Value::Array(items), _) => {
            let items: Vec<Seen> = items.iter().map(|item| resolve(item, &kind["items"])).collect::<Result<_, _>>()?;
            seen("array", format!("{items:?}"))
        }
        (other, _) => Err(format!("{other:?} is not expected in a test")),
    }
}

fn nanoseconds(count: i128, unit: &str) -> String {
    let each = match unit {
        "millis" => 1_000_000,
        "micros" => 1_000,
        _ => 1,
    };
    (count * each).to_string()
}

/// The number without trailing zeros, as one scale has more of them than another; and a type that tells one of more digits than it says
/// it has.
fn decimal(bytes: &[u8], kind: &Json) -> Seen {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let unscaled = bytes.iter().fold(if negative { -1 } else { 0 }, |sum: i128, byte| (sum << 8) | i128::from(*byte));
    let digits = unscaled.unsigned_abs().to_string();
    let scale = kind["scale"].as_u64().and_then(|scale| usize::try_from(scale).ok()).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let text = format!("{}{whole}.{fraction}", if negative { "-" } else { "" });
    let fits = kind["precision"].as_u64().is_some_and(|most| digits.len() as u64 <= most);
    let name = if fits { "decimal" } else { "decimal with too many digits" };
    Seen::Value(name.to_owned(), text.trim_end_matches('0').to_owned())
}

/// The schema of what is on the wire.
pub(crate) fn without_logical_types(schema: &Json) -> Json {
    match schema {
        Json::Array(items) => items.iter().map(without_logical_types).collect(),
        Json::Object(object) => {
            let kept = object.iter().filter(|(property, _)| *property != "logicalType");
            Json::Object(kept.map(|(property, value)| (property.clone(), without_logical_types(value))).collect())
        }
        other => other.clone(),
    }
}
