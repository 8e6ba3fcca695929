//! The rules on tables in the default profile; the 34 cases of bare records are in `tests/cases`.

use change::{Column, ColumnType, Element, Identity, Table, TableName};

use super::*;
use crate::fixture::{column, info, orders};
use crate::schema::{Naming, key_schema, value_schema};

fn table(columns: Vec<Column>) -> Table {
    let mut all = vec![column("id", ColumnType::Long, "bigint", Some(false))];
    all.extend(columns);
    Table {
        name: TableName::new("public", "t"),
        columns: all,
        key: vec![0],
        identity: Identity::Default,
        relation: None,
    }
}

fn text(name: &str) -> Column {
    column(name, ColumnType::Text, "text", Some(true))
}

fn numbered(mut table: Table, numbers: &[u32]) -> Shape {
    for (column, number) in table.columns.iter_mut().zip(numbers) {
        column.number = Some(*number);
    }
    Shape::of_table(&table)
}

/// Rules and verdicts.
fn judged(old: &Shape, new: &Shape, moved: &str) -> Vec<(&'static str, Verdict)> {
    let findings = judge(old, new, &statement(moved));
    for finding in &findings {
        for sentence in [&finding.what, &finding.running, &finding.replaying, &finding.advice] {
            assert!(!sentence.is_empty() && !sentence.ends_with('.') && !sentence.contains("  "), "{finding:#?}");
        }
    }
    findings.iter().map(|finding| (finding.rule, finding.verdict)).collect()
}

/// One column `c`, before and after.
fn column_change(old: Column, new: Column) -> Vec<(&'static str, Verdict)> {
    judged(&Shape::of_table(&table(vec![old])), &Shape::of_table(&table(vec![new])), "")
}

fn retyped(old: (ColumnType, &str), new: (ColumnType, &str)) -> Vec<(&'static str, Verdict)> {
    column_change(column("c", old.0, old.1, Some(true)), column("c", new.0, new.1, Some(true)))
}

/// `a>b` renames, `a>` drops.
fn statement(moved: &str) -> Vec<Moved> {
    let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    let pairs = moved.split_whitespace().filter_map(|pair| pair.split_once('>'));
    pairs.map(|(from, to)| Moved { from: from.to_owned(), to: name(to) }).collect()
}

#[test]
fn a_table_and_its_registered_schemas_have_one_shape() {
    let mut table = Table::clone(&orders());
    table.columns[5].labels = vec!["a".to_owned(), "b".to_owned()];
    let naming = Naming { prefix: "shop".to_owned() };
    let key = key_schema(&table, &naming).unwrap();
    let mut registered = Shape::of_schemas(Some(&key), &value_schema(&table, &info(), &naming)).unwrap();
    assert_eq!(registered.identity.replace("default".to_owned()), None);
    assert_eq!(registered, Shape::of_table(&table));
    assert_eq!(registered.fields[10].column, "made local");
    table.key.clear();
    assert_eq!(Shape::of_table(&table).key, Some(Vec::new()));
}

#[test]
fn a_shape_survives_being_written_down() {
    let shape = Shape::of_table(&orders());
    let text = serde_json::to_string(&shape).unwrap();
    assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), shape);
}

