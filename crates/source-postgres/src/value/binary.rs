//! The same values in the server's binary form, which copies of tables ask for where it costs the server less to write.
//!
//! The stream has no such choice: it carries texts. So whatever is read here has to come out as [`super::read`] makes it
//! of the server's text, down to the text of a value that an event cannot hold; the tests send every type down both roads.
//! The forms are those of the types' `send` functions (`src/backend/utils/adt/`).

use std::io::Write;

use change::{Absence, ColumnType, Reason, Value};

use super::Malformed;
use super::decimal::push_shortest;
use super::temporal::{DAY, to_civil};

/// Digits of a `numeric` whose groups of four, the last of them filled up with zeros, an `i128` holds.
pub const MOST_DIGITS: u32 = 35;

/// 2000-01-01, where the server counts from, in days and microseconds since 1970.
const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS * DAY;

/// Reads what the `send` function of a type wrote whose form in an event is `kind`; what has to be computed is put in
/// `scratch`. Integers are two's complement of two, four or eight bytes.
pub fn read<'v>(kind: ColumnType, bytes: &'v [u8], scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    match kind {
        ColumnType::Long => long(bytes).map(Value::Long),
        ColumnType::Float => {
            let number = f32::from_be_bytes(exactly(bytes)?);
            // One NaN for all, as a text has it.
            Ok(Value::Float(if number.is_nan() { f32::NAN } else { number }))
        }
        ColumnType::Double => {
            let number = f64::from_be_bytes(exactly(bytes)?);
            Ok(Value::Double(if number.is_nan() { f64::NAN } else { number }))
        }
        ColumnType::Decimal { precision, scale } => numeric(bytes, precision, scale, scratch),
        ColumnType::Uuid => uuid(exactly(bytes)?, scratch),
        ColumnType::Bytes => Ok(Value::Bytes(bytes)),
        ColumnType::Date => match i32::from_be_bytes(exactly(bytes)?) {
            i32::MAX => Ok(absent(Reason::Infinity, "infinity")),
            i32::MIN => Ok(absent(Reason::Infinity, "-infinity")),
            days => Ok(Value::Long(i64::from(days).saturating_add(EPOCH_DAYS))),
        },
        ColumnType::Time => {
            let micros = i64::from_be_bytes(exactly(bytes)?);
            if (0..=DAY).contains(&micros) { Ok(Value::Long(micros)) } else { Err(Malformed) }
        }
        ColumnType::LocalTimestamp => timestamp(bytes, "", scratch),
        ColumnType::Timestamp => timestamp(bytes, "+00", scratch),
        ColumnType::Text | ColumnType::Boolean | ColumnType::Array { .. } => Err(Malformed),
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed)
}

fn absent(reason: Reason, text: &str) -> Value<'_> {
    Value::Absent(Absence { reason, text: Some(text) })
}

fn long(bytes: &[u8]) -> Result<i64, Malformed> {
    match bytes.len() {
        2 => Ok(i16::from_be_bytes(exactly(bytes)?).into()),
        4 => Ok(i32::from_be_bytes(exactly(bytes)?).into()),
        _ => Ok(i64::from_be_bytes(exactly(bytes)?)),
    }
}

fn uuid(bytes: [u8; 16], scratch: &mut Vec<u8>) -> Result<Value<'_>, Malformed> {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'?');
    scratch.clear();
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            scratch.push(b'-');
        }
        scratch.extend_from_slice(&[digit(byte.wrapping_shr(4)), digit(byte & 15)]);
    }
    super::utf8(scratch).map(Value::Text)
}

/// Microseconds since 2000. The last thirty years that the server knows do not fit when they are counted from 1970.
fn timestamp<'v>(bytes: &[u8], zone: &str, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    let micros = i64::from_be_bytes(exactly(bytes)?);
    match micros.checked_add(EPOCH_MICROS) {
        _ if micros == i64::MAX => Ok(absent(Reason::Infinity, "infinity")),
        _ if micros == i64::MIN => Ok(absent(Reason::Infinity, "-infinity")),
        Some(since_1970) => Ok(Value::Long(since_1970)),
        None => {
            write_timestamp(micros, zone, scratch)?;
            super::utf8(scratch).map(|text| absent(Reason::OutOfRange, text))
        }
    }
}

