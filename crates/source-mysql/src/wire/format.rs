//! FORMAT_DESCRIPTION (15): the first event of every file says how the others are written.

use super::checksum::Checksum;
use super::header::EventType;
use super::reader::{Reader, WireError};
use crate::flavour::Flavour;

/// What a file's format description says (`libs/mysql/binlog/event/control_events.h`, `Format_description_event`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// As the server names itself: `9.7.4`, `10.11.19-MariaDB-log`.
    pub server_version: String,
    pub flavour: Flavour,
    pub checksum: Checksum,
    /// Length of the part of fixed size, by event type minus one.
    post_headers: Vec<u8>,
}

/// Bytes that the server's name has, filled up with zeros.
const VERSION_LENGTH: usize = 50;
/// Bytes before the list of lengths.
const OWN_FIXED: usize = 57;
/// Number and sum at the end, both always there since MySQL 5.6.1 and MariaDB 5.3: even when sums are off, those of the
/// format description are written (`sql/log_event.cc`, `Format_description_log_event::write`).
const TRAILER: usize = 5;

impl Format {
    /// Reads the body, *with* the four bytes of the checksum that always end it.
    ///
    /// # Errors
    ///
    /// Another version of the binlog than 4, another header than 19 bytes, an unknown checksum algorithm, or too few bytes.
    pub fn read(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("format description", body);
        let version = reader.u16()?;
        if version != 4 {
            return Err(WireError::Unknown { what: "binlog version", number: version.into() });
        }
        let name = reader.take(VERSION_LENGTH)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let server_version =
            std::str::from_utf8(name).map_err(|_| WireError::NotUtf8 { what: "server version" })?.to_owned();
        let _created = reader.u32()?;
        let header = reader.u8()?;
        if usize::from(header) != super::header::LENGTH {
            return Err(WireError::Unknown { what: "length of event headers", number: header.into() });
        }
        let types = reader.left().checked_sub(TRAILER);
        let Some(types) = types else {
            return Err(WireError::Short {
                what: "format description",
                at: reader.offset(),
                wanted: TRAILER,
                left: reader.left(),
            });
        };
        let post_headers = reader.take(types)?.to_vec();
        // The list holds its own length, in the entry of this event. That is the one check that is left where sums are off.
        let own = u8::try_from(types.saturating_add(OWN_FIXED)).ok();
        let index = usize::from(EventType::FORMAT_DESCRIPTION.0).saturating_sub(1);
        if own.is_none() || post_headers.get(index).copied() != own {
            let number = u64::try_from(types).unwrap_or(u64::MAX);
            return Err(WireError::Unknown { what: "number of event types in a format description", number });
        }
        let checksum = Checksum::of_number(reader.u8()?)?;
        reader.take(TRAILER.saturating_sub(1))?;
        reader.end()?;
        let flavour = Flavour::of_version(&server_version);
        Ok(Self { server_version, flavour, checksum, post_headers })
    }

    /// Bytes of the fixed part of an event of this type; none for a type that the server does not know.
    pub fn post_header(&self, kind: EventType) -> Option<u8> {
        let index = usize::from(kind.0).checked_sub(1)?;
        self.post_headers.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn body(version: &str, checksum: u8) -> Vec<u8> {
        let mut body = vec![4, 0];
        let mut name = version.as_bytes().to_vec();
        name.resize(VERSION_LENGTH, 0);
        body.extend(name);
        body.extend([0, 0, 0, 0, 19]);
        let mut types = [0; 42];
        types[3] = 8;
        types[14] = 99;
        body.extend(types);
        body.push(checksum);
        body.extend([1, 2, 3, 4]);
        body
    }

    #[test]
    fn what_it_says() {
        let format = Format::read(&body("10.11.19-MariaDB-log", 1)).unwrap();
        assert_eq!((format.flavour, format.checksum), (Flavour::MariaDb, Checksum::Crc32));
        assert_eq!(format.post_header(EventType::ROTATE), Some(8));
        assert_eq!(format.post_header(EventType(0)), None);
        assert_eq!(format.post_header(EventType(77)), None);
        assert_eq!(Format::read(&body("9.7.4", 0)).unwrap().checksum, Checksum::None);
    }

    #[test]
    fn what_is_refused() {
        let good = body("9.7.4", 1);
        for cut in 0..good.len() {
            assert!(Format::read(&good[..cut]).is_err(), "{cut}");
        }
        assert!(Format::read(&body("9.7.4", 7)).is_err());
        let mut old = good.clone();
        old[0] = 3;
        assert!(Format::read(&old).is_err());
        let mut header = good;
        header[56] = 13;
        assert!(Format::read(&header).is_err());
    }
}
