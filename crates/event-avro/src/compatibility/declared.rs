//! What two columns of the same Avro type may still differ in: the SQL type that the schema states beside it.
//!
//! In the default profile every integer is a `long`, every enum and every type without a form of its own a `string`. So the SQL
//! type says what values are in there, and consumers make their own columns after it. A range that grows or shrinks makes no value
//! wrong, but is not safe: such a column may be too small for it. A text that means something else (an address that was an
//! interval) is no better than a lost logical type. Character sets do not matter: an event has text in UTF-8.

use super::form::{Base, Form};
use super::shape::Field;
use super::{Finding, Verdict, advice};

/// A SQL type, as far as these rules tell one from another.
#[derive(Clone, Debug, PartialEq)]
enum Class {
    /// From the least to the greatest.
    Integer(i128, i128),
    /// Characters of any kind, at most so many; `padded` with spaces up to that.
    Text {
        most: Option<u32>,
        padded: bool,
    },
    Bytes {
        most: Option<u32>,
        padded: bool,
    },
    /// A name out of a list.
    Label,
    Json,
    /// With so many digits after the second's point.
    Time {
        digits: Option<u32>,
    },
    Number {
        unsigned: bool,
    },
    /// A length of time, in microseconds: MySQL's `time`. With so many digits after the second's point.
    Duration {
        digits: u32,
    },
    /// A type of the server's or of an extension's with a text or bytes of its own kind, by name, with its arguments.
    Special(String, String),
    /// A type that somebody made, or that is not known here, with its arguments.
    Named(String, String),
}

/// The parts of a SQL type: `int(10) unsigned` is `int`, 10, unsigned.
struct Parts {
    base: String,
    /// What is in brackets.
    arguments: String,
    unsigned: bool,
    array: bool,
}

impl Parts {
    fn of(sql_type: &str) -> Self {
        let (head, rest) = sql_type.split_once('(').unwrap_or((sql_type, ""));
        let (inside, tail) = rest.rsplit_once(')').unwrap_or(("", rest));
        let base = format!("{head}{tail}").to_lowercase();
        let end = [" character set", " collate", " /*"].iter().filter_map(|mark| base.find(mark)).min();
        let base = &base[..end.unwrap_or(base.len())];
        let words: Vec<&str> = base.split_whitespace().collect();
        let is_sign = |word: &&&str| matches!(**word, "unsigned" | "zerofill" | "signed");
        let kept: Vec<&str> = words.iter().filter(|word| !is_sign(word)).copied().collect();
        let base = kept.join(" ");
        Self {
            base: unqualified(base.trim_end_matches("[]")).to_owned(),
            arguments: inside.to_lowercase(),
            // MySQL makes a zerofill column unsigned.
            unsigned: words.iter().any(|word| matches!(*word, "unsigned" | "zerofill")),
            array: base.ends_with("[]"),
        }
    }

    /// A length, digits, a precision.
    fn number(&self) -> Option<u32> {
        self.arguments.split(',').next()?.trim().parse().ok()
    }
}

/// An extension's type without its schema, which PostgreSQL prints unless it looks for types there.
fn unqualified(base: &str) -> &str {
    let name = base.rsplit_once('.').map_or(base, |(_, name)| name);
    if EXTENSIONS.contains(&name) { name } else { base }
}

/// Types of extensions that are known by their names, wherever they were installed.
const EXTENSIONS: &[&str] = &["citext", "geography", "geometry", "hstore", "ltree", "vector"];

/// Names of the servers' own types whose text or bytes nothing but the name explains.
const SPECIAL: &[&str] = &[
    "xml",
    "jsonpath",
    "inet",
    "cidr",
    "inet4",
    "inet6",
    "macaddr",
    "macaddr8",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
    "datemultirange",
    "interval",
    "time with time zone",
    "money",
    "numeric",
    "decimal",
    "bit",
    "bit varying",
    "varbit",
    "xid",
    "xid8",
    "cid",
    "tid",
    "pg_lsn",
    "pg_snapshot",
    "txid_snapshot",
    "regclass",
    "regtype",
    "oidvector",
    "int2vector",
    "aclitem",
    "uuid",
    "hstore",
    "ltree",
    "geometry",
    "geography",
    "linestring",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "vector",
];

