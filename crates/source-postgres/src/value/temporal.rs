//! Dates and times in the server's ISO form, counted in days and microseconds since 1970 (proleptic Gregorian).

use change::Reason;

use super::number::digits_of;
use super::{Malformed, Outcome, utf8};

pub(super) const DAY: i64 = 86_400_000_000;

/// `2026-11-21`, `12026-01-01`, `0044-03-15 BC`, `infinity`: days since 1970-01-01.
pub fn date(bytes: &[u8]) -> Result<i64, Outcome> {
    if let Some((days, [])) = leading_date(bytes) {
        return Ok(days);
    }
    let text = utf8(bytes)?;
    infinite(text)?;
    let (text, bc) = era(text);
    Ok(days(text, bc)?)
}

/// `23:59:59.123456`, up to `24:00:00`: microseconds since midnight.
pub fn time(bytes: &[u8]) -> Result<i64, Malformed> {
    clock(utf8(bytes)?)
}

fn clock(text: &str) -> Result<i64, Malformed> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, micros(fraction)?),
        None => (text, 0),
    };
    let mut parts = clock.split(':');
    let mut part = |most: i64| match parts.next() {
        Some(part) if part.len() == 2 => digits(part).filter(|number| *number <= most).ok_or(Malformed),
        _ => Err(Malformed),
    };
    let (hours, minutes, seconds) = (part(24)?, part(59)?, part(60)?);
    if parts.next().is_some() {
        return Err(Malformed);
    }
    let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_add(seconds);
    let total = seconds.saturating_mul(1_000_000).saturating_add(fraction);
    if total > DAY { Err(Malformed) } else { Ok(total) }
}

/// A date and a time with a space between; `zoned`: with an offset at its end.
pub fn timestamp(bytes: &[u8], zoned: bool) -> Result<i64, Outcome> {
    match common(bytes, zoned) {
        Some(micros) => Ok(micros),
        None => general(utf8(bytes)?, zoned),
    }
}

fn general(text: &str, zoned: bool) -> Result<i64, Outcome> {
    infinite(text)?;
    let (text, bc) = era(text);
    let (date, time) = text.split_once(' ').ok_or(Malformed)?;
    let (time, offset) = if zoned { split_offset(time)? } else { (time, 0) };
    let (days, time) = (days(date, bc)?, clock(time)?);
    days.checked_mul(DAY)
        .and_then(|start| start.checked_add(time))
        .and_then(|local| local.checked_sub(offset))
        .ok_or(Outcome::Absent(Reason::OutOfRange))
}

/// What nearly every timestamp is, read in one pass: a year of four digits, no era, and `+00` where there is a zone.
/// Everything else is left to [`general`], errors too.
fn common(bytes: &[u8], zoned: bool) -> Option<i64> {
    let (days, [b' ', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..]) = leading_date(bytes)? else { return None };
    let (hours, minutes, seconds) = (pair(*h1, *h2)?, pair(*m1, *m2)?, pair(*s1, *s2)?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let rest = if zoned { rest.strip_suffix(b"+00")? } else { rest };
    let fraction = match rest {
        [] => 0,
        [b'.', digits @ ..] if digits.len() <= 6 => {
            let missing = 6u32.saturating_sub(u32::try_from(digits.len()).ok()?);
            digits_of(digits)?.saturating_mul(10i64.saturating_pow(missing))
        }
        _ => return None,
    };
    let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_add(seconds);
    Some(days.saturating_mul(DAY).saturating_add(seconds.saturating_mul(1_000_000)).saturating_add(fraction))
}

/// `YYYY-MM-DD` at the beginning, as days since 1970-01-01, and what follows.
fn leading_date(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = bytes else { return None };
    let year = pair(*y1, *y2)?.saturating_mul(100).saturating_add(pair(*y3, *y4)?);
    let (month, day) = (pair(*m1, *m2)?, pair(*d1, *d2)?);
    let real = year > 0 && matches!(month, 1..=12) && day > 0 && day <= length_of(year, month);
    real.then(|| (from_civil(year, month, day), rest))
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens).saturating_mul(10).saturating_add(i64::from(ones)))
}

