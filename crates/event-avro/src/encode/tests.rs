//! Every record is decoded by an independent reader of its schema, and compared with what went in.

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use change::{Column, ColumnType, Identity, Kind, Reason, Table, TableName};
use proptest::prelude::*;

use super::{EncodeError, Image, Options, Plan, Records, Stream};
use crate::fixture::{OwnedValue, Scene, absent, column, info, order, orders, text};
use crate::name::mangle;
use crate::schema::{Naming, key_schema, row_column_is_optional, value_schema};

const NOW: i64 = 1_700_000_001_999_999;
const KEY_HEADER: &[u8] = &[0, 0, 0, 0, 7];
const VALUE_HEADER: &[u8] = &[0, 0, 0, 0, 8];

fn plan(table: &Arc<Table>, options: Options) -> Plan {
    let stream = Stream { name: "shop", version: "0.1.0" };
    Plan::compile(table, &info(), &stream, KEY_HEADER, VALUE_HEADER, options)
}

/// A record, decoded.
#[derive(Debug, PartialEq)]
struct Event {
    key: Option<Avro>,
    value: Option<Avro>,
}

impl Event {
    fn get(&self, path: &str) -> &Avro {
        path.split('.').fold(self.value.as_ref().unwrap(), field)
    }
}

/// A field of a record, or of the record in a union.
fn field<'a>(value: &'a Avro, name: &str) -> &'a Avro {
    match value {
        Avro::Union(_, inner) => field(inner, name),
        Avro::Record(fields) => &fields.iter().find(|(field, _)| field == name).unwrap().1,
        other => panic!("{other:?} has no field {name}"),
    }
}

fn some(value: Avro) -> Avro {
    Avro::Union(1, Box::new(value))
}

fn null() -> Avro {
    Avro::Union(0, Box::new(Avro::Null))
}

fn string(text: &str) -> Avro {
    Avro::String(text.to_owned())
}

fn decode(schema: &str, mut bytes: &[u8]) -> Avro {
    let schema = Schema::parse_str(schema).unwrap();
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "{} bytes are left over", bytes.len());
    value
}

fn encode_with(scene: &Scene, options: Options) -> Result<Vec<Event>, EncodeError> {
    let mut records = Records::new();
    plan(&scene.table, options).encode(&scene.change(), NOW, &mut records)?;
    let naming = Naming { prefix: "shop".to_owned() };
    let value_schema = value_schema(&scene.table, &info(), &naming);
    let event = |entry| Event {
        key: records.key(entry).map(|bytes| {
            let body = bytes.strip_prefix(KEY_HEADER).unwrap();
            assert_eq!(records.key_body(entry), Some(body));
            decode(&key_schema(&scene.table, &naming).unwrap(), body)
        }),
        value: records.value(entry).map(|bytes| decode(&value_schema, bytes.strip_prefix(VALUE_HEADER).unwrap())),
    };
    Ok(records.entries.iter().map(event).collect())
}

fn encode(scene: &Scene) -> Vec<Event> {
    encode_with(scene, Options::default()).unwrap()
}

fn key_of(id: i64) -> Option<Avro> {
    Some(Avro::Record(vec![("id".to_owned(), Avro::Long(id))]))
}

fn key_only(id: i64) -> Vec<OwnedValue> {
    let mut row: Vec<_> = (0..13).map(|_| absent(Reason::KeyOnly, None)).collect();
    row[0] = OwnedValue::Long(id);
    row
}

/// What `absent` says, as `field reason text`.
fn absences(event: &Event) -> Vec<String> {
    let Avro::Array(entries) = event.get("absent") else { panic!("absent is an array") };
    let text = |entry: &Avro, name| match field(entry, name) {
        Avro::String(text) => text.clone(),
        Avro::Union(1, inner) => match inner.as_ref() {
            Avro::String(text) => text.clone(),
            other => panic!("{other:?}"),
        },
        _ => "-".to_owned(),
    };
    let entry = |entry| format!("{} {} {}", text(entry, "field"), text(entry, "reason"), text(entry, "text"));
    entries.iter().map(entry).collect()
}

