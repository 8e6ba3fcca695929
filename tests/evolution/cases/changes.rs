//! The 34 changes of `avro-cases.json` as statements, where a database has them, and a few more.
//!
//! Two of the 34 have none: an alias and the default of an enum are of schemas only.

/// One change, in each of the databases that has it.
pub(super) struct Change {
    /// As in `avro-cases.json`.
    pub(super) id: &'static str,
    pub(super) postgres: Option<Statements>,
    pub(super) mysql: Option<Statements>,
    /// Columns that are not called as they were, old name and new; an empty new name: it is gone, and another one has its name.
    pub(super) moved: &'static [(&'static str, &'static str)],
}

/// `{t}` stands for the table; PostgreSQL's type `{t}_e` is an enum of a and b.
#[derive(Clone, Copy)]
pub(super) struct Statements {
    /// The columns beside `id`.
    pub(super) columns: &'static str,
    /// The values of a row, without the id.
    pub(super) before: &'static [&'static str],
    pub(super) alter: &'static str,
    pub(super) after: &'static [&'static str],
}

const fn of(
    columns: &'static str,
    before: &'static [&'static str],
    alter: &'static str,
    after: &'static [&'static str],
) -> Option<Statements> {
    Some(Statements { columns, before, alter, after })
}

const fn both(id: &'static str, same: Option<Statements>) -> Change {
    Change { id, postgres: same, mysql: same, moved: &[] }
}

const fn each(id: &'static str, postgres: Option<Statements>, mysql: Option<Statements>) -> Change {
    Change { id, postgres, mysql, moved: &[] }
}

impl Change {
    const fn moving(self, moved: &'static [(&'static str, &'static str)]) -> Self {
        Self { moved, ..self }
    }
}

const RENAMED: &[(&str, &str)] = &[("c", "d")];
const SWAPPED: &[(&str, &str)] = &[("c", "d"), ("d", "c")];
const REPLACED: &[(&str, &str)] = &[("c", "")];