/// As the server prints it (`EncodeDateTime` in `datetime.c`, ISO style): the fraction without its last zeros.
fn write_timestamp(micros: i64, zone: &str, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (year, month, day) = to_civil(days.saturating_add(EPOCH_DAYS));
    let unit = |size: i64, most: i64| rest.div_euclid(size).rem_euclid(most);
    let (hour, minute, second) = (unit(3_600_000_000, 24), unit(60_000_000, 60), unit(1_000_000, 60));
    text.clear();
    write!(text, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").map_err(|_| Malformed)?;
    let fraction = rest.rem_euclid(1_000_000);
    if fraction > 0 {
        write!(text, ".{fraction:06}").map_err(|_| Malformed)?;
        while text.last() == Some(&b'0') {
            text.pop();
        }
    }
    text.extend_from_slice(zone.as_bytes());
    Ok(())
}

/// `numeric_send`: number of groups, weight of the first one, sign, digits to print behind the point, and the groups, each of
/// four decimal digits; groups of zeros at the end are left out.
fn numeric<'v>(bytes: &[u8], precision: u32, scale: u32, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    const NEGATIVE: u16 = 0x4000;
    const NAN: u16 = 0xc000;
    const INFINITE: [u16; 2] = [0xd000, 0xf000];
    let (words, rest) = bytes.as_chunks::<2>();
    let [count, weight, sign, _, groups @ ..] = words else { return Err(Malformed) };
    let sign = u16::from_be_bytes(*sign);
    if !rest.is_empty() || usize::from(u16::from_be_bytes(*count)) != groups.len() {
        return Err(Malformed);
    }
    let negative = match sign {
        0 => false,
        NEGATIVE => true,
        NAN => return Ok(absent(Reason::NotANumber, "NaN")),
        _ if sign == INFINITE[0] => return Ok(absent(Reason::NotANumber, "Infinity")),
        _ if sign == INFINITE[1] => return Ok(absent(Reason::NotANumber, "-Infinity")),
        _ => return Err(Malformed),
    };
    let number = unscaled(groups, i16::from_be_bytes(*weight), scale).ok_or(Malformed)?;
    if 10i128.checked_pow(precision).is_some_and(|limit| number >= limit) {
        return Err(Malformed);
    }
    scratch.clear();
    push_shortest(&if negative { number.wrapping_neg() } else { number }.to_be_bytes(), scratch);
    Ok(Value::Bytes(scratch))
}

