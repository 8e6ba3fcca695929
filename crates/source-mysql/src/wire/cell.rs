//! How a column lies in a row image: its type with the metadata of the table map, and from these where a cell ends.

use super::reader::{Reader, WireError};

/// The physical type of a column (`include/field_types.h`, `enum_field_types`; MariaDB `include/mysql_com.h` has 140 and
/// 141 besides).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    Tiny,
    Short,
    Int24,
    Long,
    LongLong,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Year,
    Bit {
        bits: u16,
    },
    Date,
    /// Before MySQL 5.6 and MariaDB 10.1, kept by tables that were never rebuilt.
    Time,
    DateTime,
    Timestamp,
    Time2 {
        fraction: u8,
    },
    DateTime2 {
        fraction: u8,
    },
    Timestamp2 {
        fraction: u8,
    },
    /// CHAR and BINARY: at most so many bytes, behind a length.
    Char {
        most: u16,
    },
    VarChar {
        most: u16,
    },
    /// The length has so many bytes.
    Blob {
        prefix: u8,
    },
    Json {
        prefix: u8,
    },
    Geometry {
        prefix: u8,
    },
    Vector {
        prefix: u8,
    },
    /// MariaDB's column compression.
    CompressedVarChar {
        most: u16,
    },
    CompressedBlob {
        prefix: u8,
    },
    Enum {
        width: u8,
    },
    Set {
        width: u8,
    },
}

/// One column of a row image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    /// The image does not have the column: `binlog_row_image` is `minimal` or `noblob`.
    Missing,
    /// The value's bytes, at `start` of the row data.
    Bytes {
        start: usize,
        length: usize,
    },
    /// Changes to the JSON document of the row's other image, at `start` of the row data.
    Changes {
        start: usize,
        length: usize,
    },
}

/// Bytes that `digits` decimal digits take, nine of them in four bytes (`strings/decimal.cc`, `dig2bytes`).
pub const fn decimal_bytes(digits: u8) -> u8 {
    let rest = match digits % 9 {
        0 => 0,
        1 | 2 => 1,
        3 | 4 => 2,
        5 | 6 => 3,
        _ => 4,
    };
    (digits / 9).saturating_mul(4).saturating_add(rest)
}

/// Bytes of a fraction of a second with so many digits.
pub const fn fraction_bytes(digits: u8) -> u8 {
    digits.saturating_add(1) / 2
}

/// Where a cell ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// After so many bytes.
    Fixed(u8),
    /// Where its length says, which has so many bytes.
    Prefixed(u8),
    /// The same, of a JSON document, which a partial update may hold changes to.
    Document(u8),
}

impl Extent {
    /// Takes one cell that is there and not NULL.
    ///
    /// # Errors
    ///
    /// Fewer bytes than the type has.
    #[inline]
    pub fn cell(self, reader: &mut Reader<'_>) -> Result<Cell, WireError> {
        let length = match self {
            Self::Fixed(length) => usize::from(length),
            Self::Prefixed(1) => usize::from(reader.u8()?),
            Self::Prefixed(2) => usize::from(reader.u16()?),
            Self::Prefixed(prefix) | Self::Document(prefix) => {
                usize::try_from(reader.uint(prefix.into())?).unwrap_or(usize::MAX)
            }
        };
        let start = reader.offset();
        reader.take(length)?;
        Ok(Cell::Bytes { start, length })
    }
}