/// What the reader must see for a value of a row.
fn expected(column: &Column, value: &OwnedValue, optional: bool) -> Avro {
    let avro = match (value, column.kind) {
        (OwnedValue::Printed(inner, _), _) => return expected(column, inner, optional),
        (OwnedValue::Null | OwnedValue::Absent(..), _) => return null(),
        (OwnedValue::Array(items), ColumnType::Array { element, .. }) => {
            let mut typed = column.clone();
            typed.kind = element.form();
            Avro::Array(items.iter().map(|item| expected(&typed, item, true)).collect())
        }
        (OwnedValue::Array(_), kind) => panic!("an array is declared as {kind:?}"),
        (OwnedValue::Boolean(flag), _) => Avro::Boolean(*flag),
        (OwnedValue::Float(number), _) => Avro::Float(*number),
        (OwnedValue::Double(number), _) => Avro::Double(*number),
        (OwnedValue::Text(text), ColumnType::Uuid) => Avro::Uuid(text.parse().unwrap()),
        (OwnedValue::Text(text), _) => string(text),
        (OwnedValue::Bytes(bytes), ColumnType::Decimal { .. }) => Avro::Decimal(bytes.into()),
        (OwnedValue::Bytes(bytes), _) => Avro::Bytes(bytes.clone()),
        (OwnedValue::Long(days), ColumnType::Date) => Avro::Date(i32::try_from(*days).unwrap()),
        (OwnedValue::Long(time), ColumnType::Time) => Avro::TimeMicros(*time),
        (OwnedValue::Long(time), ColumnType::Timestamp) => Avro::TimestampMicros(*time),
        (OwnedValue::Long(time), ColumnType::LocalTimestamp) => Avro::LocalTimestampMicros(*time),
        (OwnedValue::Long(number), _) => Avro::Long(*number),
    };
    if optional { some(avro) } else { avro }
}

fn expected_row(table: &Table, row: &[OwnedValue]) -> Avro {
    let column = |(index, column): (usize, &Column)| {
        let value = expected(column, &row[index], row_column_is_optional(table, index));
        (mangle(&column.name).into_owned(), value)
    };
    some(Avro::Record(table.columns.iter().enumerate().map(column).collect()))
}

#[test]
fn an_insert_has_every_field() {
    let scene = Scene::new(&orders(), Kind::Insert, None, Some(order(7)));
    let events = encode(&scene);
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event.key, key_of(7));
    assert_eq!(event.get("before"), &null());
    assert_eq!(event.get("after"), &expected_row(&scene.table, &order(7)));
    assert_eq!(event.get("op"), &string("c"));
    assert_eq!(event.get("ts_ms"), &some(Avro::Long(1_700_000_001_999)));
    assert_eq!(event.get("ts_us"), &some(Avro::Long(NOW)));
    assert_eq!(event.get("ts_ns"), &some(Avro::Long(NOW * 1000)));
    assert_eq!(event.get("transaction.id"), &string("571:24023128"));
    assert_eq!(event.get("transaction.total_order"), &Avro::Long(3));
    assert_eq!(event.get("transaction.data_collection_order"), &Avro::Long(2));
    assert_eq!(absences(event), Vec::<String>::new());
    let source = [
        ("version", string("0.1.0")),
        ("connector", string("postgresql")),
        ("name", string("shop")),
        ("ts_ms", Avro::Long(1_700_000_000_123)),
        ("snapshot", Avro::Union(0, Box::new(string("false")))),
        ("db", string("shop")),
        ("sequence", null()),
        ("ts_us", some(Avro::Long(1_700_000_000_123_456))),
        ("ts_ns", some(Avro::Long(1_700_000_000_123_456_000))),
        ("schema", string("public")),
        ("table", string("orders")),
        ("txId", some(Avro::Long(571))),
        ("lsn", null()),
    ];
    let source = source.map(|(name, value)| (name.to_owned(), value)).to_vec();
    assert_eq!(event.get("source"), &Avro::Record(source));
}

#[test]
fn updates_with_and_without_the_old_row() {
    let table = orders();
    let mut after = order(7);
    after[5] = OwnedValue::Null;
    let events = encode(&Scene::new(&table, Kind::Update, None, Some(after.clone())));
    assert_eq!((events.len(), events[0].get("op")), (1, &string("u")));
    assert_eq!(events[0].get("before"), &null());
    assert_eq!(events[0].get("after"), &expected_row(&table, &after));
    assert_eq!(events[0].key, key_of(7));

    let events = encode(&Scene::new(&table, Kind::Update, Some(order(7)), Some(after.clone())));
    assert_eq!((events.len(), events[0].get("op")), (1, &string("u")));
    assert_eq!(events[0].get("before"), &expected_row(&table, &order(7)));
    assert_eq!(events[0].get("after"), &expected_row(&table, &after));
    assert_eq!(events[0].key, key_of(7));
}

