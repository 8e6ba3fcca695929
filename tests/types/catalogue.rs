//! Every type of PostgreSQL 14 to 18 with values that somebody has stored, odd ones first.
//!
//! A column of each entry's type and one of arrays of it are made of this; see `mod.rs` for what is asked of them.

/// A type, its form, and values.
pub(super) struct Entry {
    /// As a column is declared.
    pub(super) sql: &'static str,
    /// The Avro type, or the logical type where there is one.
    pub(super) form: &'static str,
    /// SQL literals without their quotes.
    pub(super) values: &'static [&'static str],
    /// Literals that the form cannot hold, with the reason.
    pub(super) absent: &'static [(&'static str, &'static str)],
    /// The first major version that has the type and its values.
    pub(super) since: u32,
    /// Whether the type is itself one of arrays, so that arrays of it are left to entries of their own.
    pub(super) is_array: bool,
}

const fn typed(sql: &'static str, form: &'static str, values: &'static [&'static str]) -> Entry {
    Entry { sql, form, values, absent: &[], since: 14, is_array: false }
}

const fn text(sql: &'static str, values: &'static [&'static str]) -> Entry {
    typed(sql, "string", values)
}

const fn array(sql: &'static str, values: &'static [&'static str]) -> Entry {
    Entry { is_array: true, ..typed(sql, "array", values) }
}

impl Entry {
    const fn absent(self, absent: &'static [(&'static str, &'static str)]) -> Self {
        Self { absent, ..self }
    }

    const fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }
}

/// What the entries need.
pub(crate) const SETUP: &str = r#"
    create extension citext schema public; create extension hstore schema public; create extension ltree schema public;
    create extension cube schema public; create extension isn schema public; create extension seg schema public;
    create type public.mood as enum ('sad, very', 'ok', '"quoted"', 'null', 'größe');
    create type public.pair as (a int, "B c" text, d numeric[]);
    create domain public.price as numeric(8,3); create domain public.better_price as public.price check (value > 0);
    create domain public.label as text not null; create domain public.days as date[]; create domain public.more_days as public.days;
    create domain public.feeling as public.mood; create domain public.twin as public.pair;
    create type public.floatrange as range (subtype = float8, subtype_diff = float8mi);
    create domain public.span as int4range;
    create type public.nested as (p public.pair, m public.mood[], "null" text);
"#;

/// Built-in types without an entry, and why.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    ("gtsvector", "an index's own; no value of it can be written"),
    ("pg_brin_bloom_summary", "an index's own; no value of it can be written"),
    ("pg_brin_minmax_multi_summary", "an index's own; no value of it can be written"),
    ("pg_dependencies", "the statistics' own; no value of it can be written"),
    ("pg_mcv_list", "the statistics' own; no value of it can be written"),
    ("pg_ndistinct", "the statistics' own; no value of it can be written"),
    ("pg_node_tree", "the catalogue's own; no value of it can be written"),
];

const DATE_INFINITY: &[(&str, &str)] = &[("infinity", "infinity"), ("-infinity", "infinity")];

