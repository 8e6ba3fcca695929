//! Avro's binary encoding, as far as events need it: appended to a buffer, nothing allocated once the buffer is warm.

/// An `int` or a `long`: zigzag, then seven bits at a time, least significant first.
#[inline]
pub(crate) fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1).cast_unsigned() ^ (value >> 63).cast_unsigned();
    if rest < 0x80 {
        out.push(rest as u8);
        return;
    }
    let mut bytes = [0_u8; 10];
    let mut length = 0;
    while rest >= 0x80 {
        bytes[length] = (rest as u8) | 0x80;
        rest >>= 7;
        length += 1;
    }
    bytes[length] = rest as u8;
    // A copy of constant length is a few instructions, one of variable length a call.
    let end = out.len() + length + 1;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// A length or a count.
#[inline]
pub(crate) fn count(out: &mut Vec<u8>, count: usize) {
    // A slice never has more than i64::MAX bytes.
    long(out, i64::try_from(count).unwrap_or(i64::MAX));
}

/// `bytes`, and `string` given as bytes.
#[inline]
pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    count(out, value.len());
    out.extend_from_slice(value);
}

#[inline]
pub(crate) fn string(out: &mut Vec<u8>, value: &str) {
    bytes(out, value.as_bytes());
}

/// The branches of a two-branch union, as they are written: in `["null", T]` null and T.
pub(crate) const BRANCH_0: u8 = 0;
pub(crate) const BRANCH_1: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_zigzag_varints() {
        let cases: [(i64, &[u8]); 9] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (8192, &[0x80, 0x80, 1]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ];
        for (value, expected) in cases {
            let mut out = Vec::new();
            long(&mut out, value);
            assert_eq!(out, expected, "{value}");
        }
    }
}
