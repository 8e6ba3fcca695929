//! The schemas of a table, as text.
//!
//! The text is written here, attribute by attribute in a fixed order, because the registry tells schemas apart by it and
//! libraries reorder or drop what they print: two equal tables give the same bytes.
//!
//! A column of the value is `["null", T]` with default null, so that adding, dropping and relaxing columns stay
//! compatible. Key columns alone are plain `T`, where `T` can hold every value of the type; a date, a number or a time
//! cannot (`infinity`, `NaN`), so it may be absent in the value, and its key field is the server's own text.

use change::{Column, ColumnType, SourceInfo, Table, TableName};

use crate::name;

/// How the schemas of a pipeline are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The topic prefix: the first part of every namespace.
    pub prefix: String,
}

/// The full name of a table's key record: `<prefix>.<schema>.<table>.Key`. No other record has it, because no two tables
/// share a namespace.
pub fn key_record(table: &TableName, naming: &Naming) -> String {
    format!("{}.{KEY}", namespace(table, naming))
}

/// The full name of a table's value record: `<prefix>.<schema>.<table>.Envelope`.
pub fn value_record(table: &TableName, naming: &Naming) -> String {
    format!("{}.{ENVELOPE}", namespace(table, naming))
}

const KEY: &str = "Key";
const ENVELOPE: &str = "Envelope";

/// The key schema of a table: names and types only, so that nothing but the key itself changes it. `None`: no key.
pub fn key_schema(table: &Table, naming: &Naming) -> Option<String> {
    if table.key.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(256);
    begin_record(&mut text, KEY, Some(&namespace(&table.name, naming)));
    for (at, &index) in table.key.iter().enumerate() {
        let column = &table.columns[index];
        begin_field(&mut text, at == 0, &name::mangle(&column.name));
        push_type(&mut text, column.kind.in_key());
        text.push('}');
    }
    text.push_str("]}");
    Some(text)
}

/// The value schema of a table: the envelope.
pub fn value_schema(table: &Table, info: &SourceInfo, naming: &Naming) -> String {
    let mut text = String::with_capacity(2048 + 160 * table.columns.len());
    begin_record(&mut text, ENVELOPE, Some(&namespace(&table.name, naming)));
    begin_field(&mut text, true, "before");
    text.push_str("[\"null\",");
    push_row(&mut text, table);
    text.push_str("],\"default\":null},{\"name\":\"after\",\"type\":[\"null\",\"Value\"],\"default\":null}");
    begin_field(&mut text, false, "source");
    push_source(&mut text, info);
    text.push('}');
    text.push_str(ENVELOPE_REST);
    text
}

/// What every envelope has after `source`.
const ENVELOPE_REST: &str = concat!(
    r#",{"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":["#,
    r#"{"name":"id","type":"string"},{"name":"total_order","type":"long"},"#,
    r#"{"name":"data_collection_order","type":"long"}]}],"default":null}"#,
    r#",{"name":"op","type":"string"}"#,
    r#",{"name":"ts_ms","type":["null","long"],"default":null}"#,
    r#",{"name":"ts_us","type":["null","long"],"default":null}"#,
    r#",{"name":"ts_ns","type":["null","long"],"default":null}"#,
    r#",{"name":"absent","type":{"type":"array","items":{"type":"record","name":"Absent","namespace":"headwater","#,
    r#""fields":[{"name":"field","type":"string"},{"name":"reason","type":"string"},"#,
    r#"{"name":"text","type":["null","string"],"default":null}]}},"default":[]}]}"#,
);

/// What every source block begins with.
const SOURCE_COMMON: &str = concat!(
    r#"{"name":"version","type":"string"},{"name":"connector","type":"string"},{"name":"name","type":"string"},"#,
    r#"{"name":"ts_ms","type":"long"},{"name":"snapshot","type":["string","null"],"default":"false"},"#,
    r#"{"name":"db","type":"string"},{"name":"sequence","type":["null","string"],"default":null},"#,
    r#"{"name":"ts_us","type":["null","long"],"default":null},{"name":"ts_ns","type":["null","long"],"default":null}"#,
);

fn namespace(table: &TableName, naming: &Naming) -> String {
    name::namespace(&naming.prefix, &table.schema, &table.table)
}

/// Whether a row's column is `["null", T]` in the value schema.
pub(crate) fn row_column_is_optional(table: &Table, index: usize) -> bool {
    let kind = table.columns[index].kind;
    !(table.key.contains(&index) && kind.in_key() == kind)
}

/// Whether a column of the source block is `["null", T]`.
pub(crate) fn source_column_is_optional(column: &Column) -> bool {
    column.nullable != Some(false)
}

