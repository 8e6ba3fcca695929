//! ROTATE (4): the log goes on in another file.

use super::reader::{Reader, WireError};

/// The file that follows (`libs/mysql/binlog/event/control_events.h`, `Rotate_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate<'a> {
    pub file: &'a str,
    /// Offset of the first event that will be sent from it.
    pub position: u64,
}

impl<'a> Rotate<'a> {
    /// Reads the body without its checksum.
    ///
    /// # Errors
    ///
    /// Too few bytes, or a file without a name that can be printed: four bytes of checksum that nobody cut off would be one.
    pub fn read(body: &'a [u8]) -> Result<Self, WireError> {
        const FILE: &str = "file name in a rotate event";
        let mut reader = Reader::new("rotate event", body);
        let position = reader.u64()?;
        let file = std::str::from_utf8(reader.rest()).map_err(|_| WireError::NotUtf8 { what: FILE })?;
        if file.is_empty() || file.chars().any(char::is_control) {
            return Err(WireError::Unterminated { what: FILE });
        }
        Ok(Self { file, position })
    }
}

#[cfg(test)]
mod tests {
    use super::Rotate;

    #[test]
    fn name_and_offset() {
        let body = [&4u64.to_le_bytes()[..], b"bin.000007"].concat();
        assert_eq!(Rotate::read(&body).unwrap(), Rotate { file: "bin.000007", position: 4 });
        assert!(Rotate::read(&body[..8]).is_err());
        assert!(Rotate::read(&body[..3]).is_err());
        assert!(Rotate::read(&[&body[..], &[0xff, 1, 2, 3]].concat()).is_err());
        assert!(Rotate::read(&[&body[..], &[0x1f, b'a', b'b', b'c']].concat()).is_err());
    }
}
