//! Every type with odd values, streamed, and judged by the database's own text.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::Duration;

use change::{Absence, ColumnType, Element, Kind, Reason, Source, Step, Value};
use common::{Server, started};

/// SQL type, its form in an event, and literals.
const TYPES: &[(&str, ColumnType, &[&str])] = &[
    ("boolean", ColumnType::Boolean, &["t", "f"]),
    ("bit(1)", ColumnType::Boolean, &["0", "1"]),
    ("bit(5)", ColumnType::Text, &["01010"]),
    ("varbit", ColumnType::Text, &["", "1"]),
    ("smallint", ColumnType::Long, &["-32768", "32767"]),
    ("integer", ColumnType::Long, &["-2147483648", "0"]),
    ("bigint", ColumnType::Long, &["-9223372036854775808", "9223372036854775807"]),
    ("oid", ColumnType::Long, &["4294967295"]),
    ("real", ColumnType::Float, &["NaN", "-Infinity", "0.1", "1e-45", "3.4028235e38", "-0"]),
    ("double precision", ColumnType::Double, &["NaN", "Infinity", "0.1", "5e-324", "1.7976931348623157e308", "-0"]),
    ("numeric", ColumnType::Text, &["NaN", "Infinity", "1.500", "-0.0000000000000000000000000000000000000000001"]),
    ("numeric(5,2)", ColumnType::Decimal { precision: 5, scale: 2 }, &["NaN", "-999.99", "0", "0.01", "1"]),
    ("numeric(3,-2)", ColumnType::Decimal { precision: 5, scale: 0 }, &["99900", "-100"]),
    ("numeric(2,4)", ColumnType::Decimal { precision: 4, scale: 4 }, &["0.0099", "-0.0001"]),
    (
        "numeric(60,10)",
        ColumnType::Decimal { precision: 60, scale: 10 },
        &["-12345678901234567890123456789012345678901234567890.0123456789"],
    ),
    ("money", ColumnType::Text, &["-1234.50"]),
    ("text", ColumnType::Text, &["", "NULL", "é\n\\x", "日本"]),
    ("varchar(5)", ColumnType::Text, &["abc"]),
    ("char(5)", ColumnType::Text, &["ab"]),
    ("name", ColumnType::Text, &["n"]),
    ("bytea", ColumnType::Bytes, &["", "\\x00ff10"]),
    ("uuid", ColumnType::Uuid, &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]),
    (
        "date",
        ColumnType::Date,
        &["infinity", "-infinity", "4713-01-01 BC", "0001-01-01", "1969-12-31", "2024-02-29", "5874897-12-31"],
    ),
    ("time", ColumnType::Time, &["00:00", "24:00:00", "23:59:59.999999", "12:00:00.5"]),
    ("time(0)", ColumnType::Time, &["01:02:03"]),
    ("timetz", ColumnType::Text, &["01:02:03+05:30"]),
    (
        "timestamp",
        ColumnType::LocalTimestamp,
        &["infinity", "4713-01-01 00:00:00 BC", "1969-12-31 23:59:59.999999", "294276-12-31 23:59:59", "10000-01-01"],
    ),
    (
        "timestamptz",
        ColumnType::Timestamp,
        &["-infinity", "2024-03-31 02:30:00+02", "0044-03-15 12:00:00+00 BC", "1900-01-01 00:00:00.000001+00"],
    ),
    ("interval", ColumnType::Text, &["1 year -2 days 03:04:05.6", "0"]),
    ("json", ColumnType::Text, &["{\"a\":  1}"]),
    ("jsonb", ColumnType::Text, &["{\"b\":1,\"a\":[]}"]),
    ("xml", ColumnType::Text, &["<a/>"]),
    ("inet", ColumnType::Text, &["::1/64", "10.0.0.1"]),
    ("macaddr", ColumnType::Text, &["08:00:2b:01:02:03"]),
    ("int4range", ColumnType::Text, &["[1,5)", "empty"]),
    ("point", ColumnType::Text, &["(0.1,2)"]),
    ("cidr", ColumnType::Text, &["10.0.0.0/8"]),
    ("tsvector", ColumnType::Text, &["a b"]),
    ("regclass", ColumnType::Text, &["s.odd"]),
    ("s.mood", ColumnType::Text, &["sad, very"]),
    ("s.pair", ColumnType::Text, &["(1,\"x y\")"]),
    ("s.price", ColumnType::Decimal { precision: 8, scale: 3 }, &["1.5"]),
    ("s.better", ColumnType::Decimal { precision: 8, scale: 3 }, &["2.5"]),
    ("s.label", ColumnType::Text, &["l"]),
];

