//! A table as its registered schemas remember it: what the road from a table to its schemas ([`schema`](crate::schema)) keeps,
//! read back.

use change::{Column, ColumnType, Identity, Table, TableName};
use serde_json::Value;

use crate::name;

/// Two schemas that no table can be read from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTable {
    #[error("the {what} schema is not JSON: {reason}")]
    NotJson { what: &'static str, reason: String },
    #[error("the {what} schema is no record, nor an envelope with a record of the row")]
    NoRecord { what: &'static str },
    #[error("the field {field} has a type that headwater does not make: {found}")]
    Type { field: String, found: String },
    #[error("the key's field {field} is no field of the row")]
    Key { field: String },
}

/// The table of a key schema and a value schema, be that an envelope or the row alone. What schemas do not keep is not known:
/// the SQL type is empty where the property is missing, there are no numbers of columns, and the replica identity is the
/// default.
///
/// # Errors
///
/// The texts are no schemas of a row, or have types that [`value_schema`](crate::value_schema) does not write.
pub fn registered_table(name: &TableName, key: Option<&str>, value: &str) -> Result<Table, NoTable> {
    let value = parse(value, "value")?;
    let row = row_of(&value).ok_or(NoTable::NoRecord { what: "value" })?;
    let fields: Vec<&Value> = fields(row).collect();
    let columns = fields.iter().map(|field| column(field)).collect::<Result<_, _>>()?;
    let mut indexes = Vec::new();
    if let Some(key) = key {
        let key = parse(key, "key")?;
        if key.get("fields").is_none() {
            return Err(NoTable::NoRecord { what: "key" });
        }
        for field in self::fields(&key).map(field_name) {
            let index = fields.iter().position(|candidate| field_name(candidate) == field);
            indexes.push(index.ok_or_else(|| NoTable::Key { field: field.to_owned() })?);
        }
    }
    Ok(Table { name: name.clone(), columns, key: indexes, identity: Identity::Default })
}

fn parse(text: &str, what: &'static str) -> Result<Value, NoTable> {
    serde_json::from_str(text).map_err(|error| NoTable::NotJson { what, reason: error.to_string() })
}

/// The record of the row: the type of an envelope's `before`, or the schema itself.
fn row_of(schema: &Value) -> Option<&Value> {
    let before = fields(schema).find(|field| field_name(field) == "before").and_then(|field| field.get("type"));
    let envelope = fields(schema).any(|field| field_name(field) == "op");
    match before {
        Some(Value::Array(branches)) if envelope => branches.iter().find(|branch| branch.get("fields").is_some()),
        _ => Some(schema).filter(|schema| schema.get("fields").is_some()),
    }
}

fn fields(record: &Value) -> impl Iterator<Item = &Value> {
    record.get("fields").and_then(Value::as_array).into_iter().flatten()
}

fn field_name(field: &Value) -> &str {
    field.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn column(field: &Value) -> Result<Column, NoTable> {
    let text = |property: &str| field.get(property).and_then(Value::as_str);
    let labels = field.get("headwater.labels").and_then(Value::as_array).into_iter().flatten();
    let kind = field.get("type").and_then(form);
    let unknown = || NoTable::Type {
        field: field_name(field).to_owned(),
        found: field.get("type").map(Value::to_string).unwrap_or_default(),
    };
    Ok(Column {
        name: text("headwater.column").map_or_else(|| name::unmangle(field_name(field)).into_owned(), str::to_owned),
        kind: kind.ok_or_else(unknown)?,
        sql_type: text("headwater.sql_type").unwrap_or_default().to_owned(),
        labels: labels.filter_map(Value::as_str).map(str::to_owned).collect(),
        nullable: field.get("headwater.nullable").and_then(Value::as_bool),
        number: None,
    })
}

/// The form that a type was written for. `["null", T]` is that of `T`.
fn form(kind: &Value) -> Option<ColumnType> {
    match kind {
        Value::Array(branches) => {
            let mut others = branches.iter().filter(|branch| *branch != "null");
            others.next().filter(|_| others.next().is_none()).and_then(form)
        }
        Value::String(name) => primitive(name),
        Value::Object(object) => {
            let base = object.get("type").and_then(Value::as_str)?;
            if base == "array" {
                let element = form(object.get("items")?)?.as_element();
                return Some(ColumnType::Array { element, separator: b',' });
            }
            let number =
                |name: &str| object.get(name).and_then(Value::as_u64).and_then(|size| u32::try_from(size).ok());
            match object.get("logicalType").and_then(Value::as_str) {
                None => primitive(base),
                Some("uuid") => Some(ColumnType::Uuid),
                Some("date") => Some(ColumnType::Date),
                Some("time-micros") => Some(ColumnType::Time),
                Some("local-timestamp-micros") => Some(ColumnType::LocalTimestamp),
                Some("timestamp-micros") => Some(ColumnType::Timestamp),
                Some("decimal") => {
                    Some(ColumnType::Decimal { precision: number("precision")?, scale: number("scale").unwrap_or(0) })
                }
                Some(_) => None,
            }
        }
        _ => None,
    }
}

fn primitive(name: &str) -> Option<ColumnType> {
    Some(match name {
        "boolean" => ColumnType::Boolean,
        // What other writers use for small ones.
        "int" | "long" => ColumnType::Long,
        "float" => ColumnType::Float,
        "double" => ColumnType::Double,
        "string" => ColumnType::Text,
        "bytes" => ColumnType::Bytes,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{info, orders};
    use crate::schema::{Naming, key_schema, value_schema};

    #[test]
    fn a_table_comes_back_from_its_schemas() {
        let naming = Naming { prefix: "shop".to_owned() };
        let mut table = Table::clone(&orders());
        table.columns[1].name = "odd name".to_owned();
        table.columns[5].labels = vec!["a".to_owned(), "so \"so\"".to_owned()];
        table.key = vec![4, 0];
        table.identity = Identity::Default;
        let value = value_schema(&table, &info(), &naming);
        let key = key_schema(&table, &naming);
        let back = registered_table(&table.name, key.as_deref(), &value).unwrap();
        for column in &mut table.columns {
            column.number = None;
        }
        assert_eq!(back, table);
        let row = serde_json::from_str::<Value>(&value).unwrap();
        let row = row_of(&row).unwrap().to_string();
        assert_eq!(registered_table(&table.name, None, &row).unwrap().columns, table.columns);
    }

    #[test]
    fn what_is_no_table_is_said() {
        let name = TableName::new("a", "b");
        let error = |key: Option<&str>, value: &str| registered_table(&name, key, value).unwrap_err().to_string();
        assert!(error(None, "{").starts_with("the value schema is not JSON"));
        assert_eq!(error(None, "\"string\""), NoTable::NoRecord { what: "value" }.to_string());
        let row = |kind: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{kind}}}]}}"#);
        assert!(error(None, &row(r#"["string","long"]"#)).contains("the field a has a type"));
        assert_eq!(
            error(Some(&row("\"long\"").replace("\"a\"", "\"b\"")), &row("\"long\"")),
            "the key's field b is no field of the row"
        );
    }
}
