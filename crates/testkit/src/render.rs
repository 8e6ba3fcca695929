//! An Avro value as JSON in which each value reads as PostgreSQL writes it, so that a test can compare with the
//! database's own text. Written without a look at the product's encoder, whose opposite it is.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use apache_avro::Schema;
use apache_avro::types::Value;
use serde_json::{Map, Number, Value as Json};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A parsed schema with its named types, which later parts of it refer to.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) schema: Schema,
    names: HashMap<String, Schema>,
}

impl Shape {
    pub(crate) fn parse(text: &str) -> Result<Shape> {
        let schema = Schema::parse_str(text)?;
        let mut names = HashMap::new();
        collect(&schema, &mut names);
        Ok(Shape { schema, names })
    }

    /// Numbers stay numbers, unless JSON has none such (NaN); decimals, dates, times, bytes become text.
    pub(crate) fn json(&self, value: &Value) -> Result<Json> {
        self.at(&self.schema, value)
    }

    fn at(&self, schema: &Schema, value: &Value) -> Result<Json> {
        if let Schema::Ref { name } = schema {
            let named = self.names.get(&name.to_string()).with_context(|| format!("no type named {name}"))?;
            return self.at(named, value);
        }
        Ok(match (schema, value) {
            (Schema::Union(union), Value::Union(branch, value)) => {
                let branch = usize::try_from(*branch)?;
                self.at(union.variants().get(branch).context("no such branch in the union")?, value)?
            }
            (Schema::Record(record), Value::Record(fields)) => {
                let mut object = Map::new();
                for (field, (name, value)) in record.fields.iter().zip(fields) {
                    object.insert(name.clone(), self.at(&field.schema, value)?);
                }
                Json::Object(object)
            }
            (Schema::Array(array), Value::Array(items)) => {
                Json::Array(items.iter().map(|item| self.at(&array.items, item)).collect::<Result<_>>()?)
            }
            (Schema::Map(map), Value::Map(entries)) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by_key(|(name, _)| *name);
                let pairs = sorted.into_iter().map(|(name, value)| Ok((name.clone(), self.at(&map.types, value)?)));
                Json::Object(pairs.collect::<Result<_>>()?)
            }
            (Schema::Decimal(decimal), Value::Decimal(value)) => {
                Json::String(decimal_text(&Vec::<u8>::try_from(value)?, decimal.scale))
            }
            _ => scalar(value)?,
        })
    }
}

fn scalar(value: &Value) -> Result<Json> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Long(value) => Json::from(*value),
        Value::Float(value) => match value.to_string().parse::<Number>() {
            Ok(number) if value.is_finite() => Json::Number(number),
            _ => Json::String(float_text(f64::from(*value))),
        },
        Value::Double(value) => Number::from_f64(*value).map_or_else(|| Json::String(float_text(*value)), Json::Number),
        Value::String(text) | Value::Enum(_, text) => Json::String(text.clone()),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => Json::String(hex(bytes)),
        Value::Uuid(uuid) => Json::String(uuid.to_string()),
        Value::Date(days) => Json::String(date_text(i64::from(*days))),
        Value::TimeMicros(micros) => Json::String(time_text(*micros)),
        Value::LocalTimestampMicros(micros) => Json::String(timestamp_text(*micros)),
        Value::TimestampMicros(micros) => Json::String(timestamp_text(*micros) + "+00"),
        other => bail!("the oracle cannot show {other:?}"),
    })
}

fn collect(schema: &Schema, names: &mut HashMap<String, Schema>) {
    match schema {
        Schema::Record(record) => {
            names.insert(record.name.to_string(), schema.clone());
            record.fields.iter().for_each(|field| collect(&field.schema, names));
        }
        Schema::Enum(named) => drop(names.insert(named.name.to_string(), schema.clone())),
        Schema::Fixed(named) => drop(names.insert(named.name.to_string(), schema.clone())),
        Schema::Array(array) => collect(&array.items, names),
        Schema::Map(map) => collect(&map.types, names),
        Schema::Union(union) => union.variants().iter().for_each(|variant| collect(variant, names)),
        _ => {}
    }
}

/// Two's complement, big-endian, times 10 to the power of minus `scale`.
fn decimal_text(bytes: &[u8], scale: usize) -> String {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut magnitude: Vec<u8> = bytes.iter().map(|byte| if negative { !byte } else { *byte }).collect();
    if negative {
        for byte in magnitude.iter_mut().rev() {
            let (sum, carry) = byte.overflowing_add(1);
            *byte = sum;
            if !carry {
                break;
            }
        }
    }
    // schoolbook: digits, least significant first, times 256 plus the next byte
    let mut digits: Vec<u8> = Vec::new();
    for byte in magnitude {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = u8::try_from(carry % 10).expect("less than ten");
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).expect("less than ten"));
            carry /= 10;
        }
    }
    while digits.len() <= scale {
        digits.push(0);
    }
    let mut text: String = digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
    if scale > 0 {
        text.insert(text.len() - scale, '.');
    }
    let zero = digits.iter().all(|digit| *digit == 0);
    if negative && !zero { format!("-{text}") } else { text }
}

fn float_text(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { (if value > 0.0 { "Infinity" } else { "-Infinity" }).to_owned() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years before 1 as PostgreSQL writes them.
fn date_text(days: i64) -> String {
    let (date, bc) = date_parts(days);
    date + bc
}

fn date_parts(days: i64) -> (String, &'static str) {
    // years of 365.2425 days that begin in March, in eras of 400
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if year > 0 {
        (format!("{year:04}-{month:02}-{day:02}"), "")
    } else {
        (format!("{:04}-{month:02}-{day:02}", 1 - year), " BC")
    }
}

fn time_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = format!(".{:06}", micros % 1_000_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{hours:02}:{minutes:02}:{rest:02}{fraction}")
}

fn timestamp_text(micros: i64) -> String {
    let (date, bc) = date_parts(micros.div_euclid(MICROS_PER_DAY));
    format!("{date} {}{bc}", time_text(micros.rem_euclid(MICROS_PER_DAY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_as_numbers() {
        assert_eq!(decimal_text(&[0x00], 2), "0.00");
        assert_eq!(decimal_text(&[0xff], 2), "-0.01");
        assert_eq!(decimal_text(&[0x80], 0), "-128");
        assert_eq!(decimal_text(&[0x00, 0xbc, 0x61, 0x4e], 3), "12345.678");
    }

    #[test]
    fn dates_read_as_postgresql_writes_them() {
        assert_eq!(date_text(0), "1970-01-01");
        assert_eq!(date_text(11_016), "2000-02-29");
        assert_eq!(date_text(-719_528), "0001-01-01 BC");
        assert_eq!(timestamp_text(-1), "1969-12-31 23:59:59.999999");
        assert_eq!(time_text(86_400_000_000), "24:00:00");
    }
}
