//! Every type and its form in an event, as the documentation prints them. The form is asked of the code that decides it.

use change::{ColumnType, Identity, TableName};

use crate::declared;
use crate::flavour::Flavour;
use crate::table::{Catalogue, Declared};

/// Types with one form.
#[derive(Debug)]
pub struct Family {
    /// The types as a person writes them; letters in brackets stand for numbers, `…` for labels.
    types: &'static [&'static str],
    pub remarks: &'static str,
    has_characters: bool,
    /// Of types that only one of the servers has, or stores in another way.
    only: Option<Flavour>,
}

impl Family {
    const fn only(mut self, flavour: Flavour) -> Self {
        self.only = Some(flavour);
        self
    }

    /// The types, Markdown.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.types.iter().map(|name| format!("`{name}`")).collect();
        let only = self.only.map(|flavour| format!(" ({flavour})")).unwrap_or_default();
        names.join(", ") + &only
    }

    /// The form of the first type; `None` would be a type that is not known.
    pub fn form(&self) -> Option<ColumnType> {
        self.types.first().and_then(|name| self.form_of(name, self.only.unwrap_or(Flavour::MySql)))
    }

    /// What a table with a column of this type has as its form.
    fn form_of(&self, name: &str, flavour: Flavour) -> Option<ColumnType> {
        let column_type = name.replace("(p,s)", "(12,2)").replace("(n)", "(9)").replace('…', "'a','b'");
        let character_set = self.has_characters.then(|| "utf8mb4".to_owned());
        let column = Declared { name: "c".to_owned(), column_type, character_set, nullable: true };
        let catalogue = Catalogue { columns: vec![column], primary_key: Vec::new() };
        let table = declared::table(&TableName::new("d", "t"), &catalogue, flavour, Identity::Full);
        table.ok()??.columns.first().map(|column| column.kind)
    }
}

const fn typed(types: &'static [&'static str], remarks: &'static str) -> Family {
    Family { types, remarks, has_characters: false, only: None }
}

const fn text(types: &'static [&'static str], remarks: &'static str) -> Family {
    Family { types, remarks, has_characters: true, only: None }
}

