//! `decimal(p,s)` in the server's binary form: groups of nine digits in four bytes, greatest first, what is left over in
//! fewer bytes at both outer ends (`strings/decimal.cc`, `bin2decimal`).
//!
//! The first bit is turned over so that bytes compare as numbers do, and for a negative number all the others are too.

use super::Malformed;
use crate::wire::cell::decimal_bytes;
use crate::wire::reader::big;

/// 10⁶⁵ needs 216 bits.
const LIMBS: usize = 7;

/// Reads the number and writes it, unscaled, as two's complement with the greatest byte first, in as few bytes as hold it.
pub fn read(bytes: &[u8], precision: u8, scale: u8, out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    let mut limbs = [0u32; LIMBS];
    let mut short = 0u64;
    let negative = groups(bytes, precision, scale, |group, power| {
        if precision <= 18 {
            short = short.wrapping_mul(power).wrapping_add(group);
            return;
        }
        // limb < 2³², power ≤ 10⁹ < 2³⁰, carry < 2³²: no sum exceeds 64 bits. 65 digits do not fill the last limb.
        let mut carry = group;
        for limb in &mut limbs {
            let sum = u64::from(*limb).wrapping_mul(power).wrapping_add(carry);
            (*limb, carry) = (low(sum), sum >> 32);
        }
    })?;
    if precision <= 18 {
        let number = i64::try_from(short).map_err(|_| Malformed)?;
        let number = if negative { number.wrapping_neg() } else { number };
        push_shortest(&number.to_be_bytes(), out);
        return Ok(());
    }
    if negative {
        let mut carry = true;
        for limb in &mut limbs {
            (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
        }
    }
    let mut number = [0u8; LIMBS * 4];
    for (place, limb) in number.chunks_exact_mut(4).zip(limbs.iter().rev()) {
        place.copy_from_slice(&limb.to_be_bytes());
    }
    push_shortest(&number, out);
    Ok(())
}

/// Appends the number as the server prints it: all digits behind the point, one before it at least.
pub fn text(bytes: &[u8], precision: u8, scale: u8, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut digits = [0u8; 72];
    let mut length = 0usize;
    let negative = groups(bytes, precision, scale, |group, power| {
        let mut power = power;
        while power > 1 {
            power = power.checked_div(10).unwrap_or(1);
            let digit = group.checked_div(power).unwrap_or(0).checked_rem(10).unwrap_or(0);
            if let Some(place) = digits.get_mut(length) {
                *place = u8::try_from(digit).unwrap_or(0).saturating_add(b'0');
            }
            length = length.saturating_add(1);
        }
    })?;
    let whole = usize::from(precision.saturating_sub(scale));
    let digits = digits.get(..length).ok_or(Malformed)?;
    let (before, after) = digits.split_at_checked(whole).ok_or(Malformed)?;
    if negative && digits.iter().any(|digit| *digit != b'0') {
        out.push(b'-');
    }
    let zeros = before.iter().take_while(|digit| **digit == b'0').count();
    match before.get(zeros..) {
        None | Some([]) => out.push(b'0'),
        Some(digits) => out.extend_from_slice(digits),
    }
    if !after.is_empty() {
        out.push(b'.');
        out.extend_from_slice(after);
    }
    Ok(())
}

/// Calls `take` with each group and ten to the number of its digits; says whether the number is negative.
fn groups(bytes: &[u8], precision: u8, scale: u8, mut take: impl FnMut(u64, u64)) -> Result<bool, Malformed> {
    let whole = precision.checked_sub(scale).ok_or(Malformed)?;
    let size = usize::from(decimal_bytes(whole)).saturating_add(decimal_bytes(scale).into());
    let first = bytes.first().filter(|_| bytes.len() == size).ok_or(Malformed)?;
    let negative = first & 0x80 == 0;
    let (mut rest, mut top) = (bytes, 0x80u8);
    let lengths = [whole % 9].into_iter().chain(std::iter::repeat_n(9, (whole / 9).into()));
    let lengths = lengths.chain(std::iter::repeat_n(9, (scale / 9).into())).chain([scale % 9]);
    for digits in lengths.filter(|digits| *digits > 0) {
        let width = usize::from(decimal_bytes(digits));
        let (group, others) = rest.split_at_checked(width).ok_or(Malformed)?;
        rest = others;
        let mut word = [0u8; 4];
        for (place, byte) in word.iter_mut().zip(group) {
            *place = byte ^ std::mem::take(&mut top) ^ if negative { 0xff } else { 0 };
        }
        let number = big(word.get(..width).ok_or(Malformed)?);
        let power = 10u64.saturating_pow(digits.into());
        if number >= power {
            return Err(Malformed);
        }
        take(number, power);
    }
    Ok(negative)
}

/// Leaves out leading bytes that only repeat the sign.
pub(in crate::value) fn push_shortest(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let [first, second, ..] = bytes {
        let repeats = (*first == 0 && *second < 0x80) || (*first == 0xff && *second >= 0x80);
        match bytes.split_first() {
            Some((_, rest)) if repeats => bytes = rest,
            _ => break,
        }
    }
    out.extend_from_slice(bytes);
}

fn low(number: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The opposite of `groups`: digits to the server's bytes.
    fn encode(negative: bool, digits: &[u8], scale: u8) -> Vec<u8> {
        let whole = digits.len() - usize::from(scale);
        let mut out = Vec::new();
        let mut group = |digits: &[u8]| {
            let number = digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(*digit));
            let width = usize::from(decimal_bytes(u8::try_from(digits.len()).unwrap()));
            out.extend(&number.to_be_bytes()[4 - width..]);
        };
        let (before, after) = digits.split_at(whole);
        let (first, rest) = before.split_at(whole % 9);
        group(first);
        rest.chunks(9).for_each(&mut group);
        after.chunks(9).for_each(&mut group);
        if negative {
            out.iter_mut().for_each(|byte| *byte ^= 0xff);
        }
        out[0] ^= 0x80;
        out
    }

    fn both(bytes: &[u8], precision: u8, scale: u8) -> Option<(Vec<u8>, String)> {
        let (mut number, mut printed) = (vec![9], Vec::new());
        read(bytes, precision, scale, &mut number).ok()?;
        text(bytes, precision, scale, &mut printed).unwrap();
        Some((number, String::from_utf8(printed).unwrap()))
    }

    #[test]
    fn the_manuals_example() {
        // https://dev.mysql.com/doc/refman/8.4/en/precision-math-decimal-characteristics.html and strings/decimal.cc
        let bytes = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(
            both(&bytes, 14, 4),
            Some((12_345_678_901_234i64.to_be_bytes()[2..].to_vec(), "1234567890.1234".to_owned()))
        );
        let negative: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        assert_eq!(both(&negative, 14, 4).unwrap().1, "-1234567890.1234");
        assert_eq!(both(&[0x80, 0], 3, 2), Some((vec![0], "0.00".to_owned())));
    }

    #[test]
    fn what_is_no_number() {
        assert_eq!(both(&[0x80], 3, 2), None);
        assert_eq!(both(&[0x80, 100], 3, 2), None);
        assert_eq!(both(&[0xff, 0xff], 4, 0), None);
        assert_eq!(both(&[], 1, 0), None);
        assert_eq!(both(&[0x80], 1, 2), None);
    }

    proptest! {
        #[test]
        fn all_digits_come_back(negative: bool, digits in prop::collection::vec(0u8..10, 1..=65), scale in 0u8..=38) {
            let precision = u8::try_from(digits.len()).unwrap();
            let scale = scale.min(precision);
            let (number, text) = both(&encode(negative, &digits, scale), precision, scale).unwrap();
            let expected: String = digits.iter().map(|digit| char::from(digit + b'0')).collect();
            let zero = digits.iter().all(|digit| *digit == 0);
            let plain = text.trim_start_matches('-').replace('.', "");
            prop_assert_eq!(plain.trim_start_matches('0'), expected.trim_start_matches('0'));
            prop_assert_eq!(text.starts_with('-'), negative && !zero);
            if precision <= 38 {
                let value: i128 = expected.parse().unwrap();
                let value = if negative { -value } else { value };
                let fill = if number[0] & 0x80 == 0 { 0 } else { 0xff };
                let mut wide = [fill; 16];
                wide[16 - number.len()..].copy_from_slice(&number);
                prop_assert_eq!(i128::from_be_bytes(wide), value);
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, precision in 0u8..90, scale in 0u8..90) {
            both(&bytes, precision, scale);
        }
    }
}