pub(super) const ENTRIES: &[Entry] = &[
    typed("boolean", "boolean", &["t", "f"]),
    typed("smallint", "long", &["-32768", "32767", "0"]),
    typed("integer", "long", &["-2147483648", "2147483647"]),
    typed("bigint", "long", &["-9223372036854775808", "9223372036854775807", "-1"]),
    typed("oid", "long", &["0", "4294967295"]),
    typed(
        "real",
        "float",
        &["NaN", "Infinity", "-Infinity", "0.1", "1e-45", "-3.4028235e38", "-0", "16777216", "1.17549435e-38"],
    ),
    typed(
        "double precision",
        "double",
        &["NaN", "Infinity", "-Infinity", "0.1", "5e-324", "-1.7976931348623157e308", "-0", "1e22", "9007199254740993"],
    ),
    typed("float(10)", "float", &["0.333333333"]),
    text(
        "numeric",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "1.500",
            "-0.0000000000000000000000000000000000000000000000001",
            "0",
            "1e1000",
            "00012",
        ],
    ),
    typed("numeric(5,2)", "decimal(5,2)", &["-999.99", "0", "0.01", "-0.01", "1", "327.68"]).absent(&[("NaN", "nan")]),
    typed("numeric(3,-2)", "decimal(5,0)", &["99900", "-100", "0", "49"]).absent(&[("NaN", "nan")]).since(15),
    typed("numeric(2,4)", "decimal(4,4)", &["0.0099", "-0.0001", "0"]).absent(&[("NaN", "nan")]).since(15),
    typed("numeric(38)", "decimal(38,0)", &["-99999999999999999999999999999999999999", "9"]),
    typed(
        "numeric(1000,500)",
        "decimal(1000,500)",
        &["-12345678901234567890123456789012345678901234567890.01234567890123456789", "0.5"],
    ),
    text("money", &["-92233720368547758.08", "1234.5", "0"]),
    text(
        "text",
        &["", "NULL", "null", "é\n\\x", "日本 🦀", "{a,b}", "\"", "'", " \t\r\n ", "\u{1}\u{7f}\u{85}\u{feff}", ",;"],
    ),
    text("varchar(5)", &["abc", "größe"]),
    text("varchar", &["x"]),
    text("char(5)", &["ab", "abcde", ""]),
    text("bpchar", &["ab  "]),
    text("\"char\"", &["x", "", " "]),
    text("name", &["n", "größe"]),
    typed("bytea", "bytes", &["", "\\x00ff10", "\\x5c22", "abc"]),
    typed("uuid", "uuid", &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "00000000-0000-0000-0000-000000000000"]),
    typed("bit(1)", "boolean", &["0", "1"]),
    typed("bit", "boolean", &["1"]),
    text("bit(9)", &["010101011", "000000000"]),
    text("varbit", &["", "1", "0110"]),
    text("bit varying(3)", &["01"]),
    typed(
        "date",
        "date",
        &["4713-11-24 BC", "0001-12-31 BC", "0001-01-01", "1969-12-31", "2024-02-29", "10000-01-01", "5874897-12-31"],
    )
    .absent(DATE_INFINITY),
    typed("time", "time-micros", &["00:00", "24:00:00", "23:59:59.999999", "12:00:00.5", "23:59:60"]),
    typed("time(0)", "time-micros", &["01:02:03.5"]),
    typed(
        "timestamp",
        "local-timestamp-micros",
        &[
            "4713-11-24 00:00:00 BC",
            "0001-02-29 23:59:59.999999 BC",
            "1969-12-31 23:59:59.999999",
            "10000-01-01",
            "2024-03-31 02:30:00",
            "294246-12-31 23:59:59.999999",
        ],
    )
    .absent(&[
        ("infinity", "infinity"),
        ("-infinity", "infinity"),
        ("294276-12-31 23:59:59.999999", "out-of-range"),
    ]),
    typed("timestamp(3)", "local-timestamp-micros", &["2026-01-02 03:04:05.6789"]),
    typed(
        "timestamptz",
        "timestamp-micros",
        &[
            "4713-11-24 00:00:00+00 BC",
            "0044-03-15 12:00:00+01 BC",
            "1900-01-01 00:00:00.000001+05:53:28",
            "2024-03-31 02:30:00 Europe/Berlin",
            "99999-12-31 23:59:59.999999-15:59",
        ],
    )
    .absent(&[("infinity", "infinity"), ("-infinity", "infinity"), ("294276-12-31 23:59:59+00", "out-of-range")]),
    text("timetz", &["01:02:03+05:30", "24:00:00-15:59", "00:00:00.000001+00", "12:00+05:53:28"]),
    text(
        "interval",
        &["1 year -2 days 03:04:05.6", "0", "-178000000 years", "-1 month +1 day -00:00:00.000001", "P1Y2M3DT4H5M6.7S"],
    ),
    text("interval", &["infinity", "-infinity"]).since(17),
    text("interval day to second(2)", &["1 12:59:10.123"]),
    text("json", &["{\"a\":  1, \"a\": 2}", "null", "\"\\u00e9\""]),
    text("jsonb", &["{\"b\":1,\"a\":[]}", "1e400", "null"]),
    text("jsonpath", &["$.a[*] ? (@ > 1)", "strict $"]),
    text("xml", &["<a b=\"c\"/>", "<?xml version=\"1.0\"?><ü/>"]),
    text("inet", &["::1/64", "10.0.0.1", "10.0.0.1/8", "::ffff:1.2.3.4"]),
    text("cidr", &["10.0.0.0/8", "2001:db8::/32"]),
    text("macaddr", &["08:00:2b:01:02:03"]),
    text("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    text("point", &["(0.1,-2e300)", "(NaN,Infinity)"]),
    text("line", &["{1,-1,0}"]),
    text("lseg", &["[(0,0),(1,1.5)]"]),
    text("box", &["(1,1),(0,0)", "(2,2),(-1,-1)"]),
    text("path", &["[(0,0),(1,1)]", "((0,0),(1,1))"]),
    text("polygon", &["((0,0),(1,1),(1,0))"]),
    text("circle", &["<(0,0),5>"]),
    text("tsvector", &["a:1A 'b c':2", ""]),
    text("tsquery", &["a & !b:*", "'it''s' <-> x"]),
    text("int4range", &["[1,5)", "empty", "(,)", "[1,1]"]),
    text("int8range", &["[-9223372036854775808,5)"]),
    text("numrange", &["(1.50,2.0]", "[1,)"]),
    text("daterange", &["[2024-01-01,infinity]", "(-infinity,)"]),
    text("tsrange", &["[2024-01-01 00:00,2024-01-02 12:00)"]),
    text("tstzrange", &["[2024-01-01 00:00+02,)"]),
    text("int4multirange", &["{[1,2),[5,7)}", "{}"]),
    text("int8multirange", &["{[1,2)}"]),
    text("nummultirange", &["{(1.5,2.5],[3,)}"]),
    text("datemultirange", &["{[2024-01-01,2024-02-01)}"]),
    text("tsmultirange", &["{[2024-01-01 00:00,2024-01-02 12:00)}"]),
    text("tstzmultirange", &["{[2024-01-01 00:00+02,)}"]),
    text("xid", &["4294967295"]),
    text("xid8", &["18446744073709551615"]),
    text("cid", &["7"]),
    text("tid", &["(4294967295,1)"]),
    text("pg_lsn", &["16/B374D848", "0/0"]),
    text("pg_snapshot", &["10:20:10,14,15"]),
    text("txid_snapshot", &["10:20:10,14,15"]),
    text("regclass", &["pg_class"]),
    text("regtype", &["integer", "public.mood"]),
    text("regproc", &["pg_backend_pid"]),
    text("regprocedure", &["abs(integer)"]),
    text("regoper", &["||/"]),
    text("regoperator", &["+(integer,integer)"]),
    text("regrole", &["postgres"]),
    text("regnamespace", &["public"]),
    text("regcollation", &["\"C\""]),
    text("regconfig", &["english"]),
    text("regdictionary", &["simple"]),
    text("int2vector", &["1 2 3", ""]),
    text("oidvector", &["1 4294967295"]),
    text("aclitem", &["postgres=r/postgres"]),
    text("refcursor", &["a cursor"]),
    text("public.citext", &["MiXed"]),
    text("public.hstore", &["a=>1, \"b c\"=>NULL, \"d\"=>\"\\\"\""]),
    text("public.ltree", &["Top.Science.Astronomy"]),
    text("public.lquery", &["Top.*{1,2}"]),
    text("public.ltxtquery", &["Europe & Russia*@"]),
    text("public.cube", &["(1,2),(3,4)"]),
    text("public.isbn13", &["978-0-393-04002-9"]),
    text("public.seg", &["1.5 .. 2.50"]),
    text("public.mood", &["sad, very", "ok", "\"quoted\"", "null", "größe"]),
    text("public.pair", &["(1,\"x y\",\"{1,NULL}\")", "(,,)", "(2,\"\",{})"]),
    text("public.nested", &["(\"(1,\"\"a \"\"\"\"b\"\",)\",\"{ok,\"\"sad, very\"\"}\",)"]),
    text("public.floatrange", &["[0.1,Infinity)"]),
    text("public.span", &["[1,3]"]),
    typed("public.price", "decimal(8,3)", &["1.5", "-99999.999"]).absent(&[("NaN", "nan")]),
    typed("public.better_price", "decimal(8,3)", &["2.5"]),
    text("public.label", &["l"]),
    text("public.feeling", &["ok"]),
    text("public.twin", &["(7,,)"]),
    array("public.days", &["{2024-02-29,NULL}", "{}"])
        .absent(&[("{-infinity}", "infinity"), ("[2:2]={1970-01-01}", "dimensions")]),
    array("public.more_days", &["{1970-01-01,0044-03-15 BC}"]),
    array("public.days[]", &["{\"{2024-02-29,NULL}\",NULL,\"{infinity}\",\"{{1970-01-01}}\"}"]),
    array("integer[][]", &["{1,2}", "{NULL}"]).absent(&[
        ("{{1,2},{3,NULL}}", "dimensions"),
        ("[-1:0]={1,2}", "dimensions"),
        ("[0:0][5:6]={{1,2}}", "dimensions"),
    ]),
    array("text[]", &["{NULL,\"NULL\",nul,\"\",\" \",\"a\\\\b\\\"c\",\"{\",\",\",;,\"é\n\"}"])
        .absent(&[("{{a},{b}}", "dimensions")]),
];