/// All types of both servers.
pub const FAMILIES: &[Family] = &[
    typed(
        &["tinyint", "smallint", "mediumint", "int", "bigint"],
        "`boolean` is `tinyint(1)` to the server, and so a number",
    ),
    typed(&["tinyint unsigned", "smallint unsigned", "mediumint unsigned", "int unsigned"], ""),
    typed(&["bigint unsigned"], "`decimal(20,0)`: it does not fit into a `long`"),
    typed(&["decimal(p,s)", "numeric(p,s)"], "also `unsigned` and `zerofill`; without limits it is `decimal(10,0)`"),
    typed(&["float"], ""),
    typed(&["double", "real"], ""),
    typed(&["bit(1)"], ""),
    typed(&["bit(n)"], "the most significant byte first"),
    typed(&["year"], "0 for `0000`"),
    typed(
        &["date"],
        "days since 1970-01-01; a zero for month or day, such as `0000-00-00`: `absent` (`zero-date`); a day that no month \
         has (`2024-02-31`): `absent` (`out-of-range`)",
    ),
    typed(&["time(n)"], "microseconds, from −838:59:59 to 838:59:59: a length of time, so no `time-micros`"),
    typed(&["datetime(n)"], "no zone; `absent` as for `date`"),
    typed(&["timestamp(n)"], "UTC; `0000-00-00 00:00:00`: `absent` (`zero-date`)"),
    text(
        &["char(n)"],
        "without trailing spaces, as the server keeps it; bytes that are no text: `absent` (`not-text`)",
    ),
    text(
        &["varchar(n)", "tinytext", "text", "mediumtext", "longtext"],
        "of every character set, also where MariaDB compresses the column; bytes that are no text: `absent` (`not-text`)",
    ),
    typed(&["binary(n)"], "filled up with zero bytes, as the server keeps it"),
    typed(&["varbinary(n)", "tinyblob", "blob", "mediumblob", "longblob"], "also where MariaDB compresses the column"),
    text(
        &["enum(…)"],
        "the label; empty for a value that was refused (number 0); the property `headwater.labels` has all labels in their \
         order",
    ),
    text(&["set(…)"], "the labels in their declared order, with commas between; `headwater.labels` has all of them"),
    typed(&["json"], "as `cast(… as char)` prints it: the server keeps no other text").only(Flavour::MySql),
    text(&["json"], "as it was written: to the server it is a `longtext`").only(Flavour::MariaDb),
    typed(&["uuid"], "").only(Flavour::MariaDb),
    typed(&["inet4", "inet6"], "as the server prints them").only(Flavour::MariaDb),
    typed(
        &[
            "geometry",
            "point",
            "linestring",
            "polygon",
            "multipoint",
            "multilinestring",
            "multipolygon",
            "geometrycollection",
        ],
        "the server's own form: the SRID in 4 bytes, the least significant first, then WKB",
    ),
    typed(&["vector(n)"], "n numbers of 4 bytes (IEEE 754), the least significant byte first"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Meaning;
    use crate::value::charset::Charset;
    use crate::value::temporal::Form;

    /// The family that a type is in, with its form.
    fn form(name: &str, flavour: Flavour) -> Option<ColumnType> {
        let fits = |family: &&Family| family.types.contains(&name) && family.only.is_none_or(|only| only == flavour);
        FAMILIES.iter().find(fits).unwrap_or_else(|| panic!("{name}")).form()
    }

    #[test]
    fn the_types_of_a_family_have_one_form() {
        for family in FAMILIES {
            let expected = family.form();
            assert!(expected.is_some(), "{family:?}");
            for flavour in [Flavour::MySql, Flavour::MariaDb] {
                for name in family.types.iter().filter(|_| family.only.is_none_or(|only| only == flavour)) {
                    assert_eq!(family.form_of(name, flavour), expected, "{name} of {flavour}");
                }
            }
        }
    }

    #[test]
    fn the_form_is_that_of_the_meaning() {
        let labels = || vec!["a".to_owned()];
        for (name, meaning) in [
            ("mediumint", Meaning::Integer { width: 3, unsigned: false }),
            ("int unsigned", Meaning::Integer { width: 4, unsigned: true }),
            ("bigint", Meaning::Integer { width: 8, unsigned: false }),
            ("bigint unsigned", Meaning::Integer { width: 8, unsigned: true }),
            ("decimal(p,s)", Meaning::Decimal { precision: 12, scale: 2 }),
            ("float", Meaning::Float),
            ("double", Meaning::Double),
            ("bit(1)", Meaning::Bits(1)),
            ("bit(n)", Meaning::Bits(9)),
            ("year", Meaning::Year),
            ("date", Meaning::Temporal(Form::Date)),
            ("time(n)", Meaning::Temporal(Form::OldTime)),
            ("time(n)", Meaning::Temporal(Form::Time(6))),
            ("datetime(n)", Meaning::Temporal(Form::OldDateTime)),
            ("datetime(n)", Meaning::Temporal(Form::DateTime(0))),
            ("timestamp(n)", Meaning::Temporal(Form::OldTimestamp)),
            ("timestamp(n)", Meaning::Temporal(Form::Timestamp(3))),
            ("char(n)", Meaning::Text(Charset::Utf8)),
            ("varchar(n)", Meaning::Packed(Some(Charset::Utf8))),
            ("longtext", Meaning::Text(Charset::Gbk)),
            ("binary(n)", Meaning::Padded(9)),
            ("varbinary(n)", Meaning::Packed(None)),
            ("blob", Meaning::Bytes),
            ("enum(…)", Meaning::Enum(labels())),
            ("set(…)", Meaning::Set(labels())),
            ("geometry", Meaning::Bytes),
            ("vector(n)", Meaning::Bytes),
        ] {
            for flavour in [Flavour::MySql, Flavour::MariaDb] {
                assert_eq!(form(name, flavour), Some(meaning.form()), "{name}");
            }
        }
        assert_eq!(form("json", Flavour::MySql), Some(Meaning::Json.form()));
        assert_eq!(form("json", Flavour::MariaDb), Some(Meaning::Text(Charset::Utf8).form()));
        assert_eq!(form("uuid", Flavour::MariaDb), Some(Meaning::Uuid.form()));
        assert_eq!(form("inet4", Flavour::MariaDb), Some(Meaning::Inet4.form()));
        assert_eq!(form("inet6", Flavour::MariaDb), Some(Meaning::Inet6.form()));
    }

    #[test]
    fn names_are_markdown() {
        let names = |index: usize| FAMILIES.get(index).map(Family::names).unwrap_or_default();
        assert_eq!(names(3), "`decimal(p,s)`, `numeric(p,s)`");
        assert!(FAMILIES.iter().any(|family| family.names() == "`json` (MariaDB)"));
    }
}
