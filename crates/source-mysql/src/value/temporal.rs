//! DATE, TIME, DATETIME, TIMESTAMP in their old and new binary forms (`sql-common/my_time.cc`, `my_time_packed_from_binary`,
//! `my_datetime_packed_from_binary`, `my_timestamp_from_binary`).
//!
//! The new forms are whole numbers, greatest byte first, from which an offset was taken so that bytes compare as times do;
//! the fraction of a second is the lowest one to three bytes in hundredths, ten-thousandths or millionths. Read as one
//! number with its sign, whole and fraction need no borrowing between them: that is where other readers went wrong for
//! negative times with one or two digits.
//!
//! A TIMESTAMP has no sign in either server: MySQL ends in 2038, MariaDB since 11.5 in 2106 (MDEV-32188) with the same
//! bytes, and neither ever wrote a moment before 1970.

use change::{Absence, Reason, Value};

use super::Malformed;
use crate::wire::cell::fraction_bytes;
use crate::wire::reader::{big, little};

/// A point in time by its parts, not yet known to exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

const DAY: i64 = 86_400_000_000;

impl Moment {
    /// Days since 1970, if such a day exists.
    fn days(&self) -> Result<i64, Reason> {
        if self.month == 0 || self.day == 0 {
            return Err(Reason::ZeroDate);
        }
        if self.month > 12 || self.day > length_of(self.year, self.month) {
            return Err(Reason::OutOfRange);
        }
        Ok(from_civil(self.year, self.month, self.day))
    }

    fn micros_of_day(&self) -> Result<i64, Malformed> {
        if self.hour > 23 || self.minute > 59 || self.second > 59 || self.micros > 999_999 {
            return Err(Malformed);
        }
        let seconds = self.hour.saturating_mul(3600).saturating_add(self.minute.saturating_mul(60));
        Ok(seconds.saturating_add(self.second).saturating_mul(1_000_000).saturating_add(self.micros))
    }

    /// The moment of a number of seconds and microseconds since 1970.
    fn of_unix(seconds: u32, micros: i64) -> Self {
        let seconds = i64::from(seconds);
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        let rest = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (rest.div_euclid(3600), rest.div_euclid(60).rem_euclid(60), rest.rem_euclid(60));
        Self { year, month, day, hour, minute, second, micros }
    }
}

/// What a column of a temporal type holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporal {
    Date(Moment),
    /// Microseconds, negative ones too.
    Time(i64),
    DateTime(Moment),
    /// Microseconds since 1970; None: `0000-00-00 00:00:00`.
    Timestamp(Option<i64>),
}

/// The forms in which they are stored, with the digits of the fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    Date,
    OldTime,
    OldDateTime,
    OldTimestamp,
    Time(u8),
    DateTime(u8),
    Timestamp(u8),
}

impl Form {
    /// Digits of the fraction.
    pub const fn fraction(self) -> u8 {
        match self {
            Self::Time(digits) | Self::DateTime(digits) | Self::Timestamp(digits) => digits,
            _ => 0,
        }
    }

    const fn size(self) -> usize {
        match self {
            Self::Date | Self::OldTime => 3,
            Self::OldDateTime => 8,
            Self::OldTimestamp => 4,
            Self::Time(digits) => wide(fraction_bytes(digits)).saturating_add(3),
            Self::DateTime(digits) => wide(fraction_bytes(digits)).saturating_add(5),
            Self::Timestamp(digits) => wide(fraction_bytes(digits)).saturating_add(4),
        }
    }

