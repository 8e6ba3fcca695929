//! Small events: INCIDENT (26), HEARTBEAT (27, 41), ROWS_QUERY (29), XA_PREPARE (38).

use super::reader::{Reader, WireError};

/// Something happened on the server that the log does not hold (`control_events.h`, `Incident_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident<'a> {
    /// 1: events were lost.
    pub number: u16,
    pub message: &'a [u8],
}

impl<'a> Incident<'a> {
    /// # Errors
    ///
    /// A message whose length is not the announced one.
    pub fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("incident event", body);
        let number = reader.u16()?;
        let length = usize::from(reader.u8()?);
        let message = reader.take(length)?;
        reader.end()?;
        Ok(Self { number, message })
    }
}

/// The stream is alive and has nothing to say. Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    pub file: &'a str,
    pub position: u64,
}

impl<'a> Heartbeat<'a> {
    /// The first form: the body is the file, `position` stands in the header.
    ///
    /// # Errors
    ///
    /// A name that is not UTF-8.
    pub fn read(body: &'a [u8], position: u32) -> Result<Self, WireError> {
        let file = std::str::from_utf8(body).map_err(|_| WireError::NotUtf8 { what: "file name of a heartbeat" })?;
        Ok(Self { file, position: position.into() })
    }

    /// The second form, for files beyond 4 GiB: numbered fields up to the number 0 (`Heartbeat_event_v2`).
    ///
    /// # Errors
    ///
    /// Unknown fields, or too few or too many bytes.
    pub fn read_v2(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("heartbeat event", body);
        let mut heartbeat = Self { file: "", position: 0 };
        loop {
            match reader.u8()? {
                0 => break,
                1 => {
                    let length = reader.lenenc_size()?;
                    heartbeat.file = reader.utf8(length)?;
                }
                2 => heartbeat.position = Reader::new("heartbeat position", reader.lenenc_bytes()?).lenenc()?,
                number => return Err(WireError::Unknown { what: "heartbeat field", number: number.into() }),
            }
        }
        reader.end()?;
        Ok(heartbeat)
    }
}

/// ROWS_QUERY: the statement behind the rows that follow. Its first byte, a length, is only right up to 255
/// (`Rows_query_event`).
///
/// # Errors
///
/// An empty body.
pub fn rows_query(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new("rows query event", body);
    reader.u8()?;
    Ok(reader.rest())
}

/// XA_PREPARE: what came before is prepared, and committed or rolled back by a later event (`XA_prepare_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XaPrepare<'a> {
    /// Committed at once: XA COMMIT … ONE PHASE.
    pub one_phase: bool,
    pub format: u32,
    pub global: &'a [u8],
    pub branch: &'a [u8],
}

impl<'a> XaPrepare<'a> {
    /// # Errors
    ///
    /// Parts whose lengths are not the announced ones.
    pub fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("xa prepare event", body);
        let one_phase = reader.u8()? != 0;
        let format = reader.u32()?;
        let (global, branch) = (reader.length32()?, reader.length32()?);
        let (global, branch) = (reader.take(global)?, reader.take(branch)?);
        reader.end()?;
        Ok(Self { one_phase, format, global, branch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them() {
        assert_eq!(Incident::read(b"\x01\0\x02ab"), Ok(Incident { number: 1, message: b"ab" }));
        assert!(Incident::read(b"\x01\0\x03ab").is_err() && Incident::read(b"\x01\0\x01ab").is_err());
        assert_eq!(Heartbeat::read(b"bin.1", 7), Ok(Heartbeat { file: "bin.1", position: 7 }));
        assert_eq!(
            Heartbeat::read_v2(b"\x01\x05bin.1\x02\x03\xfc\x01\x01\0"),
            Ok(Heartbeat { file: "bin.1", position: 257 })
        );
        assert!(Heartbeat::read_v2(b"\x01\x05bin.1").is_err() && Heartbeat::read_v2(b"\x07").is_err());
        assert_eq!(rows_query(b"\xffselect 1"), Ok(&b"select 1"[..]));
        assert!(rows_query(b"").is_err());
        let xa = XaPrepare::read(b"\0\x01\0\0\0\x02\0\0\0\x01\0\0\0abc").unwrap();
        assert_eq!((xa.one_phase, xa.format, xa.global, xa.branch), (false, 1, &b"ab"[..], &b"c"[..]));
        assert!(XaPrepare::read(b"\0\x01\0\0\0\x02\0\0\0\x01\0\0\0abcd").is_err());
    }
}