#[test]
fn an_update_of_the_key_is_a_delete_a_tombstone_and_a_create() {
    let mut scene = Scene::new(&orders(), Kind::Update, Some(key_only(6)), Some(order(7)));
    scene.key_only = true;
    let events = encode(&scene);
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].get("op"), &string("d"));
    assert_eq!(events[0].key, key_of(6));
    assert_eq!(events[0].get("before"), &expected_row(&scene.table, &key_only(6)));
    assert_eq!(events[0].get("after"), &null());
    assert_eq!(absences(&events[0]), ["before key-only -"]);
    assert_eq!(events[1], Event { key: key_of(6), value: None });
    assert_eq!(events[2].get("op"), &string("c"));
    assert_eq!(events[2].key, key_of(7));
    assert_eq!(events[2].get("before"), &null());
    assert_eq!(events[2].get("after"), &expected_row(&scene.table, &order(7)));
    assert_eq!(absences(&events[2]), Vec::<String>::new());

    let events = encode_with(&scene, Options { tombstones: false }).unwrap();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.value.is_some()));
}

#[test]
fn a_delete_is_followed_by_its_tombstone() {
    let table = orders();
    let mut scene = Scene::new(&table, Kind::Delete, Some(key_only(7)), None);
    scene.key_only = true;
    let events = encode(&scene);
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0].key, events[0].get("op")), (&key_of(7), &string("d")));
    assert_eq!(absences(&events[0]), ["before key-only -"]);
    assert_eq!(events[1], Event { key: key_of(7), value: None });
    let full = Scene::new(&table, Kind::Delete, Some(order(7)), None);
    let events = encode(&full);
    assert_eq!(events[0].get("before"), &expected_row(&table, &order(7)));
    assert_eq!(absences(&events[0]), Vec::<String>::new());
    assert_eq!(encode_with(&full, Options { tombstones: false }).unwrap().len(), 1);
}

#[test]
fn a_truncate_has_no_key_and_a_table_may_have_none() {
    let mut table = Table::clone(&orders());
    let events = encode(&Scene::new(&Arc::new(table.clone()), Kind::Truncate, None, None));
    assert_eq!((events.len(), &events[0].key, events[0].get("op")), (1, &None, &string("t")));
    assert_eq!((events[0].get("before"), events[0].get("after")), (&null(), &null()));
    table.key.clear();
    let table = Arc::new(table);
    let events = encode(&Scene::new(&table, Kind::Delete, Some(order(7)), None));
    assert_eq!((events.len(), &events[0].key), (1, &None));
    let events = encode(&Scene::new(&table, Kind::Update, Some(order(6)), Some(order(7))));
    assert_eq!((events.len(), &events[0].key, events[0].get("op")), (1, &None, &string("u")));
}

#[test]
fn what_the_event_cannot_hold_is_named_with_its_text() {
    let table = orders();
    let mut after = order(7);
    after[4] = absent(Reason::NotANumber, Some("NaN"));
    after[5] = absent(Reason::Unchanged, None);
    after[10] = absent(Reason::Infinity, Some("-infinity"));
    let mut before = order(7);
    before[8] = absent(Reason::OutOfRange, Some("too far"));
    before[5] = absent(Reason::Unchanged, None);
    let events = encode(&Scene::new(&table, Kind::Update, Some(before.clone()), Some(after.clone())));
    let expected = [
        "before.note unchanged -",
        "before.due out-of-range too far",
        "after.amount nan NaN",
        "after.note unchanged -",
        "after.made_x20_local infinity -infinity",
    ];
    assert_eq!(absences(&events[0]), expected);
    assert_eq!(events[0].get("after"), &expected_row(&table, &after));
    assert_eq!(events[0].get("before"), &expected_row(&table, &before));
}

