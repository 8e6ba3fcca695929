//! MariaDB's compression inside events (165 to 171): one byte, the length, a zlib stream.
//!
//! MariaDB `sql/log_event.cc`, `binlog_buf_uncompress`: the highest bit of the byte is set, the next three name the
//! algorithm (0: zlib), the lowest three say how many bytes the length has, greatest byte first. The length is the
//! server's word, so it bounds what is inflated and must be met exactly.

use std::io::Read;

use super::reader::{Reader, WireError, big};

/// Inflates `bytes` into `out`, whose content is replaced.
///
/// # Errors
///
/// A head that is not of this form, more than `limit` bytes, a stream that is broken, or one of another length.
pub fn inflate(what: &'static str, bytes: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut reader = Reader::new(what, bytes);
    let head = reader.u8()?;
    if head & 0x80 == 0 || head & 0x70 != 0 || head & 0x08 != 0 || !(1..=4).contains(&(head & 7)) {
        return Err(WireError::Unknown { what: "head of compressed data", number: head.into() });
    }
    let length = big(reader.take(usize::from(head & 7))?);
    inflate_exactly(what, reader.rest(), true, length, limit, out)
}

/// Inflates a stream that has to give exactly `length` bytes and to end with the input.
///
/// # Errors
///
/// More than `limit` bytes, a broken stream, another length.
pub fn inflate_exactly(
    what: &'static str,
    stream: &[u8],
    wrapped: bool,
    length: u64,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    if length > most {
        return Err(WireError::Range { what, number: length, least: 0, most });
    }
    out.clear();
    let broken = |problem: String| WireError::Compression { what, problem };
    // One byte more than announced is asked for, so that a longer stream shows.
    let asked = length.saturating_add(1);
    let (read, used) = if wrapped {
        let mut decoder = flate2::bufread::ZlibDecoder::new(stream);
        (decoder.by_ref().take(asked).read_to_end(out), decoder.total_in())
    } else {
        let mut decoder = flate2::bufread::DeflateDecoder::new(stream);
        (decoder.by_ref().take(asked).read_to_end(out), decoder.total_in())
    };
    read.map_err(|error| broken(error.to_string()))?;
    if u64::try_from(out.len()).ok() != Some(length) {
        return Err(broken(format!("{} bytes came out, {length} were announced", out.len())));
    }
    if u64::try_from(stream.len()).ok() != Some(used) {
        return Err(broken(format!("{used} of {} bytes were used", stream.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn deflated(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(vec![0x81, text.len() as u8], flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_announced_comes_out() {
        let good = deflated(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        let mut out = vec![9];
        inflate("t", &good, 100, &mut out).unwrap();
        assert_eq!(out, b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert!(matches!(inflate("t", &good, 10, &mut out), Err(WireError::Range { .. })));
        for cut in 0..good.len() {
            assert!(inflate("t", &good[..cut], 100, &mut out).is_err(), "{cut}");
        }
        assert!(inflate("t", &[&good[..], &[0]].concat(), 100, &mut out).is_err());
        for length in [1, 34, 36, 99] {
            let mut other = good.clone();
            other[1] = length;
            assert!(inflate("t", &other, 100, &mut out).is_err(), "{length}");
        }
        for head in [0x01, 0x80, 0x85, 0x91, 0xa1] {
            let mut other = good.clone();
            other[0] = head;
            assert!(inflate("t", &other, 100, &mut out).is_err(), "{head}");
        }
    }
}
