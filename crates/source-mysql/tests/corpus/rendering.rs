//! A typed value as the server would render it, without a line of the product's own text code.

use change::{Column, ColumnType, Value};

/// None: the value is not in the log, so that there is nothing to compare.
pub(crate) fn render(column: &Column, value: &Value<'_>) -> Option<String> {
    Some(match *value {
        Value::Null => "\\N".to_owned(),
        Value::Absent(absence) => return absence.text.map(escape),
        Value::Boolean(flag) => format!("0x{:02X}", u8::from(flag)),
        Value::Long(number) => long(column, number),
        Value::Float(number) => format!("{:e}", f64::from(number)),
        Value::Double(number) => format!("{number:e}"),
        Value::Text(text) => escape(text),
        Value::Bytes(bytes) => match column.kind {
            ColumnType::Decimal { scale, .. } => decimal(bytes, usize::try_from(scale).unwrap()),
            _ => escape(&bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02X}"))),
        },
        Value::Array(_) => panic!("no column is an array"),
    })
}

/// The text of an expected cell and ours, as far as they mean the same: numbers by value.
pub(crate) fn same(column: &Column, ours: &str, expected: &str) -> bool {
    if ours == expected {
        return true;
    }
    match column.kind {
        ColumnType::Float | ColumnType::Double => {
            let number = |text: &str| text.parse::<f64>().ok().map(f64::to_bits);
            number(ours).is_some() && number(ours) == number(expected)
        }
        // ZEROFILL is a matter of display.
        ColumnType::Long => expected.trim_start_matches('0') == ours.trim_start_matches('0'),
        _ => false,
    }
}

pub(crate) fn escape(text: &str) -> String {
    if text.chars().count() > 3000 {
        return format!("\\#{}:{:08x}", text.len(), crc32fast::hash(text.as_bytes()));
    }
    let text = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n");
    text.replace('\r', "\\r").replace('\0', "\\0")
}

fn long(column: &Column, number: i64) -> String {
    let digits = column.sql_type.split(['(', ')']).nth(1).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    match column.kind {
        ColumnType::Date => date(number),
        ColumnType::LocalTimestamp | ColumnType::Timestamp => {
            let (day, time) = (number.div_euclid(86_400_000_000), number.rem_euclid(86_400_000_000));
            format!("{} {}", date(day), clock(time, digits))
        }
        _ if column.sql_type.starts_with("time") => {
            format!("{}{}", if number < 0 { "-" } else { "" }, clock(number.abs(), digits))
        }
        _ if column.sql_type.starts_with("year") => format!("{number:04}"),
        _ => number.to_string(),
    }
}

fn clock(micros: i64, digits: usize) -> String {
    let (seconds, fraction) = (micros / 1_000_000, format!("{:06}", micros % 1_000_000));
    assert!(fraction[digits..].bytes().all(|digit| digit == b'0'), "digits that the column does not have");
    let point = if digits > 0 { "." } else { "" };
    format!("{:02}:{:02}:{:02}{point}{}", seconds / 3600, seconds / 60 % 60, seconds % 60, &fraction[..digits])
}

/// Counts years and months one by one.
fn date(days: i64) -> String {
    let leap = |year: i64| year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let (mut year, mut left) = (1970, days);
    while left < 0 {
        year -= 1;
        left += if leap(year) { 366 } else { 365 };
    }
    while left >= if leap(year) { 366 } else { 365 } {
        left -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    format!("{year:04}-{:02}-{:02}", month + 1, left + 1)
}

/// Two's complement, greatest byte first, by long division.
fn decimal(bytes: &[u8], scale: usize) -> String {
    let negative = bytes[0] & 0x80 != 0;
    let mut number: Vec<u8> = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in number.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut digits = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0u32;
        for byte in &mut number {
            let sum = rest * 256 + u32::from(*byte);
            (*byte, rest) = (u8::try_from(sum / 10).unwrap(), sum % 10);
        }
        digits.push(char::from(b'0' + u8::try_from(rest).unwrap()));
    }
    while digits.len() <= scale {
        digits.push('0');
    }
    let text: String = digits.iter().rev().collect();
    let (whole, fraction) = text.split_at(text.len() - scale);
    format!("{}{whole}{}{fraction}", if negative { "-" } else { "" }, if scale > 0 { "." } else { "" })
}