/// The record of a row: the type of `before`.
pub(crate) fn push_row(text: &mut String, table: &Table) {
    begin_record(text, "Value", None);
    for (index, column) in table.columns.iter().enumerate() {
        let field = name::mangle(&column.name);
        begin_field(text, index == 0, &field);
        push_column_type(text, column.kind, row_column_is_optional(table, index));
        text.push_str(",\"headwater.sql_type\":");
        push_string(text, &column.sql_type);
        push_labels(text, &column.labels);
        if let Some(nullable) = column.nullable {
            text.push_str(if nullable { ",\"headwater.nullable\":true" } else { ",\"headwater.nullable\":false" });
        }
        if field != column.name {
            text.push_str(",\"headwater.column\":");
            push_string(text, &column.name);
        }
        text.push('}');
    }
    text.push_str("]}");
}

/// A new label makes a new schema, compatible with the old one: the field is a string.
fn push_labels(text: &mut String, labels: &[String]) {
    for (at, label) in labels.iter().enumerate() {
        text.push_str(if at == 0 { ",\"headwater.labels\":[" } else { "," });
        push_string(text, label);
    }
    if !labels.is_empty() {
        text.push(']');
    }
}

fn push_source(text: &mut String, info: &SourceInfo) {
    begin_record(text, "Source", Some(&format!("headwater.{}", name::mangle(info.connector))));
    text.push_str(SOURCE_COMMON);
    for column in &info.columns {
        begin_field(text, false, &name::mangle(&column.name));
        push_column_type(text, column.kind, source_column_is_optional(column));
        text.push('}');
    }
    text.push_str("]}");
}

/// Up to and with the bracket that opens the fields.
fn begin_record(text: &mut String, name: &str, namespace: Option<&str>) {
    text.push_str("{\"type\":\"record\",\"name\":\"");
    text.push_str(name);
    if let Some(namespace) = namespace {
        text.push_str("\",\"namespace\":\"");
        text.push_str(namespace);
    }
    text.push_str("\",\"fields\":[");
}

/// Up to the type; `name` is a legal Avro name.
fn begin_field(text: &mut String, first: bool, name: &str) {
    if !first {
        text.push(',');
    }
    text.push_str("{\"name\":\"");
    text.push_str(name);
    text.push_str("\",\"type\":");
}

/// The type and, where it can be null, the default of a field.
fn push_column_type(text: &mut String, kind: ColumnType, optional: bool) {
    if optional {
        text.push_str("[\"null\",");
        push_type(text, kind);
        text.push_str("],\"default\":null");
    } else {
        push_type(text, kind);
    }
}

