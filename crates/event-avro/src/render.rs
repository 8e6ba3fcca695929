//! A change for a person: one JSON object, or one line on a terminal.
//!
//! Values are text that can be read back without loss: dates and times in ISO 8601, decimals digit by digit, bytes in
//! hexadecimal, NaN and infinities by name. Nothing that a database holds can steer the terminal: control characters are
//! shown, not sent.

use change::{Change, Column, ColumnType, Kind, Reason, Row, SourceInfo, Table, Value, ValueError};
use serde_json::{Map, Value as Json, json};

use crate::digits;

/// How much of one value a line shows, in characters.
const LINE_VALUE_LIMIT: usize = 60;

/// The `op` of an event.
pub const fn op(kind: Kind) -> &'static str {
    match kind {
        Kind::Insert => "c",
        Kind::Update => "u",
        Kind::Delete => "d",
        Kind::Truncate => "t",
        Kind::Read => "r",
        Kind::Message => "m",
    }
}

/// One JSON object without a line break. Columns have the database's names. A row that carries only its key shows only its
/// key; `absent` names what is null although the database's value is not.
///
/// # Errors
///
/// When a value's text is not of its type.
pub fn render_json(change: &Change<'_>, info: &SourceInfo) -> Result<String, ValueError> {
    let mut absent = Vec::new();
    let columns = &change.table.columns;
    let mut image = |row: Option<&dyn Row>, name: &str| match row {
        None => Ok(Json::Null),
        Some(row) => json_row(row, columns, name, &mut absent),
    };
    let before = image(change.before, "before")?;
    let after = image(change.after, "after")?;
    let source = image_of_source(change, info)?;
    let event = json!({
        "op": op(change.kind),
        "table": change.table.name.to_string(),
        "before": before,
        "after": after,
        "source": source,
        "transaction": {
            "id": change.transaction.id,
            "total_order": change.total_order,
            "data_collection_order": change.table_order,
        },
        "committed": format!("{}Z", digits::timestamp(change.transaction.commit_time)),
        "absent": absent,
    });
    Ok(event.to_string())
}

fn image_of_source(change: &Change<'_>, info: &SourceInfo) -> Result<Json, ValueError> {
    let mut source = Map::new();
    source.insert("connector".to_owned(), info.connector.into());
    source.insert("db".to_owned(), info.database.as_deref().unwrap_or(&change.table.name.schema).into());
    if let Json::Object(rest) = json_row(change.source, &info.columns, "source", &mut Vec::new())? {
        source.extend(rest);
    }
    Ok(Json::Object(source))
}

fn json_row(row: &dyn Row, columns: &[Column], image: &str, absent: &mut Vec<Json>) -> Result<Json, ValueError> {
    let mut object = Map::new();
    let mut scratch = Vec::new();
    let mut key_only = false;
    for (index, column) in columns.iter().enumerate() {
        let value = row.value(index, &mut scratch)?;
        if let Value::Absent(absence) = value {
            if absence.reason == Reason::KeyOnly {
                key_only = true;
                continue;
            }
            let field = format!("{image}.{}", column.name);
            absent.push(json!({ "field": field, "reason": absence.reason.name(), "text": absence.text }));
        }
        object.insert(column.name.clone(), json_value(value, column.kind));
    }
    if key_only {
        absent.push(json!({ "field": image, "reason": Reason::KeyOnly.name(), "text": null }));
    }
    Ok(Json::Object(object))
}

fn json_value(value: Value<'_>, kind: ColumnType) -> Json {
    match value {
        Value::Null | Value::Absent(_) => Json::Null,
        Value::Boolean(flag) => flag.into(),
        Value::Long(number) if kind == ColumnType::Long => number.into(),
        // By its shortest digits, not by those of the double that is nearest to it.
        Value::Float(number) if number.is_finite() => {
            number.to_string().parse::<f64>().map_or_else(|_| number.to_string().into(), Json::from)
        }
        Value::Double(number) if number.is_finite() => number.into(),
        Value::Array(array) => array.iter().map(|value| json_value(value, element_form(kind))).collect(),
        other => readable(other, kind).into(),
    }
}

/// A row by its key, for messages: `id=7, part=2`; empty for a row without one.
pub fn render_key(row: &dyn Row, table: &Table) -> String {
    let mut scratch = Vec::new();
    let mut part = |&at: &usize| {
        let column = table.columns.get(at)?;
        let text = match row.text(at) {
            Some(text) => text.to_owned(),
            None => readable(row.value(at, &mut scratch).ok()?, column.kind),
        };
        Some(format!("{}={text}", column.name))
    };
    table.key.iter().filter_map(&mut part).collect::<Vec<_>>().join(", ")
}