fn infinite(text: &str) -> Result<(), Outcome> {
    if matches!(text, "infinity" | "-infinity") { Err(Outcome::Absent(Reason::Infinity)) } else { Ok(()) }
}

fn era(text: &str) -> (&str, bool) {
    match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// `+02`, `-03:30`, `+05:53:28`: microseconds east of Greenwich.
fn split_offset(text: &str) -> Result<(&str, i64), Malformed> {
    let at = text.rfind(['+', '-']).ok_or(Malformed)?;
    let (clock, offset) = text.split_at_checked(at).ok_or(Malformed)?;
    let (sign, offset) = match (offset.strip_prefix('+'), offset.strip_prefix('-')) {
        (Some(rest), _) => (1i64, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return Err(Malformed),
    };
    let (mut seconds, mut unit) = (0i64, 3600i64);
    for part in offset.split(':') {
        let number = if part.len() == 2 && unit > 0 { digits(part) } else { None };
        seconds = seconds.saturating_add(number.ok_or(Malformed)?.saturating_mul(unit));
        unit = unit.checked_div(60).unwrap_or(0);
    }
    Ok((clock, sign.saturating_mul(seconds).saturating_mul(1_000_000)))
}

/// `1` to `6` digits after the point.
fn micros(fraction: &str) -> Result<i64, Malformed> {
    let places = u32::try_from(fraction.len()).ok().and_then(|len| 6u32.checked_sub(len)).ok_or(Malformed)?;
    let number = digits(fraction).ok_or(Malformed)?;
    Ok(number.saturating_mul(10i64.saturating_pow(places)))
}

/// One to nine digits and nothing else.
fn digits(text: &str) -> Option<i64> {
    let fits = matches!(text.len(), 1..=9) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// `YYYY-MM-DD` to days since 1970-01-01. Year 1 BC is the year 0 of the arithmetic.
fn days(text: &str, bc: bool) -> Result<i64, Malformed> {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed);
    };
    if year.len() < 4 || month.len() != 2 || day.len() != 2 {
        return Err(Malformed);
    }
    let number = |text| digits(text).ok_or(Malformed);
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    if year == 0 {
        return Err(Malformed);
    }
    let year = if bc { 1i64.saturating_sub(year) } else { year };
    if !(1..=12).contains(&month) || day < 1 || day > length_of(year, month) {
        return Err(Malformed);
    }
    Ok(from_civil(year, month, day))
}

fn length_of(year: i64, month: i64) -> i64 {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years begin in March here, so that the leap day is the last of its year.
fn from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let month = month.saturating_add(9).rem_euclid(12);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = month.saturating_mul(153).saturating_add(2).div_euclid(5).saturating_add(day).saturating_sub(1);
    let leaps = of_era.div_euclid(4).saturating_sub(of_era.div_euclid(100));
    let in_era = of_era.saturating_mul(365).saturating_add(leaps).saturating_add(of_year);
    era.saturating_mul(146_097).saturating_add(in_era).saturating_sub(719_468)
}

/// Year, month and day of a day since 1970-01-01.
pub(super) fn to_civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = in_era.div_euclid(1460).saturating_sub(in_era.div_euclid(36_524));
    let of_era = in_era.saturating_sub(leaps.saturating_sub(in_era.div_euclid(146_096))).div_euclid(365);
    let before = of_era.saturating_mul(365).saturating_add(of_era.div_euclid(4)).saturating_sub(of_era.div_euclid(100));
    let of_year = in_era.saturating_sub(before);
    let month = of_year.saturating_mul(5).saturating_add(2).div_euclid(153);
    let day = of_year.saturating_sub(month.saturating_mul(153).saturating_add(2).div_euclid(5)).saturating_add(1);
    let (month, later) = if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
    (era.saturating_mul(400).saturating_add(of_era).saturating_add(later), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Result<i64, Outcome> {
        super::date(text.as_bytes())
    }

    fn time(text: &str) -> Result<i64, Malformed> {
        super::time(text.as_bytes())
    }

    /// The quick road has to agree with the general one wherever it gives an answer.
    fn timestamp(text: &str, zoned: bool) -> Result<i64, Outcome> {
        let (found, expected) = (super::timestamp(text.as_bytes(), zoned), general(text, zoned));
        assert_eq!(found, expected, "{text:?}, zoned {zoned}");
        found
    }

    #[test]
    fn known_days() {
        assert_eq!(date("1970-01-01"), Ok(0));
        assert_eq!(date("2000-01-01"), Ok(10_957));
        assert_eq!(date("2000-02-29"), Ok(11_016));
        assert_eq!(date("1969-12-31"), Ok(-1));
        assert_eq!(date("0001-01-01"), Ok(-719_162));
        assert_eq!(date("0001-12-31 BC"), Ok(-719_163));
        assert_eq!(date("4714-11-24 BC"), Ok(-2_440_588));
        assert_eq!(date("5874897-12-31"), Ok(2_145_042_905));
        assert_eq!(date("infinity"), Err(Outcome::Absent(Reason::Infinity)));
    }

    #[test]
    fn grammar_is_strict() {
        for bad in
            ["", "2000-1-01", "1900-02-29", "2000-13-01", "0000-01-01", "2000-01-01 AD", "20000101", "-2000-01-01"]
        {
            assert_eq!(date(bad), Err(Outcome::Malformed), "{bad}");
        }
        for bad in ["", "1:00:00", "24:00:01", "00:60:00", "00:00", "00:00:00.", "00:00:00.1234567", "00:00:00+00"] {
            assert_eq!(time(bad), Err(Malformed), "{bad}");
        }
        for bad in ["2000-01-01", "2000-01-01 00:00:00+0", "2000-01-01 00:00:00", "2000-01-01T00:00:00+00"] {
            assert_eq!(timestamp(bad, true), Err(Outcome::Malformed), "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("24:00:00"), Ok(DAY));
        assert_eq!(time("00:00:00.000001"), Ok(1));
        assert_eq!(time("01:02:03.5"), Ok(3_723_500_000));
    }

    #[test]
    fn timestamps() {
        assert_eq!(timestamp("1970-01-01 00:00:01", false), Ok(1_000_000));
        assert_eq!(timestamp("1970-01-01 02:00:00+02", true), Ok(0));
        assert_eq!(timestamp("1969-12-31 20:30:00-03:30", true), Ok(0));
        assert_eq!(timestamp("1970-01-01 05:53:28+05:53:28", true), Ok(0));
        assert_eq!(timestamp("294246-12-31 23:59:59.999999", false).map(|m| m > 0), Ok(true));
        assert_eq!(timestamp("294276-12-31 23:59:59.999999", false), Err(Outcome::Absent(Reason::OutOfRange)));
        assert!(timestamp("4714-11-24 00:00:00+00 BC", true).unwrap() < 0);
        assert_eq!(timestamp("-infinity", true), Err(Outcome::Absent(Reason::Infinity)));
    }

    proptest! {
        #[test]
        fn days_follow_each_other(day in -2_440_000i64..2_145_000_000) {
            // Count back with an independent formula (days to civil) and read the text again.
            let z = day + 719_468;
            let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
            let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
            let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
            let mp = (5 * doy + 2) / 153;
            let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
            let y = yoe + era * 400 + i64::from(m <= 2);
            let text = if y > 0 { format!("{y:04}-{m:02}-{d:02}") } else { format!("{:04}-{m:02}-{d:02} BC", 1 - y) };
            prop_assert_eq!(date(&text), Ok(day));
        }

        #[test]
        fn the_quick_road_agrees(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,7})?(\\+00|-00|\\+01|\\+00:30)?( BC)?",
            zoned: bool,
        ) {
            timestamp(&text, zoned).ok();
            let day = text.get(..10).unwrap();
            prop_assert_eq!(date(day), days(day, false).map_err(Outcome::from));
        }

        #[test]
        fn no_text_panics(text: String) {
            prop_assert!(date(&text).is_err() || timestamp(&text, true).is_err());
            prop_assert!(time(&text).is_err() || timestamp(&text, false).is_err());
        }

        #[test]
        fn no_near_text_panics(text in "[0-9:. +\\-BC]{0,40}") {
            prop_assert!(date(&text).is_err() || timestamp(&text, true).is_err());
            prop_assert!(time(&text).is_err() || timestamp(&text, false).is_err());
        }
    }
}
