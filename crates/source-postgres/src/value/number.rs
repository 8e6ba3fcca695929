//! Integers, floats, booleans, `uuid` and `bytea`.

use super::{Malformed, utf8};

/// A whole number of at most 64 bits.
pub fn long(bytes: &[u8]) -> Result<i64, Malformed> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // Eighteen digits never overflow.
    if let Some(number) = digits_of(digits) {
        return Ok(if negative { number.wrapping_neg() } else { number });
    }
    if bytes.first() == Some(&b'+') {
        return Err(Malformed);
    }
    utf8(bytes)?.parse().map_err(|_| Malformed)
}

/// One to eighteen digits and nothing else.
pub(super) fn digits_of(digits: &[u8]) -> Option<i64> {
    if !matches!(digits.len(), 1..=18) {
        return None;
    }
    digits.iter().try_fold(0i64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| sum.wrapping_mul(10).wrapping_add(i64::from(digit)))
    })
}

/// `t` and `f` of `boolean`, `1` and `0` of `bit(1)`.
pub fn boolean(bytes: &[u8]) -> Result<bool, Malformed> {
    match bytes {
        b"t" | b"1" => Ok(true),
        b"f" | b"0" => Ok(false),
        _ => Err(Malformed),
    }
}

pub fn float(text: &str) -> Result<f32, Malformed> {
    match text {
        "NaN" => Ok(f32::NAN),
        "Infinity" => Ok(f32::INFINITY),
        "-Infinity" => Ok(f32::NEG_INFINITY),
        _ if is_float(text) => text.parse::<f32>().ok().filter(|number| number.is_finite()).ok_or(Malformed),
        _ => Err(Malformed),
    }
}

pub fn double(text: &str) -> Result<f64, Malformed> {
    match text {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        _ if is_float(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(Malformed),
        _ => Err(Malformed),
    }
}

/// The standard library also reads `inf`, `nan` and a leading plus; the server writes none of them.
fn is_float(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e')) && !text.starts_with('+')
}

/// 8-4-4-4-12 hexadecimal digits, lower case.
pub fn uuid(text: &str) -> Result<&str, Malformed> {
    let right = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    right.then_some(text).ok_or(Malformed)
}

/// `\x` and two hexadecimal digits a byte.
pub fn bytea(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    let digits = text.strip_prefix(b"\\x").ok_or(Malformed)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Malformed);
    }
    bytes.clear();
    bytes.reserve(pairs.len());
    for [high, low] in pairs {
        bytes.push(nibble(*high)?.wrapping_shl(4) | nibble(*low)?);
    }
    Ok(())
}

fn nibble(digit: u8) -> Result<u8, Malformed> {
    match digit {
        b'0'..=b'9' => Ok(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grammar_is_strict() {
        for bad in ["", "+1", "1.0", " 1", "9223372036854775808", "-", "--1", "-+1", "1-", "\u{fffd}"] {
            assert!(long(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["", "inf", "nan", "+1", "1e999", "Infinity ", "1_0"] {
            assert!(double(bad).is_err() && float(bad).is_err(), "{bad}");
        }
        for bad in ["", "true", "2", "T"] {
            assert!(boolean(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["", "\\x1", "x00", "\\xAB", "\\xg0"] {
            assert!(bytea(bad.as_bytes(), &mut Vec::new()).is_err(), "{bad}");
        }
        assert!(uuid("A0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").is_err());
        assert!(uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").is_ok());
    }

    proptest! {
        #[test]
        fn numbers_round_trip(n: i64, d: f64, f: f32, bytes: Vec<u8>) {
            prop_assert_eq!(long(n.to_string().as_bytes()).unwrap(), n);
            if d.is_finite() {
                prop_assert_eq!(double(&format!("{d:e}")).unwrap().to_bits(), d.to_bits());
            }
            if f.is_finite() {
                prop_assert_eq!(float(&format!("{f:e}")).unwrap().to_bits(), f.to_bits());
            }
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            let mut read = vec![1];
            bytea(format!("\\x{hex}").as_bytes(), &mut read).unwrap();
            prop_assert_eq!(read, bytes);
        }
    }
}
