//! GTID (33), ANONYMOUS_GTID (34), GTID_TAGGED (42): what opens every transaction of MySQL. PREVIOUS_GTIDS (35).

use super::reader::{Reader, WireError, little};
use crate::gtid::mysql::{GtidSet, Source, Tag};

/// The head of a transaction (`libs/mysql/binlog/event/control_events.h`, `Gtid_event`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gtid {
    /// Who executed it first and its number there; none for an anonymous one.
    pub id: Option<(Source, u64)>,
    /// Whether the transaction may hold statements instead of rows (`FLAG_MAY_HAVE_SBR`).
    pub may_have_statements: bool,
    /// Logical clock of the group commit: transactions with equal parents could run in parallel.
    pub last_committed: i64,
    pub sequence_number: i64,
    /// When the server that sends this committed it: microseconds since 1970. Since MySQL 8.0.1.
    pub immediate_commit: Option<u64>,
    /// When the server that executed it first did; 0 where that one did not say.
    pub original_commit: Option<u64>,
    /// Bytes of all events of the transaction in the file, this one included.
    pub transaction_length: Option<u64>,
}

const MAY_HAVE_SBR: u8 = 1;
/// `LOGICAL_TIMESTAMP_TYPECODE`: what follows are the two numbers of the logical clock.
const LOGICAL_CLOCK: u8 = 2;
/// The highest bit of the seven bytes of the commit time: another one follows.
const HAS_ORIGINAL: u64 = 1 << 55;
const HAS_ORIGINAL_VERSION: u32 = 1 << 31;

impl Gtid {
    /// Reads the form of fixed offsets, which has grown at its end from release to release.
    ///
    /// # Errors
    ///
    /// Too few bytes, bytes left over, or a number that no transaction can have.
    pub fn read(body: &[u8], anonymous: bool) -> Result<Self, WireError> {
        let mut reader = Reader::new("gtid event", body);
        let flags = reader.u8()?;
        let uuid = reader.array::<16>()?;
        let number = reader.u64()?;
        let id = if anonymous { None } else { Some((Source { uuid, tag: Tag::NONE }, checked(number)?)) };
        let mut event = Self {
            id,
            may_have_statements: flags & MAY_HAVE_SBR != 0,
            last_committed: 0,
            sequence_number: 0,
            immediate_commit: None,
            original_commit: None,
            transaction_length: None,
        };
        match reader.u8()? {
            LOGICAL_CLOCK => {}
            number => return Err(WireError::Unknown { what: "logical clock of a gtid event", number: number.into() }),
        }
        event.last_committed = i64::from_le_bytes(reader.array()?);
        event.sequence_number = i64::from_le_bytes(reader.array()?);
        if !reader.is_empty() {
            let time = reader.uint(7)?;
            event.immediate_commit = Some(time & !HAS_ORIGINAL);
            let original = if time & HAS_ORIGINAL == 0 { time } else { reader.uint(7)? };
            event.original_commit = Some(original);
        }
        if !reader.is_empty() {
            event.transaction_length = Some(reader.lenenc()?);
        }
        // The versions of the two servers, and since 8.2 the ticket of a group commit.
        if !reader.is_empty() && reader.u32()? & HAS_ORIGINAL_VERSION != 0 {
            reader.u32()?;
        }
        if !reader.is_empty() {
            reader.u64()?;
        }
        reader.end()?;
        Ok(event)
    }

    /// Reads the form of MySQL's serialization library, which tagged transactions have: numbered fields, of which those
    /// with default values are left out (`libs/mysql/binlog/event/control_events.h`, `Gtid_event::define_fields`).
    ///
    /// # Errors
    ///
    /// Too few bytes, bytes left over, an unknown version or field, or a number that no transaction can have.
    pub fn read_tagged(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("tagged gtid event", body);
        // Written as a variable number: version 1 is the byte 2.
        match reader.varint()? {
            1 => {}
            number => return Err(WireError::Unknown { what: "version of a tagged gtid event", number }),
        }
        let size = reader.varint()?;
        if usize::try_from(size).ok() != Some(body.len()) {
            let there = u64::try_from(body.len()).unwrap_or(u64::MAX);
            return Err(WireError::Range {
                what: "size of a tagged gtid event",
                number: size,
                least: there,
                most: there,
            });
        }
        let _last_that_matters = reader.varint()?;
        let mut event = Fields::default();
        while !reader.is_empty() {
            event.read(&mut reader)?;
        }
        event.finish()
    }
}

/// A transaction's number: from 1 to 2⁶³ − 2 (`sql/rpl_gtid.h`, `GNO_END`).
fn checked(number: u64) -> Result<u64, WireError> {
    let most = u64::MAX.wrapping_shr(1).saturating_sub(1);
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(WireError::Range { what: "number of a transaction", number, least: 1, most })
}