/// The value counted back into a number that SQL can compute from the column, or its text.
fn oracle(kind: ColumnType, column: &str) -> String {
    let micros = |zone: &str| format!("(extract(epoch from {column}{zone}) * 1000000)::numeric(40,0)");
    match kind {
        ColumnType::Boolean => format!(
            "case {column}::text when 't' then 'true' when 'true' then 'true' when '1' then 'true' else 'false' end"
        ),
        ColumnType::Date => format!("({column} - date '1970-01-01')::text"),
        ColumnType::Time => format!("{}::text", micros("")),
        ColumnType::LocalTimestamp | ColumnType::Timestamp => format!("{}::text", micros("")),
        ColumnType::Decimal { scale, .. } => format!("({column} * 1e{scale})::numeric(1000,0)::text"),
        ColumnType::Bytes => format!("encode({column}, 'hex')"),
        _ => format!("{column}::text"),
    }
}

fn decimal(bytes: &[u8]) -> String {
    // Long division by ten of a two's complement number.
    let negative = bytes[0] >= 0x80;
    let mut bytes = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut digits = Vec::new();
    loop {
        let mut rest = 0u32;
        for byte in &mut bytes {
            let sum = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(sum / 10).unwrap();
            rest = sum % 10;
        }
        digits.push(char::from_digit(rest, 10).unwrap());
        if bytes.iter().all(|byte| *byte == 0) {
            break;
        }
    }
    let digits: String = digits.into_iter().rev().collect();
    if negative { format!("-{digits}") } else { digits }
}

