//! `numeric(p,s)`: the digits as one whole number at the column's scale, two's complement, big-endian.

use change::Reason;

use super::number::digits_of;
use super::{Outcome, utf8};

/// Digits that an `i128` holds whatever they are.
const FAST_DIGITS: usize = 38;
/// Digits that are taken at once on the slow path.
const CHUNK: usize = 9;

/// Reads `text` and writes the unscaled number at `scale` to `out`, in as few bytes as hold it.
///
/// Digits beyond `scale` that are not zero, or more than `precision` digits, do not fit: out of range.
pub fn read(bytes: &[u8], precision: u32, scale: u32, out: &mut Vec<u8>) -> Result<(), Outcome> {
    match short(bytes, precision, scale) {
        Some(number) => {
            out.clear();
            push_shortest(&number.to_be_bytes(), out);
            Ok(())
        }
        None => general(utf8(bytes)?, precision, scale, out),
    }
}

/// What nearly every value is: at most 18 digits, exactly `scale` of them after the point, not more than `precision`.
/// Everything else is left to [`general`], errors too.
fn short(bytes: &[u8], precision: u32, scale: u32) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let scale = usize::try_from(scale).ok()?;
    let whole = digits.len().checked_sub(scale)?;
    let number = if scale == 0 {
        digits_of(digits)?
    } else {
        let (whole, rest) = digits.split_at_checked(whole.checked_sub(1)?)?;
        let (point, fraction) = rest.split_first()?;
        if *point != b'.' || digits.len() > 19 {
            return None;
        }
        let power = 10i64.checked_pow(u32::try_from(scale).ok()?)?;
        digits_of(whole)?.checked_mul(power)?.checked_add(digits_of(fraction)?)?
    };
    let fits = 10i64.checked_pow(precision).is_none_or(|limit| number < limit);
    fits.then_some(if negative { number.wrapping_neg() } else { number })
}

fn general(text: &str, precision: u32, scale: u32, out: &mut Vec<u8>) -> Result<(), Outcome> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Err(Outcome::Absent(Reason::NotANumber));
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(Outcome::Malformed),
        Some(parts) => parts,
        None => (digits, ""),
    };
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(Outcome::Malformed);
    }
    let out_of_range = Outcome::Absent(Reason::OutOfRange);
    let places = usize::try_from(scale).map_err(|_| out_of_range)?;
    let (kept, cut) = fraction.split_at_checked(places).unwrap_or((fraction, ""));
    let padding = places.saturating_sub(kept.len());
    let whole = whole.trim_start_matches('0');
    let significant = if whole.is_empty() {
        kept.trim_start_matches('0').len().saturating_add(if kept.bytes().any(|b| b != b'0') { padding } else { 0 })
    } else {
        whole.len().saturating_add(places)
    };
    let most = usize::try_from(precision).unwrap_or(usize::MAX);
    if cut.bytes().any(|byte| byte != b'0') || significant > most {
        return Err(out_of_range);
    }
    let digits = whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', padding));
    out.clear();
    if significant <= FAST_DIGITS {
        let number =
            digits.fold(0i128, |sum, digit| sum.wrapping_mul(10).wrapping_add(i128::from(digit.wrapping_sub(b'0'))));
        push_shortest(&if negative { number.wrapping_neg() } else { number }.to_be_bytes(), out);
    } else {
        push_long(digits, negative, out);
    }
    Ok(())
}

/// Leaves out leading bytes that only repeat the sign.
pub(super) fn push_shortest(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let [first, second, ..] = bytes {
        let repeats = (*first == 0 && *second < 0x80) || (*first == 0xff && *second >= 0x80);
        match bytes.split_first() {
            Some((_, rest)) if repeats => bytes = rest,
            _ => break,
        }
    }
    out.extend_from_slice(bytes);
}