    /// Reads the bytes of a column.
    pub fn read(self, bytes: &[u8]) -> Result<Temporal, Malformed> {
        if bytes.len() != self.size() {
            return Err(Malformed);
        }
        Ok(match self {
            Self::Date => Temporal::Date(date(little(bytes))),
            Self::OldTime => Temporal::Time(old_time(super::number::signed(bytes))?),
            Self::OldDateTime => Temporal::DateTime(old_date_time(little(bytes))),
            Self::OldTimestamp => Temporal::Timestamp(timestamp(little(bytes), 0)),
            Self::Time(digits) => Temporal::Time(time(bytes, digits)?),
            Self::DateTime(digits) => {
                let (whole, micros) = split(big(bytes), digits);
                Temporal::DateTime(date_time(whole.wrapping_sub(1 << 39), micros))
            }
            Self::Timestamp(digits) => {
                let (whole, micros) = split(big(bytes), digits);
                Temporal::Timestamp(timestamp(whole, micros))
            }
        })
    }
}

/// `usize::from` is no constant function yet.
const fn wide(number: u8) -> usize {
    match number {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 3,
    }
}

/// Cuts the bytes of the fraction off the low end; the fraction in microseconds.
fn split(number: u64, digits: u8) -> (u64, i64) {
    let bits = u32::from(fraction_bytes(digits)).saturating_mul(8);
    let whole = number.checked_shr(bits).unwrap_or(0);
    let fraction = number ^ whole.checked_shl(bits).unwrap_or(0);
    let unit: u64 = match fraction_bytes(digits) {
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    (whole, i64::try_from(fraction.saturating_mul(unit)).unwrap_or(0))
}

/// 5 bits of day, 4 of month, 15 of year.
fn date(number: u64) -> Moment {
    let part = |number: u64| i64::try_from(number).unwrap_or(0);
    Moment { year: part(number >> 9), month: part(number >> 5 & 15), day: part(number & 31), ..Moment::default() }
}

/// 10 bits of hours, 6 of minutes, 6 of seconds above the fraction, all of it negative for a negative time.
fn time(bytes: &[u8], digits: u8) -> Result<i64, Malformed> {
    let bits = u32::from(fraction_bytes(digits)).saturating_mul(8);
    let zero = 0x80_0000u64.checked_shl(bits).unwrap_or(0);
    let number = big(bytes);
    let (whole, micros) = split(number.abs_diff(zero), digits);
    let (hours, minutes, seconds) = (whole >> 12, whole >> 6 & 63, whole & 63);
    if hours > 838 || minutes > 59 || seconds > 59 || micros > 999_999 {
        return Err(Malformed);
    }
    let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_add(seconds);
    let total = i64::try_from(seconds).map_err(|_| Malformed)?.saturating_mul(1_000_000).saturating_add(micros);
    Ok(if number < zero { total.saturating_neg() } else { total })
}

/// 17 bits of year and month (13 months to a year), 5 of day, 5 of hour, 6 of minute, 6 of second.
fn date_time(number: u64, micros: i64) -> Moment {
    let part = |number: u64| i64::try_from(number & 0x1f_ffff).unwrap_or(0);
    let months = part(number >> 22 & 0x1_ffff);
    Moment {
        year: months.div_euclid(13),
        month: months.rem_euclid(13),
        day: part(number >> 17 & 31),
        hour: part(number >> 12 & 31),
        minute: part(number >> 6 & 63),
        second: part(number & 63),
        micros,
    }
}

fn timestamp(seconds: u64, micros: i64) -> Option<i64> {
    if seconds == 0 && micros == 0 {
        return None;
    }
    i64::try_from(seconds).ok().map(|seconds| seconds.saturating_mul(1_000_000).saturating_add(micros))
}

/// The decimal number hhmmss.
fn old_time(number: i64) -> Result<i64, Malformed> {
    let size = i64::try_from(number.unsigned_abs()).map_err(|_| Malformed)?;
    let (hours, minutes, seconds) =
        (size.div_euclid(10_000), size.div_euclid(100).rem_euclid(100), size.rem_euclid(100));
    if hours > 838 || minutes > 59 || seconds > 59 {
        return Err(Malformed);
    }
    let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_add(seconds);
    Ok(seconds.saturating_mul(1_000_000).saturating_mul(number.signum()))
}

/// The decimal number YYYYMMDDhhmmss.
fn old_date_time(number: u64) -> Moment {
    let number = i64::try_from(number).unwrap_or(0);
    let part = |divisor: i64| number.checked_div(divisor).unwrap_or(0).rem_euclid(100);
    Moment {
        year: number.div_euclid(10_000_000_000),
        month: part(100_000_000),
        day: part(1_000_000),
        hour: part(10_000),
        minute: part(100),
        second: part(1),
        micros: 0,
    }
}

impl Form {
    /// Reads what the server prints: the opposite of [`Temporal::text`].
    pub fn parse(self, text: &str) -> Result<Temporal, Malformed> {
        match self {
            Self::OldTime | Self::Time(_) => {
                let (sign, clock) = text.strip_prefix('-').map_or((1, text), |clock| (-1, clock));
                Ok(Temporal::Time(parse_clock(clock)?.saturating_mul(sign)))
            }
            Self::Date => parse_day(text).map(Temporal::Date),
            _ => {
                let (day, clock) = text.split_once(' ').ok_or(Malformed)?;
                let (mut moment, micros) = (parse_day(day)?, parse_clock(clock)?);
                let seconds = micros.div_euclid(1_000_000);
                moment.micros = micros.rem_euclid(1_000_000);
                (moment.hour, moment.minute) = (seconds.div_euclid(3600), seconds.div_euclid(60).rem_euclid(60));
                moment.second = seconds.rem_euclid(60);
                if matches!(self, Self::OldDateTime | Self::DateTime(_)) {
                    return Ok(Temporal::DateTime(moment));
                }
                match moment.days() {
                    Err(Reason::ZeroDate) if moment == Moment::default() => Ok(Temporal::Timestamp(None)),
                    Err(_) => Err(Malformed),
                    Ok(days) => {
                        let micros = days.saturating_mul(DAY).saturating_add(moment.micros_of_day()?);
                        Ok(Temporal::Timestamp(Some(micros)))
                    }
                }
            }
        }
    }
}

/// `2024-02-29`, also with zeros.
fn parse_day(text: &str) -> Result<Moment, Malformed> {
    let mut parts = text.splitn(3, '-').map(whole);
    let mut part = || parts.next().ok_or(Malformed)?;
    Ok(Moment { year: part()?, month: part()?, day: part()?, ..Moment::default() })
}

/// `12:34:56.789`, as microseconds.
fn parse_clock(text: &str) -> Result<i64, Malformed> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.splitn(3, ':').map(whole);
    let mut part = || parts.next().ok_or(Malformed)?;
    let (hours, minutes, seconds) = (part()?, part()?, part()?);
    if hours > 838 || minutes > 59 || seconds > 59 || fraction.len() > 6 {
        return Err(Malformed);
    }
    let micros = if fraction.is_empty() { 0 } else { whole(fraction)? };
    let missing = u32::try_from(6usize.saturating_sub(fraction.len())).unwrap_or(0);
    let micros = micros.saturating_mul(10i64.saturating_pow(missing));
    let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_add(seconds);
    Ok(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

/// Digits and nothing else.
fn whole(text: &str) -> Result<i64, Malformed> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    text.parse().map_err(|_| Malformed)
}

impl Temporal {
    /// The value; `scratch` receives the text of one that is absent.
    pub fn value(self, digits: u8, scratch: &mut Vec<u8>) -> Result<Value<'_>, Malformed> {
        let found = match self {
            Self::Time(micros) => Ok(micros),
            Self::Timestamp(micros) => micros.ok_or(Reason::ZeroDate),
            Self::Date(moment) => moment.days(),
            Self::DateTime(moment) => {
                let time = moment.micros_of_day()?;
                moment.days().map(|days| days.saturating_mul(DAY).saturating_add(time))
            }
        };
        match found {
            Ok(number) => Ok(Value::Long(number)),
            Err(reason) => {
                scratch.clear();
                self.text(digits, scratch);
                Ok(Value::Absent(Absence { reason, text: std::str::from_utf8(scratch).ok() }))
            }
        }
    }

    /// Appends the server's own text, TIMESTAMP in UTC.
    pub fn text(self, digits: u8, out: &mut Vec<u8>) {
        match self {
            Self::Date(moment) => day(&moment, out),
            Self::DateTime(moment) => date_and_time(&moment, digits, out),
            Self::Timestamp(None) => date_and_time(&Moment::default(), digits, out),
            Self::Timestamp(Some(micros)) => {
                let seconds = u32::try_from(micros.div_euclid(1_000_000)).unwrap_or(0);
                date_and_time(&Moment::of_unix(seconds, micros.rem_euclid(1_000_000)), digits, out);
            }
            Self::Time(micros) => {
                if micros < 0 {
                    out.push(b'-');
                }
                let size = i64::try_from(micros.unsigned_abs()).unwrap_or(0);
                let seconds = size.div_euclid(1_000_000);
                let (hour, minute) = (seconds.div_euclid(3600), seconds.div_euclid(60).rem_euclid(60));
                clock(hour, minute, seconds.rem_euclid(60), size.rem_euclid(1_000_000), digits, out);
            }
        }
    }
}

