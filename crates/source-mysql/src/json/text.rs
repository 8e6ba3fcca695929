//! A document as `CAST(json AS CHAR)` prints it (`sql-common/json_dom.cc`, `Json_wrapper::to_string`): members in the
//! stored order, `", "` and `": "` between them, doubles as [`float::json`], values of column types in quotes.

use super::binary::{Document, Node, Scalar};
use crate::value::{Malformed, decimal, fixed, float, temporal};

/// Appends the text of a binary document.
pub fn write(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let document = Document::new(bytes);
    node(&document, document.root()?, out)
}

/// Depth is bounded by the document.
fn node<'a>(document: &Document<'a>, value: Node<'a>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let container = match value {
        Node::Scalar(value) => return scalar(value, out),
        Node::Container(container) => container,
    };
    out.push(if container.is_object { b'{' } else { b'[' });
    for index in 0..container.count {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        if container.is_object {
            quoted(document.key(&container, index)?, out);
            out.extend_from_slice(b": ");
        }
        node(document, document.member(&container, index)?, out)?;
    }
    out.push(if container.is_object { b'}' } else { b']' });
    Ok(())
}

/// Appends a value without members.
pub(super) fn scalar(value: Scalar<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match value {
        Scalar::Null => out.extend_from_slice(b"null"),
        Scalar::Boolean(true) => out.extend_from_slice(b"true"),
        Scalar::Boolean(false) => out.extend_from_slice(b"false"),
        Scalar::Signed(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Scalar::Unsigned(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Scalar::Double(number) => float::json(number, out),
        Scalar::Text(text) => quoted(text, out),
        Scalar::Opaque { kind, bytes } => opaque(kind, bytes, out)?,
    }
    Ok(())
}

/// Appends a text with quotes around it (`sql-common/json_dom.cc`, `double_quote`).
pub(super) fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        let short = match byte {
            b'"' | b'\\' => *byte,
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0x00..=0x1f => {
                out.extend_from_slice(b"\\u00");
                fixed::hexadecimal(*byte, out);
                continue;
            }
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.push(b'"');
}

/// A value of a column type: decimals are numbers, dates and times their text with six digits, all else its bytes.
fn opaque(kind: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match kind {
        246 => {
            let ([precision, scale], number) = bytes.split_first_chunk::<2>().ok_or(Malformed)?;
            decimal::text(number, *precision, *scale, out)
        }
        7 | 10 | 11 | 12 => {
            let packed: [u8; 8] = bytes.try_into().map_err(|_| Malformed)?;
            out.push(b'"');
            let value = temporal::packed(i64::from_le_bytes(packed), kind == 11)?;
            match value {
                temporal::Temporal::DateTime(moment) if kind == 10 => temporal::Temporal::Date(moment).text(0, out),
                value => value.text(6, out),
            }
            out.push(b'"');
            Ok(())
        }
        _ => {
            out.extend_from_slice(b"\"base64:type");
            out.extend_from_slice(kind.to_string().as_bytes());
            out.push(b':');
            base64(bytes, out);
            out.push(b'"');
            Ok(())
        }
    }
}

/// The alphabet of RFC 4648, with padding, and a line end (escaped here) after each 76 characters that more follow
/// (`mysys/base64.cc`, `base64_encode`).
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (index, group) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            out.extend_from_slice(b"\\n");
        }
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |shift: u32| {
            let index = usize::try_from(number >> shift & 63).unwrap_or(0);
            ALPHABET.get(index).copied().unwrap_or(b'=')
        };
        out.push(digit(18));
        out.push(digit(12));
        out.push(if group.len() > 1 { digit(6) } else { b'=' });
        out.push(if group.len() > 2 { digit(0) } else { b'=' });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String, Malformed> {
        let mut out = Vec::new();
        write(bytes, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn small_documents() {
        assert_eq!(text(&[]).unwrap(), "null");
        assert_eq!(text(&[4, 1]).unwrap(), "true");
        assert_eq!(text(&[5, 0xfe, 0xff]).unwrap(), "-2");
        assert_eq!(text(b"\x0c\x05a\"\n\x01b").unwrap(), "\"a\\\"\\n\\u0001b\"");
        // {"a": [1, null]}
        let array = [2, 0, 10, 0, 5, 1, 0, 4, 0, 0];
        let object = [&[0, 1, 0, 22, 0, 11, 0, 1, 0, 2, 12, 0, b'a'][..], &array].concat();
        assert_eq!(text(&object).unwrap(), "{\"a\": [1, null]}");
        for cut in 1..object.len() {
            assert!(text(&object[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn documents_that_unfold_are_refused() {
        // An array of arrays, each of them pointing twice at the same next one.
        let mut bytes = vec![2];
        for _ in 0..40 {
            bytes.extend([2, 0, 0xff, 0, 2, 10, 0, 2, 10, 0]);
        }
        bytes.resize(600, 0);
        assert!(text(&bytes).is_err());
    }

    #[test]
    fn values_of_column_types() {
        let mut bytes = vec![15, 15, 58];
        bytes.extend([b'a'; 58]);
        let printed = text(&bytes).unwrap();
        assert!(printed.starts_with("\"base64:type15:YWFh") && printed.ends_with("YWFh\\nYQ==\""), "{printed}");
        assert_eq!(text(&[15, 246, 3, 2, 1, 0x80 | 15]).unwrap_err(), Malformed);
        assert_eq!(text(&[15, 246, 4, 3, 2, 0x81, 50]).unwrap(), "1.50");
        assert!(text(&[15, 12, 1, 0]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let mut out = Vec::new();
            write(&bytes, &mut out).ok();
            // What comes out is bounded by what went in.
            proptest::prop_assert!(out.len() <= 16 + bytes.len() * 360);
        }
    }
}