fn push_type(text: &mut String, kind: ColumnType) {
    let composed;
    let plain = match kind {
        ColumnType::Boolean => "\"boolean\"",
        ColumnType::Long => "\"long\"",
        ColumnType::Float => "\"float\"",
        ColumnType::Double => "\"double\"",
        ColumnType::Text => "\"string\"",
        ColumnType::Bytes => "\"bytes\"",
        ColumnType::Uuid => r#"{"type":"string","logicalType":"uuid"}"#,
        ColumnType::Date => r#"{"type":"int","logicalType":"date"}"#,
        ColumnType::Time => r#"{"type":"long","logicalType":"time-micros"}"#,
        ColumnType::LocalTimestamp => r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
        ColumnType::Timestamp => r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        ColumnType::Decimal { precision, scale } => {
            composed = format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#);
            &composed
        }
        ColumnType::Array { element, .. } => {
            text.push_str(r#"{"type":"array","items":["null","#);
            push_type(text, element.form());
            "]}"
        }
    };
    text.push_str(plain);
}

fn push_string(text: &mut String, value: &str) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

/// A column's form for a table in a document: Avro type and logical type, Markdown.
pub fn avro_words(kind: ColumnType) -> String {
    let mut text = String::new();
    push_type(&mut text, kind);
    let described: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let word = |attribute: &str| described.get(attribute).and_then(serde_json::Value::as_str);
    match (&described, word("type"), word("logicalType")) {
        (_, Some(base), Some("decimal")) => format!("`{base}`, `decimal(p,s)`"),
        (_, Some(base), Some(logical)) => format!("`{base}`, `{logical}`"),
        (_, Some("array"), None) => "`array` of `[\"null\", T]`".to_owned(),
        (base, ..) => format!("`{}`", base.as_str().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, info, orders};
    use apache_avro::Schema;
    use change::Identity;
    use std::sync::Arc;

    fn naming() -> Naming {
        Naming { prefix: "shop".to_owned() }
    }

    /// Subjects may be named by these alone.
    #[test]
    fn records_of_different_tables_or_halves_have_different_full_names() {
        let mut names = std::collections::HashSet::new();
        for (schema, table) in [("a", "b"), ("a.b", "c"), ("a", "b.c"), ("a", "b_x2e_c"), ("a", "B"), ("", "b")] {
            let table = Table { name: TableName::new(schema, table), ..Table::clone(&orders()) };
            let key = key_schema(&table, &naming()).unwrap();
            let value = value_schema(&table, &info(), &naming());
            for (name, text) in
                [(key_record(&table.name, &naming()), key), (value_record(&table.name, &naming()), value)]
            {
                let schema = Schema::parse_str(&text).unwrap();
                assert_eq!(schema.name().unwrap().fullname(None), name);
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn a_small_table() {
        let table = Table {
            name: TableName::new("public", "Größen"),
            columns: vec![
                column("id", ColumnType::Long, "bigint", Some(false)),
                column("valid from", ColumnType::Date, "date", Some(false)),
                column("note", ColumnType::Text, "\"my\\type\"", None),
            ],
            key: vec![1, 0],
            identity: Identity::Default,
            relation: None,
        };
        insta::assert_snapshot!(key_schema(&table, &naming()).unwrap(), @r#"{"type":"record","name":"Key","namespace":"shop.public.Gr_xf6__xdf_en","fields":[{"name":"valid_x20_from","type":"string"},{"name":"id","type":"long"}]}"#);
        insta::assert_snapshot!(value_schema(&table, &info(), &naming()).replace("},{", "},\n{"), @r#"
        {"type":"record","name":"Envelope","namespace":"shop.public.Gr_xf6__xdf_en","fields":[{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"long","headwater.sql_type":"bigint","headwater.nullable":false},
        {"name":"valid_x20_from","type":["null",{"type":"int","logicalType":"date"}],"default":null,"headwater.sql_type":"date","headwater.nullable":false,"headwater.column":"valid from"},
        {"name":"note","type":["null","string"],"default":null,"headwater.sql_type":"\"my\\type\""}]}],"default":null},
        {"name":"after","type":["null","Value"],"default":null},
        {"name":"source","type":{"type":"record","name":"Source","namespace":"headwater.postgresql","fields":[{"name":"version","type":"string"},
        {"name":"connector","type":"string"},
        {"name":"name","type":"string"},
        {"name":"ts_ms","type":"long"},
        {"name":"snapshot","type":["string","null"],"default":"false"},
        {"name":"db","type":"string"},
        {"name":"sequence","type":["null","string"],"default":null},
        {"name":"ts_us","type":["null","long"],"default":null},
        {"name":"ts_ns","type":["null","long"],"default":null},
        {"name":"schema","type":"string"},
        {"name":"table","type":"string"},
        {"name":"txId","type":["null","long"],"default":null},
        {"name":"lsn","type":["null","long"],"default":null}]}},
        {"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":[{"name":"id","type":"string"},
        {"name":"total_order","type":"long"},
        {"name":"data_collection_order","type":"long"}]}],"default":null},
        {"name":"op","type":"string"},
        {"name":"ts_ms","type":["null","long"],"default":null},
        {"name":"ts_us","type":["null","long"],"default":null},
        {"name":"ts_ns","type":["null","long"],"default":null},
        {"name":"absent","type":{"type":"array","items":{"type":"record","name":"Absent","namespace":"headwater","fields":[{"name":"field","type":"string"},
        {"name":"reason","type":"string"},
        {"name":"text","type":["null","string"],"default":null}]}},"default":[]}]}
        "#);
    }

    #[test]
    fn every_schema_parses_and_equal_tables_have_equal_text() {
        let table = orders();
        let text = value_schema(&table, &info(), &naming());
        Schema::parse_str(&text).unwrap();
        let again = Table::clone(&table);
        assert_eq!(text, value_schema(&again, &info(), &naming()));
        Schema::parse_str(&key_schema(&table, &naming()).unwrap()).unwrap();
    }

    #[test]
    fn a_key_holds_text_where_no_typed_form_is_total() {
        let mut table = Table::clone(&orders());
        table.key = (0..table.columns.len()).collect();
        let Schema::Record(key) = Schema::parse_str(&key_schema(&table, &naming()).unwrap()).unwrap() else {
            panic!("a key is a record")
        };
        for (field, column) in key.fields.iter().zip(&table.columns) {
            let text = matches!(field.schema, Schema::String);
            assert_eq!(text, column.kind == ColumnType::Text || column.kind.in_key() != column.kind, "{column:?}");
            assert!(field.custom_attributes.is_empty());
        }
        table.key.clear();
        assert_eq!(key_schema(&table, &naming()), None);
    }

    #[test]
    fn an_enum_keeps_its_labels_in_their_order() {
        let mut table = Table::clone(&orders());
        table.columns[5].labels = vec!["sad".to_owned(), "so \"so\"".to_owned()];
        let text = value_schema(&table, &info(), &naming());
        assert!(text.contains(r#""headwater.sql_type":"text","headwater.labels":["sad","so \"so\""],"#), "{text}");
        Schema::parse_str(&text).unwrap();
    }

    #[test]
    fn forms_in_words() {
        let words = |index: usize| avro_words(orders().columns[index].kind);
        assert_eq!(words(0), "`long`");
        assert_eq!(words(4), "`bytes`, `decimal(p,s)`");
        assert_eq!(words(8), "`int`, `date`");
        assert_eq!(words(12), "`array` of `[\"null\", T]`");
    }

    #[test]
    fn a_table_without_columns_has_a_schema() {
        let mut table = Table::clone(&orders());
        table.columns.clear();
        table.key.clear();
        let table = Arc::new(table);
        Schema::parse_str(&value_schema(&table, &info(), &naming())).unwrap();
    }
}
