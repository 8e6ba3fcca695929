//! What holds for any two tables, and for any two records.

use change::{Column, ColumnType, Element, Identity, SourceInfo, Table, TableName};
use event_avro::compatibility::level::{Level, conflicts};
use event_avro::compatibility::{Shape, Verdict, judge, worst};
use event_avro::{Naming, key_schema, value_schema};
use proptest::prelude::*;

const KINDS: &[(ColumnType, &[&str])] = &[
    (ColumnType::Boolean, &["boolean", "bit(1)"]),
    (ColumnType::Long, &["smallint", "integer", "bigint", "int unsigned", "time", "year"]),
    (ColumnType::Float, &["real"]),
    (ColumnType::Double, &["double precision", "double unsigned"]),
    (ColumnType::Decimal { precision: 10, scale: 2 }, &["numeric(10,2)"]),
    (ColumnType::Decimal { precision: 10, scale: 4 }, &["numeric(10,4)"]),
    (ColumnType::Decimal { precision: 20, scale: 2 }, &["numeric(20,2)"]),
    (ColumnType::Text, &["text", "character varying(20)", "character(5)", "json", "inet", "mood", "numeric"]),
    (ColumnType::Text, &["tinytext", "longtext", "public.vector(3)", "public.geometry(Point,4326)"]),
    (ColumnType::Bytes, &["bytea", "binary(4)", "tinyblob", "geometry"]),
    (ColumnType::Uuid, &["uuid"]),
    (ColumnType::Date, &["date"]),
    (ColumnType::Time, &["time without time zone"]),
    (ColumnType::LocalTimestamp, &["timestamp without time zone", "timestamp(3) without time zone", "datetime"]),
    (ColumnType::Timestamp, &["timestamp with time zone"]),
    (ColumnType::Array { element: Element::Text, separator: b',' }, &["text[]"]),
    (ColumnType::Array { element: Element::Long, separator: b',' }, &["bigint[]", "integer[]"]),
];

fn column() -> impl Strategy<Value = (Column, bool)> {
    let kind = prop::sample::select(KINDS).prop_flat_map(|(kind, types)| (Just(kind), prop::sample::select(types)));
    let labels = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    (prop::sample::select(&["c", "C", "d", "e f"][..]), kind, any::<Option<bool>>(), 1..6_u32, labels, any::<bool>())
        .prop_map(|(name, (kind, sql_type), nullable, number, labels, in_key)| {
            let labels = if sql_type == "mood" { labels } else { Vec::new() };
            let labels = labels.into_iter().map(str::to_owned).collect();
            let sql_type = sql_type.to_owned();
            (Column { name: name.to_owned(), kind, sql_type, labels, nullable, number: Some(number) }, in_key)
        })
}

fn table() -> impl Strategy<Value = Table> {
    let identity = prop::sample::select(&[Identity::Default, Identity::Full, Identity::Nothing][..]);
    (prop::collection::vec(column(), 0..4), identity, any::<bool>()).prop_map(|(columns, identity, numbered)| {
        let (mut kept, mut key): (Vec<Column>, Vec<usize>) = Default::default();
        for (mut column, in_key) in columns {
            if kept.iter().any(|other| other.name == column.name || other.number == column.number) {
                continue;
            }
            column.number = column.number.filter(|_| numbered);
            key.extend(in_key.then_some(kept.len()));
            kept.push(column);
        }
        Table { name: TableName::new("public", "t"), columns: kept, key, identity, relation: None }
    })
}

fn texts(table: &Table) -> (Option<String>, String) {
    let info =
        SourceInfo { connector: "postgresql", database: None, server_identity: String::new(), columns: Vec::new() };
    let naming = Naming { prefix: "p".to_owned() };
    (key_schema(table, &naming), value_schema(table, &info, &naming))
}

