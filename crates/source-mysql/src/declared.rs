//! A table's shape from the catalogue alone: before the log has shown a row of it, and where it never will.

use change::{Identity, Table, TableName};

use crate::flavour::Flavour;
use crate::table::{Catalogue, Declared, Shape, ShapeError};
use crate::value::charset::Charset;
use crate::wire::cell::Storage;

/// The table as the log would show it now. `None`: it has a column of a type that is not known.
pub(crate) fn table(
    name: &TableName,
    catalogue: &Catalogue,
    flavour: Flavour,
    identity: Identity,
) -> Result<Option<Table>, ShapeError> {
    Ok(shape(name, catalogue, flavour, identity)?.map(|shape| shape.table))
}

/// The same with the meanings of its columns.
pub(crate) fn shape(
    name: &TableName,
    catalogue: &Catalogue,
    flavour: Flavour,
    identity: Identity,
) -> Result<Option<Shape>, ShapeError> {
    let storages: Option<Vec<Storage>> = catalogue.columns.iter().map(|column| storage(column, flavour)).collect();
    let Some(storages) = storages else { return Ok(None) };
    Shape::declared(name, catalogue, &storages, flavour, identity).map(Some)
}

/// The first column of a type that is not known.
pub(crate) fn unknown(catalogue: &Catalogue, flavour: Flavour) -> Option<&Declared> {
    catalogue.columns.iter().find(|column| storage(column, flavour).is_none())
}

/// How the log stores a column of this type. Only what decides about its meaning is exact: widths of labels and lengths
/// of lengths are not.
fn storage(declared: &Declared, flavour: Flavour) -> Option<Storage> {
    let text = declared.column_type.to_ascii_lowercase();
    let word = text.split(['(', ' ']).next()?;
    let numbers: Vec<u32> = text
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inside, _)| inside.split(',').filter_map(|number| number.trim().parse().ok()).collect())
        .unwrap_or_default();
    let number = |at: usize, otherwise: u32| numbers.get(at).copied().unwrap_or(otherwise);
    let small = |at: usize, otherwise: u32| u8::try_from(number(at, otherwise)).ok();
    let charset = declared.character_set.as_deref().and_then(Charset::of_name).unwrap_or(Charset::Binary);
    let most = || u16::try_from(number(0, 1) * u32::from(charset.max_bytes())).ok();
    Some(match word {
        "tinyint" | "bool" | "boolean" => Storage::Tiny,
        "smallint" => Storage::Short,
        "mediumint" => Storage::Int24,
        "int" | "integer" => Storage::Long,
        "bigint" => Storage::LongLong,
        "float" => Storage::Float,
        "double" | "real" => Storage::Double,
        "decimal" | "numeric" => Storage::Decimal { precision: small(0, 10)?, scale: small(1, 0)? },
        "year" => Storage::Year,
        "bit" => Storage::Bit { bits: u16::try_from(number(0, 1)).ok()? },
        "date" => Storage::Date,
        "time" => Storage::Time2 { fraction: small(0, 0)? },
        "datetime" => Storage::DateTime2 { fraction: small(0, 0)? },
        "timestamp" => Storage::Timestamp2 { fraction: small(0, 0)? },
        "char" | "binary" => Storage::Char { most: most()? },
        "uuid" | "inet6" => Storage::Char { most: 16 },
        "inet4" => Storage::Char { most: 4 },
        "varchar" | "varbinary" => Storage::VarChar { most: most()? },
        "tinytext" | "tinyblob" => Storage::Blob { prefix: 1 },
        "text" | "blob" => Storage::Blob { prefix: 2 },
        "mediumtext" | "mediumblob" => Storage::Blob { prefix: 3 },
        "longtext" | "longblob" => Storage::Blob { prefix: 4 },
        "json" if flavour == Flavour::MySql => Storage::Json { prefix: 4 },
        "json" => Storage::Blob { prefix: 4 },
        "vector" if flavour == Flavour::MySql => Storage::Vector { prefix: 4 },
        "vector" => Storage::VarChar { most: u16::try_from(number(0, 1) * 4).ok()? },
        "enum" => Storage::Enum { width: 2 },
        "set" => Storage::Set { width: 8 },
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geomcollection" | "geometrycollection" => Storage::Geometry { prefix: 4 },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_the_future_is_named() {
        let declared = |name: &str, column_type: &str| Declared {
            name: name.to_owned(),
            column_type: column_type.to_owned(),
            character_set: None,
            nullable: true,
        };
        let columns =
            vec![declared("a", "BIGINT(20) unsigned"), declared("b", "timestamp(6)"), declared("c", "interval day")];
        let catalogue = Catalogue { columns, primary_key: Vec::new() };
        let found = unknown(&catalogue, Flavour::MySql);
        assert_eq!(found.map(|column| column.name.as_str()), Some("c"));
    }
}
