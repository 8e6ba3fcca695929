//! What of a table, or of a registered schema, matters for judging a change: a flat list of fields, and the key.
//!
//! A table is lowered by way of the schema text that it has, so that a table and the schema that was registered for it can
//! not be told apart, but for what a schema does not say: column numbers and the replica identity.

use change::{Identity, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::form::Form;
use crate::name;
use crate::schema::{Naming, key_schema, push_row};

/// The shape of a table as its consumers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// The name of the row's record, without its namespace: readers compare it.
    pub record: String,
    /// Whether the row comes inside an envelope, as `before` and `after`.
    pub in_envelope: bool,
    pub fields: Vec<Field>,
    /// The key's fields in their order; empty: no key. `None`: not known.
    pub key: Option<Vec<KeyField>>,
    /// [`Identity::name`]; `None`: not known, a schema does not say.
    pub identity: Option<String>,
    /// See [`Table::relation`]; a schema does not say.
    #[serde(default)]
    pub relation: Option<u32>,
}

/// One column as a field of the row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The Avro name.
    pub name: String,
    /// The column's name in the database.
    pub column: String,
    pub form: Form,
    /// Whether the Avro type admits null.
    pub optional: bool,
    /// What a reader takes where the writer has no such field. `Some(Null)` is the default null.
    #[serde(default, with = "present")]
    pub default: Option<Value>,
    pub aliases: Vec<String>,
    /// The type as the server prints it. `None`: a schema of somebody else.
    pub sql_type: Option<String>,
    /// Whether the database's column admits NULL, where that is known.
    pub nullable: Option<bool>,
    /// The labels of an enum, where they are known.
    pub labels: Vec<String>,
    /// See [`change::Column::number`].
    pub number: Option<u32>,
}

/// One field of the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyField {
    /// The Avro name; empty where the key is not a record.
    pub name: String,
    pub form: Form,
}

/// A schema text that no shape can be read from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoShape {
    #[error("the {which} schema is not json")]
    NotJson { which: &'static str },
    #[error("the value schema is not a record")]
    NotARecord,
}

impl Shape {
    /// The shape of a table in the default profile.
    pub fn of_table(table: &Table) -> Self {
        let mut row = String::new();
        push_row(&mut row, table);
        // A namespace does not matter here, but key schemas have one.
        let key = key_schema(table, &Naming { prefix: "judged".to_owned() });
        let mut shape = Self::of_row(&parsed(&row), key.as_deref().map(parsed).as_ref(), true);
        shape.key.get_or_insert_default();
        shape.identity = Some(table.identity.name().to_owned());
        shape.relation = table.relation;
        for (field, column) in shape.fields.iter_mut().zip(&table.columns) {
            field.number = column.number;
        }
        shape
    }

    /// The shape that registered schemas describe. Of an envelope the record of the row is taken; any other record is
    /// taken for the row itself. Without a key schema the key is not known.
    ///
    /// # Errors
    ///
    /// [`NoShape`]: a text is not JSON, or the value is not a record.
    pub fn of_schemas(key: Option<&str>, value: &str) -> Result<Self, NoShape> {
        let parse = |text: &str, which| serde_json::from_str(text).map_err(|_| NoShape::NotJson { which });
        let key = key.map(|text| parse(text, "key")).transpose()?;
        let value = parse(value, "value")?;
        if let Some(row) = row_of(&value) {
            return Ok(Self::of_row(row, key.as_ref(), true));
        }
        if value.get("fields").is_none() {
            return Err(NoShape::NotARecord);
        }
        Ok(Self::of_row(&value, key.as_ref(), false))
    }

    fn of_row(row: &Value, key: Option<&Value>, in_envelope: bool) -> Self {
        Self {
            record: text(row, "name").unwrap_or_default(),
            in_envelope,
            fields: objects(row, "fields").map(Field::read).collect(),
            key: key.map(key_fields),
            identity: None,
            relation: None,
        }
    }

    /// Whether this may be `known`, for all that is known here: a catalogue that has gone on since cannot say what number
    /// a column of then had, or whether it admitted null.
    pub fn may_be(&self, known: &Self) -> bool {
        if self.fields.len() != known.fields.len() {
            return false;
        }
        let mut filled = self.clone();
        for (field, known) in filled.fields.iter_mut().zip(&known.fields) {
            field.number = field.number.or(known.number);
            field.nullable = field.nullable.or(known.nullable);
        }
        filled == *known
    }