pub(super) const CHANGES: &[Change] = &[
    both("add-nullable-column", of("", &[""], "alter table {t} add column c text", &[", 'x'", ", null"])),
    each(
        "add-not-null-column-no-default",
        of(
            "",
            &[""],
            "alter table {t} add column c text not null default 'old'; alter table {t} alter column c drop default",
            &[", 'x'"],
        ),
        of("", &[""], "alter table {t} add column c text not null", &[", 'x'"]),
    ),
    both(
        "add-not-null-column-literal-default",
        of("", &[""], "alter table {t} add column c int not null default 7", &[", 8"]),
    ),
    both("drop-nullable-column", of(", c text", &[", 'x'"], "alter table {t} drop column c", &[""])),
    both("drop-not-null-column", of(", c text not null", &[", 'x'"], "alter table {t} drop column c", &[""])),
    both("rename-nullable-column", of(", c text", &[", 'x'"], "alter table {t} rename column c to d", &[", 'y'"]))
        .moving(RENAMED),
    both("rename-not-null-column", of(", c text not null", &[", 'x'"], "alter table {t} rename column c to d", &[", 'y'"]))
        .moving(RENAMED),
    each(
        "int-to-bigint",
        of(", c int not null", &[", 7"], "alter table {t} alter column c type bigint", &[", 5000000000"]),
        of(", c int not null", &[", 7"], "alter table {t} modify c bigint not null", &[", 5000000000"]),
    ),
    each(
        "bigint-to-int",
        of(", c bigint", &[", 7"], "alter table {t} alter column c type int", &[", 8"]),
        of(", c bigint", &[", 7"], "alter table {t} modify c int", &[", 8"]),
    ),
    each(
        "real-to-double",
        of(", c real", &[", 1.5"], "alter table {t} alter column c type double precision", &[", 0.1"]),
        of(", c float", &[", 1.5"], "alter table {t} modify c double", &[", 0.1"]),
    ),
    each(
        "int-to-double",
        of(", c int", &[", 7"], "alter table {t} alter column c type double precision", &[", 0.5"]),
        of(", c int", &[", 7"], "alter table {t} modify c double", &[", 0.5"]),
    ),
    each(
        "int-to-text",
        of(", c int", &[", 7"], "alter table {t} alter column c type text", &[", 'seven'"]),
        of(", c int", &[", 7"], "alter table {t} modify c text", &[", 'seven'"]),
    ),
    each(
        "text-to-bytea",
        of(", c text", &[", 'x'"], "alter table {t} alter column c type bytea using convert_to(c, 'UTF8')", &[", '\\xff00'"]),
        of(", c text", &[", 'x'"], "alter table {t} modify c blob", &[", x'ff00'"]),
    ),
    each(
        "numeric-scale-change",
        of(", c numeric(10,2) not null", &[", 12.34"], "alter table {t} alter column c type numeric(10,4)", &[", 12.3456"]),
        of(", c numeric(10,2) not null", &[", 12.34"], "alter table {t} modify c numeric(10,4) not null", &[", 12.3456"]),
    ),
    each(
        "numeric-precision-change",
        of(", c numeric(10,2)", &[", 12.34"], "alter table {t} alter column c type numeric(20,2)", &[", 123456789012.34"]),
        of(", c numeric(10,2)", &[", 12.34"], "alter table {t} modify c numeric(20,2)", &[", 123456789012.34"]),
    ),
    each(
        "numeric-to-bytea",
        of(
            ", c numeric(10,2)",
            &[", 12.34"],
            "alter table {t} alter column c type bytea using convert_to(c::text, 'UTF8')",
            &[", '\\xff00'"],
        ),
        of(", c numeric(10,2)", &[", 12.34"], "alter table {t} modify c blob", &[", x'ff00'"]),
    ),
    each(
        "timestamp-millis-to-micros",
        of(
            ", c timestamp(3)",
            &[", '2024-01-02 03:04:05.678'"],
            "alter table {t} alter column c type timestamp(6)",
            &[", '2024-01-02 03:04:05.678901'"],
        ),
        of(
            ", c datetime(3)",
            &[", '2024-01-02 03:04:05.678'"],
            "alter table {t} modify c datetime(6)",
            &[", '2024-01-02 03:04:05.678901'"],
        ),
    ),
    each(
        "timestamptz-to-timestamp",
        of(
            ", c timestamptz",
            &[", '2024-01-02 03:04:05+00'"],
            "alter table {t} alter column c type timestamp",
            &[", '2024-01-02 03:04:05'"],
        ),
        of(
            ", c timestamp null",
            &[", '2024-01-02 03:04:05'"],
            "alter table {t} modify c datetime",
            &[", '2024-01-02 03:04:05'"],
        ),
    ),
    each(
        "bigint-to-timestamp",
        of(
            ", c bigint",
            &[", 1704164645"],
            "alter table {t} alter column c type timestamptz using to_timestamp(c)",
            &[", '2024-01-02 03:04:05+00'"],
        ),
        of(", c bigint", &[", 20240102030405"], "alter table {t} modify c timestamp null", &[", '2024-01-02 03:04:05'"]),
    ),
    each(
        "date-to-int",
        of(", c date", &[", '2024-01-02'"], "alter table {t} alter column c type int using c - '1970-01-01'", &[", 7"]),
        of(", c date", &[", '2024-01-02'"], "alter table {t} modify c int", &[", 7"]),
    ),
    each(
        "uuid-to-text",
        of(
            ", c uuid",
            &[", '0189d3a4-5b6c-7d8e-9fa0-b1c2d3e4f506'"],
            "alter table {t} alter column c type text",
            &[", 'no uuid'"],
        ),
        None,
    ),
    each(
        "not-null-to-null",
        of(", c text not null", &[", 'x'"], "alter table {t} alter column c drop not null", &[", null"]),
        of(", c text not null", &[", 'x'"], "alter table {t} modify c text", &[", null"]),
    ),
    each(
        "null-to-not-null",
        of(
            ", c text",
            &[", null"],
            "update {t} set c = 'x'; alter table {t} alter column c set not null",
            &[", 'y'"],
        ),
        of(", c text", &[", null"], "update {t} set c = 'x'; alter table {t} modify c text not null", &[", 'y'"]),
    ),
    each(
        "nullable-int-to-nullable-bigint",
        of(", c int", &[", 7"], "alter table {t} alter column c type bigint", &[", 5000000000"]),
        of(", c int", &[", 7"], "alter table {t} modify c bigint", &[", 5000000000"]),
    ),
    each(
        "nullable-numeric-scale-change",
        of(", c numeric(10,2)", &[", 12.34"], "alter table {t} alter column c type numeric(10,4)", &[", 12.3456"]),
        of(", c numeric(10,2)", &[", 12.34"], "alter table {t} modify c numeric(10,4)", &[", 12.3456"]),
    ),
    // The log does not say that a type of PostgreSQL has a new label: it is seen when the table is described again.
    each(
        "enum-add-value-no-default",
        of(", c {t}_e", &[", 'a'"], "alter type {t}_e add value 'z'; alter table {t} alter column c set default 'a'", &[", 'z'"]),
        of(", c enum('a','b')", &[", 'a'"], "alter table {t} modify c enum('a','b','z')", &[", 'z'"]),
    ),
    each(
        "enum-drop-value",
        of(
            ", c {t}_e",
            &[", 'b'"],
            "update {t} set c = 'a'; create type {t}_f as enum ('a'); alter table {t} alter column c type {t}_f using c::text::{t}_f",
            &[", 'a'"],
        ),
        of(", c enum('a','b')", &[", 'b'"], "update {t} set c = 'a'; alter table {t} modify c enum('a')", &[", 'a'"]),
    ),
    each(
        "enum-to-text",
        of(", c {t}_e", &[", 'a'"], "alter table {t} alter column c type text", &[", 'anything'"]),
        of(", c enum('a','b')", &[", 'a'"], "alter table {t} modify c text", &[", 'anything'"]),
    ),
    each(
        "fixed-size-change",
        of(", c char(4)", &[", 'abcd'"], "alter table {t} alter column c type char(8)", &[", 'abcdefgh'"]),
        of(", c binary(4)", &[", 'abcd'"], "alter table {t} modify c binary(8)", &[", 'abcdefgh'"]),
    ),
    each(
        "column-reorder",
        None,
        of(", c text, d int", &[", 'x', 7"], "alter table {t} modify c text after d", &[", 8, 'y'"]),
    ),
    both(
        "drop-and-add-same-name",
        of(", c int", &[", 7"], "alter table {t} drop column c; alter table {t} add column c text", &[", 'x'"]),
    )
    .moving(REPLACED),
    each(
        "scalar-to-array",
        of(", c int", &[", 7"], "alter table {t} alter column c type int[] using array[c]", &[", '{7,8}'"]),
        None,
    ),
    // Beyond the 34: what a pair of schemas cannot show.
    each(
        "drop-and-add-same-type",
        of(", c text", &[", 'x'"], "alter table {t} drop column c; alter table {t} add column c text", &[", 'y'"]),
        of(", c text", &[", 'x'"], "alter table {t} drop column c, add column c text", &[", 'y'"]),
    )
    .moving(REPLACED),
    each(
        "swap-of-names",
        of(
            ", c text, d text",
            &[", 'x', 'y'"],
            "alter table {t} rename column c to e; alter table {t} rename column d to c; alter table {t} rename column e to d",
            &[", 'z', 'w'"],
        ),
        of(", c text, d text", &[", 'x', 'y'"], "alter table {t} rename column c to d, rename column d to c", &[", 'z', 'w'"]),
    )
    .moving(SWAPPED),
];
