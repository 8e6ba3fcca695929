//! MariaDB's own events: GTID (162), GTID_LIST (163), START_ENCRYPTION (164), BINLOG_CHECKPOINT (161).

use super::reader::{Reader, WireError};
use crate::gtid::mariadb::{Gtid as Id, GtidSet};

/// The head of a transaction or of a single statement (MariaDB `sql/log_event.h`, `Gtid_log_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gtid {
    /// The server's number is in the event's header.
    pub id: Id,
    /// One statement follows, without BEGIN and COMMIT around it (`FL_STANDALONE`).
    pub standalone: bool,
    /// Transactions with this number were committed together (`FL_GROUP_COMMIT_ID`).
    pub group_commit: Option<u64>,
    /// Only transactional tables are touched (`FL_TRANSACTIONAL`).
    pub transactional: bool,
    /// `FL_DDL`.
    pub ddl: bool,
    /// The transaction waited for another's locks (`FL_WAITED`).
    pub waited: bool,
    /// What is prepared here is committed, or not, by a later event (`FL_PREPARED_XA`).
    pub prepared_xa: bool,
    /// A prepared transaction ends here, either way (`FL_COMPLETED_XA`).
    pub completed_xa: bool,
    /// Its statement is an ALTER TABLE that only begins here, or has failed since (`FL_START_ALTER_E1`,
    /// `FL_ROLLBACK_ALTER_E1`).
    pub unfinished_alter: bool,
}

const STANDALONE: u8 = 1;
const GROUP_COMMIT_ID: u8 = 2;
const TRANSACTIONAL: u8 = 4;
const WAITED: u8 = 16;
const DDL: u8 = 32;
const PREPARED_XA: u8 = 64;
const COMPLETED_XA: u8 = 128;

/// Flags of the second byte: more engines than one, the two halves of an online ALTER TABLE, a thread number (11.7).
const EXTRA_MULTI_ENGINE: u8 = 1;
const EXTRA_START_ALTER: u8 = 2;
const EXTRA_COMMIT_ALTER: u8 = 4;
const EXTRA_ROLLBACK_ALTER: u8 = 8;
const EXTRA_THREAD_ID: u8 = 16;
/// The part of fixed length, which is filled up with zeros.
const POST_HEADER: usize = 19;

impl Gtid {
    /// Reads the body; `server_id` stands in the event's header.
    ///
    /// # Errors
    ///
    /// Too few bytes, or bytes left over other than the zeros that fill up the short form.
    pub fn read(body: &[u8], server_id: u32) -> Result<Self, WireError> {
        let mut reader = Reader::new("mariadb gtid event", body);
        let (sequence, domain, flags) = (reader.u64()?, reader.u32()?, reader.u8()?);
        let group_commit = if flags & GROUP_COMMIT_ID == 0 { None } else { Some(reader.u64()?) };
        if flags & (PREPARED_XA | COMPLETED_XA) != 0 {
            let (_format, global, branch) = (reader.u32()?, reader.u8()?, reader.u8()?);
            reader.take(usize::from(global).saturating_add(usize::from(branch)))?;
        }
        let mut extra = 0;
        if reader.offset() < POST_HEADER && flags & (PREPARED_XA | COMPLETED_XA) == 0 && group_commit.is_none() {
            // Older and newer servers write their extra flags before the filling.
            extra = Self::read_extra(&mut reader)?;
            let filling = POST_HEADER.saturating_sub(reader.offset()).min(reader.left());
            if reader.take(filling)?.iter().any(|byte| *byte != 0) {
                return Err(WireError::LeftOver { what: "mariadb gtid event", left: filling });
            }
        } else if !reader.is_empty() {
            extra = Self::read_extra(&mut reader)?;
        }
        reader.end()?;
        Ok(Self {
            id: Id { domain, server: server_id, sequence },
            standalone: flags & STANDALONE != 0,
            group_commit,
            transactional: flags & TRANSACTIONAL != 0,
            ddl: flags & DDL != 0,
            waited: flags & WAITED != 0,
            prepared_xa: flags & PREPARED_XA != 0,
            completed_xa: flags & COMPLETED_XA != 0,
            unfinished_alter: extra & (EXTRA_START_ALTER | EXTRA_ROLLBACK_ALTER) != 0,
        })
    }

    fn read_extra(reader: &mut Reader<'_>) -> Result<u8, WireError> {
        const KNOWN: u8 =
            EXTRA_MULTI_ENGINE | EXTRA_START_ALTER | EXTRA_COMMIT_ALTER | EXTRA_ROLLBACK_ALTER | EXTRA_THREAD_ID;
        if reader.is_empty() {
            return Ok(0);
        }
        let extra = reader.u8()?;
        if extra & !KNOWN != 0 {
            return Err(WireError::Unknown { what: "extra flags of a mariadb gtid event", number: extra.into() });
        }
        if extra & EXTRA_MULTI_ENGINE != 0 {
            reader.u8()?;
        }
        if extra & (EXTRA_COMMIT_ALTER | EXTRA_ROLLBACK_ALTER) != 0 {
            reader.u64()?;
        }
        if extra & EXTRA_THREAD_ID != 0 {
            reader.u32()?;
        }
        Ok(extra)
    }
}