/// Any number of digits, nine at a time, in 32-bit limbs with the least first.
fn push_long(digits: impl Iterator<Item = u8>, negative: bool, out: &mut Vec<u8>) {
    let digits: Vec<u8> = digits.collect();
    let mut limbs: Vec<u32> = Vec::with_capacity(digits.len().div_ceil(CHUNK));
    for chunk in digits.chunks(CHUNK) {
        let (mut carry, mut power) = (0u64, 1u64);
        for digit in chunk {
            carry = carry.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
            power = power.wrapping_mul(10);
        }
        // limb < 2^32, power ≤ 10^9 < 2^30, carry < 2^32: no sum exceeds 64 bits.
        for limb in &mut limbs {
            let sum = u64::from(*limb).wrapping_mul(power).wrapping_add(carry);
            *limb = low(sum);
            carry = sum.wrapping_shr(32);
        }
        if carry > 0 {
            limbs.push(low(carry));
        }
    }
    limbs.push(0);
    if negative {
        let mut carry = true;
        for limb in &mut limbs {
            (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
        }
    }
    let bytes: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    push_shortest(&bytes, out);
}

fn low(number: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str, precision: u32, scale: u32) -> Result<Vec<u8>, Outcome> {
        let mut out = vec![9];
        read(text.as_bytes(), precision, scale, &mut out).map(|()| out)
    }

    #[test]
    fn known_numbers() {
        assert_eq!(bytes("0.00", 5, 2), Ok(vec![0]));
        assert_eq!(bytes("1.27", 5, 2), Ok(vec![127]));
        assert_eq!(bytes("1.28", 5, 2), Ok(vec![0, 128]));
        assert_eq!(bytes("-1.28", 5, 2), Ok(vec![128]));
        assert_eq!(bytes("-1.29", 5, 2), Ok(vec![0xff, 0x7f]));
        assert_eq!(bytes("1", 5, 2), Ok(vec![100]));
        assert_eq!(bytes("12300", 5, 0), Ok(vec![0x30, 0x0c]));
        assert_eq!(bytes("0.00012", 5, 5), Ok(vec![12]));
    }

    #[test]
    fn what_does_not_fit_is_out_of_range() {
        let out = Err(Outcome::Absent(Reason::OutOfRange));
        assert_eq!(bytes("1000.00", 5, 2), out);
        assert_eq!(bytes("1.001", 5, 2), out);
        assert_eq!(bytes("1.010", 5, 2), Ok(vec![101]));
        assert_eq!(bytes("0.1", 2, 2), Ok(vec![10]));
        assert_eq!(bytes("NaN", 5, 2), Err(Outcome::Absent(Reason::NotANumber)));
        for bad in ["", "-", ".5", "1.", "1e5", "+1", "1.2.3", "--1", " 1"] {
            assert_eq!(bytes(bad, 50, 2), Err(Outcome::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn fast_and_slow_agree(number in -(10i128.pow(37))..10i128.pow(37)) {
            let text = number.to_string();
            let fast = bytes(&text, 38, 0).unwrap();
            let mut slow = Vec::new();
            push_long(text.trim_start_matches('-').bytes(), number < 0, &mut slow);
            prop_assert_eq!(&fast, &slow);
            let mut wide = [if number < 0 { 0xff } else { 0 }; 16];
            wide[16 - fast.len()..].copy_from_slice(&fast);
            prop_assert_eq!(i128::from_be_bytes(wide), number);
        }

        #[test]
        fn long_numbers_reduce_to_their_digits(text in "-?[1-9][0-9]{40,300}") {
            // Horner's rule backwards: dividing the bytes by ten gives the digits again.
            let negative = text.starts_with('-');
            let mut bytes = bytes(&text, 1000, 0).unwrap();
            if negative {
                let mut carry = true;
                for byte in bytes.iter_mut().rev() {
                    (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
                }
            }
            let mut digits = Vec::new();
            while bytes.iter().any(|b| *b != 0) {
                let mut rest = 0u32;
                for byte in &mut bytes {
                    let sum = rest * 256 + u32::from(*byte);
                    *byte = (sum / 10) as u8;
                    rest = sum % 10;
                }
                digits.push(char::from(b'0' + rest as u8));
            }
            let again: String = digits.into_iter().rev().collect();
            prop_assert_eq!(again, text.trim_start_matches('-'));
        }

        #[test]
        fn the_short_road_agrees(text in "-?[0-9]{0,20}(\\.[0-9]{0,8})?", precision in 1u32..40, scale in 0u32..8) {
            let mut slow = vec![9];
            let found = general(&text, precision, scale, &mut slow).map(|()| slow);
            prop_assert_eq!(bytes(&text, precision, scale), found);
        }

        #[test]
        fn no_text_panics(text: String, precision in 1u32..1000, scale in 0u32..1000) {
            drop(bytes(&text, precision, scale));
        }
    }
}
