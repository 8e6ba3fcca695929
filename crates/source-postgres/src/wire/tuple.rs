//! A tuple as the log shows it: one cell per column, each a range of the message.

use super::reader::{Reader, WireError};

/// One column of a row image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    /// A TOAST value that the statement did not touch: the log does not carry it.
    Unchanged,
    /// Not part of the replica identity: the log carries only the key of the old row.
    NotInKey,
    /// The server's text, at `start` of the message.
    Text {
        start: usize,
        length: usize,
    },
    /// What the `send` function of the column's type wrote.
    Binary {
        start: usize,
        length: usize,
    },
}

/// Reads one tuple into `cells`, which is cleared first.
pub fn read(reader: &mut Reader<'_>, cells: &mut Vec<Cell>) -> Result<(), WireError> {
    cells.clear();
    for _ in 0..reader.u16()? {
        cells.push(match reader.u8()? {
            b'n' => Cell::Null,
            b'u' => Cell::Unchanged,
            b't' => {
                let length = reader.length()?;
                let start = reader.offset();
                reader.take(length)?;
                Cell::Text { start, length }
            }
            number => return Err(WireError::Unknown { what: "tuple column", number }),
        });
    }
    Ok(())
}

/// Reads the values of a `DataRow` message into `cells`, which is cleared first; `binary` says which columns are not texts.
/// Nothing may follow them but the next row.
pub fn read_values(reader: &mut Reader<'_>, binary: &[bool], cells: &mut Vec<Cell>) -> Result<(), WireError> {
    cells.clear();
    for at in 0..usize::from(reader.u16()?) {
        cells.push(match reader.i32()? {
            -1 => Cell::Null,
            length => {
                let length = usize::try_from(length).map_err(|_| WireError::Length {
                    what: "data row",
                    length: length.into(),
                    least: -1,
                    most: i32::MAX.into(),
                })?;
                let start = reader.offset();
                reader.take(length)?;
                if binary.get(at) == Some(&true) {
                    Cell::Binary { start, length }
                } else {
                    Cell::Text { start, length }
                }
            }
        });
    }
    Ok(())
}
