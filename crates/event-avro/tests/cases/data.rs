//! What really happens to values: rows are written with the old schema and read with the new one, and the other way round,
//! by two readers; the verdict has to agree with what came out.

use std::collections::BTreeSet;

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use event_avro::compatibility::{Shape, Verdict, judge, worst};
use serde_json::Value as Json;

use crate::readers::{self, Happened, Outcome, Reader, without_logical_types};
use crate::{Case, cases};

/// Values of a type that show what is lost when they are read as another.
fn samples(kind: &Json) -> Vec<Value> {
    if let Json::Array(branches) = kind {
        let of_branch = |(at, branch): (usize, &Json)| {
            let at = u32::try_from(at).unwrap();
            samples(branch).into_iter().map(move |value| Value::Union(at, Box::new(value))).collect::<Vec<_>>()
        };
        return branches.iter().enumerate().flat_map(of_branch).collect();
    }
    let text = |text: &str| Value::String(text.to_owned());
    let base = kind.as_str().or_else(|| kind["type"].as_str()).unwrap();
    match (base, kind["logicalType"].as_str()) {
        ("bytes", Some("decimal")) => {
            let most = 10_i128.pow(u32::try_from(kind["precision"].as_u64().unwrap()).unwrap()) - 1;
            [1234, -1, most].map(|number| Value::Bytes(number.to_be_bytes().to_vec())).to_vec()
        }
        ("string", Some("uuid")) => vec![text("0189d3a4-5b6c-7d8e-9fa0-b1c2d3e4f506")],
        ("long", Some(_)) => vec![Value::Long(1_700_000_000_123)],
        ("null", _) => vec![Value::Null],
        ("boolean", _) => vec![Value::Boolean(true)],
        ("int", Some(_)) => vec![Value::Int(19_000)],
        ("int", _) => vec![Value::Int(19_000), Value::Int(i32::MAX)],
        ("long", _) => vec![Value::Long(7), Value::Long((1 << 53) + 1)],
        ("float", _) => vec![Value::Float(1.5), Value::Float(0.1)],
        ("double", _) => vec![Value::Double(0.1), Value::Double(1e300)],
        ("string", _) => vec![text("x"), text("grüße")],
        ("bytes", _) => vec![Value::Bytes(vec![0xff, 0, 0x80])],
        ("fixed", _) => {
            let size = usize::try_from(kind["size"].as_u64().unwrap()).unwrap();
            vec![Value::Fixed(size, vec![1; size])]
        }
        ("enum", _) => {
            let symbols = kind["symbols"].as_array().unwrap().iter().zip(0..);
            symbols.map(|(symbol, at)| Value::Enum(at, symbol.as_str().unwrap().to_owned())).collect()
        }
        ("array", _) => {
            let single = samples(&kind["items"]).into_iter().map(|item| Value::Array(vec![item]));
            single.chain([Value::Array(Vec::new())]).collect()
        }
        other => panic!("no samples of {other:?}"),
    }
}

/// Rows that together have every sample of every field.
fn rows(schema: &Json) -> Vec<Vec<u8>> {
    let on_the_wire = without_logical_types(schema);
    let parsed = Schema::parse(&on_the_wire).unwrap();
    let writer = GenericDatumWriter::builder(&parsed).build().unwrap();
    let columns: Vec<(String, Vec<Value>)> = readers::fields(schema)
        .map(|field| (field["name"].as_str().unwrap().to_owned(), samples(&field["type"])))
        .collect();
    let most = columns.iter().map(|(_, values)| values.len()).max().unwrap();
    let row =
        |at: usize| columns.iter().map(|(name, values)| (name.clone(), values[at % values.len()].clone())).collect();
    (0..most).map(|at| writer.write_value_to_vec(Value::Record(row(at))).unwrap()).collect()
}