fn day(moment: &Moment, out: &mut Vec<u8>) {
    push(moment.year, 4, out);
    out.push(b'-');
    push(moment.month, 2, out);
    out.push(b'-');
    push(moment.day, 2, out);
}

fn date_and_time(moment: &Moment, digits: u8, out: &mut Vec<u8>) {
    day(moment, out);
    out.push(b' ');
    clock(moment.hour, moment.minute, moment.second, moment.micros, digits, out);
}

fn clock(hour: i64, minute: i64, second: i64, micros: i64, digits: u8, out: &mut Vec<u8>) {
    push(hour, 2, out);
    out.push(b':');
    push(minute, 2, out);
    out.push(b':');
    push(second, 2, out);
    if digits > 0 {
        out.push(b'.');
        let cut = 10i64.saturating_pow(u32::from(6u8.saturating_sub(digits)));
        push(micros.checked_div(cut).unwrap_or(0), digits.into(), out);
    }
}

/// At least `width` digits.
fn push(number: i64, width: usize, out: &mut Vec<u8>) {
    let (mut digits, mut rest, mut count) = ([b'0'; 20], number.unsigned_abs(), 0usize);
    for place in digits.iter_mut().rev() {
        if rest == 0 && count >= width {
            break;
        }
        *place = u8::try_from(rest % 10).unwrap_or(0).saturating_add(b'0');
        rest /= 10;
        count = count.saturating_add(1);
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(count)..).unwrap_or_default());
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