fn class(field: &Field, sql_type: &str) -> Class {
    let parts = Parts::of(sql_type);
    let most = parts.number();
    let base = parts.base.as_str();
    let element = match &field.form.base {
        Base::Array { items, .. } if parts.array => items,
        _ => &field.form,
    };
    if let Some(bits) = integer_bits(base).filter(|_| matches!(element.base, Base::Long | Base::Int)) {
        let half = 1_i128 << (bits - 1);
        return match parts.unsigned || base == "oid" {
            true => Class::Integer(0, 2 * half - 1),
            false => Class::Integer(-half, half - 1),
        };
    }
    if !field.labels.is_empty() && base != "set" {
        return Class::Label;
    }
    match base {
        "year" => Class::Integer(0, 2155),
        "character varying" | "varchar" | "text" | "citext" | "name" => Class::Text { most, padded: false },
        "tinytext" | "mediumtext" | "longtext" => Class::Text { most: Some(limit(base)), padded: false },
        "character" | "char" | "bpchar" => Class::Text { most: most.or(Some(1)), padded: true },
        "bytea" | "varbinary" => Class::Bytes { most, padded: false },
        "tinyblob" | "blob" | "mediumblob" | "longblob" => Class::Bytes { most: Some(limit(base)), padded: false },
        "binary" => Class::Bytes { most: most.or(Some(1)), padded: true },
        "json" | "jsonb" => Class::Json,
        "time" if is_plain_long(element) => Class::Duration { digits: most.unwrap_or(0) },
        "date" => Class::Time { digits: None },
        _ if is_time(base) => Class::Time { digits: Some(most.unwrap_or_else(|| default_digits(base))) },
        // The labels are judged by themselves.
        "set" => Class::Special(base.to_owned(), String::new()),
        _ if element.logical.is_none() && SPECIAL.contains(&base) => Class::Special(base.to_owned(), parts.arguments),
        "real" | "float4" | "float" | "double precision" | "float8" | "double" | "numeric" | "decimal" => {
            Class::Number { unsigned: parts.unsigned }
        }
        // Labels, or how wide an integer is shown.
        _ if base == "enum" || integer_bits(base).is_some() => Class::Named(base.to_owned(), String::new()),
        _ => Class::Named(base.to_owned(), parts.arguments),
    }
}

/// How many bytes MySQL's texts and blobs hold.
fn limit(base: &str) -> u32 {
    match base {
        "tinytext" | "tinyblob" => 0xff,
        "mediumtext" | "mediumblob" => MEDIUM,
        "longtext" | "longblob" => u32::MAX,
        _ => TEXT,
    }
}

const TEXT: u32 = 0xffff;
const MEDIUM: u32 = 0xff_ffff;

fn is_plain_long(form: &Form) -> bool {
    form.base == Base::Long && form.logical.is_none()
}

fn is_time(base: &str) -> bool {
    base == "datetime" || (base.starts_with("time") && base != "time with time zone")
}

/// Microseconds in PostgreSQL, whole seconds in MySQL, where nothing is said.
fn default_digits(base: &str) -> u32 {
    if base.ends_with("time zone") { 6 } else { 0 }
}

fn integer_bits(base: &str) -> Option<u32> {
    Some(match base {
        "tinyint" => 8,
        "smallint" | "int2" => 16,
        "mediumint" => 24,
        "int" | "integer" | "int4" | "oid" => 32,
        "bigint" | "int8" => 64,
        _ => return None,
    })
}

/// How many bits the integers of a column need at most, without their sign.
pub(super) fn bits(field: &Field) -> u32 {
    let declared = field.sql_type.as_deref().map(Parts::of).and_then(|parts| {
        integer_bits(&parts.base).map(|bits| if parts.unsigned || parts.base == "oid" { bits } else { bits - 1 })
    });
    declared.unwrap_or(if field.form.base == Base::Int { 31 } else { 63 })
}

/// Whether a value has the same bytes in the key. Types that are text there, and that may be none in the row, have the text
/// that the server gives them.
pub(super) fn is_same_in_key(old: &Field, new: &Field) -> bool {
    let filled = match (&old.sql_type, &new.sql_type) {
        (Some(before), Some(now)) => filled(before) == filled(now),
        _ => true,
    };
    filled && old.form.is_written_as(&new.form)
}

