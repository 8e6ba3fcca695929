//! The optional metadata at the end of a table map event: signs, collations, names, labels, the primary key.
//!
//! `binlog_row_metadata=MINIMAL` (MySQL's default) gives signs, collations and geometry types, `FULL` everything,
//! MariaDB's default `NO_LOG` nothing. Each field is a number, a length and a value; a value that counts columns counts
//! only those of its class (`sql/log_event.cc`, `Table_map_log_event::init_metadata_fields`).

use super::cell::Storage;
use super::reader::{Reader, WireError};
use crate::flavour::Flavour;

/// Everything that the fields say, by column of the table where it is about one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    pub columns: Vec<ColumnMetadata<'a>>,
    /// Columns of the primary key in its order, with the length of a prefix in characters; 0: the whole column.
    pub primary_key: Option<Vec<(usize, u64)>>,
    /// Names are there: the server wrote all that it can.
    pub full: bool,
}

/// What is said about one column. None: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMetadata<'a> {
    pub unsigned: Option<bool>,
    pub collation: Option<u16>,
    pub name: Option<&'a str>,
    /// Of an enum or set, in the column's own character set.
    pub labels: Option<Vec<&'a [u8]>>,
    /// 0 geometry, 1 point … 7 geometry collection.
    pub geometry: Option<u64>,
    pub visible: Option<bool>,
    /// Elements of a vector.
    pub dimension: Option<u64>,
}

const SIGNEDNESS: u8 = 1;
const DEFAULT_CHARSET: u8 = 2;
const COLUMN_CHARSET: u8 = 3;
const COLUMN_NAME: u8 = 4;
const SET_LABELS: u8 = 5;
const ENUM_LABELS: u8 = 6;
const GEOMETRY_TYPE: u8 = 7;
const SIMPLE_PRIMARY_KEY: u8 = 8;
const PRIMARY_KEY_WITH_PREFIX: u8 = 9;
const ENUM_SET_DEFAULT_CHARSET: u8 = 10;
const ENUM_SET_COLUMN_CHARSET: u8 = 11;
const COLUMN_VISIBILITY: u8 = 12;
const VECTOR_DIMENSION: u8 = 13;

pub(super) fn read<'a>(bytes: &'a [u8], storages: &[Storage], flavour: Flavour) -> Result<Metadata<'a>, WireError> {
    let mut reader = Reader::new("optional metadata of a table map event", bytes);
    let has_collation = match flavour {
        Flavour::MySql => Storage::has_mysql_collation,
        Flavour::MariaDb => Storage::has_mariadb_collation,
    };
    let mut fields = Fields { storages, has_collation, found: Metadata::default() };
    fields.found.columns.resize_with(storages.len(), ColumnMetadata::default);
    while !reader.is_empty() {
        let number = reader.u8()?;
        let value = reader.lenenc_bytes()?;
        let mut field = Reader::new("field of the optional metadata of a table map event", value);
        fields.field(number, &mut field)?;
        field.end()?;
    }
    Ok(fields.found)
}

const fn is_enum_or_set(storage: Storage) -> bool {
    matches!(storage, Storage::Enum { .. } | Storage::Set { .. })
}

struct Fields<'a, 's> {
    storages: &'s [Storage],
    has_collation: fn(Storage) -> bool,
    found: Metadata<'a>,
}

