//! Any text, and any binary form, as a value of any column type: a value, an absence, or a refusal, never a panic.
#![no_main]

use change::ColumnType;
use libfuzzer_sys::fuzz_target;
use source_postgres::value;

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (kind, precision, scale, text) = input;
    let precision = u32::from(precision).max(1);
    let scale = u32::from(scale).min(precision);
    let kind = match kind % 13 {
        0 => ColumnType::Boolean,
        1 => ColumnType::Long,
        2 => ColumnType::Float,
        3 => ColumnType::Double,
        4 => ColumnType::Decimal { precision, scale },
        5 => ColumnType::Text,
        6 => ColumnType::Uuid,
        7 => ColumnType::Bytes,
        8 => ColumnType::Date,
        9 => ColumnType::Time,
        10 => ColumnType::LocalTimestamp,
        11 => ColumnType::Timestamp,
        _ => ColumnType::Array { element: ColumnType::Decimal { precision, scale }.as_element(), separator: b',' },
    };
    let mut scratch = Vec::new();
    let _understood = value::read(kind, text, &mut scratch).is_ok();
    let _understood = value::binary::read(kind, text, &mut scratch).is_ok();
});
