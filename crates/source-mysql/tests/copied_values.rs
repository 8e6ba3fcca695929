//! One catalogue of types and values down both roads: what the log shows of a row, and what a copy shows of it, are the same
//! values of the same table, byte for byte.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use change::{Kind, Row, Source, Step, Table};
use source_mysql::{Config, MySqlSource, Snapshot};
use testkit::{Flavour, MySqlDatabase, shared};

const PATIENCE: Duration = Duration::from_secs(60);

/// A type, and values of it in SQL.
type Entry = (&'static str, &'static [&'static str]);

const INTEGERS: &[Entry] = &[
    ("tinyint", &["-128", "-1", "0", "1", "127", "5", "6"]),
    ("tinyint unsigned", &["0", "128", "255"]),
    ("smallint", &["-32768", "0", "32767"]),
    ("smallint(5) unsigned zerofill", &["0", "42", "65535"]),
    ("mediumint", &["-8388608", "-5", "0", "8388607"]),
    ("mediumint unsigned", &["0", "8388608", "16777215"]),
    ("int", &["-2147483648", "-1", "0", "2147483647"]),
    ("int(10) unsigned zerofill", &["0", "7", "4294967295"]),
    ("bigint", &["-9223372036854775808", "-1", "0", "9223372036854775807"]),
    ("bigint unsigned", &["0", "1", "9223372036854775808", "18446744073709551615"]),
    ("bit(1)", &["b'0'", "b'1'"]),
    ("bit(9)", &["0", "1", "256", "511"]),
    ("bit(64)", &["0", "1", "9223372036854775808", "18446744073709551615"]),
    ("year", &["'0000'", "1901", "1999", "2024", "2155"]),
];

const FRACTIONS: &[Entry] = &[
    (
        "float",
        &["0", "-0e0", "0.1", "-1.5", "3.4028234e38", "1.17549e-38", "1e-45", "16777217", "123456.789", "9.99999e20"],
    ),
    ("float(7,3)", &["0", "0.1", "1234.567", "-9999.999"]),
    (
        "double",
        &[
            "0",
            "-0e0",
            "0.1",
            "1e15",
            "123456789012345678",
            "1.7976931348623157e308",
            "5e-324",
            "-1e-5",
            "0.30000000000000004",
        ],
    ),
    ("double(10,2)", &["0", "0.1", "12345678.12", "-99999999.99"]),
    ("decimal(1,0)", &["0", "9", "-9"]),
    ("decimal(5,2)", &["0", "-0.01", "1.50", "999.99", "-999.99"]),
    ("decimal(8,3) zerofill", &["0", "1.5", "99999.999"]),
    ("decimal(18,9)", &["-999999999.999999999", "0.000000001", "1"]),
    ("decimal(19,0)", &["-9999999999999999999", "9223372036854775808", "0"]),
    (
        "decimal(65,30)",
        &[
            "0",
            "-0.000000000000000000000000000001",
            "99999999999999999999999999999999999.999999999999999999999999999999",
        ],
    ),
];

const TIMES: &[Entry] = &[
    (
        "date",
        &[
            "'0000-00-00'",
            "'0001-01-01'",
            "'1969-12-31'",
            "'2024-00-15'",
            "'2024-02-00'",
            "'2024-02-29'",
            "'9999-12-31'",
        ],
    ),
    ("time", &["'-838:59:59'", "'-00:00:01'", "'00:00:00'", "'12:34:56'", "'838:59:59'"]),
    ("time(2)", &["'-838:59:58.99'", "'-00:00:00.01'", "'-12:34:56.78'", "'00:00:00'", "'12:34:56.78'"]),
    ("time(6)", &["'-838:59:58.999999'", "'-00:00:00.000001'", "'00:00:00'", "'12:34:56.789012'"]),
    (
        "datetime",
        &[
            "'0000-00-00 00:00:00'",
            "'1000-01-01 00:00:00'",
            "'2024-00-15 01:02:03'",
            "'1969-12-31 23:59:59'",
            "'9999-12-31 23:59:59'",
        ],
    ),
    ("datetime(3)", &["'0000-00-00 00:00:00'", "'2024-02-29 12:34:56.789'", "'1969-12-31 23:59:59.999'"]),
    ("datetime(6)", &["'2024-02-29 12:34:56.000001'", "'9999-12-31 23:59:59.999999'"]),
    (
        "timestamp null",
        &["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2024-02-29 12:34:56'", "'2038-01-19 03:14:07'"],
    ),
    ("timestamp(1) null", &["'2024-02-29 12:34:56.7'"]),
    ("timestamp(6) null", &["'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07.499999'"]),
];

const BYTES: &[Entry] = &[
    ("binary(5)", &["''", "x'00'", "x'0102'", "x'0000000001'", "x'ffffffffff'", "x'0102000000'"]),
    ("varbinary(300)", &["''", "x'00'", "x'0100'", "x'fbfcfdfeff'", "repeat('x', 300)"]),
    ("tinyblob", &["''", "x'00'", "repeat(x'fb', 251)", "repeat('x', 255)"]),
    ("blob", &["x'fffe00'", "repeat('y', 65535)"]),
    ("mediumblob", &["repeat(x'00ff', 100000)"]),
    ("longblob", &["x''", "x'22'"]),
    ("enum('a','B','ä')", &["'a'", "'b'", "'ä'", "0"]),
    ("set('x','y','z')", &["''", "'x'", "'z,x'", "'x,y,z'"]),
    ("char(4) character set utf8mb4", &["''", "'a'", "'ab  '", "'äöü€'", "'𝄞'"]),
    ("varchar(40) character set utf8mb4", &["''", "'a'", "'a  '", "'Zürich'", "'𝄞'", "'it''s \\\\ \\n'", "'\\0'"]),
    ("char(4) character set latin1", &["''", "'é'", "'ab'"]),
    ("tinytext character set latin1", &["'é'", "''"]),
    ("text", &["repeat('ä', 20000)", "''"]),
    ("mediumtext character set utf8mb3", &["'€'"]),
    ("longtext", &["'x'"]),
    ("varchar(300) character set utf8mb4 collate utf8mb4_general_ci", &["'a'", "'B'", "'b '", "'c'", "'Ä'", "'z'"]),
    (
        "geometry",
        &[
            "st_geomfromtext('point(1 2)')",
            "st_geomfromtext('linestring(0 0,1 1)', 0)",
            "st_geomfromtext('point(1 2)', 4326)",
        ],
    ),
    ("point", &["st_geomfromtext('point(1.5 -2.5)')"]),
    ("polygon", &["st_geomfromtext('polygon((0 0,1 0,1 1,0 0))')"]),
    ("multipoint", &["st_geomfromtext('multipoint(0 0,1 1)')"]),
    ("geometrycollection", &["st_geomfromtext('geometrycollection(point(1 1),linestring(0 0,1 1))')"]),
    ("json", &["'{}'", "'[1, 2.50, \"a\"]'", "'{\"b\": 1, \"a\": null, \"ä\": true}'", "'\"𝄞 \\\\n\"'"]),
];

const MYSQL: &[Entry] = &[
    (
        "json",
        &[
            "json_array(1e0, 1e20, 0.1e0, -0e0, 1.5e-16, 123456789012345.6e0, 1.7976931348623157e308)",
            "json_array(18446744073709551615, -9223372036854775808, 1.50, cast('-0.10' as decimal(5,2)))",
            "json_array(cast('2020-01-02' as date), cast('-12:34:56.78' as time(2)), cast('2020-01-02 03:04:05.6' as datetime(1)))",
            "json_array(cast(x'00ff' as binary), x'61', b'1', repeat(cast(x'ff' as binary), 100))",
            "json_object('k', json_object('', json_array()), 'kk', 'x\"y', 'a', timestamp('2020-01-02 03:04:05.123456'))",
            "json_array(repeat('long ', 20000), json_object('x', repeat('y', 70000)))",
            "cast('null' as json)",
            "json_array(cast(2020 as year), st_geomfromtext('point(1 2)'))",
            "json_quote('\\b\\f\\t\\r\\n\\Z')",
        ],
    ),
    ("vector(3)", &["string_to_vector('[1,2.5,-3]')", "string_to_vector('[0,0,0]')"]),
];

const MARIADB: &[Entry] = &[
    (
        "uuid",
        &[
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-1fff-bfff-ffffffffff00'",
            "'01890a5d-ac96-774b-bcce-b302099a8057'",
            "'123e4567-e89b-42d3-a456-426655440000'",
        ],
    ),
    ("inet4", &["'0.0.0.0'", "'192.0.2.0'", "'255.255.255.255'"]),
    (
        "inet6",
        &[
            "'::'",
            "'2001:db8::'",
            "'::ffff:192.0.2.1'",
            "'::1.2.3.4'",
            "'2001:0:1:1::1:1'",
            "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'",
        ],
    ),
    ("varchar(2000) compressed", &["''", "'a'", "repeat('ä', 900)"]),
    ("blob compressed", &["''", "repeat(x'ff', 9000)"]),
    ("mediumtext compressed character set latin1", &["repeat('é', 9000)"]),
];

const MARIADB_UNSTABLE: &[Entry] =
    &[("vector(3)", &["vec_fromtext('[1,2.5,-3]')"]), ("timestamp null", &["'2106-02-07 06:28:15'"])];

/// Values that a typed literal of every one of these sets has.
const CHARSETS: [&str; 40] = [
    "armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8",
    "eucjpms", "euckr", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1",
    "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le",
    "utf32", "utf8mb3", "utf8mb4", "gb18030",
];

const TEXTS: &str = "'', 'plain', 'x ', '~{}[]|\\\\', 'äöüß', 'Привет', '日本語', '한국어', 'ελληνικά', '€'";

/// Not the key of any table.
fn has_no_key(sql_type: &str) -> bool {
    ["blob", "text", "geom", "point", "polygon", "json", "vector", "compressed"]
        .iter()
        .any(|word| sql_type.contains(word))
}

fn create(database: &MySqlDatabase, entries: &[Entry]) {
    let mut sql = "set sql_mode = 'ALLOW_INVALID_DATES'; set time_zone = '+00:00';".to_owned();
    for (number, (sql_type, values)) in entries.iter().enumerate() {
        let rows: Vec<String> = values.iter().enumerate().map(|(id, value)| format!("({id}, {value})")).collect();
        write!(
            sql,
            "create table v{number} (id int primary key, c {sql_type}); insert into v{number} values {}, (999, null);",
            rows.join(", ")
        )
        .unwrap();
        if !has_no_key(sql_type) {
            let sql_type = sql_type.trim_end_matches(" null");
            write!(
                sql,
                "create table k{number} (c {sql_type} primary key); insert ignore into k{number} values ({});",
                values.join("), (")
            )
            .unwrap();
        }
    }
    database.execute(&sql).unwrap();
}

fn create_charsets(database: &MySqlDatabase) {
    let known = database.query("select character_set_name from information_schema.character_sets").unwrap();
    let known: Vec<String> = known.into_iter().flatten().flatten().collect();
    let mut sql = "set sql_mode = '';".to_owned();
    for name in CHARSETS.iter().filter(|name| known.iter().any(|known| known == *name)) {
        let texts = TEXTS.replace(", ", "), (");
        write!(
            sql,
            "create table t_{name} (c varchar(40) character set {name} primary key, f char(30) character set {name}, \
             l text character set {name}); insert ignore into t_{name} (c) values ({texts}); \
             update t_{name} set f = c, l = c;"
        )
        .unwrap();
    }
    database.execute(&sql).unwrap();
}

fn create_shapes(database: &MySqlDatabase) {
    let mariadb = database.flavour().is_mariadb();
    let members: Vec<String> = (0..64).map(|n| format!("'m{n}'")).collect();
    let mut sql = format!(
        "create table computed (a int, id int primary key, v int as (a + 1) virtual, s int as (a * 2) stored, z int); \
         insert into computed (a, id, z) values (1, 2, 3), (null, 3, null); \
         create table many (id int primary key, c set({})); insert into many values (1, 'm0,m63'), (2, 'm62'), (3, ''); \
         create table two (a varchar(10), b int, c datetime(3), primary key (c, a, b)); \
         insert into two values ('x', 1, '2020-01-01'), ('x', 2, '2020-01-01'), ('X y', 1, '2020-01-01'), ('a', 9, '1999-01-01 00:00:00.5'), \
         ('b', 1, '2020-01-01'), ('c', 1, '2020-01-01'), ('d', 1, '2020-01-01'); \
         create table prefix (t text, primary key (t(3))); insert into prefix values ('abcd'), ('abdd'), ('b'), ('ca'), ('da'), ('ea'); \
         create table `odd ``name``` (`order` int primary key, `sp ace` int); insert into `odd ``name``` values (1, 2);",
        members.join(",")
    );
    let invisible = "create table hidden (id int primary key, seen int, unseen int invisible default 7); \
                     insert into hidden (id, seen) values (1, 2);";
    sql += invisible;
    if !mariadb {
        sql +=
            "set sql_generate_invisible_primary_key = on; create table made (a int); insert into made values (5), (6);";
    }
    database.execute(&sql).unwrap();
}

/// What a road shows: by table and first column, the values of each row and the text of its key.
type Shown = BTreeMap<(String, String), Vec<String>>;

fn show(row: &dyn Row, table: &Table) -> Vec<String> {
    let mut scratch = b"left over".to_vec();
    (0..table.columns.len())
        .map(|index| {
            let value =
                row.value(index, &mut scratch).map_or_else(|error| format!("{error}"), |value| format!("{value:?}"));
            format!("{}: {value} {:?}", table.columns[index].name, row.text(index))
        })
        .collect()
}

/// Reads until nothing comes for a while.
fn read(source: &mut MySqlSource, wanted: Kind) -> (Shown, BTreeMap<String, Arc<Table>>, Vec<String>) {
    let (mut shown, mut tables, mut order) = (Shown::new(), BTreeMap::new(), Vec::new());
    let (begin, mut last) = (Instant::now(), Instant::now());
    while last.elapsed() < Duration::from_secs(4) {
        assert!(begin.elapsed() < PATIENCE);
        match source.next(Duration::from_millis(50)).unwrap() {
            Step::Table(table) => drop(tables.insert(table.name.table.clone(), Arc::clone(table))),
            Step::Change(change) if matches!(change.kind, Kind::Insert | Kind::Update | Kind::Read) => {
                assert_eq!(change.kind == Kind::Read, wanted == Kind::Read);
                let row = show(change.after.unwrap(), change.table);
                let key: Vec<&str> = change.table.key.iter().map(|&at| row[at].as_str()).collect();
                let key = (change.table.name.table.clone(), key.join(" | "));
                order.push(format!("{key:?}"));
                let before = shown.insert(key, row);
                assert!(before.is_none() || change.kind == Kind::Update, "twice: {before:?} {:?}", order.last());
            }
            Step::Idle => continue,
            _ => {}
        }
        last = Instant::now();
    }
    (shown, tables, order)
}

#[test]
fn what_is_copied_is_what_the_log_shows() {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let database = shared::mysql(flavour).create_database().unwrap();
        let mut config = Config::new(&database.name, database.url(), [format!("{}.*", database.name)]);
        let mut stream = MySqlSource::new(config.clone()).unwrap();
        stream.start(None).unwrap();
        let mut entries = [INTEGERS, FRACTIONS, TIMES, BYTES].concat();
        match flavour {
            Flavour::MySql => entries.extend(MYSQL),
            Flavour::MariaDb => entries.extend(MARIADB),
            Flavour::MariaDbUnstable => entries.extend(MARIADB.iter().chain(MARIADB_UNSTABLE)),
        }
        create(&database, &entries);
        create_charsets(&database);
        create_shapes(&database);
        let (logged, log_tables, _) = read(&mut stream, Kind::Insert);
        stream.close().unwrap();
        config.snapshot = Snapshot::Initial;
        config.name += "_copy";
        let mut copy = MySqlSource::new(config).unwrap();
        copy.start(None).unwrap();
        let (copied, tables, _) = read(&mut copy, Kind::Read);
        copy.close().unwrap();
        let mut wrong = Vec::new();
        for (key, row) in &logged {
            match copied.get(key) {
                Some(found) if found == row => {}
                found => wrong.push(format!("{key:?}:\n  log  {row:.200?}\n  copy {found:.200?}")),
            }
        }
        wrong.extend(copied.keys().filter(|key| !logged.contains_key(key)).map(|key| format!("only copied: {key:?}")));
        for (name, table) in &log_tables {
            match tables.get(name) {
                Some(found) if found == table => {}
                found => wrong.push(format!("table {name}:\n  log  {table:?}\n  copy {found:?}")),
            }
        }
        assert!(wrong.is_empty(), "{flavour:?}: {} wrong of {}\n{}", wrong.len(), logged.len(), wrong.join("\n"));
        assert!(logged.len() > 400, "only {} rows", logged.len());
    }
}
