//! Every type and its form in an event: one table, which the mapping reads and the documentation prints.

use change::ColumnType;

use crate::value::binary;

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const BIT: u32 = 1560;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;

/// Types with one form.
#[derive(Debug)]
pub struct Family {
    /// The types as a person writes them, Markdown.
    pub names: &'static str,
    pub remarks: &'static str,
    /// None: the form does not depend on which type it is, because it is text.
    oids: &'static [u32],
    when: When,
    form: Form,
}

/// For which type modifiers a family is meant. The first that fits is taken.
#[derive(Debug)]
enum When {
    Always,
    /// No modifier was given.
    Plain,
    /// This modifier was given.
    Is(i32),
}

#[derive(Debug)]
enum Form {
    Is(ColumnType),
    /// By precision and scale, which the modifier holds.
    Decimal,
}

impl Family {
    /// An example of the form.
    pub fn form(&self) -> ColumnType {
        self.form.of(TYPMOD_12_2)
    }
}

impl Form {
    fn of(&self, typmod: i32) -> ColumnType {
        match self {
            Self::Is(form) => *form,
            Self::Decimal => decimal(typmod),
        }
    }
}

impl When {
    fn fits(&self, typmod: i32) -> bool {
        match self {
            Self::Always => true,
            Self::Plain => typmod == -1,
            Self::Is(one) => typmod == *one,
        }
    }
}

const fn typed(names: &'static str, oids: &'static [u32], form: ColumnType, remarks: &'static str) -> Family {
    Family { names, remarks, oids, when: When::Always, form: Form::Is(form) }
}

const fn text(names: &'static str, remarks: &'static str) -> Family {
    typed(names, &[], ColumnType::Text, remarks)
}

/// Whatever is not listed is the server's own text.
pub const FAMILIES: &[Family] = &[
    typed("`boolean`", &[BOOL], ColumnType::Boolean, ""),
    typed("`smallint`, `integer`, `bigint`, `oid`", &[INT2, INT4, INT8, OID], ColumnType::Long, ""),
    typed("`real`", &[FLOAT4], ColumnType::Float, "NaN and infinities as they are"),
    typed("`double precision`", &[FLOAT8], ColumnType::Double, "NaN and infinities as they are"),
    Family {
        names: "`numeric`",
        remarks: "without limits there is no scale to declare; `NaN` and `Infinity` by name",
        oids: &[NUMERIC],
        when: When::Plain,
        form: Form::Is(ColumnType::Text),
    },
    Family {
        names: "`numeric(p,s)`",
        remarks: "s < 0: `decimal(p−s,0)`; s > p: `decimal(s,s)`; `NaN`: `absent`",
        oids: &[NUMERIC],
        when: When::Always,
        form: Form::Decimal,
    },
    text("`money`", "as in the locale C: `-$1,234.50`"),
    typed("`bytea`", &[BYTEA], ColumnType::Bytes, ""),
    typed("`uuid`", &[UUID], ColumnType::Uuid, ""),
    Family { names: "`bit(1)`", remarks: "", oids: &[BIT], when: When::Is(1), form: Form::Is(ColumnType::Boolean) },
    text("`bit(n)`, `bit varying`", "digits 0 and 1"),
    typed("`date`", &[DATE], ColumnType::Date, "days since 1970-01-01; `infinity`: `absent`"),
    typed("`time`", &[TIME], ColumnType::Time, "24:00:00 is 86,400,000,000"),
    typed("`timestamp`", &[TIMESTAMP], ColumnType::LocalTimestamp, "no zone; `infinity`: `absent`"),
    typed("`timestamptz`", &[TIMESTAMPTZ], ColumnType::Timestamp, "UTC; `infinity`: `absent`"),
    text("`timetz`", "ISO 8601: `12:00:00+05:30`"),
    text("`interval`", "ISO 8601: `P1Y2M3DT4H5M6.7S`; `infinity` by name (PostgreSQL 17)"),
    text("`text`, `varchar(n)`, `char(n)`, `name`, `\"char\"`", "`char(n)` with its trailing spaces"),
    text(
        "`json`, `jsonb`, `jsonpath`, `xml`",
        "`json` and `xml` as they were written, `jsonb` as the server prints it",
    ),
    text("`inet`, `cidr`, `macaddr`, `macaddr8`", ""),
    text("`point`, `line`, `lseg`, `box`, `path`, `polygon`, `circle`", ""),
    text("`tsvector`, `tsquery`", ""),
    text("ranges, multiranges", "with the server's quotes and brackets: `[1,5)`"),
    text("`xid`, `xid8`, `cid`, `tid`, `pg_lsn`, `pg_snapshot`, `txid_snapshot`", ""),
    text("`regclass`, `regtype` and the other `reg…` types", "a name, with its schema unless that is `pg_catalog`"),
    text("`int2vector`, `oidvector`, `aclitem`, `refcursor`", ""),
    text("enums", "the label; the property `headwater.labels` has all labels in their order"),
    text("composite types", "`(1,\"x y\")`"),
    text("types of extensions: `citext`, `hstore`, `ltree`, …", ""),
];