/// Year, month and day of a number of days since 1970-01-01, not before it.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leaps =
        of_era.div_euclid(1460).saturating_sub(of_era.div_euclid(36_524)).saturating_add(of_era.div_euclid(146_096));
    let year = of_era.saturating_sub(leaps).div_euclid(365);
    let before = year.saturating_mul(365).saturating_add(year.div_euclid(4)).saturating_sub(year.div_euclid(100));
    let of_year = of_era.saturating_sub(before);
    let month = of_year.saturating_mul(5).saturating_add(2).div_euclid(153);
    let day = of_year.saturating_sub(month.saturating_mul(153).saturating_add(2).div_euclid(5)).saturating_add(1);
    let month = if month < 10 { month.saturating_add(3) } else { month.saturating_sub(9) };
    let year = year.saturating_add(era.saturating_mul(400)).saturating_add(i64::from(month <= 2));
    (year, month, day)
}

/// A date or time inside a JSON document or a JSON change: the packed number that the server computes with
/// (`sql-common/my_time.cc`, `TIME_from_longlong_datetime_packed`, `TIME_from_longlong_time_packed`).
pub fn packed(number: i64, is_time: bool) -> Result<Temporal, Malformed> {
    let size = number.unsigned_abs();
    let micros = i64::try_from(size & 0xff_ffff).map_err(|_| Malformed)?;
    if micros > 999_999 {
        return Err(Malformed);
    }
    if is_time {
        let whole = size >> 24;
        let (hours, minutes, seconds) = (whole >> 12 & 0x3ff, whole >> 6 & 63, whole & 63);
        let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_add(seconds);
        let total = i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000).saturating_add(micros);
        return Ok(Temporal::Time(total.saturating_mul(number.signum())));
    }
    Ok(Temporal::DateTime(date_time(size >> 24, micros)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both(form: Form, bytes: &[u8]) -> Result<(Option<i64>, String), Malformed> {
        let (mut scratch, mut text) = (vec![9], Vec::new());
        let found = form.read(bytes)?;
        found.text(form.fraction(), &mut text);
        let text = String::from_utf8(text).unwrap();
        match found.value(form.fraction(), &mut scratch)? {
            Value::Long(number) => Ok((Some(number), text)),
            Value::Absent(absence) => {
                assert_eq!(absence.text, Some(&text[..]));
                Ok((None, text))
            }
            other => panic!("{other:?}"),
        }
    }

    fn is(form: Form, bytes: &[u8], number: impl Into<Option<i64>>, text: &str) {
        assert_eq!(both(form, bytes), Ok((number.into(), text.to_owned())));
    }

    fn date(year: u32, month: u32, day: u32) -> [u8; 3] {
        let [a, b, c, _] = (year << 9 | month << 5 | day).to_le_bytes();
        [a, b, c]
    }

    #[test]
    fn dates() {
        is(Form::Date, &date(1970, 1, 1), 0, "1970-01-01");
        is(Form::Date, &date(2000, 2, 29), 11_016, "2000-02-29");
        is(Form::Date, &date(9999, 12, 31), 2_932_896, "9999-12-31");
        is(Form::Date, &date(0, 1, 1), -719_528, "0000-01-01");
        is(Form::Date, &date(0, 0, 0), None, "0000-00-00");
        is(Form::Date, &date(2024, 0, 15), None, "2024-00-15");
        is(Form::Date, &date(2023, 2, 30), None, "2023-02-30");
        assert!(both(Form::Date, &[0; 4]).is_err());
    }

    /// The bytes that a server wrote for these times, by the digits of their fractions.
    #[test]
    fn negative_times_with_every_fraction() {
        let minus = -((12 * 3600 + 34 * 60 + 56) * 1_000_000i64);
        is(Form::Time(0), &[0x7f, 0x37, 0x48], minus, "-12:34:56");
        is(Form::Time(1), &[0x7f, 0x37, 0x47, 0xba], minus - 700_000, "-12:34:56.7");
        is(Form::Time(2), &[0x7f, 0x37, 0x47, 0xb2], minus - 780_000, "-12:34:56.78");
        is(Form::Time(4), &[0x7f, 0x37, 0x47, 0xe1, 0x80], minus - 780_800, "-12:34:56.7808");
        is(Form::Time(2), &[0x7f, 0xff, 0xff, 0xff], -10_000, "-00:00:00.01");
        is(Form::Time(6), &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff], -1, "-00:00:00.000001");
        is(Form::Time(0), &[0xb4, 0x6e, 0xfb], 3_020_399_000_000, "838:59:59");
        is(Form::Time(0), &[0x4b, 0x91, 0x05], -3_020_399_000_000, "-838:59:59");
        assert!(both(Form::Time(0), &[0xff; 3]).is_err() && both(Form::Time(2), &[0x80, 0, 0, 100]).is_err());
    }

    #[test]
    fn old_forms() {
        is(Form::OldTime, &[0x40, 0xe2, 0x01], 45_296_000_000, "12:34:56");
        is(Form::OldTime, &[0xc0, 0x1d, 0xfe], -45_296_000_000, "-12:34:56");
        is(Form::OldDateTime, &20_000_229_010_203u64.to_le_bytes(), 951_786_123_000_000, "2000-02-29 01:02:03");
        is(Form::OldDateTime, &[0; 8], None, "0000-00-00 00:00:00");
        is(Form::OldTimestamp, &951_786_123u32.to_le_bytes(), 951_786_123_000_000, "2000-02-29 01:02:03");
        assert!(both(Form::OldTime, &[0xff, 0xff, 0x7f]).is_err());
        assert!(both(Form::OldDateTime, &u64::MAX.to_le_bytes()).is_ok());
    }

    #[test]
    fn timestamps_go_beyond_2038() {
        is(Form::Timestamp(0), &u32::MAX.to_be_bytes(), 4_294_967_295_000_000, "2106-02-07 06:28:15");
        is(Form::Timestamp(2), &[0x80, 0, 0, 0, 99], 2_147_483_648_990_000, "2038-01-19 03:14:08.99");
        is(Form::Timestamp(6), &[0, 0, 0, 0, 0, 0, 0], None, "0000-00-00 00:00:00.000000");
    }

    #[test]
    fn datetimes() {
        let bytes = |year: u64, month: u64, rest: u64| ((1 << 39) | (year * 13 + month) << 22 | rest).to_be_bytes();
        let [_, _, _, whole @ ..] = bytes(2000, 2, 29 << 17 | 1 << 12 | 2 << 6 | 3);
        is(Form::DateTime(0), &whole, 951_786_123_000_000, "2000-02-29 01:02:03");
        is(Form::DateTime(3), &[&whole[..], &[0x26, 0xde]].concat(), 951_786_123_995_000, "2000-02-29 01:02:03.995");
        let [_, _, _, zero @ ..] = bytes(0, 0, 0);
        is(Form::DateTime(1), &[&zero[..], &[0]].concat(), None, "0000-00-00 00:00:00.0");
        let [_, _, _, bad @ ..] = bytes(2000, 2, 29 << 17 | 24 << 12);
        assert!(both(Form::DateTime(0), &bad).is_err());
    }

    #[test]
    fn packed_numbers() {
        let mut text = Vec::new();
        packed(-((12i64 << 12 | 34 << 6 | 56) << 24 | 780_000), true).unwrap().text(6, &mut text);
        assert_eq!(text, b"-12:34:56.780000");
        assert!(packed(0xff_ffff, true).is_err());
    }

    proptest! {
        #[test]
        fn days_come_back(days in 0i64..60_000) {
            let (year, month, day) = civil(days);
            prop_assert_eq!(from_civil(year, month, day), days);
            prop_assert!((1..=12).contains(&month) && day >= 1 && day <= length_of(year, month));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..9), digits in 0u8..7, number: i64) {
            for form in [
                Form::Date, Form::OldTime, Form::OldDateTime, Form::OldTimestamp,
                Form::Time(digits), Form::DateTime(digits), Form::Timestamp(digits),
            ] {
                both(form, &bytes).ok();
                let mut sized = bytes.clone();
                sized.resize(form.size(), 0xa5);
                both(form, &sized).ok();
            }
            packed(number, true).ok();
            packed(number, false).ok();
        }

        #[test]
        fn what_is_printed_comes_back(bytes in prop::collection::vec(any::<u8>(), 8), digits in 0u8..7) {
            for form in [
                Form::Date, Form::OldTime, Form::OldDateTime, Form::OldTimestamp,
                Form::Time(digits), Form::DateTime(digits), Form::Timestamp(digits),
            ] {
                let Ok(found) = form.read(bytes.get(..form.size()).unwrap()) else { continue };
                // An hour beyond 23 is no value of a DATETIME.
                if found.value(digits, &mut Vec::new()).is_err() {
                    continue;
                }
                let mut text = Vec::new();
                found.text(6, &mut text);
                if form == Form::Date || form.fraction() == 0 {
                    text.clear();
                    found.text(0, &mut text);
                }
                let text = String::from_utf8(text).unwrap();
                prop_assert_eq!(form.parse(&text), Ok(found), "{}", text);
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            for form in [Form::Date, Form::Time(3), Form::DateTime(6), Form::Timestamp(0)] {
                form.parse(&text).ok();
            }
        }
    }
}
