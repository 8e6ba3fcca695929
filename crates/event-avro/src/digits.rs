//! Values as text: dates and times in ISO 8601, decimals exact, bytes in hexadecimal.

use std::fmt::Write;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// A day of the proleptic Gregorian calendar: `2026-11-21`; years that need more than four digits, and years before 0,
/// have a sign (`+10000-01-01`, `-0043-03-15`; the year 0 is 1 BC).
pub(crate) fn date(days: i64) -> String {
    // Counted from 0000-03-01, so that a leap day is the last of its year; 400 years are a full cycle of 146097 days.
    let shifted = i128::from(days) + 719_468;
    let cycle = shifted.div_euclid(146_097);
    let day_of_cycle = shifted.rem_euclid(146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_cycle + cycle * 400 + i128::from(month <= 2);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

/// A time of day: `07:05:00`, with as many decimals as it needs. The end of the day is `24:00:00`.
pub(crate) fn time(microseconds: i64) -> String {
    let sign = if microseconds < 0 { "-" } else { "" };
    let whole = microseconds.unsigned_abs();
    let (seconds, fraction) = (whole / 1_000_000, whole % 1_000_000);
    let mut text = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text
}

/// `2026-11-21T05:47:00.5`.
pub(crate) fn timestamp(microseconds: i64) -> String {
    let days = microseconds.div_euclid(MICROSECONDS_PER_DAY);
    format!("{}T{}", date(days), time(microseconds.rem_euclid(MICROSECONDS_PER_DAY)))
}

/// The number that `unscaled` (two's complement, big-endian) is at `scale`, digit by digit.
pub(crate) fn decimal(unscaled: &[u8], scale: u32) -> String {
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut magnitude = unscaled.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (sum, overflow);
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|&byte| byte != 0) {
        let mut remainder = 0_u16;
        for byte in &mut magnitude {
            let dividend = remainder << 8 | u16::from(*byte);
            *byte = (dividend / 10) as u8;
            remainder = dividend % 10;
        }
        digits.push(b'0' + remainder as u8);
    }
    let scale = scale as usize;
    while digits.len() <= scale {
        digits.push(b'0');
    }
    let mut text = String::with_capacity(digits.len() + 2);
    if negative {
        text.push('-');
    }
    for (place, digit) in digits.iter().enumerate().rev() {
        text.push(char::from(*digit));
        if place == scale && scale > 0 {
            text.push('.');
        }
    }
    text
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_are_iso_dates() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (2_145_042_905, "+5874897-12-31"),
            (-2_440_588, "-4713-11-24"),
        ];
        for (days, expected) in cases {
            assert_eq!(date(days), expected, "{days}");
        }
        assert!(date(i64::MIN).starts_with('-') && date(i64::MAX).starts_with('+'));
    }

    #[test]
    fn times_have_the_decimals_they_need() {
        assert_eq!(time(0), "00:00:00");
        assert_eq!(time(86_400_000_000), "24:00:00");
        assert_eq!(time(86_399_999_999), "23:59:59.999999");
        assert_eq!(time(-3_020_399_500_000), "-838:59:59.5");
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999999");
        assert_eq!(timestamp(1_700_000_000_100_000), "2023-11-14T22:13:20.1");
        assert_eq!(timestamp(i64::MAX), "+294247-01-10T04:00:54.775807");
    }

    #[test]
    fn decimals_are_exact() {
        let cases: [(&[u8], u32, &str); 8] = [
            (&[0], 0, "0"),
            (&[0], 2, "0.00"),
            (&[0xff], 2, "-0.01"),
            (&[0x02, 0xee], 2, "7.50"),
            (&[0x80], 0, "-128"),
            (&[0x7f], 3, "0.127"),
            (&[0xff, 0x38], 2, "-2.00"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1, "34028236692093846346337460743176821145.6"),
        ];
        for (bytes, scale, expected) in cases {
            assert_eq!(decimal(bytes, scale), expected);
        }
    }

    proptest! {
        #[test]
        fn decimals_are_the_numbers_they_stand_for(number: i128) {
            prop_assert_eq!(decimal(&number.to_be_bytes(), 0), number.to_string());
        }

        #[test]
        fn each_day_is_the_day_after_the_one_before(day in -800_000_i64..3_000_000) {
            let parts = |text: &str| -> Vec<i64> {
                let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
                let text = text.trim_start_matches('+');
                let mut parts: Vec<i64> = text.split('-').map(|part| part.parse().unwrap()).collect();
                parts[0] *= sign;
                parts
            };
            let (today, tomorrow) = (parts(&date(day)), parts(&date(day + 1)));
            let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match today[1] { 2 => 28 + i64::from(leap(today[0])), 4 | 6 | 9 | 11 => 30, _ => 31 };
            let expected = if today[2] < last {
                vec![today[0], today[1], today[2] + 1]
            } else if today[1] < 12 {
                vec![today[0], today[1] + 1, 1]
            } else {
                vec![today[0] + 1, 1, 1]
            };
            prop_assert_eq!(tomorrow, expected);
        }
    }
}