/// Up to what length a value is filled up, where it is. The servers differ: PostgreSQL fills `character`, which is called `char`
/// in MySQL and loses its spaces there; MySQL writes all digits of a time, PostgreSQL those that are not zero.
fn filled(sql_type: &str) -> Option<u32> {
    let parts = Parts::of(sql_type);
    match parts.base.as_str() {
        "character" | "binary" | "bit" => Some(parts.number().unwrap_or(1)),
        "datetime" | "timestamp" => Some(parts.number().unwrap_or(0)),
        _ => None,
    }
}

/// One column of one Avro type, before and after.
pub(super) fn judge(old: &Field, new: &Field) -> Option<Finding> {
    let (before, now) = (old.sql_type.as_deref()?, new.sql_type.as_deref()?);
    if before == now && old.labels == new.labels {
        return None;
    }
    let (was, is) = (class(old, before), class(new, now));
    let is_labelled = |field: &Field| !field.labels.is_empty();
    let listed = is_labelled(old) && is_labelled(new);
    if before == now && !listed {
        // The labels were not known, or are not: that is no change of the column.
        return None;
    }
    let (rule, verdict, running, replaying) = differ(&was, &is);
    if listed && old.labels != new.labels && verdict == Verdict::Safe {
        return Some(labels(old, new));
    }
    Some(Finding {
        rule,
        column: Some(old.column.clone()),
        verdict,
        what: format!("`{}` is {now} instead of {before}; its Avro type is {} as before", new.column, new.form.words()),
        running: running.to_owned(),
        replaying: replaying.to_owned(),
        advice: match verdict {
            Verdict::Safe => advice::NOTHING,
            Verdict::CorruptsSilently => advice::NEW_COLUMN,
            _ => "agree with the consumers, and let them widen their own columns first",
        }
        .to_owned(),
    })
}

type Difference = (&'static str, Verdict, &'static str, &'static str);

const READS: &str = "reads the values as they were written";

fn differ(was: &Class, is: &Class) -> Difference {
    use Verdict::{CorruptsSilently, Safe, SafeIfAgreed};
    let renamed = ("sql-type-renamed", Safe, READS, READS);
    match (was, is) {
        (was, is) if was == is => renamed,
        (Class::Integer(least, most), Class::Integer(lower, upper)) => integers((*least, *most), (*lower, *upper)),
        (Class::Number { .. }, Class::Number { .. }) => (
            "sign-changed",
            SafeIfAgreed,
            "reads the values; a column of its own may be of the other sign",
            "reads the values; a column of its own may be of the other sign",
        ),
        (Class::Text { most: old, padded: filled }, Class::Text { most: new, padded })
        | (Class::Bytes { most: old, padded: filled }, Class::Bytes { most: new, padded }) => {
            lengths(*old, *new, *filled || *padded)
        }
        (Class::Time { digits: Some(old) }, Class::Time { digits: Some(new) })
        | (Class::Duration { digits: old }, Class::Duration { digits: new }) => times(*old, *new),
        (Class::Json, Class::Json) => renamed,
        (Class::Special(was, old), Class::Special(is, new)) if was == is && srid(was, old) == srid(is, new) => (
            "type-arguments",
            SafeIfAgreed,
            "reads the values; they may not fit into a column of its own",
            "reads the values; they may not fit into a column of its own",
        ),
        (Class::Label, Class::Text { .. }) => (
            "enum-text",
            SafeIfAgreed,
            "sees texts that are none of the labels it knows; its schema allows them",
            READS,
        ),
        (Class::Text { .. }, Class::Label) => (
            "enum-text",
            SafeIfAgreed,
            READS,
            "sees texts from before the change that are none of the labels; its schema allows them",
        ),
        (Class::Named(..), _) | (_, Class::Named(..)) => (
            "sql-type-changed",
            SafeIfAgreed,
            "reads the values; whether the new type has the same values is not known here",
            "reads the values; whether the old type had the same values is not known here",
        ),
        _ => (
            "meaning-changed",
            CorruptsSilently,
            "sees the values of another SQL type, and no error",
            "sees the values of another SQL type in events from before the change, and no error",
        ),
    }
}

fn integers(was: (i128, i128), is: (i128, i128)) -> Difference {
    let beyond = "reads the values; they may be beyond the range of a column of its own";
    let holds = |a: (i128, i128), b: (i128, i128)| a.0 <= b.0 && a.1 >= b.1;
    let rule = match () {
        () if (was.0 < 0) != (is.0 < 0) => "sign-changed",
        () if holds(is, was) => "range-grew",
        () => "range-shrank",
    };
    let running = if holds(was, is) { READS } else { beyond };
    let replaying = if holds(is, was) { READS } else { beyond };
    (rule, Verdict::SafeIfAgreed, running, replaying)
}

/// What PostGIS's coordinates are relative to: with another one, the same numbers are another place.
fn srid<'a>(name: &str, arguments: &'a str) -> Option<&'a str> {
    if matches!(name, "geometry" | "geography") { arguments.split(',').nth(1) } else { None }
}