/// The fields of a tagged event as they come.
#[derive(Default)]
struct Fields {
    next: u64,
    flags: u64,
    uuid: [u8; 16],
    number: i64,
    tag: Tag,
    last_committed: i64,
    sequence_number: i64,
    immediate: Option<u64>,
    original: Option<u64>,
    length: Option<u64>,
}

impl Fields {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), WireError> {
        let field = reader.varint()?;
        let unknown = WireError::Unknown { what: "field of a tagged gtid event", number: field };
        // Fields come in the order of their numbers, each once.
        if field < self.next {
            return Err(unknown);
        }
        self.next = field.saturating_add(1);
        match field {
            0 => self.flags = reader.varint()?,
            1 => {
                for byte in &mut self.uuid {
                    let number = reader.varint()?;
                    *byte = u8::try_from(number).map_err(|_| WireError::Range {
                        what: "byte of a uuid",
                        number,
                        least: 0,
                        most: 255,
                    })?;
                }
            }
            2 => self.number = reader.signed_varint()?,
            3 => {
                let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
                self.tag = Tag::of_bytes(reader.take(length)?).ok_or(WireError::NotUtf8 { what: "tag of a gtid" })?;
            }
            4 => self.last_committed = reader.signed_varint()?,
            5 => self.sequence_number = reader.signed_varint()?,
            6 => self.immediate = Some(reader.varint()?),
            7 => self.original = Some(reader.varint()?),
            8 => self.length = Some(reader.varint()?),
            // The versions of the two servers, and the ticket of a group commit.
            9..=11 => {
                reader.varint()?;
            }
            _ => return Err(unknown),
        }
        Ok(())
    }

    fn finish(self) -> Result<Gtid, WireError> {
        let number = u64::try_from(self.number).unwrap_or(0);
        Ok(Gtid {
            id: Some((Source { uuid: self.uuid, tag: self.tag }, checked(number)?)),
            may_have_statements: self.flags & u64::from(MAY_HAVE_SBR) != 0,
            last_committed: self.last_committed,
            sequence_number: self.sequence_number,
            immediate_commit: self.immediate,
            // Left out when it is the same.
            original_commit: self.original.or(self.immediate),
            transaction_length: self.length,
        })
    }
}

/// PREVIOUS_GTIDS: everything that is in the files before this one.
///
/// # Errors
///
/// Bytes that are no set of transactions.
pub fn previous(body: &[u8]) -> Result<GtidSet, WireError> {
    GtidSet::decode(body)
}

/// XID (16): the commit of a transaction in a transactional engine, with the server's internal number for it.
///
/// # Errors
///
/// Other than eight bytes.
pub fn xid(body: &[u8]) -> Result<u64, WireError> {
    let mut reader = Reader::new("xid event", body);
    let number = little(reader.take(8)?);
    reader.end()?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untagged() -> Vec<u8> {
        let mut body = vec![1];
        body.extend([7; 16]);
        body.extend(5u64.to_le_bytes());
        body.push(2);
        body.extend(3i64.to_le_bytes());
        body.extend(4i64.to_le_bytes());
        body.extend(&(1_700_000_000_000_001u64 | HAS_ORIGINAL).to_le_bytes()[..7]);
        body.extend(&1_600_000_000_000_001u64.to_le_bytes()[..7]);
        body.extend([252, 0x2c, 1]);
        body.extend((80_000u32 | HAS_ORIGINAL_VERSION).to_le_bytes());
        body.extend(80_001u32.to_le_bytes());
        body
    }

    #[test]
    fn fixed_form() {
        let body = untagged();
        let event = Gtid::read(&body, false).unwrap();
        assert_eq!(event.id, Some((Source { uuid: [7; 16], tag: Tag::NONE }, 5)));
        assert!(event.may_have_statements);
        assert_eq!((event.last_committed, event.sequence_number), (3, 4));
        assert_eq!(event.immediate_commit, Some(1_700_000_000_000_001));
        assert_eq!(event.original_commit, Some(1_600_000_000_000_001));
        assert_eq!(event.transaction_length, Some(300));
        assert_eq!(Gtid::read(&body, true).unwrap().id, None);
        // The form of 5.7 ends after the clock; everything else is cut.
        let ends = [42, 56, 59, 67];
        for cut in 0..body.len() {
            assert_eq!(Gtid::read(&body[..cut], false).is_ok(), ends.contains(&cut), "{cut}");
        }
        assert!(Gtid::read(&[&body[..], &[0]].concat(), false).is_err());
        let mut zero = body;
        zero[17] = 0;
        assert!(Gtid::read(&zero, false).is_err());
    }

    #[test]
    fn commits_have_a_number() {
        assert_eq!(xid(&9u64.to_le_bytes()), Ok(9));
        assert!(xid(&[0; 7]).is_err() && xid(&[0; 9]).is_err());
    }
}
