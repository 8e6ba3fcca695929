//! Any text as an array of any element: what is understood is written as the server writes it and understood as the same.
#![no_main]

use change::{Element, Value};
use libfuzzer_sys::fuzz_target;
use source_postgres::value::array;

fuzz_target!(|input: (u8, bool, &str)| {
    let (kind, semicolon, text) = input;
    let element = match kind % 10 {
        0 => Element::Boolean,
        1 => Element::Long,
        2 => Element::Double,
        3 => Element::Decimal { precision: 12, scale: 2 },
        4 => Element::Bytes,
        5 => Element::Date,
        6 => Element::Time,
        7 => Element::Timestamp,
        8 => Element::Uuid,
        _ => Element::Text,
    };
    let separator = if semicolon { b';' } else { b',' };
    let mut scratch = Vec::new();
    let Ok(value) = array::read(element, separator, text, &mut scratch) else { return };
    match value {
        Value::Absent(absence) => assert_eq!(absence.text, Some(text)),
        Value::Array(array) => {
            assert_eq!(array.iter().count(), array.len());
            if element == Element::Text {
                let again = written(array, char::from(separator));
                let mut scratch = Vec::new();
                assert_eq!(array::read(element, separator, &again, &mut scratch), Ok(value));
            }
        }
        other => panic!("{other:?} is not an array"),
    }
});

/// With every element in quotes, which the reader accepts as well.
fn written(array: change::Array<'_>, separator: char) -> String {
    let item = |value| match value {
        Value::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        _ => "NULL".to_owned(),
    };
    let items: Vec<String> = array.iter().map(item).collect();
    format!("{{{}}}", items.join(&separator.to_string()))
}