impl Storage {
    /// Reads the metadata that belongs to a type's number.
    ///
    /// # Errors
    ///
    /// An unknown type, or metadata that no column can have.
    pub fn read(kind: u8, metadata: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match kind {
            1 => Self::Tiny,
            2 => Self::Short,
            3 => Self::Long,
            4 => {
                length(metadata.u8()?.into(), 4, 4)?;
                Self::Float
            }
            5 => {
                length(metadata.u8()?.into(), 8, 8)?;
                Self::Double
            }
            7 => Self::Timestamp,
            8 => Self::LongLong,
            9 => Self::Int24,
            10 | 14 => Self::Date,
            11 => Self::Time,
            12 => Self::DateTime,
            13 => Self::Year,
            15 | 253 => Self::VarChar { most: metadata.u16()? },
            16 => {
                let (bits, bytes) = (metadata.u8()?, metadata.u8()?);
                let bits = u16::from(bytes).saturating_mul(8).saturating_add(bits.into());
                Self::Bit { bits: length(bits, 1, 64)? }
            }
            17 => Self::Timestamp2 { fraction: fraction(metadata)? },
            18 => Self::DateTime2 { fraction: fraction(metadata)? },
            19 => Self::Time2 { fraction: fraction(metadata)? },
            140 => Self::CompressedBlob { prefix: prefix(metadata)? },
            141 => Self::CompressedVarChar { most: metadata.u16()? },
            242 => Self::Vector { prefix: prefix(metadata)? },
            245 => Self::Json { prefix: prefix(metadata)? },
            246 => {
                let (precision, scale) = (metadata.u8()?, metadata.u8()?);
                length(precision.into(), 1, 65)?;
                length(scale.into(), 0, 38u16.min(precision.into()))?;
                Self::Decimal { precision, scale }
            }
            247 | 248 | 254 => string(metadata)?,
            249..=252 => Self::Blob { prefix: prefix(metadata)? },
            255 => Self::Geometry { prefix: prefix(metadata)? },
            number => return Err(WireError::Unknown { what: "column type", number: number.into() }),
        })
    }

    /// Types of which the optional metadata say whether they have a sign (`sql/log_event.cc`,
    /// `Table_map_log_event::init_signedness_field`).
    pub const fn has_sign(self) -> bool {
        matches!(
            self,
            Self::Tiny
                | Self::Short
                | Self::Int24
                | Self::Long
                | Self::LongLong
                | Self::Float
                | Self::Double
                | Self::Decimal { .. }
                | Self::Year
        )
    }

    /// Types of which MySQL's optional metadata say the collation; 63 for binary ones (`is_character_type`,
    /// `sql/log_event.cc`). A VECTOR has one too, which means nothing.
    pub const fn has_mysql_collation(self) -> bool {
        self.is_character() || matches!(self, Self::Vector { .. })
    }

    /// The same for MariaDB (`is_character_type`, `sql/log_event_client.cc`), where a geometry has one.
    pub const fn has_mariadb_collation(self) -> bool {
        self.is_character() || matches!(self, Self::Geometry { .. })
    }

    const fn is_character(self) -> bool {
        matches!(
            self,
            Self::Char { .. }
                | Self::VarChar { .. }
                | Self::Blob { .. }
                | Self::CompressedVarChar { .. }
                | Self::CompressedBlob { .. }
        )
    }

    /// How its cells lie in a row.
    pub const fn extent(self) -> Extent {
        match self {
            Self::Tiny | Self::Year => Extent::Fixed(1),
            Self::Short => Extent::Fixed(2),
            Self::Int24 | Self::Date | Self::Time => Extent::Fixed(3),
            Self::Long | Self::Float | Self::Timestamp => Extent::Fixed(4),
            Self::LongLong | Self::Double | Self::DateTime => Extent::Fixed(8),
            Self::Decimal { precision, scale } => {
                Extent::Fixed(decimal_bytes(precision.saturating_sub(scale)).saturating_add(decimal_bytes(scale)))
            }
            Self::Bit { bits } => {
                let [bytes, _] = bits.div_ceil(8).to_le_bytes();
                Extent::Fixed(bytes)
            }
            Self::Time2 { fraction } => Extent::Fixed(fraction_bytes(fraction).saturating_add(3)),
            Self::DateTime2 { fraction } => Extent::Fixed(fraction_bytes(fraction).saturating_add(5)),
            Self::Timestamp2 { fraction } => Extent::Fixed(fraction_bytes(fraction).saturating_add(4)),
            Self::Char { most } | Self::VarChar { most } | Self::CompressedVarChar { most } => {
                Extent::Prefixed(if most > 255 { 2 } else { 1 })
            }
            Self::Json { prefix } => Extent::Document(prefix),
            Self::Blob { prefix }
            | Self::Geometry { prefix }
            | Self::Vector { prefix }
            | Self::CompressedBlob { prefix } => Extent::Prefixed(prefix),
            Self::Enum { width } | Self::Set { width } => Extent::Fixed(width),
        }
    }
}