/// The form of a base type's values.
pub(crate) fn column_type(oid: u32, typmod: i32) -> ColumnType {
    let family = FAMILIES.iter().find(|family| family.oids.contains(&oid) && family.when.fits(typmod));
    family.map_or(ColumnType::Text, |family| family.form.of(typmod))
}

/// Whether a copy asks for a column's values in binary form: where that is less work for the server, and read by
/// [`binary`]. Of a domain `oid` is the type below.
pub(crate) fn is_sent_binary(oid: u32, form: ColumnType) -> bool {
    match form {
        // Not for `oid`, which has no sign.
        ColumnType::Long => matches!(oid, INT2 | INT4 | INT8),
        ColumnType::Float => oid == FLOAT4,
        ColumnType::Double => oid == FLOAT8,
        ColumnType::Decimal { precision, .. } => oid == NUMERIC && precision <= binary::MOST_DIGITS,
        ColumnType::Uuid => oid == UUID,
        ColumnType::Bytes => oid == BYTEA,
        ColumnType::Date => oid == DATE,
        ColumnType::Time => oid == TIME,
        ColumnType::LocalTimestamp => oid == TIMESTAMP,
        ColumnType::Timestamp => oid == TIMESTAMPTZ,
        ColumnType::Text | ColumnType::Boolean | ColumnType::Array { .. } => false,
    }
}

/// The modifier of `numeric(12,2)`.
const TYPMOD_12_2: i32 = ((12 << 16) | 2) + 4;

/// `numeric(p,s)` from its type modifier: 4 more than precision in the upper half and an 11-bit signed scale below.
fn decimal(typmod: i32) -> ColumnType {
    let Ok(packed) = u32::try_from(i64::from(typmod) - 4) else { return ColumnType::Text };
    let precision = packed >> 16;
    let scale = i64::from((packed & 0x7ff) ^ 0x400) - 0x400;
    match u32::try_from(scale) {
        Ok(scale) if scale > precision => ColumnType::Decimal { precision: scale, scale },
        Ok(scale) => ColumnType::Decimal { precision, scale },
        Err(_) => {
            let more = u32::try_from(-scale).unwrap_or(0);
            ColumnType::Decimal { precision: precision + more, scale: 0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_modifiers() {
        let typmod = |p: i32, s: i32| ((p << 16) | (s & 0x7ff)) + 4;
        assert_eq!(typmod(12, 2), TYPMOD_12_2);
        assert_eq!(column_type(NUMERIC, -1), ColumnType::Text);
        assert_eq!(column_type(NUMERIC, typmod(12, 2)), ColumnType::Decimal { precision: 12, scale: 2 });
        assert_eq!(column_type(NUMERIC, typmod(3, -2)), ColumnType::Decimal { precision: 5, scale: 0 });
        assert_eq!(column_type(NUMERIC, typmod(3, 5)), ColumnType::Decimal { precision: 5, scale: 5 });
        assert_eq!(column_type(NUMERIC, typmod(1000, 1000)), ColumnType::Decimal { precision: 1000, scale: 1000 });
        assert_eq!(column_type(BIT, 1), ColumnType::Boolean);
        assert_eq!(column_type(BIT, 2), ColumnType::Text);
        assert_eq!(column_type(25, -1), ColumnType::Text);
    }
}