#[test]
fn what_did_not_change_is_taken_from_the_old_row() {
    let mut table = Table::clone(&orders());
    table.key = vec![5, 8];
    let table = Arc::new(table);
    let printed = OwnedValue::Printed(Box::new(absent(Reason::Infinity, Some("infinity"))), "infinity".to_owned());
    let (mut before, mut after) = (order(7), order(7));
    before[8] = printed;
    before[7] = OwnedValue::Null;
    for index in [5, 7, 8] {
        after[index] = absent(Reason::Unchanged, None);
    }
    let events = encode(&Scene::new(&table, Kind::Update, Some(before), Some(after)));
    assert_eq!(events.len(), 1, "the key did not change");
    let key = vec![("note".to_owned(), string("grüße")), ("due".to_owned(), string("infinity"))];
    assert_eq!(events[0].key, Some(Avro::Record(key)));
    assert_eq!(events[0].get("after.note"), &string("grüße"));
    assert_eq!(events[0].get("after.image"), &null());
    assert_eq!(absences(&events[0]), ["before.due infinity infinity", "after.due unchanged -"]);
}

#[test]
fn extremes_of_every_type() {
    let table = orders();
    let wide = |first: u8| {
        let mut bytes = vec![first];
        bytes.extend([0x5a; 16]);
        OwnedValue::Bytes(bytes)
    };
    let rows = [
        vec![
            OwnedValue::Long(i64::MIN),
            OwnedValue::Boolean(false),
            OwnedValue::Float(f32::NEG_INFINITY),
            OwnedValue::Double(f64::MIN_POSITIVE),
            wide(0x80),
            text(""),
            text("00000000-0000-0000-0000-000000000000"),
            OwnedValue::Bytes(vec![]),
            OwnedValue::Long(i32::MIN.into()),
            OwnedValue::Long(0),
            OwnedValue::Long(i64::MIN),
            OwnedValue::Long(i64::MIN),
            OwnedValue::Array(vec![]),
        ],
        vec![
            OwnedValue::Long(i64::MAX),
            OwnedValue::Boolean(true),
            OwnedValue::Float(f32::MAX),
            OwnedValue::Double(f64::INFINITY),
            wide(0x7f),
            text(&"\u{10ffff}\0".repeat(50_000)),
            text("ffffffff-ffff-ffff-ffff-ffffffffffff"),
            OwnedValue::Bytes(vec![0xff; 100_000]),
            OwnedValue::Long(i32::MAX.into()),
            OwnedValue::Long(86_400_000_000),
            OwnedValue::Long(i64::MAX),
            OwnedValue::Long(i64::MAX),
            OwnedValue::Array(vec![OwnedValue::Null; 100_000]),
        ],
    ];
    for mut row in rows {
        for unscaled in [row[4].clone(), OwnedValue::Bytes(vec![0])] {
            row[4] = unscaled;
            let mut scene = Scene::new(&table, Kind::Insert, None, Some(row.clone()));
            scene.transaction.commit_time = i64::MAX;
            let events = encode(&scene);
            assert_eq!(events[0].get("after"), &expected_row(&table, &row));
            assert_eq!(events[0].get("source.ts_ns"), &null());
        }
    }
    let mut row = order(1);
    row[3] = OwnedValue::Double(f64::NAN);
    let events = encode(&Scene::new(&table, Kind::Insert, None, Some(row)));
    assert!(
        matches!(events[0].get("after.ratio"), Avro::Union(1, number) if matches!(**number, Avro::Double(n) if n.is_nan()))
    );
}