#[test]
fn what_is_no_schema_has_no_shape() {
    assert_eq!(Shape::of_schemas(None, "{"), Err(NoShape::NotJson { which: "value" }));
    assert_eq!(Shape::of_schemas(Some("{"), "{}"), Err(NoShape::NotJson { which: "key" }));
    assert_eq!(Shape::of_schemas(None, "\"string\""), Err(NoShape::NotARecord));
    let plain = Shape::of_schemas(Some("\"string\""), r#"{"type":"record","name":"V","fields":[]}"#).unwrap();
    assert_eq!(plain.key.unwrap()[0].form.base, Base::String);
}

#[test]
fn a_rename_is_proven_by_numbers() {
    let (c, d) = (table(vec![text("c")]), table(vec![text("d")]));
    let old = numbered(c.clone(), &[1, 2]);
    assert_eq!(judged(&old, &numbered(d.clone(), &[1, 2]), ""), [("column-renamed", Verdict::CorruptsSilently)]);
    assert_eq!(
        judged(&old, &numbered(d.clone(), &[1, 3]), ""),
        [("column-dropped", Verdict::SafeIfAgreed), ("column-added", Verdict::Safe)]
    );
    // Without numbers on both sides nothing is proven, and a statement's word counts less than numbers.
    assert_eq!(
        judged(&old, &Shape::of_table(&d), ""),
        [("column-may-be-renamed", Verdict::CorruptsSilently), ("column-added", Verdict::Safe)]
    );
    assert_eq!(judged(&old, &numbered(d, &[1, 2]), ""), [("column-renamed", Verdict::CorruptsSilently)]);
    // Dropped and added again.
    assert_eq!(judged(&old, &numbered(c, &[1, 3]), ""), [("column-replaced", Verdict::CorruptsSilently)]);
}

#[test]
fn names_that_are_swapped_are_two_renames() {
    let old = numbered(table(vec![text("c"), text("d")]), &[1, 2, 3]);
    let new = table(vec![text("d"), text("c")]);
    let swapped = [("columns-swapped", Verdict::CorruptsSilently); 2];
    assert_eq!(judged(&old, &numbered(new.clone(), &[1, 2, 3]), ""), swapped);
    let new = Shape::of_table(&new);
    assert_eq!(judged(&old, &new, "c>d d>c"), swapped);
    assert_eq!(judged(&old, &new, ""), []);
    // With numbers it is proven that only the order differs.
    let moved = numbered(table(vec![text("d"), text("c")]), &[1, 3, 2]);
    assert_eq!(judged(&old, &moved, ""), []);
}

#[test]
fn a_statement_proves_a_rename_or_that_there_was_none() {
    let (old, new) = (Shape::of_table(&table(vec![text("c")])), Shape::of_table(&table(vec![text("d")])));
    assert_eq!(judged(&old, &new, "c>d"), [("column-renamed", Verdict::CorruptsSilently)]);
    assert_eq!(judged(&old, &new, "c>"), [("column-dropped", Verdict::SafeIfAgreed), ("column-added", Verdict::Safe)]);
    // Nothing is said of it: a statement may have been missed.
    assert_eq!(
        judged(&old, &new, "x> y>z"),
        [("column-may-be-renamed", Verdict::CorruptsSilently), ("column-added", Verdict::Safe)]
    );
    // Dropped and added again.
    assert_eq!(judged(&old, &old, "c>"), [("column-replaced", Verdict::CorruptsSilently)]);
    assert_eq!(judged(&old, &new, "C>d"), [("column-renamed", Verdict::CorruptsSilently)]);
    // The old name is taken by another column.
    let both = Shape::of_table(&table(vec![text("d"), text("c")]));
    assert_eq!(
        judged(&old, &both, "c>d"),
        [("column-renamed", Verdict::CorruptsSilently), ("column-added", Verdict::CorruptsSilently)]
    );
    let two = Shape::of_table(&table(vec![text("c"), text("d")]));
    assert_eq!(
        judged(&two, &new, "c>d"),
        [("column-renamed", Verdict::CorruptsSilently), ("column-replaced", Verdict::CorruptsSilently)]
    );
}

#[test]
fn numbers_say_nothing_of_another_table_under_the_same_name() {
    let with = |columns, relation| Table { relation: Some(relation), ..table(columns) };
    // Rebuilt without the gap that a dropped column had left.
    let old = numbered(with(vec![text("c")], 7), &[1, 3]);
    let renamed = [("column-may-be-renamed", Verdict::CorruptsSilently), ("column-added", Verdict::Safe)];
    assert_eq!(judged(&old, &numbered(with(vec![text("d")], 8), &[1, 2]), ""), renamed);
    assert_eq!(judged(&old, &numbered(with(vec![text("c")], 8), &[1, 2]), ""), []);
}

#[test]
fn a_name_that_comes_back_is_judged_against_what_it_was() {
    let (old, new) = (Shape::of_table(&table(vec![text("c")])), Shape::of_table(&table(vec![])));
    let departed: Vec<_> = departing(&old, &new).cloned().collect();
    let rules = |column: Column| {
        let found = judge_returned(&departed, &new, &Shape::of_table(&table(vec![column])));
        found.iter().map(|finding| (finding.rule, finding.verdict)).collect::<Vec<_>>()
    };
    assert_eq!(rules(text("d")), []);
    assert_eq!(rules(text("c")), [("column-replaced", Verdict::CorruptsSilently)]);
    let number = column("c", ColumnType::Long, "bigint", Some(true));
    assert_eq!(rules(number), [("column-replaced", Verdict::BreaksRunning)]);
    assert_eq!(judge_returned(&departed, &old, &old), []);
}

#[test]
fn what_nothing_proves_is_not_safe() {
    let shape = |columns: &[&str]| Shape::of_table(&table(columns.iter().map(|name| text(name)).collect()));
    let rule = |old: &[&str], new: &[&str]| {
        unproven(&judge(&shape(old), &shape(new), &[])).map(|finding| (finding.rule, finding.verdict))
    };
    assert_eq!(rule(&["c"], &["c", "d"]), Some(("not-proven", Verdict::SafeIfAgreed)));
    assert_eq!(rule(&["c"], &["c"]), None);
    assert_eq!(rule(&["c", "d"], &["c"]), None, "agreed or not, it is not called safe");
    let (old, other) = (numbered(table(vec![text("c")]), &[1, 2]), numbered(table(vec![]), &[1]));
    assert!(old.numbers_prove(&other) && !old.numbers_prove(&shape(&["c"])));
    assert!(!old.numbers_prove(&Shape { relation: Some(1), ..other }));
}

#[test]
fn a_column_that_becomes_generated_is_told() {
    let shape = Shape::of_table(&table(vec![text("c")]));
    let found = judge_generated(&shape, &["C".to_owned(), "d".to_owned()]);
    let rules: Vec<_> = found.iter().map(|finding| (finding.rule, finding.verdict)).collect();
    assert_eq!(rules, [("column-generated", Verdict::SafeIfAgreed)]);
}

#[test]
fn what_is_added_is_safe_only_if_it_may_be_null() {
    let old = Shape::of_table(&table(vec![]));
    let with = |nullable| Shape::of_table(&table(vec![column("c", ColumnType::Text, "text", nullable)]));
    assert_eq!(judged(&old, &with(Some(true)), ""), [("column-added", Verdict::Safe)]);
    assert_eq!(judged(&old, &with(Some(false)), ""), [("column-added", Verdict::SafeIfAgreed)]);
    assert_eq!(judged(&old, &with(None), ""), [("column-added", Verdict::SafeIfAgreed)]);
    assert_eq!(judged(&with(Some(true)), &old, ""), [("column-dropped", Verdict::SafeIfAgreed)]);
}

#[test]
fn forms() {
    use ColumnType::{Boolean, Bytes, Date, Decimal, Double, Float, LocalTimestamp, Long, Text, Timestamp, Uuid};
    use Verdict::{BreaksReplay, BreaksRunning, CorruptsSilently};
    let decimal = |precision, scale| Decimal { precision, scale };
    let array = ColumnType::Array { element: Element::Long, separator: b',' };
    for (old, new, rule, verdict) in [
        ((decimal(10, 2), "numeric(10,2)"), (decimal(10, 4), "numeric(10,4)"), "decimal-scale", CorruptsSilently),
        ((decimal(10, 2), "numeric(10,2)"), (decimal(20, 2), "numeric(20,2)"), "decimal-precision", CorruptsSilently),
        ((decimal(20, 2), "numeric(20,2)"), (decimal(10, 2), "numeric(10,2)"), "decimal-precision", CorruptsSilently),
        ((decimal(10, 2), "numeric(10,2)"), (Bytes, "bytea"), "logical-type", CorruptsSilently),
        ((Text, "numeric"), (decimal(10, 2), "numeric(10,2)"), "logical-type", CorruptsSilently),
        ((Long, "bigint"), (decimal(20, 0), "bigint unsigned"), "type-changed", BreaksRunning),
        ((Timestamp, "timestamp"), (LocalTimestamp, "datetime"), "time-zone", CorruptsSilently),
        ((Long, "bigint"), (Timestamp, "timestamp with time zone"), "logical-type", CorruptsSilently),
        ((Date, "date"), (Long, "integer"), "logical-type", CorruptsSilently),
        ((Uuid, "uuid"), (Text, "text"), "uuid-text", CorruptsSilently),
        ((Text, "text"), (Uuid, "uuid"), "uuid-text", CorruptsSilently),
        ((Text, "text"), (Bytes, "bytea"), "text-bytes", CorruptsSilently),
        ((Float, "real"), (Double, "double precision"), "number-width", BreaksRunning),
        ((Double, "double precision"), (Float, "real"), "number-width", BreaksReplay),
        ((Long, "integer"), (Double, "double precision"), "number-width", BreaksRunning),
        ((Long, "bigint"), (Double, "double precision"), "number-width", CorruptsSilently),
        ((Long, "smallint"), (Float, "real"), "number-width", BreaksRunning),
        ((Long, "integer"), (Float, "real"), "number-width", CorruptsSilently),
        ((Long, "integer"), (Text, "text"), "type-changed", BreaksRunning),
        ((Boolean, "boolean"), (Long, "integer"), "type-changed", BreaksRunning),
        ((Long, "bigint"), (array, "bigint[]"), "array-scalar", BreaksRunning),
    ] {
        assert_eq!(retyped(old, new), [(rule, verdict)], "{} -> {}", old.1, new.1);
    }
    let texts = ColumnType::Array { element: Element::Uuid, separator: b',' };
    let uuids = ColumnType::Array { element: Element::Text, separator: b',' };
    assert_eq!(retyped((texts, "uuid[]"), (uuids, "text[]")), [("uuid-text", CorruptsSilently)]);
}

#[test]
fn what_the_avro_type_does_not_show() {
    use ColumnType::{Bytes, Double, LocalTimestamp, Long, Text};
    use Verdict::{CorruptsSilently, Safe, SafeIfAgreed};
    for (form, old, new, rule, verdict) in [
        (Long, "integer", "bigint", "range-grew", SafeIfAgreed),
        (Long, "int(10)", "int(11)", "sql-type-renamed", Safe),
        (Long, "bigint", "integer", "range-shrank", SafeIfAgreed),
        (Long, "int", "int unsigned", "sign-changed", SafeIfAgreed),
        (Long, "int unsigned zerofill", "int(10) unsigned", "sql-type-renamed", Safe),
        (Long, "tinyint unsigned", "year", "range-grew", SafeIfAgreed),
        (Long, "int", "time", "meaning-changed", CorruptsSilently),
        (Double, "double", "double unsigned", "sign-changed", SafeIfAgreed),
        (Text, "character varying(20)", "text", "length-grew", SafeIfAgreed),
        (Text, "varchar(20)", "varchar(10)", "length-shrank", SafeIfAgreed),
        (Text, "varchar(20) character set latin1", "varchar(20)", "sql-type-renamed", Safe),
        (Text, "character(5)", "character(8)", "length-of-padded", SafeIfAgreed),
        (Text, "json", "jsonb", "sql-type-renamed", Safe),
        (Text, "json", "text", "meaning-changed", CorruptsSilently),
        (Text, "inet", "interval", "meaning-changed", CorruptsSilently),
        (Text, "time(3) with time zone", "time(6) with time zone", "type-arguments", SafeIfAgreed),
        (Text, "mood", "feeling", "sql-type-changed", SafeIfAgreed),
        (Bytes, "varbinary(10)", "blob", "length-grew", SafeIfAgreed),
        (Bytes, "blob", "geometry", "meaning-changed", CorruptsSilently),
        (LocalTimestamp, "datetime", "datetime(6)", "time-precision", SafeIfAgreed),
        (Long, "time", "time(6)", "time-precision", SafeIfAgreed),
        (
            LocalTimestamp,
            "timestamp without time zone",
            "timestamp(3) without time zone",
            "time-precision",
            SafeIfAgreed,
        ),
    ] {
        assert_eq!(retyped((form, old), (form, new)), [(rule, verdict)], "{old} -> {new}");
    }
    assert_eq!(retyped((Text, "varchar(20)"), (Text, "varchar(20)")), []);
}

#[test]
fn a_type_of_an_extension_is_known_in_any_schema() {
    use Verdict::{CorruptsSilently, Safe, SafeIfAgreed};
    for (old, new, rule, verdict) in [
        ("public.vector(1536)", "public.vector(3072)", "type-arguments", SafeIfAgreed),
        ("vector(3)", "public.vector(3)", "sql-type-renamed", Safe),
        ("public.vector(3)[]", "public.vector(4)[]", "type-arguments", SafeIfAgreed),
        ("public.geometry(Point,4326)", "public.geometry(Point,3857)", "meaning-changed", CorruptsSilently),
        ("public.geometry(Point,4326)", "public.geometry(Polygon,4326)", "type-arguments", SafeIfAgreed),
        ("gis.geography(Point,4326)", "gis.geography(Point,4269)", "meaning-changed", CorruptsSilently),
        ("public.hstore", "public.ltree", "meaning-changed", CorruptsSilently),
        ("public.hstore", "json", "meaning-changed", CorruptsSilently),
        ("text", "public.citext", "sql-type-renamed", Safe),
        // Somebody's own, of which nothing is known.
        ("public.price(2)", "public.price(3)", "sql-type-changed", SafeIfAgreed),
        ("public.point", "point", "sql-type-changed", SafeIfAgreed),
    ] {
        let text = |sql_type| (ColumnType::Text, sql_type);
        assert_eq!(retyped(text(old), text(new)), [(rule, verdict)], "{old} -> {new}");
    }
    // What is in brackets may say nothing of the values.
    let (decimal, widths) =
        (ColumnType::Decimal { precision: 20, scale: 0 }, ("bigint(20) unsigned", "bigint unsigned"));
    assert_eq!(retyped((decimal, widths.0), (decimal, widths.1)), [("sql-type-renamed", Safe)]);
    let unlisted = retyped((ColumnType::Text, "enum('a')"), (ColumnType::Text, "enum('b')"));
    assert_eq!(unlisted, [("sql-type-renamed", Safe)]);
}

#[test]
fn texts_and_bytes_have_the_limits_of_their_servers() {
    use ColumnType::{Bytes, Text};
    for (form, short, long) in [
        (Text, "tinytext", "text"),
        (Text, "tinytext", "longtext"),
        (Text, "text", "mediumtext"),
        (Text, "text", "longtext"),
        (Text, "mediumtext", "longtext"),
        (Text, "varchar(10)", "tinytext"),
        (Text, "tinytext", "varchar(300)"),
        (Text, "varchar(65535)", "text"),
        (Text, "character varying(10485760)", "text"),
        (Bytes, "tinyblob", "blob"),
        (Bytes, "blob", "mediumblob"),
        (Bytes, "mediumblob", "longblob"),
        (Bytes, "tinyblob", "varbinary(300)"),
        (Bytes, "varbinary(300)", "blob"),
    ] {
        let judged = |old, new| retyped((form, old), (form, new));
        assert_eq!(judged(short, long), [("length-grew", Verdict::SafeIfAgreed)], "{short} -> {long}");
        assert_eq!(judged(long, short), [("length-shrank", Verdict::SafeIfAgreed)], "{long} -> {short}");
    }
    assert_eq!(retyped((Text, "text"), (Text, "character varying")), [("sql-type-renamed", Verdict::Safe)]);
}

/// Debezium's own types of times are plain numbers with a name.
#[test]
fn a_name_of_connects_is_a_logical_type() {
    let shape = |kind: &str| {
        let row = format!(
            r#"{{"type":"record","name":"Value","connect.name":"{}","fields":[{{"name":"c","type":{kind}}}]}}"#,
            kind.len()
        );
        Shape::of_schemas(None, &row).unwrap()
    };
    let named = |kind: &str, name: &str| format!(r#"{{"type":"{kind}","connect.version":1,"connect.name":"{name}"}}"#);
    let judged = |old: &str, new: &str| judged(&shape(old), &shape(new), "");
    let (millis, micros) =
        (named("long", "io.debezium.time.Timestamp"), named("long", "io.debezium.time.MicroTimestamp"));
    let found = [("logical-type", Verdict::CorruptsSilently)];
    assert_eq!(judged(&millis, &micros), found);
    assert_eq!(judged(&format!(r#"["null",{millis}]"#), &format!(r#"["null",{micros}]"#)), found);
    let array = |items: &str| format!(r#"{{"type":"array","items":{items}}}"#);
    assert_eq!(judged(&array(&millis), &array(&micros)), found);
    assert_eq!(judged(&millis, r#""long""#), found);
    assert_eq!(judged(&named("string", "io.debezium.data.Json"), &named("string", "io.debezium.data.Xml")), found);
    assert_eq!(judged(&millis, &millis.replace("\"connect.version\":1", "\"connect.version\":2")), []);
    // The logical type says what the name does.
    let date = r#"{"type":"int","connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}"#;
    assert_eq!(judged(date, r#"{"type":"int","logicalType":"date"}"#), []);
    // Names of what is no number and no text are those of records and the like.
    let symbols = |name: &str| format!(r#"{{"type":"enum","name":"E","symbols":["a"],"connect.name":"{name}"}}"#);
    assert_eq!(judged(&symbols("one"), &symbols("another")), []);
    let words = &judge(&shape(&millis), &shape(&micros), &[])[0].running;
    assert_eq!(words, "sees io.debezium.time.MicroTimestamp taken for io.debezium.time.Timestamp, without an error");
}

#[test]
fn nullability() {
    let with = |nullable| column("c", ColumnType::Text, "text", nullable);
    assert_eq!(column_change(with(Some(false)), with(Some(true))), [("null-allowed", Verdict::SafeIfAgreed)]);
    assert_eq!(column_change(with(Some(true)), with(Some(false))), [("null-forbidden", Verdict::SafeIfAgreed)]);
    // That it becomes known is no change of the column.
    assert_eq!(column_change(with(None), with(Some(false))), []);
}

#[test]
fn labels() {
    let with = |labels: &[&str]| Column {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..column("c", ColumnType::Text, "mood", Some(true))
    };
    let change = |old: &[&str], new: &[&str]| column_change(with(old), with(new));
    assert_eq!(change(&["a", "b"], &["a", "z", "b"]), [("label-added", Verdict::SafeIfAgreed)]);
    assert_eq!(change(&["a", "b"], &["a"]), [("label-removed", Verdict::SafeIfAgreed)]);
    assert_eq!(change(&["a", "b"], &["b", "a"]), [("labels-reordered", Verdict::SafeIfAgreed)]);
    assert_eq!(change(&["a", "b"], &["a", "c"]), [("label-may-be-renamed", Verdict::CorruptsSilently)]);
    assert_eq!(change(&["a"], &[]), []);
    let mysql = |sql_type: &str, labels: &[&str]| Column { sql_type: sql_type.to_owned(), ..with(labels) };
    let (old, new) = (mysql("enum('a')", &["a"]), mysql("enum('a','b')", &["a", "b"]));
    assert_eq!(column_change(old.clone(), new), [("label-added", Verdict::SafeIfAgreed)]);
    let (one, two) = (mysql("set('a','b')", &["a", "b"]), mysql("set('b','a')", &["b", "a"]));
    assert_eq!(column_change(one.clone(), two), [("labels-reordered", Verdict::SafeIfAgreed)]);
    assert_eq!(column_change(old.clone(), text("c")), [("enum-text", Verdict::SafeIfAgreed)]);
    assert_eq!(column_change(text("c"), old.clone()), [("enum-text", Verdict::SafeIfAgreed)]);
    assert_eq!(column_change(old, one), [("meaning-changed", Verdict::CorruptsSilently)]);
    let renamed = Column { sql_type: "feeling".to_owned(), ..with(&["a"]) };
    assert_eq!(column_change(with(&["a"]), renamed), [("sql-type-renamed", Verdict::Safe)]);
}

#[test]
fn keys() {
    use Verdict::{BreaksRunning, CorruptsSilently};
    let mut base = table(vec![text("c"), text("d")]);
    base.key = vec![0, 1];
    let old = numbered(base.clone(), &[1, 2, 3]);
    let key = |key: &[usize]| numbered(Table { key: key.to_vec(), ..base.clone() }, &[1, 2, 3]);
    assert_eq!(judged(&old, &key(&[1, 0]), ""), [("key-order", CorruptsSilently)]);
    assert_eq!(judged(&old, &key(&[0]), "")[0], ("key-columns", CorruptsSilently));
    assert_eq!(judged(&old, &key(&[]), "")[0], ("key-removed", CorruptsSilently));
    assert_eq!(judged(&key(&[]), &old, "")[0], ("key-added", CorruptsSilently));
    let mut wider = base.clone();
    wider.columns[1].kind = ColumnType::Uuid;
    assert_eq!(judged(&old, &numbered(wider, &[1, 2, 3]), "")[0], ("key-type", CorruptsSilently));
    let mut called = base.clone();
    called.columns[1].name = "e".to_owned();
    let found = judged(&old, &numbered(called, &[1, 2, 3]), "");
    assert_eq!(found, [("key-renamed", BreaksRunning), ("column-renamed", BreaksRunning)]);
}

/// The key's schema is the same, what is written by it is not.
#[test]
fn a_key_is_another_if_its_text_is() {
    use ColumnType::{Bytes, Date, Decimal, LocalTimestamp, Long, Text, Timestamp};
    let shape = |kind, sql_type: &str| {
        let mut table = table(vec![column("c", kind, sql_type, Some(false))]);
        table.key = vec![0, 1];
        Shape::of_table(&table)
    };
    let decimal = |precision, scale| Decimal { precision, scale };
    let array = |kind: ColumnType| ColumnType::Array { element: kind.as_element(), separator: b',' };
    for (old, new) in [
        ((Text, "character(5)"), (Text, "character(8)")),
        ((Text, "character(5)"), (Text, "character varying(5)")),
        ((array(Text), "character(5)[]"), (array(Text), "character(8)[]")),
        ((Bytes, "binary(4)"), (Bytes, "binary(8)")),
        ((Text, "bit(4)"), (Text, "bit(8)")),
        ((LocalTimestamp, "datetime"), (LocalTimestamp, "datetime(6)")),
        ((Timestamp, "timestamp(3)"), (Timestamp, "timestamp")),
        ((LocalTimestamp, "datetime"), (Timestamp, "timestamp")),
        ((Date, "date"), (LocalTimestamp, "timestamp without time zone")),
        ((decimal(10, 2), "numeric(10,2)"), (decimal(10, 4), "numeric(10,4)")),
        ((array(decimal(10, 2)), "numeric(10,2)[]"), (array(decimal(10, 4)), "numeric(10,4)[]")),
        ((Text, "numeric"), (decimal(10, 2), "numeric(10,2)")),
    ] {
        let found = judge(&shape(old.0, old.1), &shape(new.0, new.1), &[]);
        assert_eq!((found[0].rule, found[0].verdict), ("key-type", Verdict::CorruptsSilently), "{old:?} -> {new:?}");
        assert_eq!(
            found[0].what,
            format!("the key's column `c` is {} instead of {}, which is written in another way", new.1, old.1)
        );
    }
    for (old, new) in [
        ((Text, "char(5)"), (Text, "char(8)")),
        ((Text, "character varying(5)"), (Text, "text")),
        ((Long, "time"), (Long, "time(6)")),
        ((Timestamp, "timestamp(3) with time zone"), (Timestamp, "timestamp with time zone")),
        ((decimal(10, 2), "numeric(10,2)"), (decimal(12, 2), "numeric(12,2)")),
        ((array(decimal(10, 2)), "numeric(10,2)[]"), (array(decimal(12, 2)), "numeric(12,2)[]")),
    ] {
        let found = judged(&shape(old.0, old.1), &shape(new.0, new.1), "");
        assert!(found.iter().all(|(rule, _)| !rule.starts_with("key")), "{old:?} -> {new:?}: {found:?}");
    }
    // A new name does not hide it.
    let mut renamed = shape(Text, "character(8)");
    renamed.fields[1].column = "d".to_owned();
    renamed.fields[1].name = "d".to_owned();
    renamed.key.as_mut().unwrap()[1].name = "d".to_owned();
    let found = judged(&shape(Text, "character(5)"), &renamed, "c>d");
    assert_eq!(found[0], ("key-columns", Verdict::CorruptsSilently));
}

#[test]
fn replica_identities() {
    use ColumnType::{Boolean, Bytes, Decimal, Double, Long, Text, Uuid};
    use Identity::{Default, Full, Index, Nothing};
    let with = |identity, columns: &[Column]| Shape::of_table(&Table { identity, ..table(columns.to_vec()) });
    let change = |old, new| judged(&with(old, &[text("c")]), &with(new, &[text("c")]), "");
    assert_eq!(change(Full, Default), [("replica-identity", Verdict::CorruptsSilently)]);
    assert_eq!(change(Default, Nothing), [("replica-identity", Verdict::SafeIfAgreed)]);
    assert_eq!(change(Default, Full), [("replica-identity", Verdict::Safe)]);
    assert_eq!(change(Default, Index), [("replica-identity", Verdict::Safe)]);
    let mut unknown = with(Full, &[]);
    unknown.identity = None;
    assert_eq!(judged(&unknown, &with(Default, &[]), ""), []);

    let less = |columns: &[Column], numbers: &[u32], to| {
        let shape = |identity| numbered(Table { identity, ..table(columns.to_vec()) }, numbers);
        let found = judge(&shape(Full), &shape(to), &[]);
        assert_eq!((found.len(), found[0].rule), (1, "replica-identity"));
        let says_so = found[0].running.contains("`after`");
        assert_eq!(says_so, found[0].verdict == Verdict::CorruptsSilently, "{found:#?}");
        found[0].verdict
    };
    let one = |kind, sql_type| vec![column("c", kind, sql_type, Some(true))];
    let label = vec![Column { labels: vec!["a".to_owned()], ..text("c") }];
    let array = ColumnType::Array { element: Element::Long, separator: b',' };
    // Only the key is left, and it is there.
    assert_eq!(less(&[], &[], Default), Verdict::SafeIfAgreed);
    for (columns, verdict) in [
        (one(Text, "text"), Verdict::CorruptsSilently),
        (one(Bytes, "bytea"), Verdict::CorruptsSilently),
        (one(Decimal { precision: 10, scale: 2 }, "numeric(10,2)"), Verdict::CorruptsSilently),
        (one(array, "bigint[]"), Verdict::CorruptsSilently),
        (one(Long, "bigint"), Verdict::SafeIfAgreed),
        (one(Double, "double precision"), Verdict::SafeIfAgreed),
        (one(Boolean, "boolean"), Verdict::SafeIfAgreed),
        (one(Uuid, "uuid"), Verdict::SafeIfAgreed),
        (label, Verdict::SafeIfAgreed),
    ] {
        // Numbers, or an index, prove that it is PostgreSQL; MySQL leaves out whatever was not set.
        assert_eq!(less(&columns, &[1, 2], Default), verdict, "{columns:?}");
        assert_eq!(less(&columns, &[], Index), verdict, "{columns:?}");
        assert_eq!(less(&columns, &[], Default), Verdict::CorruptsSilently, "{columns:?}");
    }
}

#[test]
fn names_and_records_that_do_not_fit() {
    let old = Shape::of_table(&table(vec![text("c")]));
    let new = Shape::of_table(&table(vec![text("c"), text("C")]));
    assert_eq!(
        judged(&old, &new, ""),
        [("names-differ-by-case", Verdict::SafeIfAgreed), ("column-added", Verdict::Safe)]
    );
    assert_eq!(judged(&new, &new, ""), []);
    let twice = Shape::of_table(&table(vec![text("c"), text("c")]));
    assert!(judged(&old, &twice, "").contains(&("name-collision", Verdict::BreaksRunning)));
    let bare = Shape { in_envelope: false, ..old.clone() };
    assert_eq!(judged(&old, &bare, ""), [("envelope", Verdict::BreaksRunning)]);
    let called = Shape { record: "Row".to_owned(), ..old.clone() };
    assert_eq!(judged(&old, &called, ""), [("record-name", Verdict::BreaksRunning)]);
}

#[test]
fn a_finding_says_what_each_reader_sees() {
    let column = |kind, sql_type| table(vec![column("price", kind, sql_type, Some(true))]);
    let old = Shape::of_table(&column(ColumnType::Decimal { precision: 10, scale: 2 }, "numeric(10,2)"));
    let new = Shape::of_table(&column(ColumnType::Decimal { precision: 10, scale: 4 }, "numeric(10,4)"));
    let text = serde_json::to_string_pretty(&judge(&old, &new, &[])).unwrap();
    insta::assert_snapshot!(text, @r#"
    [
      {
        "rule": "decimal-scale",
        "column": "price",
        "verdict": "corrupts-silently",
        "what": "`price` is numeric(10,4) instead of numeric(10,2)",
        "running": "sees numbers that are 100 times too large, if it reads as java does, without an error",
        "replaying": "sees numbers that are 100 times too small, if it reads as java does, without an error",
        "advice": "add a column of the new type, fill it, move the consumers to it, and drop the old one after that; or release the table with --new-version, so that the new events go to a topic of their own"
      }
    ]
    "#);
}

#[test]
fn verdicts_are_ordered_by_harm_and_named() {
    assert!(Verdict::ALL.is_sorted());
    for verdict in Verdict::ALL {
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
    }
    assert_eq!(worst(&[]), Verdict::Safe);
}

#[test]
fn what_is_not_known_any_more_may_be_what_it_was() {
    let mut table = Table::clone(&orders());
    table.columns.iter_mut().zip(1..).for_each(|(column, number)| {
        (column.number, column.nullable) = (Some(number), Some(false));
    });
    let known = Shape::of_table(&table);
    let mut dim = table.clone();
    dim.columns.iter_mut().for_each(|column| column.number = None);
    dim.columns[2].nullable = None;
    let dim = Shape::of_table(&dim);
    assert!(dim.may_be(&known) && known.may_be(&known) && !known.may_be(&dim));
    let named = known.fields.iter().map(|field| field.sql_type.clone()).collect::<Vec<_>>();
    table.columns[0].sql_type = "bigint(20)".to_owned();
    let spelled = Shape::of_table(&table).spelled_as(&known);
    assert_eq!(spelled.fields.iter().map(|field| field.sql_type.clone()).collect::<Vec<_>>(), named);
    table.columns[2].nullable = Some(true);
    table.columns[0].sql_type.clone_from(named[0].as_ref().unwrap());
    let other = Shape::of_table(&table);
    assert!(!other.may_be(&known) && dim.may_be(&other));
    table.columns.pop();
    assert!(!Shape::of_table(&table).may_be(&known));
}
