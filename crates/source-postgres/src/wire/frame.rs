//! Frames: one tag byte, a 32-bit length that counts itself, a body. Inside `CopyData`: WAL data and keep-alives.

use super::reader::{Reader, WireError};
use crate::lsn::Lsn;

/// The server builds a message in one allocation of less than 1 GiB; anything longer is no message of a server.
pub const MAX_LENGTH: i64 = 0x4000_0000;
/// Tag and length.
pub const HEADER: usize = 5;

/// What the head of a buffer holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Split<'a> {
    Frame {
        tag: u8,
        body: &'a [u8],
        /// Bytes of the whole frame.
        total: usize,
    },
    /// So many bytes must be there before more can be said.
    Incomplete { need: usize },
}

/// Finds the first frame.
pub fn split(buffer: &[u8]) -> Result<Split<'_>, WireError> {
    let mut reader = Reader::new("frame", buffer);
    let (Ok(tag), Ok(length)) = (reader.u8(), reader.i32()) else {
        return Ok(Split::Incomplete { need: HEADER });
    };
    let bad = || WireError::Length { what: "frame", length: length.into(), least: 4, most: MAX_LENGTH };
    if i64::from(length) > MAX_LENGTH {
        return Err(bad());
    }
    let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)).ok_or_else(bad)?;
    match reader.take(body) {
        Ok(bytes) => Ok(Split::Frame { tag, body: bytes, total: body.saturating_add(HEADER) }),
        Err(_) => Ok(Split::Incomplete { need: body.saturating_add(HEADER) }),
    }
}

/// The content of a `CopyData` frame of a replication stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Copied<'a> {
    Wal {
        /// Where the change is in the log.
        start: Lsn,
        /// The end of the log when this was sent.
        end: Lsn,
        /// The server's time, microseconds since 2000.
        sent: i64,
        payload: &'a [u8],
    },
    KeepAlive {
        /// Everything committed before this place was sent already.
        end: Lsn,
        reply: bool,
    },
}

/// Bytes before the payload in a `Wal` body.
pub const WAL_HEADER: usize = 25;

/// Takes a `CopyData` body apart.
pub fn copied(body: &[u8]) -> Result<Copied<'_>, WireError> {
    let mut reader = Reader::new("replication message", body);
    match reader.u8()? {
        b'w' => {
            let (start, end, sent) = (reader.lsn()?, reader.lsn()?, reader.i64()?);
            Ok(Copied::Wal { start, end, sent, payload: reader.rest() })
        }
        b'k' => {
            reader.named("keep-alive");
            let (end, _time, reply) = (reader.lsn()?, reader.i64()?, reader.u8()?);
            reader.end()?;
            match reply {
                0 => Ok(Copied::KeepAlive { end, reply: false }),
                1 => Ok(Copied::KeepAlive { end, reply: true }),
                number => Err(WireError::Unknown { what: "keep-alive reply flag", number }),
            }
        }
        number => Err(WireError::Unknown { what: "replication message", number }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Copied, Split, copied, split};
    use crate::lsn::Lsn;

    #[test]
    fn frames_wait_for_their_last_byte() {
        let bytes = [b'd', 0, 0, 0, 6, 1, 2, 99];
        for cut in 0..7 {
            assert!(matches!(split(&bytes[..cut]), Ok(Split::Incomplete { need }) if need > cut), "{cut}");
        }
        assert_eq!(split(&bytes), Ok(Split::Frame { tag: b'd', body: &[1, 2], total: 7 }));
    }

    #[test]
    fn impossible_lengths_are_errors() {
        assert!(split(&[b'd', 0, 0, 0, 3]).is_err());
        assert!(split(&[b'd', 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(split(&[b'd', 0x40, 0, 0, 1]).is_err());
    }

    #[test]
    fn keep_alive_is_exact() {
        let mut bytes = vec![b'k'];
        bytes.extend(7u64.to_be_bytes());
        bytes.extend(0u64.to_be_bytes());
        bytes.push(1);
        assert_eq!(copied(&bytes), Ok(Copied::KeepAlive { end: Lsn(7), reply: true }));
        bytes.push(0);
        assert!(copied(&bytes).is_err());
        bytes.truncate(17);
        assert!(copied(&bytes).is_err());
        assert!(copied(b"s").is_err());
        assert!(copied(b"").is_err());
    }
}