/// GTID_LIST: the last transaction of every domain and server in the files before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GtidList {
    /// In the order of the event; a domain can occur once per server, the last one in it counts.
    pub ids: Vec<Id>,
    /// The stream was asked to stop at a place that is reached (`FLAG_UNTIL_REACHED`).
    pub until_reached: bool,
}

impl GtidList {
    /// Reads the body (MariaDB `sql/log_event.h`, `Gtid_list_log_event`): a count of 28 bits, flags above it.
    ///
    /// # Errors
    ///
    /// Another number of bytes than announced, or an unknown flag.
    pub fn read(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("gtid list event", body);
        let head = reader.u32()?;
        let flags = head >> 28;
        if flags > 3 {
            return Err(WireError::Unknown { what: "flags of a gtid list event", number: flags.into() });
        }
        let mut ids = Vec::new();
        for _ in 0..head & 0x0fff_ffff {
            let (domain, server, sequence) = (reader.u32()?, reader.u32()?, reader.u64()?);
            ids.push(Id { domain, server, sequence });
        }
        // An empty list is filled up.
        if ids.is_empty() && reader.left() == 2 {
            reader.take(2)?;
        }
        reader.end()?;
        Ok(Self { ids, until_reached: flags & 1 != 0 })
    }

    /// The last transaction of every domain.
    pub fn set(&self) -> GtidSet {
        let mut set = GtidSet::default();
        for id in &self.ids {
            set.advance(*id);
        }
        set
    }
}

/// START_ENCRYPTION: the rest of the file is encrypted. A server decrypts what it sends; only who reads the file itself
/// has to care.
///
/// # Errors
///
/// A scheme or a length that is not known.
pub fn start_encryption(body: &[u8]) -> Result<(), WireError> {
    let mut reader = Reader::new("start encryption event", body);
    let scheme = reader.u8()?;
    if scheme != 1 {
        return Err(WireError::Unknown { what: "encryption scheme", number: scheme.into() });
    }
    let (_key_version, _nonce) = (reader.u32()?, reader.array::<12>()?);
    reader.end()
}

/// BINLOG_CHECKPOINT: no file before this one is needed for the server's crash recovery.
///
/// # Errors
///
/// A name whose length is not the announced one.
pub fn checkpoint(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new("binlog checkpoint event", body);
    let length = reader.length32()?;
    let name = reader.take(length)?;
    reader.end()?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gtids() {
        let mut body = vec![9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, STANDALONE | DDL];
        body.extend([0; 6]);
        let event = Gtid::read(&body, 2).unwrap();
        assert_eq!(event.id, Id { domain: 3, server: 2, sequence: 9 });
        assert!(event.standalone && event.ddl && !event.transactional);
        for cut in 0..13 {
            assert!(Gtid::read(&body[..cut], 2).is_err(), "{cut}");
        }
        let longer = [&body[..], &[0]].concat();
        assert!(Gtid::read(&longer, 2).is_err());
        let mut grouped = body[..12].to_vec();
        grouped.push(GROUP_COMMIT_ID | TRANSACTIONAL);
        grouped.extend(77u64.to_le_bytes());
        assert_eq!(Gtid::read(&grouped, 2).unwrap().group_commit, Some(77));
        assert!(Gtid::read(&[&grouped[..], &[EXTRA_MULTI_ENGINE, 1]].concat(), 2).is_ok());
        assert!(Gtid::read(&[&grouped[..], &[0x80]].concat(), 2).is_err());
        let mut xa = body[..12].to_vec();
        xa.extend([PREPARED_XA, 1, 0, 0, 0, 2, 1, b'a', b'b', b'c']);
        assert!(Gtid::read(&xa, 2).unwrap().prepared_xa);
        assert!(Gtid::read(&xa[..xa.len() - 1], 2).is_err());
    }

    #[test]
    fn lists() {
        let mut body = vec![2, 0, 0, 0x10];
        for (domain, server, sequence) in [(0u32, 1u32, 5u64), (0, 2, 4)] {
            body.extend(domain.to_le_bytes());
            body.extend(server.to_le_bytes());
            body.extend(sequence.to_le_bytes());
        }
        let list = GtidList::read(&body).unwrap();
        assert!(list.until_reached);
        assert_eq!(list.set().to_string(), "0-2-4");
        for cut in 0..body.len() {
            assert!(GtidList::read(&body[..cut]).is_err(), "{cut}");
        }
        assert!(GtidList::read(&[&body[..], &[0]].concat()).is_err());
        assert_eq!(GtidList::read(&[0, 0, 0, 0, 0, 0]).unwrap().ids, []);
    }

    #[test]
    fn small_ones() {
        assert_eq!(checkpoint(b"\x05\0\0\0bin.1"), Ok(&b"bin.1"[..]));
        assert!(checkpoint(b"\x06\0\0\0bin.1").is_err() && checkpoint(b"\x04\0\0\0bin.1").is_err());
        let mut body = vec![1];
        body.extend([0; 16]);
        assert_eq!(start_encryption(&body), Ok(()));
        body[0] = 2;
        assert!(start_encryption(&body).is_err());
    }
}