    /// Whether column numbers tell what became of each column: of one table, and on both sides.
    pub fn numbers_prove(&self, new: &Self) -> bool {
        let is_numbered = |shape: &Self| shape.fields.iter().all(|field| field.number.is_some());
        self.relation == new.relation && is_numbered(self) && is_numbered(new)
    }

    /// This shape with the names that SQL types have in another one: a server has several names for a type, and its log and
    /// its catalogue need not agree (`bigint` and `bigint(20)`).
    #[must_use]
    pub fn spelled_as(&self, other: &Self) -> Self {
        let mut spelled = self.clone();
        for (field, other) in spelled.fields.iter_mut().zip(&other.fields) {
            field.sql_type.clone_from(&other.sql_type);
        }
        spelled
    }

    /// The fields by which a reader with this schema finds its values in data of another.
    pub(super) fn find(&self, column: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.column == column)
    }
}

impl Field {
    fn read(described: &Map<String, Value>) -> Self {
        let text = |property: &str| described.get(property).and_then(Value::as_str).map(str::to_owned);
        let name = text("name").unwrap_or_default();
        let (form, optional) = Form::read(described.get("type").unwrap_or(&Value::Null));
        Self {
            column: text("headwater.column").unwrap_or_else(|| name::unmangle(&name).into_owned()),
            name,
            form,
            optional,
            default: described.get("default").cloned(),
            aliases: strings(described.get("aliases")),
            sql_type: text("headwater.sql_type"),
            nullable: described.get("headwater.nullable").and_then(Value::as_bool),
            labels: strings(described.get("headwater.labels")),
            number: None,
        }
    }

    /// The field of the writer that a reader's field takes its values from.
    pub(super) fn source<'a>(&self, writer: &'a Shape) -> Option<&'a Field> {
        let by_name = |name: &String| writer.fields.iter().find(|field| field.name == *name);
        by_name(&self.name).or_else(|| self.aliases.iter().find_map(by_name))
    }
}

fn key_fields(key: &Value) -> Vec<KeyField> {
    let field = |name: String, kind: &Value| KeyField { name, form: Form::read(kind).0 };
    if key.get("fields").is_none() {
        return vec![field(String::new(), key)];
    }
    let read = |described: &Map<String, Value>| {
        let name = described.get("name").and_then(Value::as_str).unwrap_or_default();
        field(name.to_owned(), described.get("type").unwrap_or(&Value::Null))
    };
    objects(key, "fields").map(read).collect()
}

/// The record of the row, if this is an envelope: `before`, `after` and `op`.
fn row_of(value: &Value) -> Option<&Value> {
    let kind = |name: &str| {
        let field = objects(value, "fields").find(|field| field.get("name").is_some_and(|found| found == name));
        field.and_then(|field| field.get("type"))
    };
    let record = |kind: &'_ Value| kind.get("fields").is_some();
    let (before, _after, _op) = (kind("before")?, kind("after")?, kind("op")?);
    match before {
        Value::Array(branches) => branches.iter().find(|branch| record(branch)),
        kind => Some(kind).filter(|kind| record(kind)),
    }
}

fn objects<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    value.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn text(value: &Value, property: &str) -> Option<String> {
    value.get(property).and_then(Value::as_str).map(str::to_owned)
}

pub(super) fn strings(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A text of ours, which is JSON; if it were not, the shape would have no fields, and no change would be safe.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Tells a default null from no default, which serde takes for the same.
mod present {
    use super::{Deserialize, Serialize, Value};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(default: &Option<Value>, to: S) -> Result<S::Ok, S::Error> {
        default.as_slice().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
        Ok(Vec::<Value>::deserialize(from)?.pop())
    }
}

/// What the log carries less of after the change, from most to least.
pub(super) fn extent(identity: &str) -> u8 {
    let names = [Identity::Nothing, Identity::Default, Identity::Full].map(Identity::name);
    match names.iter().position(|name| *name == identity) {
        Some(0) => 0,
        Some(2) => 2,
        _ => 1,
    }
}