/// CHAR, BINARY, ENUM and SET share a number. The first byte is the real type, the second the length; two bits of a
/// length beyond 255 hide, turned over, in bits 4 and 5 of the first (`sql/field.cc`, `Field_string::do_save_field_metadata`).
fn string(metadata: &mut Reader<'_>) -> Result<Storage, WireError> {
    let (first, second) = (metadata.u8()?, metadata.u8()?);
    let high = u16::from((first & 0x30) ^ 0x30).wrapping_shl(4);
    match first | 0x30 {
        0xf7 if high == 0 => Ok(Storage::Enum { width: narrow(second, 1, 2)? }),
        0xf8 if high == 0 => Ok(Storage::Set { width: narrow(second, 1, 8)? }),
        0xfe => Ok(Storage::Char { most: high | u16::from(second) }),
        _ => Err(WireError::Unknown { what: "real type of a string column", number: first.into() }),
    }
}

fn prefix(metadata: &mut Reader<'_>) -> Result<u8, WireError> {
    let number = metadata.u8()?;
    narrow(number, 1, 4)
}

fn fraction(metadata: &mut Reader<'_>) -> Result<u8, WireError> {
    let number = metadata.u8()?;
    narrow(number, 0, 6)
}

fn narrow(number: u8, least: u8, most: u8) -> Result<u8, WireError> {
    length(number.into(), least.into(), most.into()).map(|_| number)
}

fn length(number: u16, least: u16, most: u16) -> Result<u16, WireError> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(WireError::Range {
        what: "metadata of a column",
        number: number.into(),
        least: least.into(),
        most: most.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u8, metadata: &[u8]) -> Result<Storage, WireError> {
        let mut reader = Reader::new("t", metadata);
        let storage = Storage::read(kind, &mut reader)?;
        reader.end()?;
        Ok(storage)
    }

    #[test]
    fn lengths_hide_in_the_real_type() {
        assert_eq!(read(254, &[0xfe, 255]), Ok(Storage::Char { most: 255 }));
        assert_eq!(read(254, &[0xee, 0]), Ok(Storage::Char { most: 256 }));
        assert_eq!(read(254, &[0xce, 0xfc]), Ok(Storage::Char { most: 1020 }));
        assert_eq!(read(254, &[0xf7, 2]), Ok(Storage::Enum { width: 2 }));
        assert_eq!(read(254, &[0xf8, 8]), Ok(Storage::Set { width: 8 }));
        assert!(read(254, &[0xf7, 3]).is_err() && read(254, &[0xe7, 1]).is_err() && read(254, &[1, 1]).is_err());
    }

    #[test]
    fn unknown_types_and_impossible_metadata() {
        assert_eq!(read(20, &[]), Err(WireError::Unknown { what: "column type", number: 20 }));
        assert!(read(246, &[66, 0]).is_err() && read(246, &[10, 11]).is_err() && read(16, &[1, 8]).is_err());
        assert!(read(252, &[5]).is_err() && read(18, &[7]).is_err() && read(15, &[1]).is_err());
    }

    #[test]
    fn cells_end_where_they_should() {
        let cell = |storage: Storage, bytes: &[u8]| storage.extent().cell(&mut Reader::new("t", bytes));
        assert_eq!(
            cell(Storage::Decimal { precision: 65, scale: 30 }, &[0; 40]),
            Ok(Cell::Bytes { start: 0, length: 30 })
        );
        assert_eq!(cell(Storage::Bit { bits: 9 }, &[0; 2]), Ok(Cell::Bytes { start: 0, length: 2 }));
        assert_eq!(cell(Storage::VarChar { most: 256 }, &[1, 0, 9]), Ok(Cell::Bytes { start: 2, length: 1 }));
        assert_eq!(cell(Storage::VarChar { most: 255 }, &[1, 9]), Ok(Cell::Bytes { start: 1, length: 1 }));
        assert_eq!(cell(Storage::Blob { prefix: 3 }, &[1, 0, 0, 9]), Ok(Cell::Bytes { start: 3, length: 1 }));
        assert!(cell(Storage::Blob { prefix: 4 }, &[255; 8]).is_err());
        assert!(cell(Storage::Time2 { fraction: 6 }, &[0; 5]).is_err());
    }
}