/// `None` is without limit, which PostgreSQL's `text` is. MySQL's has one that only its larger texts are beyond; PostgreSQL has
/// no length as large as theirs.
fn lengths(old: Option<u32>, new: Option<u32>, padded: bool) -> Difference {
    let long = "reads the values; they may be longer than a column of its own";
    let fill = "reads the values; the same one may end with more or fewer fill characters";
    let unlimited = |other| if other >= Some(MEDIUM) { TEXT } else { u32::MAX };
    let most = |most: Option<u32>, other| most.unwrap_or_else(|| unlimited(other));
    match most(old, new).cmp(&most(new, old)) {
        _ if padded => ("length-of-padded", Verdict::SafeIfAgreed, fill, fill),
        std::cmp::Ordering::Less => ("length-grew", Verdict::SafeIfAgreed, long, READS),
        std::cmp::Ordering::Greater => ("length-shrank", Verdict::SafeIfAgreed, READS, long),
        std::cmp::Ordering::Equal => ("sql-type-renamed", Verdict::Safe, READS, READS),
    }
}

fn times(old: u32, new: u32) -> Difference {
    let finer = "reads the values, in microseconds as before; they may be finer than a column of its own";
    if old < new {
        ("time-precision", Verdict::SafeIfAgreed, finer, READS)
    } else {
        ("time-precision", Verdict::SafeIfAgreed, READS, finer)
    }
}

/// In the default profile a label is a text, so every reader reads it. What is judged is what became of the list.
fn labels(old: &Field, new: &Field) -> Finding {
    let without = |a: &[String], b: &[String]| a.iter().filter(|label| !b.contains(label)).cloned().collect::<Vec<_>>();
    let (gone, came) = (without(&old.labels, &new.labels), without(&new.labels, &old.labels));
    let list = |labels: &[String]| labels.iter().map(|label| format!("{label:?}")).collect::<Vec<_>>().join(", ");
    let meets =
        |labels: &[String]| format!("reads {} as text; code that lists the labels does not know it", list(labels));
    let (rule, verdict, what, running, replaying, advice) = match (gone.as_slice(), came.as_slice()) {
        ([], []) => (
            "labels-reordered",
            Verdict::SafeIfAgreed,
            "has its labels in another order".to_owned(),
            "reads the labels; what it made of their order (comparing, the text of a set) is not so any more"
                .to_owned(),
            "reads the labels; events from before the change follow the old order".to_owned(),
            advice::AGREE,
        ),
        ([], came) => (
            "label-added",
            Verdict::SafeIfAgreed,
            format!("has the new label {}", list(came)),
            meets(came),
            READS.to_owned(),
            "let code that lists the labels know the new one first",
        ),
        (gone, []) => (
            "label-removed",
            Verdict::SafeIfAgreed,
            format!("has no label {} any more", list(gone)),
            "reads the labels that are left; rows that had the old one may have changed without an event".to_owned(),
            meets(gone),
            "update the rows that have the label before it is removed, so that the updates are events",
        ),
        (gone, came) => (
            "label-may-be-renamed",
            Verdict::CorruptsSilently,
            format!(
                "has the label {} where it had {}, and nothing proves that it was not renamed",
                list(came),
                list(gone)
            ),
            format!(
                "sees {} and takes it for something new; rows that were not touched have changed without an event",
                list(came)
            ),
            format!("sees {} and {} for what may be one label, without an error", list(gone), list(came)),
            "add the new label, update the rows to it, and remove the old one after that",
        ),
    };
    Finding {
        rule,
        column: Some(old.column.clone()),
        verdict,
        what: format!("`{}` {what}", new.column),
        running,
        replaying,
        advice: advice.to_owned(),
    }
}
