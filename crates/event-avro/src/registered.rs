//! A table as its registered schemas remember it: what the road from a table to its schemas ([`schema`](crate::schema)) keeps,
//! read back.

use change::{Column, ColumnType, Identity, Table, TableName};

use crate::compatibility::{Base, Field, Form, Logical, NoShape, Shape};

/// Two schemas that no table can be read from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTable {
    #[error(transparent)]
    Shape(#[from] NoShape),
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
    let shape = Shape::of_schemas(key, value)?;
    let columns = shape.fields.iter().map(column).collect::<Result<_, _>>()?;
    let place = |key: &str| {
        let found = shape.fields.iter().position(|field| field.name == key);
        found.ok_or_else(|| NoTable::Key { field: key.to_owned() })
    };
    let key = shape.key.iter().flatten().map(|field| place(&field.name)).collect::<Result<_, _>>()?;
    Ok(Table { name: name.clone(), columns, key, identity: Identity::Default, relation: None })
}

fn column(field: &Field) -> Result<Column, NoTable> {
    let unknown = || NoTable::Type { field: field.name.clone(), found: field.form.words() };
    Ok(Column {
        name: field.column.clone(),
        kind: column_type(&field.form).ok_or_else(unknown)?,
        sql_type: field.sql_type.clone().unwrap_or_default(),
        labels: field.labels.clone(),
        nullable: field.nullable,
        number: None,
    })
}

/// The form that a type was written for.
fn column_type(form: &Form) -> Option<ColumnType> {
    Some(match (&form.logical, &form.base) {
        (Some(Logical::Decimal { precision, scale }), Base::Bytes) => {
            ColumnType::Decimal { precision: u32::try_from(*precision).ok()?, scale: u32::try_from(*scale).ok()? }
        }
        (Some(Logical::Time { kind, unit }), Base::Long) if unit == "micros" => match kind.as_str() {
            "time" => ColumnType::Time,
            "local-timestamp" => ColumnType::LocalTimestamp,
            "timestamp" => ColumnType::Timestamp,
            _ => return None,
        },
        (Some(Logical::Named(name)), Base::String) if name == "uuid" => ColumnType::Uuid,
        (Some(Logical::Named(name)), Base::Int) if name == "date" => ColumnType::Date,
        (Some(_), _) => return None,
        (None, Base::Boolean) => ColumnType::Boolean,
        // Other writers have `int` for small ones.
        (None, Base::Int | Base::Long) => ColumnType::Long,
        (None, Base::Float) => ColumnType::Float,
        (None, Base::Double) => ColumnType::Double,
        (None, Base::String) => ColumnType::Text,
        (None, Base::Bytes) => ColumnType::Bytes,
        (None, Base::Array { items, .. }) => match column_type(items)? {
            // Ours are flat.
            ColumnType::Array { .. } => return None,
            element => ColumnType::Array { element: element.as_element(), separator: b',' },
        },
        (None, Base::Fixed { .. } | Base::Enum { .. } | Base::Other(_)) => return None,
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
        let envelope = serde_json::from_str::<serde_json::Value>(&value).unwrap();
        let row = envelope["fields"][0]["type"][1].to_string();
        assert_eq!(registered_table(&table.name, None, &row).unwrap().columns, table.columns);
    }

    #[test]
    fn what_is_no_table_is_said() {
        let name = TableName::new("a", "b");
        let error = |key: Option<&str>, value: &str| registered_table(&name, key, value).unwrap_err().to_string();
        assert_eq!(error(None, "{"), "the value schema is not json");
        assert_eq!(error(None, "\"string\""), "the value schema is not a record");
        let row = |kind: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{kind}}}]}}"#);
        assert!(error(None, &row(r#"["string","long"]"#)).contains("the field a has a type"));
        let nested = row(r#"{"type":"array","items":{"type":"array","items":"long"}}"#);
        assert!(error(None, &nested).ends_with("does not make: array of array of long"));
        assert_eq!(
            error(Some(&row("\"long\"").replace("\"a\"", "\"b\"")), &row("\"long\"")),
            "the key's field b is no field of the row"
        );
    }
}
