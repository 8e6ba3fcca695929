//! Floating-point numbers as text, the way the server prints a DOUBLE inside JSON.
//!
//! `strings/dtoa.cc`, `my_gcvt`: the shortest digits that give the number back, without an exponent as long as the point
//! stands at most 15 digits behind the first or 14 zeros before it. The shortest digits are the same in Rust; where the
//! exponent begins is the server's rule, and whole numbers get `.0` in JSON (`sql-common/json_dom.cc`).

use std::io::Write;
use std::ops::RangeInclusive;

/// Places of the point for which no exponent is written: up to `DBL_DIG` behind the first digit, one less before it.
const WITHOUT_EXPONENT: RangeInclusive<i32> = -14..=15;

/// Appends a number. NaN and infinities, which no server stores, as words.
pub fn double(number: f64, out: &mut Vec<u8>) {
    if !number.is_finite() {
        let word = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        out.extend_from_slice(word.as_bytes());
        return;
    }
    let mut buffer = [0u8; 40];
    let mut rest = &mut buffer[..];
    // 17 digits, a point, an exponent and signs are shorter than the buffer.
    if write!(rest, "{number:e}").is_err() {
        return;
    }
    let unused = rest.len();
    let written = buffer.get(..buffer.len().saturating_sub(unused)).unwrap_or_default();
    let (mantissa, exponent) = match written.iter().position(|byte| *byte == b'e') {
        Some(at) => written.split_at(at),
        None => (written, &b""[..]),
    };
    let exponent = std::str::from_utf8(exponent.get(1..).unwrap_or_default()).unwrap_or_default();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = match mantissa {
        [b'-', rest @ ..] => {
            out.push(b'-');
            rest
        }
        rest => rest,
    };
    layout(mantissa, exponent, out);
}

/// Puts the digits of `d.ddd` where a number with this exponent has them.
fn layout(mantissa: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let digits = || mantissa.iter().copied().filter(|byte| *byte != b'.');
    let count = i32::try_from(digits().count()).unwrap_or(0);
    // The place of the point behind the first digit of 0.ddd.
    let point = exponent.saturating_add(1);
    if !WITHOUT_EXPONENT.contains(&point) {
        out.extend_from_slice(mantissa);
        out.push(b'e');
        out.extend_from_slice(exponent.to_string().as_bytes());
        return;
    }
    if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', usize::try_from(point.unsigned_abs()).unwrap_or(0)));
        out.extend(digits());
        return;
    }
    let whole = usize::try_from(point).unwrap_or(0);
    out.extend(digits().chain(std::iter::repeat(b'0')).take(whole));
    if count > point {
        out.push(b'.');
        out.extend(digits().skip(whole));
    }
}

/// Appends a number as JSON has it: one that looks whole gets `.0`.
pub fn json(number: f64, out: &mut Vec<u8>) {
    let start = out.len();
    double(number, out);
    let whole = out.get(start..).unwrap_or_default().iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    if whole {
        out.extend_from_slice(b".0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: f64) -> String {
        let mut out = Vec::new();
        json(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Each as MySQL 9.7 prints it.
    #[test]
    fn as_the_server_prints_them() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e15, "1e15"),
            (1e14, "100000000000000.0"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (1e-5, "0.00001"),
            (1.5e-14, "0.000000000000015"),
            (1.5e-15, "0.0000000000000015"),
            (1.5e-16, "1.5e-16"),
            (1e20, "1e20"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(text(number), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn numbers_come_back(number: f64) {
            let printed = text(number);
            if number.is_finite() {
                proptest::prop_assert_eq!(printed.parse::<f64>().unwrap().to_bits(), number.to_bits());
            }
        }
    }
}