impl<'a> Fields<'a, '_> {
    fn field(&mut self, number: u8, field: &mut Reader<'a>) -> Result<(), WireError> {
        match number {
            SIGNEDNESS => self.flags(field, Storage::has_sign, |column, unsigned| column.unsigned = Some(unsigned)),
            DEFAULT_CHARSET => self.default_collation(field, self.has_collation),
            COLUMN_CHARSET => self.collations(field, self.has_collation),
            COLUMN_NAME => {
                self.found.full = true;
                self.each(
                    field,
                    |_| true,
                    |field, column| {
                        let length = field.lenenc_size()?;
                        column.name = Some(field.utf8(length)?);
                        Ok(())
                    },
                )
            }
            SET_LABELS => self.labels(field, |storage| matches!(storage, Storage::Set { .. })),
            ENUM_LABELS => self.labels(field, |storage| matches!(storage, Storage::Enum { .. })),
            GEOMETRY_TYPE => self.each(
                field,
                |storage| matches!(storage, Storage::Geometry { .. }),
                |field, column| {
                    column.geometry = Some(field.lenenc()?);
                    Ok(())
                },
            ),
            SIMPLE_PRIMARY_KEY => self.primary_key(field, false),
            PRIMARY_KEY_WITH_PREFIX => self.primary_key(field, true),
            ENUM_SET_DEFAULT_CHARSET => self.default_collation(field, is_enum_or_set),
            ENUM_SET_COLUMN_CHARSET => self.collations(field, is_enum_or_set),
            COLUMN_VISIBILITY => self.flags(field, |_| true, |column, visible| column.visible = Some(visible)),
            VECTOR_DIMENSION => self.each(
                field,
                |storage| matches!(storage, Storage::Vector { .. }),
                |field, column| {
                    column.dimension = Some(field.lenenc()?);
                    Ok(())
                },
            ),
            number => Err(WireError::Unknown { what: "optional metadata of a table map event", number: number.into() }),
        }
    }

    /// The columns of a class, in order.
    fn class(&mut self, class: fn(Storage) -> bool) -> impl Iterator<Item = &mut ColumnMetadata<'a>> {
        let both = self.storages.iter().zip(&mut self.found.columns);
        both.filter(move |(storage, _)| class(**storage)).map(|(_, column)| column)
    }

    fn each(
        &mut self,
        field: &mut Reader<'a>,
        class: fn(Storage) -> bool,
        read: fn(&mut Reader<'a>, &mut ColumnMetadata<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.class(class).try_for_each(|column| read(field, column))
    }

    /// One bit per column of the class, the highest bit of a byte first.
    fn flags(
        &mut self,
        field: &mut Reader<'a>,
        class: fn(Storage) -> bool,
        set: fn(&mut ColumnMetadata<'a>, bool),
    ) -> Result<(), WireError> {
        let (mut byte, mut mask) = (0, 0u8);
        for column in self.class(class) {
            if mask == 0 {
                byte = field.u8()?;
                mask = 0x80;
            }
            set(column, byte & mask != 0);
            mask >>= 1;
        }
        Ok(())
    }

    fn collations(&mut self, field: &mut Reader<'a>, class: fn(Storage) -> bool) -> Result<(), WireError> {
        self.class(class).try_for_each(|column| {
            column.collation = Some(collation(field)?);
            Ok(())
        })
    }

    /// The collation of most columns of the class, then the others by their number in it.
    fn default_collation(&mut self, field: &mut Reader<'a>, class: fn(Storage) -> bool) -> Result<(), WireError> {
        let default = collation(field)?;
        for column in self.class(class) {
            column.collation = Some(default);
        }
        while !field.is_empty() {
            let index = field.lenenc()?;
            let other = collation(field)?;
            let column = self.class(class).nth(usize::try_from(index).unwrap_or(usize::MAX));
            column.ok_or_else(|| no_column(index))?.collation = Some(other);
        }
        Ok(())
    }

    fn labels(&mut self, field: &mut Reader<'a>, class: fn(Storage) -> bool) -> Result<(), WireError> {
        self.each(field, class, |field, column| {
            let count = field.lenenc_size()?;
            let mut labels = Vec::new();
            for _ in 0..count {
                labels.push(field.lenenc_bytes()?);
            }
            column.labels = Some(labels);
            Ok(())
        })
    }

    fn primary_key(&mut self, field: &mut Reader<'a>, prefixes: bool) -> Result<(), WireError> {
        let mut key = Vec::new();
        while !field.is_empty() {
            let index = field.lenenc()?;
            let column = usize::try_from(index).ok().filter(|column| *column < self.storages.len());
            let prefix = if prefixes { field.lenenc()? } else { 0 };
            key.push((column.ok_or_else(|| no_column(index))?, prefix));
        }
        self.found.primary_key = Some(key);
        Ok(())
    }
}

fn collation(field: &mut Reader<'_>) -> Result<u16, WireError> {
    let number = field.lenenc()?;
    let most = u16::MAX.into();
    u16::try_from(number).map_err(|_| WireError::Range { what: "number of a collation", number, least: 0, most })
}

fn no_column(index: u64) -> WireError {
    WireError::Unknown { what: "column in the optional metadata of a table map event", number: index }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORAGES: [Storage; 5] = [
        Storage::Long,
        Storage::VarChar { most: 10 },
        Storage::Enum { width: 1 },
        Storage::LongLong,
        Storage::Char { most: 10 },
    ];

    #[test]
    fn fields_go_to_the_columns_of_their_class() {
        let bytes = [
            &[SIGNEDNESS, 1, 0b0100_0000][..],
            &[DEFAULT_CHARSET, 3, 45, 1, 63],
            &[ENUM_SET_COLUMN_CHARSET, 1, 8],
            &[ENUM_LABELS, 5, 2, 1, b'a', 1, b'b'],
            &[COLUMN_NAME, 10, 1, b'a', 1, b'b', 1, b'c', 1, b'd', 1, b'e'],
            &[PRIMARY_KEY_WITH_PREFIX, 4, 3, 0, 1, 7],
            &[COLUMN_VISIBILITY, 1, 0b1111_0000],
        ]
        .concat();
        let metadata = read(&bytes, &STORAGES, Flavour::MySql).unwrap();
        let [a, b, c, d, e] = &metadata.columns[..] else { panic!() };
        assert_eq!((a.unsigned, b.unsigned, d.unsigned), (Some(false), None, Some(true)));
        assert_eq!((a.collation, b.collation, c.collation, e.collation), (None, Some(45), Some(8), Some(63)));
        assert_eq!(c.labels, Some(vec![&b"a"[..], b"b"]));
        assert_eq!((a.name, e.name), (Some("a"), Some("e")));
        assert_eq!((d.visible, e.visible), (Some(true), Some(false)));
        assert_eq!(metadata.primary_key, Some(vec![(3, 0), (1, 7)]));
        assert!(metadata.full);
        assert!(!read(&[], &STORAGES, Flavour::MySql).unwrap().full);
    }

    /// Which columns have a collation is not the same for both: a wrong count gives a text another column's.
    #[test]
    fn vectors_and_geometries_count_among_texts_where_they_do() {
        let text = Storage::VarChar { most: 10 };
        let storages = [Storage::Geometry { prefix: 4 }, text, Storage::Vector { prefix: 4 }, text];
        let bytes = [COLUMN_CHARSET, 3, 63, 46, 8];
        let collations = |flavour| {
            let metadata = read(&bytes, &storages, flavour).unwrap();
            metadata.columns.iter().map(|column| column.collation).collect::<Vec<_>>()
        };
        assert_eq!(collations(Flavour::MySql), [None, Some(63), Some(46), Some(8)]);
        assert_eq!(collations(Flavour::MariaDb), [Some(63), Some(46), None, Some(8)]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in [
            &[99, 0][..],
            &[SIGNEDNESS, 0],
            &[SIGNEDNESS, 2, 0, 0],
            &[DEFAULT_CHARSET, 3, 45, 2, 63],
            &[SIMPLE_PRIMARY_KEY, 1, 5],
            &[COLUMN_NAME, 2, 1, b'a'],
            &[ENUM_LABELS, 3, 3, 1, b'a'],
            &[SIGNEDNESS, 9],
        ] {
            assert!(read(bad, &STORAGES, Flavour::MySql).is_err(), "{bad:?}");
        }
    }
}