#[test]
fn what_no_event_can_carry_is_an_error_that_names_it() {
    let table = orders();
    let error = |kind, before, after| {
        let scene = Scene::new(&table, kind, before, after);
        let mut plan = plan(&table, Options::default());
        let mut records = Records::new();
        plan.encode(&Scene::new(&table, Kind::Insert, None, Some(order(1))).change(), NOW, &mut records).unwrap();
        let (bytes, entries) = (records.bytes.clone(), records.entries.clone());
        let error = plan.encode(&scene.change(), NOW, &mut records).unwrap_err();
        assert_eq!((records.bytes, records.entries), (bytes, entries), "nothing is appended");
        error.to_string()
    };
    let with = |index: usize, value| {
        let mut row = order(7);
        row[index] = value;
        Some(row)
    };
    let cases = [
        (error(Kind::Insert, None, None), "table public.orders: Insert without the row after"),
        (error(Kind::Delete, None, None), "table public.orders: Delete without the row before"),
        (
            error(Kind::Insert, None, with(0, OwnedValue::Null)),
            "table public.orders: key column id has no value in the row after: null",
        ),
        (
            error(Kind::Update, None, with(0, absent(Reason::Unchanged, None))),
            "table public.orders: key column id has no value in the row after: unchanged",
        ),
        (
            error(Kind::Insert, None, with(5, OwnedValue::Long(1))),
            "table public.orders: column note of after is declared as Text, but its value is Long(1)",
        ),
        (
            error(Kind::Insert, None, with(8, OwnedValue::Long(1 << 31))),
            "table public.orders: column due of after is declared as Date, but its value is Long(2147483648)",
        ),
        (
            error(Kind::Insert, None, with(4, OwnedValue::Bytes(vec![]))),
            "table public.orders: column amount of after is declared as \
             Decimal { precision: 40, scale: 2 }, but its value is 0 bytes",
        ),
        (
            error(Kind::Insert, None, with(12, OwnedValue::Array(vec![text("a"), OwnedValue::Long(1)]))),
            "table public.orders: column tags of after is declared as \
             Array { element: Text, separator: 44 }, but its value is an array of 2 elements",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let mut scene = Scene::new(&table, Kind::Insert, None, Some(order(7)));
    scene.source.0[1] = OwnedValue::Null;
    let error = encode_with(&scene, Options::default()).unwrap_err();
    assert!(matches!(error, EncodeError::NoValue { image: Image::Source, reason: "null", .. }), "{error}");
}

#[test]
fn buffers_are_used_again() {
    let mut after = order(7);
    after[5] = absent(Reason::OutOfRange, Some("a text that is written down"));
    let mut scene = Scene::new(&orders(), Kind::Update, Some(key_only(6)), Some(after));
    scene.key_only = true;
    let mut plan = plan(&scene.table, Options::default());
    let mut records = Records::new();
    plan.encode(&scene.change(), NOW, &mut records).unwrap();
    let capacities = |records: &Records| {
        let scratch = &records.scratch;
        let absent = scratch.absent.bytes.capacity();
        [records.bytes.capacity(), records.entries.capacity(), scratch.value.capacity(), absent]
    };
    let (bytes, warm) = (records.bytes.clone(), capacities(&records));
    for _ in 0..3 {
        records.clear();
        plan.encode(&scene.change(), NOW, &mut records).unwrap();
        assert_eq!(records.bytes, bytes);
        assert_eq!(capacities(&records), warm);
    }
}

fn kinds() -> impl Strategy<Value = ColumnType> {
    let array = |kind: ColumnType| ColumnType::Array { element: kind.as_element(), separator: b',' };
    prop_oneof![3 => scalars(), 1 => scalars().prop_map(array)]
}

fn scalars() -> impl Strategy<Value = ColumnType> {
    prop_oneof![
        Just(ColumnType::Boolean),
        Just(ColumnType::Long),
        Just(ColumnType::Float),
        Just(ColumnType::Double),
        (1_u32..60).prop_flat_map(|precision| {
            (0..=precision).prop_map(move |scale| ColumnType::Decimal { precision, scale })
        }),
        Just(ColumnType::Text),
        Just(ColumnType::Uuid),
        Just(ColumnType::Bytes),
        Just(ColumnType::Date),
        Just(ColumnType::Time),
        Just(ColumnType::LocalTimestamp),
        Just(ColumnType::Timestamp),
    ]
}

fn value_of(kind: ColumnType) -> BoxedStrategy<OwnedValue> {
    match kind {
        ColumnType::Boolean => any::<bool>().prop_map(OwnedValue::Boolean).boxed(),
        ColumnType::Long | ColumnType::LocalTimestamp | ColumnType::Timestamp => {
            any::<i64>().prop_map(OwnedValue::Long).boxed()
        }
        ColumnType::Float => prop::num::f32::NORMAL.prop_map(OwnedValue::Float).boxed(),
        ColumnType::Double => prop::num::f64::NORMAL.prop_map(OwnedValue::Double).boxed(),
        ColumnType::Decimal { .. } => prop::collection::vec(any::<u8>(), 1..24).prop_map(OwnedValue::Bytes).boxed(),
        ColumnType::Text => any::<String>().prop_map(OwnedValue::Text).boxed(),
        ColumnType::Uuid => "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".prop_map(OwnedValue::Text).boxed(),
        ColumnType::Bytes => prop::collection::vec(any::<u8>(), 0..80).prop_map(OwnedValue::Bytes).boxed(),
        ColumnType::Date => any::<i32>().prop_map(|days| OwnedValue::Long(days.into())).boxed(),
        ColumnType::Time => (0..=86_400_000_000_i64).prop_map(OwnedValue::Long).boxed(),
        ColumnType::Array { element, .. } => {
            let item = prop_oneof![3 => value_of(element.form()), 1 => Just(OwnedValue::Null)];
            prop::collection::vec(item, 0..5).prop_map(OwnedValue::Array).boxed()
        }
    }
}

/// A table with a key of up to two columns, and a row of it.
fn tables() -> impl Strategy<Value = (Table, Vec<OwnedValue>)> {
    let columns = prop::collection::btree_map(any::<String>(), (kinds(), any::<String>(), any::<Option<bool>>()), 0..8);
    (any::<String>(), any::<String>(), columns, 0_usize..3).prop_flat_map(|(schema, name, columns, keys)| {
        let columns: Vec<_> = columns
            .into_iter()
            .map(|(name, (kind, sql_type, nullable))| column(&name, kind, &sql_type, nullable))
            .collect();
        let key: Vec<_> = (0..columns.len().min(keys)).rev().collect();
        let table =
            Table { name: TableName::new(schema, name), columns, key, identity: Identity::Full, relation: None };
        let values: Vec<_> = (0..table.columns.len())
            .map(|index| {
                let present = value_of(table.columns[index].kind);
                if table.key.contains(&index) {
                    return present
                        .prop_map(|value| match value {
                            OwnedValue::Text(_) => value,
                            value => OwnedValue::Printed(Box::new(value), "printed".to_owned()),
                        })
                        .boxed();
                }
                let reason = prop::sample::select(Reason::ALL.to_vec());
                let absent = (reason, any::<Option<String>>()).prop_map(|(why, text)| OwnedValue::Absent(why, text));
                prop_oneof![4 => present, 1 => Just(OwnedValue::Null), 1 => absent].boxed()
            })
            .collect();
        (Just(table), values)
    })
}

proptest! {
    #[test]
    fn any_row_of_any_table_comes_back((table, row) in tables()) {
        let table = Arc::new(table);
        let events = encode(&Scene::new(&table, Kind::Insert, None, Some(row.clone())));
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(events[0].get("after"), &expected_row(&table, &row));
        let missing = row.iter().filter(|value| matches!(value, OwnedValue::Absent(..))).count();
        prop_assert_eq!(absences(&events[0]).len(), missing);
        prop_assert_eq!(events[0].key.is_some(), !table.key.is_empty());
        for (name, key) in table.key.iter().map(|&index| (&table.columns[index].name, &row[index])) {
            let found = field(events[0].key.as_ref().unwrap(), &mangle(name));
            let index = table.columns.iter().position(|column| column.name == *name).unwrap();
            let mut typed = table.columns[index].clone();
            typed.kind = typed.kind.in_key();
            let value = if typed.kind == table.columns[index].kind { key.clone() } else { text("printed") };
            prop_assert_eq!(found, &expected(&typed, &value, false));
        }
        let naming = Naming { prefix: "shop".to_owned() };
        let again = Table::clone(&table);
        prop_assert_eq!(value_schema(&table, &info(), &naming), value_schema(&again, &info(), &naming));
    }

    #[test]
    fn a_full_update_and_delete_of_any_table_come_back((table, row) in tables()) {
        let table = Arc::new(table);
        let update = Scene::new(&table, Kind::Update, Some(row.clone()), Some(row.clone()));
        let events = encode(&update);
        prop_assert_eq!((events.len(), events[0].get("op")), (1, &string("u")));
        prop_assert_eq!(events[0].get("before"), &expected_row(&table, &row));
        prop_assert_eq!(events[0].get("after"), &expected_row(&table, &row));
        let events = encode(&Scene::new(&table, Kind::Delete, Some(row.clone()), None));
        prop_assert_eq!(events.len(), if table.key.is_empty() { 1 } else { 2 });
        prop_assert_eq!(events[0].get("before"), &expected_row(&table, &row));
    }
}
