//! Which fields two schemas differ in, for the sentence that explains why a registry refused the new one.
//!
//! This names differences; it does not judge them. The registry has judged already.

use serde_json::{Map, Value};

/// The differences between the schema that a registry holds and ours, one short sentence each: `field note: string ->
/// bytes`, `field x: removed`, `field y: added (long)`. Fields of the row are named plainly, fields of the envelope and of
/// its source block by their path (`source.lsn`). Order of fields, properties and documentation are not compared.
pub fn differences(old: &str, new: &str) -> Vec<String> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(old), Some(new)) = (parse(old), parse(new)) else {
        return vec!["one of the two schemas is not json".to_owned()];
    };
    let mut found = Vec::new();
    let (old_name, new_name) = (full_name(&old), full_name(&new));
    if old_name != new_name {
        found.push(format!("record name: {old_name} -> {new_name}"));
    }
    match (row_of(&old), row_of(&new)) {
        (Some(old_row), Some(new_row)) => {
            compare(&mut found, "", old_row, new_row, &[]);
            compare(&mut found, "", &old, &new, &["before", "after", "source"]);
            if let (Some(old_source), Some(new_source)) = (record_in(&old, "source"), record_in(&new, "source")) {
                compare(&mut found, "source.", old_source, new_source, &[]);
            }
        }
        _ => compare(&mut found, "", &old, &new, &[]),
    }
    found
}

fn compare(found: &mut Vec<String>, path: &str, old: &Value, new: &Value, except: &[&str]) {
    let (old, new) = (fields(old), fields(new));
    for (name, old_type) in &old {
        if except.contains(&name.as_str()) {
            continue;
        }
        match new.get(name) {
            None => found.push(format!("field {path}{name}: removed")),
            Some(new_type) if new_type != old_type => {
                found.push(format!("field {path}{name}: {} -> {}", words(old_type), words(new_type)));
            }
            Some(_) => {}
        }
    }
    for (name, new_type) in &new {
        if !old.contains_key(name) && !except.contains(&name.as_str()) {
            found.push(format!("field {path}{name}: added ({})", words(new_type)));
        }
    }
}

fn words(described: &Value) -> &str {
    described.as_str().unwrap_or_default()
}

/// The fields of a record, each with its type in words.
fn fields(record: &Value) -> Map<String, Value> {
    let fields = record.get("fields").and_then(Value::as_array).into_iter().flatten();
    fields
        .filter_map(|field| {
            let name = field.get("name")?.as_str()?.to_owned();
            Some((name, Value::from(describe(field.get("type")?))))
        })
        .collect()
}

/// A type in words: `string`, `bytes decimal(12,2)`, `long or null`.
fn describe(kind: &Value) -> String {
    match kind {
        Value::String(name) => name.clone(),
        Value::Array(branches) => {
            let null = branches.iter().any(|branch| branch == "null");
            let mut words: Vec<_> = branches.iter().filter(|branch| *branch != "null").map(describe).collect();
            if null {
                words.push("null".to_owned());
            }
            words.join(" or ")
        }
        Value::Object(object) => describe_object(object),
        _ => "?".to_owned(),
    }
}

fn describe_object(object: &Map<String, Value>) -> String {
    let base = object.get("type").map(describe).unwrap_or_default();
    if let Some(items) = object.get("items") {
        // Every element may be NULL: to say so would only be in the way of "or null" for the array itself.
        let items = describe(items);
        return format!("array of {}", items.strip_suffix(" or null").unwrap_or(&items));
    }
    if let Some(values) = object.get("values") {
        return format!("map of {}", describe(values));
    }
    if let Some(name) = object.get("name").and_then(Value::as_str) {
        return format!("{base} {name}");
    }
    match object.get("logicalType").and_then(Value::as_str) {
        None => base,
        Some("decimal") => {
            let number = |attribute| object.get(attribute).and_then(Value::as_u64).unwrap_or(0);
            format!("{base} decimal({},{})", number("precision"), number("scale"))
        }
        Some(logical) => format!("{base} {logical}"),
    }
}

/// The record of the table's row: the type of `before`.
fn row_of(envelope: &Value) -> Option<&Value> {
    record_in(envelope, "before")
}

/// The record that a field of `record` is, or that is a branch of its union.
fn record_in<'a>(record: &'a Value, field: &str) -> Option<&'a Value> {
    let fields = record.get("fields")?.as_array()?;
    let kind = fields.iter().find(|candidate| candidate.get("name").is_some_and(|name| name == field))?.get("type")?;
    let is_record = |kind: &&Value| kind.get("fields").is_some();
    match kind {
        Value::Array(branches) => branches.iter().find(is_record),
        kind => Some(kind).filter(is_record),
    }
}

fn full_name(record: &Value) -> String {
    let part = |attribute| record.get(attribute).and_then(Value::as_str).unwrap_or_default();
    match (part("namespace"), part("name")) {
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, info, orders};
    use crate::schema::{Naming, key_schema, value_schema};
    use change::{ColumnType, Element, Table};

    #[test]
    fn equal_schemas_do_not_differ() {
        let naming = Naming { prefix: "shop".to_owned() };
        let text = value_schema(&orders(), &info(), &naming);
        assert_eq!(differences(&text, &text), Vec::<String>::new());
    }

    #[test]
    fn the_fields_that_differ_are_named() {
        let naming = Naming { prefix: "shop".to_owned() };
        let (old, mut source) = (Table::clone(&orders()), info());
        let mut new = old.clone();
        new.columns[4].kind = ColumnType::Decimal { precision: 42, scale: 3 };
        new.columns[5].kind = ColumnType::Bytes;
        new.columns[12].kind = ColumnType::Array { element: Element::Long, separator: b',' };
        new.columns.remove(2);
        new.columns.push(column("y", ColumnType::Long, "bigint", None));
        let old_text = value_schema(&old, &source, &naming);
        source.columns.pop();
        let found = differences(&old_text, &value_schema(&new, &source, &naming));
        assert_eq!(
            found,
            [
                "field weight: removed",
                "field amount: bytes decimal(40,2) or null -> bytes decimal(42,3) or null",
                "field note: string or null -> bytes or null",
                "field tags: array of string or null -> array of long or null",
                "field y: added (long or null)",
                "field source.lsn: removed",
            ]
        );
        new.key = vec![1];
        new.name.table = "bills".to_owned();
        let key = |table| key_schema(table, &naming).unwrap();
        assert_eq!(
            differences(&key(&old), &key(&new)),
            [
                "record name: shop.public.orders.Key -> shop.public.bills.Key",
                "field id: removed",
                "field paid: added (boolean)"
            ]
        );
    }

    #[test]
    fn what_is_not_a_schema_is_said() {
        assert_eq!(differences("{", "{}"), ["one of the two schemas is not json"]);
        assert_eq!(differences("\"string\"", "\"string\""), Vec::<String>::new());
    }
}
