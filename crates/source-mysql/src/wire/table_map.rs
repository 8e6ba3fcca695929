//! TABLE_MAP (19): which table the rows that follow belong to, and how its columns lie in them.

use super::cell::Storage;
use super::metadata::{self, Metadata};
use super::reader::{Reader, WireError, little};
use crate::flavour::Flavour;

/// A table under the number that the rows events use (`libs/mysql/binlog/event/rows_event.h`, `Table_map_event`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMap<'a> {
    pub table: u64,
    pub schema: &'a str,
    pub name: &'a str,
    pub columns: usize,
    /// Everything behind the number: equal bytes are the same shape, so that it has to be read once only.
    pub fingerprint: &'a [u8],
    types: &'a [u8],
    type_metadata: &'a [u8],
    nullable: Bits<'a>,
    optional: &'a [u8],
}

/// A server cannot have more columns in a table (`sql/unireg.h`, `MAX_FIELDS`).
pub const MAX_COLUMNS: usize = 4096;

impl<'a> TableMap<'a> {
    /// The table's number and the fingerprint of a body, without a look at the rest. None: it is too short.
    pub fn number(body: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let (number, fingerprint) = body.split_at_checked(6)?;
        Some((little(number), fingerprint))
    }

    /// Reads the body, and leaves types and optional metadata for [`storages`](Self::storages) and
    /// [`metadata`](Self::metadata).
    ///
    /// # Errors
    ///
    /// Too few bytes, a name that does not end where it should, too many columns.
    pub fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("table map event", body);
        let table = reader.uint(6)?;
        let fingerprint = reader.peek();
        reader.u16()?;
        let schema = name(&mut reader)?;
        let name = name(&mut reader)?;
        let columns = columns(&mut reader)?;
        let types = reader.take(columns)?;
        let type_metadata = reader.lenenc_bytes()?;
        let nullable = Bits::take(&mut reader, columns)?;
        let optional = reader.rest();
        Ok(Self { table, schema, name, columns, fingerprint, types, type_metadata, nullable, optional })
    }

    /// How the cells of each column lie in a row.
    ///
    /// # Errors
    ///
    /// An unknown type, metadata that its type cannot have, or metadata left over.
    pub fn storages(&self) -> Result<Vec<Storage>, WireError> {
        let mut reader = Reader::new("column metadata of a table map event", self.type_metadata);
        let storages = self.types.iter().map(|kind| Storage::read(*kind, &mut reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(storages)
    }

    pub fn is_nullable(&self, column: usize) -> bool {
        self.nullable.get(column)
    }

    /// What `binlog_row_metadata` makes the server say besides.
    ///
    /// # Errors
    ///
    /// An unknown field, or one that does not fit the columns.
    pub fn metadata(&self, storages: &[Storage], flavour: Flavour) -> Result<Metadata<'a>, WireError> {
        metadata::read(self.optional, storages, flavour)
    }
}

/// A name behind its length and before a zero byte.
fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, WireError> {
    let length = reader.lenenc_size()?;
    let name = reader.utf8(length)?;
    match reader.u8()? {
        0 => Ok(name),
        number => Err(WireError::Unknown { what: "end of a table's name", number: number.into() }),
    }
}

/// A number of columns.
pub(super) fn columns(reader: &mut Reader<'_>) -> Result<usize, WireError> {
    let columns = reader.lenenc()?;
    match usize::try_from(columns) {
        Ok(number) if number <= MAX_COLUMNS => Ok(number),
        _ => Err(WireError::Range { what: "columns of a table", number: columns, least: 0, most: 4096 }),
    }
}

/// One bit per column, the lowest bit of a byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits<'a>(&'a [u8]);

impl<'a> Bits<'a> {
    /// Takes `count` bits, filled up to whole bytes.
    ///
    /// # Errors
    ///
    /// Too few bytes.
    pub fn take(reader: &mut Reader<'a>, count: usize) -> Result<Self, WireError> {
        reader.take(count.div_ceil(8)).map(Self)
    }

    /// Bits beyond the end are not set.
    #[inline]
    pub fn get(self, index: usize) -> bool {
        self.0
            .get(index / 8)
            .is_some_and(|byte| byte.checked_shr(u32::try_from(index % 8).unwrap_or(0)).unwrap_or(0) & 1 == 1)
    }

    /// How many of the first `count` bits are set.
    pub fn ones(self, count: usize) -> usize {
        (0..count).filter(|index| self.get(*index)).count()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `create table shop.t (a int, b varchar(300), c decimal(12,2))`.
    pub(crate) fn body() -> Vec<u8> {
        let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 4];
        body.extend(b"shop\0\x01t\0\x03");
        body.extend([3, 15, 246, 4, 0xb0, 4, 12, 2, 0b110]);
        body
    }

    #[test]
    fn names_types_and_nulls() {
        let body = body();
        let map = TableMap::read(&body).unwrap();
        assert_eq!((map.table, map.schema, map.name, map.columns), (7, "shop", "t", 3));
        let storages = map.storages().unwrap();
        assert_eq!(
            storages,
            [Storage::Long, Storage::VarChar { most: 1200 }, Storage::Decimal { precision: 12, scale: 2 }]
        );
        assert!(!map.is_nullable(0) && map.is_nullable(1) && map.is_nullable(2) && !map.is_nullable(3));
        for cut in 0..body.len() {
            assert!(TableMap::read(&body[..cut]).is_err(), "{cut}");
        }
        let mut more = body.clone();
        more[16 + 4] = 5;
        assert!(TableMap::read(&more).and_then(|map| map.storages()).is_err());
    }

    #[test]
    fn bits() {
        let bits = Bits(&[0b101, 1]);
        assert!(bits.get(0) && !bits.get(1) && bits.get(2) && bits.get(8) && !bits.get(9) && !bits.get(99));
        assert_eq!((bits.ones(16), bits.ones(2)), (3, 1));
    }
}
