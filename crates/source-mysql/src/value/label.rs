//! ENUM and SET: a number in the row, labels in the table's shape.

use change::Value;

use super::Malformed;
use crate::wire::reader::little;

/// The label of an enum. 0 is the empty text that stands for a value that was refused
/// (<https://dev.mysql.com/doc/refman/8.4/en/enum.html>).
pub fn enumeration<'v>(bytes: &[u8], labels: &'v [String]) -> Result<Value<'v>, Malformed> {
    if !matches!(bytes.len(), 1 | 2) {
        return Err(Malformed);
    }
    let Some(index) = little(bytes).checked_sub(1) else { return Ok(Value::Text("")) };
    let label = usize::try_from(index).ok().and_then(|index| labels.get(index)).ok_or(Malformed)?;
    Ok(Value::Text(label))
}

/// The labels of the members in the order of the declaration, with commas between them.
pub fn set<'v>(bytes: &[u8], labels: &[String], scratch: &'v mut Vec<u8>) -> Result<Value<'v>, Malformed> {
    if !matches!(bytes.len(), 1..=8) {
        return Err(Malformed);
    }
    scratch.clear();
    let mut members = little(bytes);
    let mut first = true;
    for label in labels.iter().take(64) {
        if members & 1 == 1 {
            if !std::mem::take(&mut first) {
                scratch.push(b',');
            }
            scratch.extend_from_slice(label.as_bytes());
        }
        members >>= 1;
    }
    if members != 0 {
        return Err(Malformed);
    }
    std::str::from_utf8(scratch).map(Value::Text).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_by_number() {
        let labels = ["a", "b", "ß"].map(str::to_owned);
        assert_eq!(enumeration(&[0], &labels), Ok(Value::Text("")));
        assert_eq!(enumeration(&[3, 0], &labels), Ok(Value::Text("ß")));
        assert_eq!(enumeration(&[4], &labels), Err(Malformed));
        let mut scratch = vec![1];
        assert_eq!(set(&[0b101], &labels, &mut scratch), Ok(Value::Text("a,ß")));
        assert_eq!(set(&[0], &labels, &mut scratch), Ok(Value::Text("")));
        assert_eq!(set(&[0b1000], &labels, &mut scratch), Err(Malformed));
    }
}