/// A value as text, in full.
fn readable(value: Value<'_>, kind: ColumnType) -> String {
    match (value, kind) {
        (Value::Null, _) => "null".to_owned(),
        (Value::Absent(absence), _) => {
            absence.text.map_or_else(|| format!("<{}>", absence.reason.name()), str::to_owned)
        }
        (Value::Boolean(flag), _) => flag.to_string(),
        (Value::Long(days), ColumnType::Date) => digits::date(days),
        (Value::Long(time), ColumnType::Time) => digits::time(time),
        (Value::Long(time), ColumnType::LocalTimestamp) => digits::timestamp(time),
        (Value::Long(time), ColumnType::Timestamp) => format!("{}Z", digits::timestamp(time)),
        (Value::Long(number), _) => number.to_string(),
        (Value::Float(number), _) => number.to_string(),
        (Value::Double(number), _) => number.to_string(),
        (Value::Text(text), _) => text.to_owned(),
        (Value::Bytes(unscaled), ColumnType::Decimal { scale, .. }) => digits::decimal(unscaled, scale),
        (Value::Bytes(bytes), _) => digits::hex(bytes),
        (Value::Array(array), kind) => {
            let shown = |value| match value {
                Value::Text(text) => format!("'{text}'"),
                value => readable(value, element_form(kind)),
            };
            format!("[{}]", array.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The form of an array's elements.
fn element_form(kind: ColumnType) -> ColumnType {
    match kind {
        ColumnType::Array { element, .. } => element.form(),
        other => other,
    }
}

/// One line: what happened, the table, the key, and the columns; for an update those that differ, old and new, where the
/// log carries the old row. With `color`, ANSI colours.
///
/// # Errors
///
/// When a value's text is not of its type.
pub fn render_line(change: &Change<'_>, color: bool) -> Result<String, ValueError> {
    let paint = |code: &str, text: &str| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let (word, code) = match change.kind {
        Kind::Insert => ("insert  ", "32"),
        Kind::Update => ("update  ", "33"),
        Kind::Delete => ("delete  ", "31"),
        Kind::Truncate => ("truncate", "35"),
        Kind::Read => ("read    ", "36"),
        Kind::Message => ("message ", "34"),
    };
    let mut line = format!("{} {}", paint(code, word), paint("1", &printable(&change.table.name.to_string())));
    let table = change.table.as_ref();
    let Some(row) = change.after.or(change.before) else { return Ok(line) };
    let key = Cells::of(row, table, |index| table.key.contains(&index))?;
    for (name, value) in key.0 {
        line.push_str(&format!(" {}", paint("36", &format!("{name}={value}"))));
    }
    let old = match (change.kind, change.before) {
        (Kind::Update, Some(before)) => Some(before),
        _ => None,
    };
    let mut scratch = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let Some(new) = cell(row, index, column, &mut scratch)? else { continue };
        let old = match old {
            Some(before) => cell(before, index, column, &mut scratch)?,
            None => None,
        };
        let name = printable(&column.name);
        match old {
            Some(old) if old == new => {}
            Some(old) => line.push_str(&format!(" {name}: {} -> {new}", paint("2", &old))),
            None if table.key.contains(&index) => {}
            None => line.push_str(&format!(" {name}={new}")),
        }
    }
    Ok(line)
}

/// Names and values, ready to print.
struct Cells(Vec<(String, String)>);

impl Cells {
    fn of(row: &dyn Row, table: &Table, wanted: impl Fn(usize) -> bool) -> Result<Self, ValueError> {
        let mut scratch = Vec::new();
        let mut cells = Vec::new();
        for (index, column) in table.columns.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            if let Some(value) = cell(row, index, column, &mut scratch)? {
                cells.push((printable(&column.name), value));
            }
        }
        Ok(Self(cells))
    }
}

/// A value for a line; `None` where the log does not carry it.
fn cell(row: &dyn Row, index: usize, column: &Column, scratch: &mut Vec<u8>) -> Result<Option<String>, ValueError> {
    let value = row.value(index, scratch)?;
    if matches!(value, Value::Absent(absence) if absence.text.is_none()) {
        return Ok(None);
    }
    let text = readable(value, column.kind);
    Ok(Some(if matches!(value, Value::Text(_)) { quoted(&text) } else { shortened(&printable(&text)) }))
}

/// Text in quotes, so that a text `null`, or one with spaces, is told apart.
fn quoted(text: &str) -> String {
    format!("'{}'", shortened(&printable(text)))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LINE_VALUE_LIMIT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Control characters, and those that turn the direction of writing, as escapes.
fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{OwnedValue, Scene, absent, info, order, orders, text};

    #[test]
    fn an_insert_as_json() {
        let scene = Scene::new(&orders(), Kind::Insert, None, Some(order(7)));
        insta::assert_snapshot!(render_json(&scene.change(), &info()).unwrap().replace(",\"", ",\n\""), @r#"
        {"op":"c",
        "table":"public.orders",
        "before":null,
        "after":{"id":7,
        "paid":true,
        "weight":1.5,
        "ratio":-0.25,
        "amount":"-2.00",
        "note":"grüße",
        "token":"0189d3a4-5b6c-7d8e-9fa0-b1c2d3e4f506",
        "image":"0001ff",
        "due":"2022-01-08",
        "at":"24:00:00",
        "made local":"1969-12-31T23:59:59.999999",
        "made":"2023-11-14T22:13:20.123456Z",
        "tags":["a, b",null,
        ""]},
        "source":{"connector":"postgresql",
        "db":"shop",
        "schema":"public",
        "table":"orders",
        "txId":571,
        "lsn":null},
        "transaction":{"id":"571:24023128",
        "total_order":3,
        "data_collection_order":2},
        "committed":"2023-11-14T22:13:20.123456Z",
        "absent":[]}
        "#);
    }

    #[test]
    fn what_is_absent_is_named() {
        let mut after = order(7);
        after[3] = OwnedValue::Double(f64::NEG_INFINITY);
        after[2] = OwnedValue::Float(0.1);
        after[5] = absent(Reason::Unchanged, None);
        after[8] = absent(Reason::Infinity, Some("infinity"));
        let mut before: Vec<_> = (0..13).map(|_| absent(Reason::KeyOnly, None)).collect();
        before[0] = OwnedValue::Long(6);
        let mut scene = Scene::new(&orders(), Kind::Update, Some(before), Some(after));
        scene.key_only = true;
        let event: Json = serde_json::from_str(&render_json(&scene.change(), &info()).unwrap()).unwrap();
        assert_eq!(event["before"], json!({ "id": 6 }));
        assert_eq!(event["after"]["ratio"], "-inf");
        assert_eq!(event["after"]["weight"].to_string(), "0.1");
        assert_eq!(event["after"]["due"], Json::Null);
        assert_eq!(
            event["absent"],
            json!([
                { "field": "before", "reason": "key-only", "text": null },
                { "field": "after.note", "reason": "unchanged", "text": null },
                { "field": "after.due", "reason": "infinity", "text": "infinity" },
            ])
        );
    }

    #[test]
    fn lines_show_the_key_and_what_changed() {
        let table = orders();
        let line = |scene: &Scene, color| render_line(&scene.change(), color).unwrap();
        let mut after = order(7);
        after[1] = OwnedValue::Boolean(false);
        after[5] = text("a\x1b[2J\nb");
        after[8] = absent(Reason::Infinity, Some("infinity"));
        let scene = Scene::new(&table, Kind::Update, Some(order(7)), Some(after));
        insta::assert_snapshot!(line(&scene, false), @r"update   public.orders id=7 paid: true -> false note: 'grüße' -> 'a\u{1b}[2J\nb' due: 2022-01-08 -> infinity");
        assert!(line(&scene, true).starts_with("\x1b[33mupdate  \x1b[0m"));
        assert!(!line(&scene, false).contains('\x1b'));
        let scene = Scene::new(&table, Kind::Insert, None, Some(order(7)));
        insta::assert_snapshot!(line(&scene, false), @"insert   public.orders id=7 paid=true weight=1.5 ratio=-0.25 amount=-2.00 note='grüße' token='0189d3a4-5b6c-7d8e-9fa0-b1c2d3e4f506' image=0001ff due=2022-01-08 at=24:00:00 made local=1969-12-31T23:59:59.999999 made=2023-11-14T22:13:20.123456Z tags=['a, b', null, '']");
        let scene = Scene::new(&table, Kind::Truncate, None, None);
        assert_eq!(line(&scene, false), "truncate public.orders");
        let mut long = order(7);
        long[5] = text(&"é".repeat(100));
        let scene = Scene::new(&table, Kind::Delete, Some(long), None);
        assert!(line(&scene, false).contains(&format!("note='{}…'", "é".repeat(60))));
    }
}