fn show(value: &Value<'_>, kind: ColumnType) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Absent(absence) => format!("<{}> {}", absence.reason.name(), absence.text.unwrap()),
        Value::Boolean(flag) => flag.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Float(number) => format!("f32 {:08x}", number.to_bits()),
        Value::Double(number) => format!("f64 {:016x}", number.to_bits()),
        Value::Text(text) => (*text).to_owned(),
        Value::Bytes(bytes) if matches!(kind, ColumnType::Decimal { .. }) => decimal(bytes),
        Value::Array(array) => format!("{array:?}"),
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

const PIN: &str = "set datestyle = 'ISO, YMD'; set intervalstyle = iso_8601; set timezone = 'UTC'; set extra_float_digits = 3; \
                   set bytea_output = hex; set lc_monetary = 'C'; set search_path = pg_catalog;";

/// Column type, its elements' form and separator, and the elements, as the source gives them, of a literal; or the reason
/// why there are none.
type ArrayCase = (&'static str, Element, u8, &'static str, Result<&'static str, Reason>);

const ARRAYS: &[ArrayCase] = &[
    ("int[]", Element::Long, b',', "{1,NULL,-3}", Ok("[Long(1), Null, Long(-3)]")),
    ("int[][]", Element::Long, b',', "{}", Ok("[]")),
    ("int[]", Element::Long, b',', "{{1},{2}}", Err(Reason::Dimensions)),
    ("int[3]", Element::Long, b',', "[0:1]={1,2}", Err(Reason::Dimensions)),
    (
        "text[]",
        Element::Text,
        b',',
        r#"{NULL,"NULL","",a b,"\"\\"}"#,
        Ok(r#"[Null, Text("NULL"), Text(""), Text("a b"), Text("\"\\")]"#),
    ),
    ("box[]", Element::Text, b';', "{(1,1),(0,0);NULL}", Ok(r#"[Text("(1,1),(0,0)"), Null]"#)),
    ("numeric(3,1)[]", Element::Decimal { precision: 3, scale: 1 }, b',', "{12.7}", Ok("[Bytes([127])]")),
    ("numeric(3,1)[]", Element::Decimal { precision: 3, scale: 1 }, b',', "{1,NaN}", Err(Reason::NotANumber)),
    ("bit(1)[]", Element::Boolean, b',', "{1,0}", Ok("[Boolean(true), Boolean(false)]")),
    ("date[]", Element::Date, b',', "{1970-01-02,infinity}", Err(Reason::Infinity)),
    ("timestamptz[]", Element::Timestamp, b',', "{1970-01-01 01:00:00+01}", Ok("[Long(0)]")),
    ("bytea[]", Element::Bytes, b',', r#"{"\\x00ff"}"#, Ok("[Bytes([0, 255])]")),
    ("s.price[]", Element::Decimal { precision: 8, scale: 3 }, b',', "{0.001}", Ok("[Bytes([1])]")),
    ("s.days", Element::Date, b',', "{1970-01-02}", Ok("[Long(1)]")),
    ("s.better_days", Element::Date, b',', "{1970-01-03}", Ok("[Long(2)]")),
    ("s.days[]", Element::Text, b',', r#"{"{1970-01-02,infinity}"}"#, Ok(r#"[Text("{1970-01-02,infinity}")]"#)),
    ("s.mood[]", Element::Text, b',', r#"{"sad, very"}"#, Ok(r#"[Text("sad, very")]"#)),
];

#[test]
fn arrays_and_domains_come_down_to_their_elements() {
    let server = Server::logical();
    server.sql(
        "create schema s; create type s.mood as enum ('sad, very', 'ok'); create domain s.price as numeric(8,3); \
         create domain s.days as date[]; create domain s.better_days as s.days",
    );
    let columns: Vec<String> = ARRAYS.iter().enumerate().map(|(n, array)| format!("c{n} {}", array.0)).collect();
    server.sql(&format!("create table s.arrays ({}); alter table s.arrays replica identity full", columns.join(", ")));
    let (mut source, begun) = started(&server.config(&["s.arrays"]), None);
    let table = begun.tables[0].clone();
    assert_eq!(table.columns.last().unwrap().labels, ["sad, very", "ok"]);
    let literals: Vec<String> = ARRAYS.iter().map(|array| format!("'{}'", array.3)).collect();
    server.sql(&format!("insert into s.arrays values ({})", literals.join(", ")));
    let mut scratch = Vec::new();
    let step = loop {
        if let Step::Change(change) = source.next(Duration::from_secs(5)).unwrap() {
            break change;
        }
    };
    for (n, (sql, element, separator, literal, expected)) in ARRAYS.iter().enumerate() {
        assert_eq!(table.columns[n].kind, ColumnType::Array { element: *element, separator: *separator }, "{sql}");
        let value = step.after.unwrap().value(n, &mut scratch).unwrap();
        match expected {
            Ok(elements) => assert_eq!(show(&value, table.columns[n].kind), *elements, "{sql} {literal}"),
            Err(reason) => {
                let text = server.sql(&format!("{PIN} select c{n} from s.arrays"));
                assert_eq!(value, Value::Absent(Absence { reason: *reason, text: Some(&text) }), "{sql} {literal}");
            }
        }
    }
}

#[test]
fn every_value_is_the_databases_own() {
    let server = Server::logical();
    server.sql(
        "create schema s; create type s.mood as enum ('sad, very'); create type s.pair as (a int, b text); \
         create domain s.price as numeric(8,3); create domain s.better as s.price not null; create domain s.label as text; \
         create table s.odd (id int primary key)",
    );
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(n, (sql, ..))| format!("c{n} {sql}")).collect();
    server.sql(&format!(
        "create table s.types (id int primary key, {})",
        columns.join(", ").replace("c42 s.better", "c42 s.better default 0")
    ));
    // The session's own settings must not show in the stream.
    server.sql("alter database postgres set datestyle = 'German'; alter role postgres set extra_float_digits = -5; alter role postgres set bytea_output = 'escape'; alter role postgres set timezone = 'Asia/Kolkata'");
    let (mut source, begun) = started(&server.config(&["s.types"]), None);
    let table = begun.tables[0].clone();
    let mut wanted = Vec::new();
    for (n, (sql, kind, literals)) in TYPES.iter().enumerate() {
        assert_eq!(table.columns[n + 1].kind, *kind, "{sql}");
        for literal in *literals {
            let id = wanted.len();
            server
                .sql(&format!("{PIN} insert into s.types (id, c{n}) values ({id}, '{}')", literal.replace('\'', "''")));
            let text = server.sql(&format!("{PIN} select c{n} from s.types where id = {id}"));
            let infinite = matches!(kind, ColumnType::Date | ColumnType::Timestamp | ColumnType::LocalTimestamp)
                && text.contains("infinity");
            let expected = if infinite {
                format!("<{}> {text}", Reason::Infinity.name())
            } else if matches!(kind, ColumnType::Decimal { .. }) && text == "NaN" {
                "<nan> NaN".to_owned()
            } else if *kind == ColumnType::Float {
                format!(
                    "f32 {}",
                    server.sql(&format!("select encode(float4send(c{n}), 'hex') from s.types where id = {id}"))
                )
            } else if *kind == ColumnType::Double {
                format!(
                    "f64 {}",
                    server.sql(&format!("select encode(float8send(c{n}), 'hex') from s.types where id = {id}"))
                )
            } else {
                let judged = if *kind == ColumnType::Text { format!("c{n}") } else { oracle(*kind, &format!("c{n}")) };
                server.sql(&format!("{PIN} select {judged} from s.types where id = {id}"))
            };
            let expected = match expected.parse::<i128>() {
                Ok(number)
                    if number > i128::from(i64::MAX)
                        && *kind != ColumnType::Text
                        && !matches!(kind, ColumnType::Decimal { .. }) =>
                {
                    format!("<out-of-range> {text}")
                }
                _ => expected,
            };
            wanted.push((n + 1, *kind, expected, text));
        }
    }
    let (mut next, mut scratch) = (0, Vec::new());
    while next < wanted.len() {
        let Step::Change(change) = source.next(Duration::from_secs(5)).unwrap() else { continue };
        assert_eq!(change.kind, Kind::Insert);
        let (column, kind, expected, text) = &wanted[next];
        let row = change.after.unwrap();
        let value = row.value(*column, &mut scratch).unwrap();
        assert_eq!(&show(&value, *kind), expected, "{} {text}", TYPES[column - 1].0);
        assert_eq!(row.text(*column), Some(text.as_str()));
        next += 1;
    }
}