/// The fields of somebody else's records.
const FOREIGN: &[&str] = &[
    r#""int""#,
    r#""long""#,
    r#"["null","long"],"default":null"#,
    r#""long","default":7"#,
    r#"["null","int"]"#,
    r#"["int","null"],"default":5"#,
    r#""float""#,
    r#"["null","double"],"default":null"#,
    r#""string","aliases":["d"]"#,
    r#"["null","string","int"],"default":null"#,
    r#""bytes""#,
    r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
    r#"{"type":"long","logicalType":"timestamp-millis"}"#,
    r#"{"type":"string","logicalType":"uuid"}"#,
    r#"{"type":"enum","name":"E","symbols":["a","b"]}"#,
    r#"{"type":"enum","name":"E","symbols":["a","b","z"],"default":"a"}"#,
    r#"{"type":"enum","name":"F","symbols":["a","b"]}"#,
    r#"{"type":"fixed","name":"X","size":4}"#,
    r#"{"type":"fixed","name":"X","size":8}"#,
    r#"{"type":"array","items":"int"}"#,
    r#"{"type":"array","items":["null","long"]}"#,
    r#"{"type":"map","values":"int"}"#,
    r#"{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}"#,
];

fn record() -> impl Strategy<Value = String> {
    let field = |name: &'static str| {
        prop::option::of(prop::sample::select(FOREIGN))
            .prop_map(move |kind| kind.map(|kind| format!(r#"{{"name":"{name}","type":{kind}}}"#)))
    };
    (field("c"), prop::sample::select(&["V", "W"][..])).prop_flat_map(move |(c, name)| {
        // A name is there only once, that of a type and that of a field.
        let d = prop::sample::select(&FOREIGN[..8]).prop_map(|kind| format!(r#"{{"name":"d","type":{kind}}}"#));
        let is_aliased = c.as_ref().is_some_and(|field| field.contains("aliases"));
        prop::option::of(d).prop_map(move |d| {
            let fields: Vec<String> = c.clone().into_iter().chain(d.filter(|_| !is_aliased)).collect();
            format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_changed_nothing_found(table in table(), record in record()) {
        let shape = Shape::of_table(&table);
        prop_assert_eq!(judge(&shape, &shape, &[]), []);
        let (key, value) = texts(&table);
        let registered = Shape::of_schemas(key.as_deref(), &value).unwrap();
        prop_assert_eq!(judge(&registered, &shape, &[]), []);
        let foreign = Shape::of_schemas(None, &record).unwrap();
        prop_assert_eq!(judge(&foreign, &foreign, &[]), []);
    }

    #[test]
    fn what_a_registry_refuses_is_never_called_safe(old in table(), new in table()) {
        let verdict = worst(&judge(&Shape::of_table(&old), &Shape::of_table(&new), &[]));
        let ((old_key, old), (new_key, new)) = (texts(&old), texts(&new));
        let refused = |level| !conflicts(level, &[&old], &new).unwrap().is_empty();
        prop_assert!(!refused(Level::Backward) || verdict >= Verdict::BreaksReplay);
        prop_assert!(!refused(Level::Forward) || verdict >= Verdict::BreaksRunning);
        if let (Some(old), Some(new)) = (old_key, new_key) {
            let refused = !conflicts(Level::Full, &[&old], &new).unwrap().is_empty();
            prop_assert!(!refused || verdict >= Verdict::BreaksReplay);
        }
    }

    #[test]
    fn nor_in_records_of_others(old in record(), new in record()) {
        let shape = |text: &str| Shape::of_schemas(None, text).unwrap();
        let findings = judge(&shape(&old), &shape(&new), &[]);
        let verdict = worst(&findings);
        for (level, least) in [(Level::Backward, Verdict::BreaksReplay), (Level::Forward, Verdict::BreaksRunning)] {
            let conflicts = conflicts(level, &[&old], &new).unwrap();
            prop_assert!(conflicts.is_empty() || verdict >= least, "{:?}\n{:#?}", conflicts, findings);
        }
    }
}
