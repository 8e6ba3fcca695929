//! Types of fixed length that hide in BINARY(n): the binlog cuts trailing zero bytes off, here they come back.
//!
//! MariaDB's UUID, INET4 and INET6 are BINARY(16) and BINARY(4) to the binlog: only the catalogue tells them apart. A
//! UUID's fields are turned around on disk, so that keys are in the order of time, but not in the binlog
//! (`plugin/type_uuid/sql_type_uuid.h`, `UUID::pack`: "by compressing in-memory representation").

use super::Malformed;

/// The bytes, filled up to `length`: borrowed if nothing is missing.
pub fn padded<'v>(bytes: &'v [u8], length: usize, scratch: &'v mut Vec<u8>) -> Result<&'v [u8], Malformed> {
    if bytes.len() == length {
        return Ok(bytes);
    }
    if bytes.len() > length {
        return Err(Malformed);
    }
    scratch.clear();
    scratch.extend_from_slice(bytes);
    scratch.resize(length, 0);
    Ok(scratch)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    let mut array = [0; N];
    array.get_mut(..bytes.len()).ok_or(Malformed)?.copy_from_slice(bytes);
    Ok(array)
}

/// Appends `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
pub fn uuid(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    for (index, byte) in array::<16>(bytes)?.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hexadecimal(byte, out);
    }
    Ok(())
}

/// Appends two digits.
pub fn hexadecimal(byte: u8, out: &mut Vec<u8>) {
    for half in [byte >> 4, byte & 15] {
        out.push(half.saturating_add(if half < 10 { b'0' } else { b'a' - 10 }));
    }
}

/// Appends `192.0.2.1`.
pub fn inet4(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    for (index, byte) in array::<4>(bytes)?.into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(byte.to_string().as_bytes());
    }
    Ok(())
}

/// Appends an address as MariaDB prints it (`sql/sql_type_fixedbin_storage.h`, `plugin/type_inet/sql_type_inet.cc`,
/// `Inet6::to_string`): the first longest run of zero groups as `::`, and the last 32 bits as an IPv4 address where the
/// 80 or 96 bits before them say so.
pub fn inet6(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let bytes = array::<16>(bytes)?;
    let mut groups = [0u16; 8];
    for (group, pair) in groups.iter_mut().zip(bytes.chunks_exact(2)) {
        *group = pair.iter().fold(0, |group, byte| group.wrapping_shl(8) | u16::from(*byte));
    }
    let gap = longest_gap(&groups);
    let gap_end = gap.0.saturating_add(gap.1);
    for (index, group) in groups.iter().enumerate() {
        if gap.1 > 0 && index == gap.0 {
            out.extend_from_slice(b"::");
        }
        if gap.1 > 0 && (gap.0..gap_end).contains(&index) {
            continue;
        }
        let is_mapped = gap == (0, 5) && groups.get(5) == Some(&0xffff);
        if index == 6 && (gap == (0, 6) || is_mapped) {
            let last = bytes.get(12..).unwrap_or_default();
            return inet4(last, out);
        }
        out.extend_from_slice(format!("{group:x}").as_bytes());
        if index < 7 && !(gap.1 > 0 && index.saturating_add(1) == gap.0) {
            out.push(b':');
        }
    }
    Ok(())
}

/// Where the first of the longest runs of zeros begins, and its length.
fn longest_gap(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut run) = ((0, 0), (0, 0usize));
    for (index, group) in groups.iter().enumerate() {
        run = match (group, run.1) {
            (0, 0) => (index, 1),
            (0, length) => (run.0, length.saturating_add(1)),
            _ => (0, 0),
        };
        if run.1 > best.1 {
            best = run;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write(bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn zeros_come_back() {
        let mut scratch = vec![7; 9];
        assert_eq!(padded(&[1, 2], 4, &mut scratch), Ok(&[1, 2, 0, 0][..]));
        assert_eq!(padded(&[1, 2], 2, &mut scratch), Ok(&[1, 2][..]));
        assert_eq!(padded(&[1, 2], 1, &mut scratch), Err(Malformed));
        assert_eq!(text(uuid, &[0x12, 0x3e]), "123e0000-0000-0000-0000-000000000000");
        assert!(uuid(&[0; 17], &mut scratch).is_err() && inet4(&[0; 5], &mut scratch).is_err());
        assert_eq!(text(inet4, &[192, 0, 2]), "192.0.2.0");
    }

    #[test]
    fn addresses() {
        assert_eq!(text(inet6, &[]), "::");
        assert_eq!(text(inet6, &[0x20, 0x01, 0x0d, 0xb8]), "2001:db8::");
        assert_eq!(text(inet6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]), "::ffff:192.0.2.1");
        assert_eq!(text(inet6, &[0x20, 0x01, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1]), "2001:0:1:1::1:1");
        assert_eq!(text(inet6, &[0xff; 16]), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }
}
