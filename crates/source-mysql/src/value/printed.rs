//! Values as the server prints them where a query asks for them, for rows that are copied: the same values as those that the
//! log's bytes give.
//!
//! Only types whose bytes a query does not give as they are in the log come here: numbers, times, labels, JSON and
//! addresses. Texts and bytes are read by the meaning that they have in the log, as the copying session has
//! `character_set_results = NULL`. What a query prints of a type depends on the expression that asks for it, which is
//! chosen where the query is made.

use change::Value;
use num_bigint::BigInt;

use super::{Malformed, Meaning, decimal, float, label, number};

/// Reads what was printed of a value with this meaning.
pub(super) fn read<'v>(
    meaning: &'v Meaning,
    bytes: &'v [u8],
    scratch: &'v mut Vec<u8>,
) -> Result<Value<'v>, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed)?;
    match meaning {
        Meaning::Integer { unsigned: true, width: 8 } => {
            number::integer(&parse::<u64>(text)?.to_le_bytes(), true, scratch)
        }
        Meaning::Integer { .. } => parse(text).map(Value::Long),
        Meaning::Decimal { scale, .. } => {
            unscaled(text, *scale, scratch)?;
            Ok(Value::Bytes(scratch))
        }
        Meaning::Temporal(form) => form.parse(text)?.value(form.fraction(), scratch),
        // The shortest digits of a number as a double are nearer to it than to any other float.
        Meaning::Float => parse(text).map(Value::Float),
        Meaning::Double => parse(text).map(Value::Double),
        Meaning::Year => parse(text).map(Value::Long),
        Meaning::Enum(labels) => label::enumeration(&parse::<u16>(text)?.to_le_bytes(), labels),
        Meaning::Set(labels) => label::set(&parse::<u64>(text)?.to_le_bytes(), labels, scratch),
        Meaning::Json | Meaning::Uuid | Meaning::Inet4 | Meaning::Inet6 => Ok(Value::Text(text)),
        _ => Err(Malformed),
    }
}

/// Appends the text that [`super::text`] gives for the same value in the log: without zeros that are a matter of display.
pub(super) fn text(meaning: &Meaning, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed)?;
    match meaning {
        Meaning::Integer { unsigned: true, .. } => out.extend_from_slice(parse::<u64>(text)?.to_string().as_bytes()),
        Meaning::Integer { .. } => out.extend_from_slice(parse::<i64>(text)?.to_string().as_bytes()),
        Meaning::Decimal { .. } => {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
            let whole = whole.trim_start_matches('0');
            let sign = if digits.bytes().any(|byte| matches!(byte, b'1'..=b'9')) { sign } else { "" };
            for part in [sign, if whole.is_empty() { "0" } else { whole }, rest] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        Meaning::Temporal(form) => form.parse(text)?.text(form.fraction(), out),
        Meaning::Float => float::double(f64::from(parse::<f32>(text)?), out),
        Meaning::Double => float::double(parse(text)?, out),
        Meaning::Year => out.extend_from_slice(format!("{:04}", parse::<i64>(text)?).as_bytes()),
        _ => match read(meaning, bytes, &mut Vec::new())? {
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            _ => return Err(Malformed),
        },
    }
    Ok(())
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Malformed> {
    text.parse().map_err(|_| Malformed)
}

/// The digits of a decimal without its point, as [`decimal::read`] writes them.
fn unscaled(text: &str, scale: u8, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() != usize::from(scale) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    let digits = [whole, fraction].concat();
    out.clear();
    match digits.parse::<i64>() {
        Ok(number) => decimal::push_shortest(&number.to_be_bytes(), out),
        Err(_) => out.extend(parse::<BigInt>(&digits)?.to_signed_bytes_be()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::temporal::Form;

    fn value(meaning: Meaning, printed: &str) -> String {
        let meaning = Meaning::Printed(Box::new(meaning));
        let mut scratch = vec![7];
        super::super::read(&meaning, printed.as_bytes(), &mut scratch)
            .map_or_else(|error| format!("{error:?}"), |value| format!("{value:?}"))
    }

    fn key(meaning: Meaning, printed: &str) -> String {
        let mut out = Vec::new();
        super::super::text(&Meaning::Printed(Box::new(meaning)), printed.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        let decimal = || Meaning::Decimal { precision: 30, scale: 2 };
        assert_eq!(value(decimal(), "-1.28"), "Bytes([128])");
        assert_eq!(value(decimal(), "0.00"), "Bytes([0])");
        assert_eq!(value(decimal(), "184467440737095516.16"), "Bytes([1, 0, 0, 0, 0, 0, 0, 0, 0])");
        assert_eq!(value(decimal(), "-184467440737095516.17"), "Bytes([254, 255, 255, 255, 255, 255, 255, 255, 255])");
        for bad in ["1", "1.2", "1.234", "1.2x", "", "x.00"] {
            assert_eq!(value(decimal(), bad), "Malformed", "{bad}");
        }
        assert_eq!(
            value(Meaning::Integer { width: 8, unsigned: true }, "18446744073709551615"),
            "Bytes([0, 255, 255, 255, 255, 255, 255, 255, 255])"
        );
        assert_eq!(value(Meaning::Integer { width: 4, unsigned: true }, "0000000042"), "Long(42)");
        assert_eq!(value(Meaning::Float, "0.10000000149011612"), "Float(0.1)");
        assert_eq!(value(Meaning::Double, "-0"), "Double(-0.0)");
    }

    #[test]
    fn keys_are_without_what_is_a_matter_of_display() {
        let decimal = || Meaning::Decimal { precision: 5, scale: 2 };
        assert_eq!(key(decimal(), "000.50"), "0.50");
        assert_eq!(key(decimal(), "-0.00"), "0.00");
        assert_eq!(key(Meaning::Decimal { precision: 5, scale: 0 }, "00012"), "12");
        assert_eq!(key(Meaning::Integer { width: 2, unsigned: true }, "00042"), "42");
        assert_eq!(key(Meaning::Temporal(Form::Time(2)), "-00:00:00.01"), "-00:00:00.01");
    }

    #[test]
    fn labels_by_their_numbers() {
        let labels = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(value(Meaning::Enum(labels()), "2"), "Text(\"b\")");
        assert_eq!(value(Meaning::Enum(labels()), "0"), "Text(\"\")");
        assert_eq!(value(Meaning::Set(labels()), "3"), "Text(\"a,b\")");
        assert_eq!(value(Meaning::Set(labels()), "4"), "Malformed");
    }
}
