//! The server as the judge of what events say. It does not know which road an event came on.

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Database, Event};

use super::Column;
use crate::support::Scene;

/// What the connector's connection pins.
const PIN: &str = "set datestyle = 'ISO, YMD'; set intervalstyle = iso_8601; set timezone = 'UTC'; \
                   set extra_float_digits = 3; set bytea_output = hex; set lc_monetary = 'C'; set search_path = pg_catalog;";

/// Every field has the form that its type is documented to have.
pub(super) fn forms(scene: &Scene, events: &[Event], columns: &[Column]) -> Result<()> {
    let id = events.first().and_then(Event::value_schema_id).context("no schema")?;
    let schema = scene.oracle().schema(id)?;
    let row = &schema["fields"][0]["type"][1]["fields"];
    for column in columns {
        let fields = row.as_array().context("a row has fields")?;
        let field = fields.iter().find(|field| field["name"] == column.name).context("no field")?;
        let mut form = &field["type"][1];
        if column.is_array {
            assert_eq!(form["type"], "array", "{}", column.sql);
            form = &form["items"][1];
        }
        // The elements of an entry that is itself one of arrays are of many forms; its values are judged all the same.
        if column.form != "array" {
            assert_eq!(words(form), column.form, "{}", column.sql);
        }
    }
    Ok(())
}

fn words(form: &Json) -> String {
    match (form["logicalType"].as_str(), form.as_str()) {
        (Some("decimal"), _) => {
            format!("decimal({},{})", form["precision"], form["scale"].as_u64().unwrap_or_default())
        }
        (Some(logical), _) => logical.to_owned(),
        (_, plain) => plain.unwrap_or_default().to_owned(),
    }
}

/// Every value of every row is the database's own.
pub(super) fn values(database: &Database, events: &[Event], columns: &[Column]) -> Result<()> {
    for event in events {
        let id = event.after("id").as_u64().context("an event without id")?;
        let printed = columns.iter().map(|column| {
            let name = &column.name;
            format!("case when {name} is distinct from null then format('%s', {name}) end")
        });
        let printed = list(database, printed, &format!("from public.catalogue where id = {id}"))?;
        // What is typed is read back by the server, as the column's own type.
        let back = columns.iter().map(|column| match event.after(&column.name) {
            Json::Null => "null".to_owned(),
            value => format!("format('%s', {})", literal(value, column)),
        });
        let back = list(database, back, "")?;
        let absent = event.field("absent").as_array().context("absent is an array")?;
        let mut explained = 0;
        for ((column, printed), back) in columns.iter().zip(&printed).zip(&back) {
            let place = format!("row {id}, {} ({}): {}", column.name, column.sql, event.after(&column.name));
            let entry = absent.iter().find(|entry| entry["field"] == format!("after.{}", column.name));
            let given = usize::try_from(id)?.checked_sub(1).and_then(|row| column.values.get(row));
            let reason = given.and_then(|(_, reason)| *reason);
            match (entry, reason) {
                (Some(entry), Some(reason)) => {
                    assert_eq!(
                        (&entry["reason"], entry["text"].as_str()),
                        (&reason.into(), printed.as_deref()),
                        "{place}"
                    );
                    ensure!(event.after(&column.name).is_null(), "{place} is absent and has a value");
                    explained += 1;
                    continue;
                }
                (None, None) => {}
                (entry, reason) => anyhow::bail!("{place}: absent as {entry:?}, expected {reason:?}"),
            }
            assert_eq!(given.is_some(), printed.is_some(), "{place}");
            assert_eq!(back, printed, "{place}");
            // A text is the server's own, letter by letter, not only one with the same meaning.
            if let (Json::String(text), "string") = (event.after(&column.name), column.form) {
                assert_eq!(Some(text), printed.as_ref(), "{place}");
            }
        }
        assert_eq!(absent.len(), explained, "{absent:?}");
    }
    Ok(())
}

/// One row of expressions, under the pinned settings.
fn list(database: &Database, expressions: impl Iterator<Item = String>, rest: &str) -> Result<Vec<Option<String>>> {
    let expressions: Vec<String> = expressions.collect();
    let rows = database.query(&format!("{PIN} select {} {rest}", expressions.join(", ")))?;
    rows.into_iter().next().context("no row")
}

/// A decoded value as an expression of the column's type.
fn literal(value: &Json, column: &Column) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| element(item, &column.sql)).collect();
            format!("ARRAY[{}]::text[]::{}", items.join(", "), column.sql)
        }
        value => format!("{}::{}", element(value, &column.sql), column.sql),
    }
}

fn element(value: &Json, sql: &str) -> String {
    let text = match value {
        Json::Null => return "NULL".to_owned(),
        Json::Bool(flag) if sql.starts_with("bit") => u8::from(*flag).to_string(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("'{}'", text.replace('\'', "''"))
}