/// What a reader with one schema makes of rows that were written with another.
fn read(reader: Reader, written: &Json, read: &Json, sources: &[(&str, &str)]) -> BTreeSet<Outcome> {
    let mut found = BTreeSet::new();
    for bytes in rows(written) {
        let original = readers::java(written, written, &bytes).unwrap();
        found.extend(readers::outcomes(&original, &reader(written, read, &bytes), sources));
    }
    found
}

/// The columns that are one and have two names.
fn renamed(case: &Case<'_>) -> &'static [(&'static str, &'static str)] {
    if case.id.starts_with("rename-") { &[("c", "d"), ("d", "c")] } else { &[] }
}

fn judged(old: &Json, new: &Json) -> Verdict {
    let shape = |row: &Json| Shape::of_schemas(None, &row.to_string()).unwrap();
    worst(&judge(&shape(old), &shape(new), &[]))
}

/// What a reader of each schema makes of the rows of the other.
fn happened(reader: Reader, old: &Json, new: &Json, sources: &[(&str, &str)]) -> Happened {
    Happened { running: read(reader, new, old, sources), replaying: read(reader, old, new, sources) }
}

#[test]
fn every_verdict_is_what_happens_to_values() {
    let mut wrong = Vec::new();
    for case in cases() {
        let verdict = judged(&case.old.row, &case.new.row);
        let java = happened(readers::java, &case.old.row, &case.new.row, renamed(&case));
        // `apache-avro` answers in ways of its own: some logical types are an error to it, and it reads a double as a float.
        // But it is harmed where the verdict says so, and only there.
        let rust = happened(readers::rust, &case.old.row, &case.new.row, renamed(&case));
        if !java.is(verdict) || rust.is_harm() != (verdict > Verdict::SafeIfAgreed) {
            wrong.push(format!("{} {verdict}: {java:?}, {rust:?}", case.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Types of the default profile and of others.
const TYPES: &[&str] = &[
    r#""boolean""#,
    r#""int""#,
    r#""long""#,
    r#""float""#,
    r#""double""#,
    r#""string""#,
    r#""bytes""#,
    r#"["null","long"]"#,
    r#"["null","string"]"#,
    r#"["null",{"type":"long","logicalType":"timestamp-micros"}]"#,
    r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}"#,
    r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":4}"#,
    r#"{"type":"bytes","logicalType":"decimal","precision":20,"scale":2}"#,
    r#"{"type":"string","logicalType":"uuid"}"#,
    r#"{"type":"int","logicalType":"date"}"#,
    r#"{"type":"int","logicalType":"time-millis"}"#,
    r#"{"type":"long","logicalType":"time-micros"}"#,
    r#"{"type":"long","logicalType":"timestamp-millis"}"#,
    r#"{"type":"long","logicalType":"timestamp-micros"}"#,
    r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
    r#"{"type":"long","connect.name":"io.debezium.time.Timestamp"}"#,
    r#"{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}"#,
    r#"{"type":"enum","name":"E","symbols":["a","b"]}"#,
    r#"{"type":"enum","name":"E","symbols":["a","b","z"],"default":"a"}"#,
    r#"{"type":"fixed","name":"F","size":4}"#,
    r#"{"type":"array","items":"string"}"#,
    r#"{"type":"array","items":["null","string"]}"#,
    r#"{"type":"array","items":["null",{"type":"string","logicalType":"uuid"}]}"#,
];

#[test]
fn every_pair_of_types_is_judged_as_it_reads() {
    let record = |kind: &str| -> Json {
        serde_json::from_str(&format!(r#"{{"type":"record","name":"V","fields":[{{"name":"c","type":{kind}}}]}}"#))
            .unwrap()
    };
    let mut wrong = Vec::new();
    for old in TYPES {
        for new in TYPES {
            let verdict = judged(&record(old), &record(new));
            let java = happened(readers::java, &record(old), &record(new), &[]);
            if !java.is(verdict) {
                wrong.push(format!("{old} -> {new} {verdict}: {java:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
