//! Integers, bits, years: least byte first, as the server's own machine has them.

use change::Value;

use super::Malformed;
use crate::wire::reader::{big, little};

/// An integer of one to eight bytes. Those of 64 bits without a sign become decimals of 20 digits.
pub fn integer<'v>(bytes: &[u8], unsigned: bool, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    if !matches!(bytes.len(), 1..=4 | 8) {
        return Err(Malformed);
    }
    if !unsigned {
        return Ok(Value::Long(signed(bytes)));
    }
    match i64::try_from(little(bytes)) {
        Ok(number) if bytes.len() < 8 => Ok(Value::Long(number)),
        _ => {
            scratch.clear();
            super::decimal::push_shortest(&i128::from(little(bytes)).to_be_bytes(), scratch);
            Ok(Value::Bytes(scratch))
        }
    }
}

/// The sign of a MEDIUMINT is the highest of its 24 bits, and so on for every width.
pub fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { u64::MAX } else { 0 };
    let width = u32::try_from(bytes.len().saturating_mul(8)).unwrap_or(64);
    let number = little(bytes) | fill.checked_shl(width).unwrap_or(0);
    i64::from_le_bytes(number.to_le_bytes())
}

/// `bit(1)` is true or false. Longer ones are bytes, greatest first, as the server sends them.
pub fn bits(bytes: &[u8], bits: u16) -> Result<Value<'_>, Malformed> {
    if bytes.len() != usize::from(bits.div_ceil(8)) {
        return Err(Malformed);
    }
    if bits > 1 {
        return Ok(Value::Bytes(bytes));
    }
    match big(bytes) {
        0 => Ok(Value::Boolean(false)),
        1 => Ok(Value::Boolean(true)),
        _ => Err(Malformed),
    }
}

/// 1901 to 2155, and 0 for `0000`.
pub fn year(bytes: &[u8]) -> Result<i64, Malformed> {
    match bytes {
        [0] => Ok(0),
        [year] => Ok(i64::from(*year).saturating_add(1900)),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_has_its_sign() {
        for (bytes, expected) in [
            (&[0x80][..], -128),
            (&[0x7f], 127),
            (&[0, 0x80], -32_768),
            (&[0xfb, 0xff, 0xff], -5),
            (&[0, 0, 0x80], -8_388_608),
            (&[0xff, 0xff, 0x7f], 8_388_607),
            (&[0, 0, 0, 0x80], -2_147_483_648),
            (&[0, 0, 0, 0, 0, 0, 0, 0x80], i64::MIN),
        ] {
            assert_eq!(integer(bytes, false, &mut Vec::new()), Ok(Value::Long(expected)));
        }
        assert_eq!(integer(&[0xfb, 0xff, 0xff], true, &mut Vec::new()), Ok(Value::Long(16_777_211)));
        let mut scratch = vec![9];
        assert_eq!(
            integer(&[0xff; 8], true, &mut scratch),
            Ok(Value::Bytes(&[0, 255, 255, 255, 255, 255, 255, 255, 255]))
        );
        assert_eq!(integer(&[1, 0, 0, 0, 0, 0, 0, 0], true, &mut scratch), Ok(Value::Bytes(&[1])));
        assert_eq!(integer(&[0; 5], false, &mut scratch), Err(Malformed));
    }

    #[test]
    fn bits_and_years() {
        assert_eq!(bits(&[1], 1), Ok(Value::Boolean(true)));
        assert_eq!(bits(&[2], 1), Err(Malformed));
        assert_eq!(bits(&[1, 0xff], 9), Ok(Value::Bytes(&[1, 0xff])));
        assert_eq!(bits(&[1], 9), Err(Malformed));
        assert_eq!((year(&[0]), year(&[1]), year(&[255])), (Ok(0), Ok(1901), Ok(2155)));
    }
}
