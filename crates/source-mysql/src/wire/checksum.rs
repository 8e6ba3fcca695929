//! CRC32 at the end of an event.
//!
//! Whether there is one is said by the format description, which comes after the artificial rotate event that opens a
//! stream. That event has a checksum if the connection asked for one: MySQL adds it (`sql/rpl_binlog_sender.cc`,
//! `fake_rotate_event`), and so does MariaDB (`sql/sql_repl.cc`, `fake_rotate_event`), before either has told so. The
//! checksum itself gives the answer: four bytes of a file name are by chance the CRC32 of what is before them once in
//! four billion.

use super::header::FLAG_IN_USE;
use super::reader::WireError;

/// Bytes of the checksum.
pub const LENGTH: usize = 4;

/// How events end (`libs/mysql/binlog/event/binlog_event.h`, `enum_binlog_checksum_alg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    None,
    Crc32,
}

impl Checksum {
    /// The number in the format description.
    ///
    /// # Errors
    ///
    /// An algorithm that is not known.
    pub fn of_number(number: u8) -> Result<Self, WireError> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Crc32),
            number => Err(WireError::Unknown { what: "checksum algorithm", number: number.into() }),
        }
    }
}

/// Splits a whole event (header included) into what the checksum covers and the checksum that is stored.
fn split(event: &[u8]) -> Option<(&[u8], u32)> {
    let (covered, stored) = event.split_last_chunk::<LENGTH>()?;
    Some((covered, u32::from_le_bytes(*stored)))
}

fn computed(covered: &[u8]) -> u32 {
    crc32fast::hash(covered)
}

/// The event without its checksum, if that is right.
///
/// # Errors
///
/// A wrong checksum, or none.
pub fn verified(event: &[u8]) -> Result<&[u8], WireError> {
    const WHAT: &str = "event";
    let short = WireError::Short { what: WHAT, at: 0, wanted: LENGTH, left: event.len() };
    let (covered, stored) = split(event).ok_or(short)?;
    let computed = computed(covered);
    if computed == stored { Ok(covered) } else { Err(WireError::Checksum { what: WHAT, computed, stored }) }
}

/// The same for the first event of a file, whose flag of being in use is left out of the sum.
///
/// # Errors
///
/// A wrong checksum, or none.
pub fn verified_first(event: &[u8]) -> Result<&[u8], WireError> {
    const FLAGS_AT: usize = 17;
    let flags = event.get(FLAGS_AT).copied().unwrap_or(0);
    if u16::from(flags) & FLAG_IN_USE == 0 {
        return verified(event);
    }
    let Some((covered, stored)) = split(event) else { return verified(event) };
    let (Some(head), Some(tail)) = (covered.get(..FLAGS_AT), covered.get(FLAGS_AT.saturating_add(1)..)) else {
        return verified(event);
    };
    let mut sum = crc32fast::Hasher::new();
    sum.update(head);
    sum.update(&[flags & 0xfe]);
    sum.update(tail);
    let computed = sum.finalize();
    if computed == stored {
        Ok(covered)
    } else {
        Err(WireError::Checksum { what: "format description", computed, stored })
    }
}

/// For an event of which nobody knows yet whether it has a checksum: without it, if the last four bytes are one.
pub fn detected(event: &[u8]) -> &[u8] {
    match split(event) {
        Some((covered, stored)) if computed(covered) == stored => covered,
        _ => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_checked() {
        let mut event = b"some event's bytes, at least nineteen".to_vec();
        event[17] = 0;
        let sum = crc32fast::hash(&event);
        let covered = event.clone();
        event.extend(sum.to_le_bytes());
        assert_eq!(verified(&event), Ok(&covered[..]));
        assert_eq!(detected(&event), &covered[..]);
        assert_eq!(detected(&covered), &covered[..]);
        event[17] = 1;
        assert_eq!(verified_first(&event).unwrap().len(), covered.len());
        assert!(verified(&event).is_err());
        event[3] ^= 1;
        assert!(matches!(verified_first(&event), Err(WireError::Checksum { .. })));
        assert!(verified(&[1, 2, 3]).is_err() && verified_first(&[]).is_err());
    }
}