/// The groups as one number at `scale`. `None`: too large, or with digits beyond the scale, which its column's type excludes.
fn unscaled(groups: &[[u8; 2]], weight: i16, scale: u32) -> Option<i128> {
    let mut number = 0i128;
    for group in groups {
        let group = u16::from_be_bytes(*group);
        if group > 9999 {
            return None;
        }
        number = number.checked_mul(10_000)?.checked_add(i128::from(group))?;
    }
    if number == 0 {
        return Some(0);
    }
    // The place of the last group's last digit.
    let last = i64::from(weight).checked_sub(i64::try_from(groups.len()).ok()?)?.checked_add(1)?.checked_mul(4)?;
    let shift = last.checked_add(i64::from(scale))?;
    let power = 10i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?)?;
    if shift >= 0 {
        return number.checked_mul(power);
    }
    (number.checked_rem(power)? == 0).then(|| number.checked_div(power)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(kind: ColumnType, bytes: &[u8]) -> String {
        let mut scratch = Vec::new();
        format!("{:?}", read(kind, bytes, &mut scratch))
    }

    /// What the text of the same value gives.
    fn text_as(kind: ColumnType, text: &str) -> String {
        let mut scratch = Vec::new();
        format!("{:?}", super::super::read(kind, text.as_bytes(), &mut scratch))
    }

    fn numeric_of(weight: i16, sign: u16, groups: &[u16]) -> Vec<u8> {
        let head = [groups.len() as u16, weight as u16, sign, 0];
        head.iter().chain(groups).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn numbers_come_out_as_their_texts_do() {
        let decimal = ColumnType::Decimal { precision: 12, scale: 3 };
        for (bytes, text) in [
            (numeric_of(0, 0, &[]), "0.000"),
            (numeric_of(0, 0, &[1, 2340]), "1.234"),
            (numeric_of(0, 0x4000, &[1, 2340]), "-1.234"),
            (numeric_of(1, 0, &[12, 3456, 7000]), "123456.700"),
            (numeric_of(1, 0, &[5]), "50000.000"),
            (numeric_of(-1, 0, &[10]), "0.001"),
            (numeric_of(2, 0x4000, &[9, 9999, 9999, 9990]), "-999999999.999"),
            (numeric_of(0, 0xc000, &[]), "NaN"),
        ] {
            assert_eq!(read_as(decimal, &bytes), text_as(decimal, text), "{text}");
        }
        let most = ColumnType::Decimal { precision: MOST_DIGITS, scale: 1 };
        let nines = "9999999999999999999999999999999999.9";
        let groups = [99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9000];
        assert_eq!(read_as(most, &numeric_of(8, 0, &groups)), text_as(most, nines));
        let hundreds = ColumnType::Decimal { precision: 5, scale: 0 };
        assert_eq!(read_as(hundreds, &numeric_of(1, 0, &[1, 2300])), text_as(hundreds, "12300"));
    }

    #[test]
    fn times_come_out_as_their_texts_do() {
        let micros = |text: &str| match super::super::read(ColumnType::LocalTimestamp, text.as_bytes(), &mut Vec::new())
        {
            Ok(Value::Long(micros)) => micros - EPOCH_MICROS,
            other => panic!("{other:?}"),
        };
        for text in ["1969-12-31 23:59:59.999999", "2026-11-21 12:00:00", "4714-11-24 00:00:00 BC"] {
            let bytes = micros(text).to_be_bytes();
            assert_eq!(read_as(ColumnType::LocalTimestamp, &bytes), text_as(ColumnType::LocalTimestamp, text));
        }
        // The last moment that the server knows, and a rounder one.
        let last = 9_223_371_331_199_999_999i64;
        for (micros, text) in [
            (last, "294276-12-31 23:59:59.999999+00"),
            (last - 499_999, "294276-12-31 23:59:59.5+00"),
            (last - 999_999, "294276-12-31 23:59:59+00"),
            (i64::MAX, "infinity"),
            (i64::MIN, "-infinity"),
        ] {
            assert_eq!(read_as(ColumnType::Timestamp, &micros.to_be_bytes()), text_as(ColumnType::Timestamp, text));
        }
        for (days, text) in
            [(0, "2000-01-01"), (-10_958, "1969-12-31"), (i32::MAX, "infinity"), (i32::MIN, "-infinity")]
        {
            assert_eq!(read_as(ColumnType::Date, &days.to_be_bytes()), text_as(ColumnType::Date, text));
        }
        assert_eq!(read_as(ColumnType::Time, &DAY.to_be_bytes()), text_as(ColumnType::Time, "24:00:00"));
        assert_eq!(read_as(ColumnType::Time, &(DAY + 1).to_be_bytes()), "Err(Malformed)");
    }

    #[test]
    fn the_rest_comes_out_as_its_text_does() {
        let uuid = [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
        assert_eq!(read_as(ColumnType::Uuid, &uuid), text_as(ColumnType::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
        assert_eq!(read_as(ColumnType::Long, &(-5i16).to_be_bytes()), "Ok(Long(-5))");
        assert_eq!(read_as(ColumnType::Long, &i32::MIN.to_be_bytes()), "Ok(Long(-2147483648))");
        assert_eq!(read_as(ColumnType::Long, &i64::MAX.to_be_bytes()), "Ok(Long(9223372036854775807))");
        let nan = f64::from_bits(0xfff8_0000_0000_0001);
        let Ok(Value::Double(read)) = read(ColumnType::Double, &nan.to_be_bytes(), &mut Vec::new()) else { panic!() };
        assert_eq!(read.to_bits(), f64::NAN.to_bits());
        for bytes in [&b""[..], b"1", b"123", b"123456789"] {
            for kind in
                [ColumnType::Long, ColumnType::Double, ColumnType::Uuid, ColumnType::Date, ColumnType::Timestamp]
            {
                assert_eq!(read_as(kind, bytes), "Err(Malformed)", "{kind:?} {bytes:?}");
            }
        }
    }
}
