//! What other readers of the binlog get wrong, by name; each found in blackbeam/mysql_common 0.37–0.38 or its users.

use std::fs;

use change::{Identity, Reason, Row, Value};
use source_mysql::Flavour;
use source_mysql::table::{Catalogue, Declared, Shape};
use source_mysql::value::{self, Meaning, temporal::Form};
use source_mysql::wire::WireError;
use source_mysql::wire::event::{Decoder, Event};
use source_mysql::wire::payload::Payload;

use crate::log::{self, Log, RowImages};

/// The rows of a table, as they were inserted.
fn inserted(name: &str, table: &str) -> Vec<RowImages> {
    let log = Log::read(name);
    log.rows.into_iter().filter(|row| row.shape.table.name.table == table && row.before.cells.is_empty()).collect()
}

/// The value of a column, printed.
fn value_of(row: &RowImages, column: &str) -> String {
    let index = row.shape.table.columns.iter().position(|known| known.name == column).unwrap();
    format!("{:?}", row.after.value(index, &mut Vec::new()).unwrap())
}

const ALL: [&str; 3] = ["mysql", "mariadb-10.11", "mariadb-11.8"];

/// -5 came out as 16777211: 24 bits without extending the sign.
#[test]
fn negative_mediumint() {
    for server in ALL {
        let rows = inserted(&format!("{server}.numbers"), "integers");
        assert_eq!(value_of(&rows[3], "e"), "Long(-5)");
        assert_eq!(value_of(&rows[0], "e"), "Long(-8388608)");
        assert_eq!(value_of(&rows[1], "f"), "Long(16777215)");
    }
}

/// -12:34:56.78 came out as 612:29:07.15997216: whole and fraction borrowed from each other.
#[test]
fn negative_time_with_one_and_two_digits() {
    for server in ALL {
        let rows = inserted(&format!("{server}.temporal"), "fractions");
        assert_eq!(value_of(&rows[0], "t1"), "Long(-45296700000)");
        assert_eq!(value_of(&rows[0], "t2"), "Long(-45296780000)");
        assert_eq!(value_of(&rows[1], "t1"), "Long(-100000)");
        assert_eq!(value_of(&rows[1], "t2"), "Long(-10000)");
        assert_eq!(value_of(&rows[1], "t6"), "Long(-1)");
    }
}

/// 0000 came out as 1900.
#[test]
fn year_0000() {
    for server in ALL {
        let rows = inserted(&format!("{server}.numbers"), "bits");
        assert_eq!(value_of(&rows[0], "y"), "Long(0)");
        assert_eq!(value_of(&rows[2], "y"), "Long(1901)");
    }
}

/// Negative ones, since the number is signed there.
#[test]
fn timestamp_after_2038() {
    let rows = inserted("mariadb-11.8.temporal", "dates");
    assert_eq!(value_of(&rows[9], "c"), "Long(4294967295000000)");
    assert_eq!(value_of(&rows[10], "c"), "Long(2147483648000000)");
}

/// Undecodable payloads gave no events and no error, and an unknown compression was a panic.
#[test]
fn truncated_zstd_payload() {
    let file = fs::read(log::path("mysql.payload.binlog")).unwrap();
    let mut decoder = Decoder::new();
    for bytes in log::split(&file) {
        let framed = decoder.frame(bytes).unwrap();
        if let Event::Payload(_) = decoder.next_event(bytes).unwrap().1 {
            let mut body = framed.body.to_vec();
            let half = body.len() / 2;
            body[half..].fill(0);
            let mut events = Payload::read(&body).unwrap().events(1 << 20).unwrap();
            let error = std::iter::from_fn(|| events.next_event().map(|event| event.map(|_| ())).transpose());
            assert!(error.into_iter().any(|event| event.is_err()));
            return;
        }
    }
    panic!("the file has no payload");
}

#[test]
fn unknown_compression() {
    let unknown = Payload::read(&[2, 1, 9, 1, 1, 0, 0]).unwrap_err();
    assert_eq!(unknown, WireError::Unknown { what: "compression of a transaction payload", number: 9 });
}

/// Panics in `read_exact(…).unwrap()` and `len() - 4`.
#[test]
fn truncated_events() {
    for name in log::names() {
        let file = fs::read(log::path(&format!("{name}.binlog"))).unwrap();
        let mut decoder = Decoder::new();
        for bytes in log::split(&file).into_iter().take(30) {
            decoder.next_event(bytes).unwrap();
            for end in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
                assert!(decoder.next_event(&bytes[..end]).is_err());
                let mut short = bytes[..end].to_vec();
                if let Some(length) = short.get_mut(9..13) {
                    length.copy_from_slice(&u32::try_from(end).unwrap().to_le_bytes());
                }
                // The length fits now; the sum does not.
                assert!(decoder.clone().next_event(&short).is_err(), "{name}");
            }
        }
    }
}

/// Rows that vanished: compressed events were of an unknown type, which is left out there.
#[test]
fn mariadb_compressed_rows() {
    for server in ["mariadb-10.11", "mariadb-11.8"] {
        let log = Log::read(&format!("{server}.compressed"));
        assert_eq!(log.rows.len(), 400 + 26 + 20 + 1);
    }
}

/// An error, and then all columns behind it misread.
#[test]
fn mariadb_column_compression() {
    for server in ["mariadb-10.11", "mariadb-11.8"] {
        let rows = inserted(&format!("{server}.special"), "packed");
        assert_eq!(value_of(&rows[0], "a"), format!("Text({:?})", "ü".repeat(200)));
        assert_eq!(value_of(&rows[2], "b"), "Text(\"é\")");
        assert_eq!(value_of(&rows[2], "e"), "Bytes([100])");
    }
}

/// The file name kept four bytes of checksum.
#[test]
fn artificial_rotate_with_checksum() {
    let mut event = vec![0, 0, 0, 0, 4, 2, 0, 0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0x20, 0];
    event.extend([4, 0, 0, 0, 0, 0, 0, 0]);
    event.extend(b"bin.000042");
    event.extend(crc32fast::hash(&event).to_le_bytes());
    let Event::Rotate(rotate) = Decoder::new().next_event(&event).unwrap().1 else { panic!() };
    assert_eq!((rotate.file, rotate.position), ("bin.000042", 4));
}

/// `flink-cdc` #1340 and many others: zero dates are no reason to stop, and never another date.
#[test]
fn zero_dates_are_absent_with_their_text() {
    let rows = inserted("mysql.temporal", "dates");
    for (row, text) in [(2, "0000-00-00"), (3, "2024-00-15"), (4, "2024-01-00")] {
        assert_eq!(value_of(&rows[row], "a"), format!("Absent(Absence {{ reason: ZeroDate, text: Some({text:?}) }})"));
    }
    assert_eq!(value_of(&rows[6], "a"), "Absent(Absence { reason: OutOfRange, text: Some(\"2023-02-30\") })");
}

/// Keys have a text for what has no typed value.
#[test]
fn keys_of_zero_dates() {
    let rows = inserted("mysql.temporal", "keyed");
    let key = &rows[0].shape.table.key;
    let texts: Vec<_> = key.iter().map(|column| rows[0].after.text(*column)).collect();
    // The fourth is a number, which is one in the key as well.
    assert_eq!(texts, [Some("0000-00-00"), Some("-1.50"), Some("2000-01-01 00:00:00.500"), None]);
}

/// With `binlog_row_image=minimal` what the log does not have is said, and the key is there nevertheless.
#[test]
fn minimal_images_name_what_is_missing() {
    for server in ALL {
        let log = Log::read(&format!("{server}.minimal"));
        let update = log.rows.iter().find(|row| !row.before.cells.is_empty() && !row.after.cells.is_empty()).unwrap();
        assert_eq!(value_of(update, "id"), "Long(1)");
        assert_eq!(value_of(update, "b"), "Text(\"ç\")");
        assert_eq!(value_of(update, "a"), "Absent(Absence { reason: Unchanged, text: None })");
        assert!(update.before.is_partial());
        let mut scratch = Vec::new();
        let Value::Absent(absence) = update.before.value(1, &mut scratch).unwrap() else { panic!() };
        assert_eq!(absence.reason, Reason::KeyOnly);
        assert_eq!(update.shape.table.key, [0]);
    }
}

/// A shape that would have to be guessed is refused, and so is a catalogue that shows another table.
#[test]
fn shapes_are_never_guessed() {
    let file = fs::read(log::path("mariadb-10.11.minimal.binlog")).unwrap();
    let mut decoder = Decoder::new();
    for bytes in log::split(&file) {
        if let Event::TableMap(map) = decoder.next_event(bytes).unwrap().1 {
            let error = Shape::read(&map, Flavour::MariaDb, None, Identity::Default).unwrap_err();
            assert!(error.to_string().contains("binlog_row_metadata=FULL"), "{error}");
            let mut catalogue = log::catalogue("mariadb-10.11.minimal").remove("lean").unwrap();
            assert!(Shape::read(&map, Flavour::MariaDb, Some(&catalogue), Identity::Default).is_ok());
            catalogue.columns.swap(1, 2);
            let error = Shape::read(&map, Flavour::MariaDb, Some(&catalogue), Identity::Default).unwrap_err();
            assert!(error.to_string().contains("column b of corpus.lean"), "{error}");
            catalogue.columns.pop();
            assert!(Shape::read(&map, Flavour::MariaDb, Some(&catalogue), Identity::Default).is_err());
            return;
        }
    }
    panic!("the file has no table map");
}

/// MariaDB's old TIME(3) has the same number as the old TIME, no metadata, and more bytes: the log alone cannot tell them
/// apart. The catalogue can.
#[test]
fn old_times_with_fractions_are_refused() {
    let file = fs::read(log::path("mariadb-10.11.old_temporal.binlog")).unwrap();
    let mut decoder = Decoder::new();
    for bytes in log::split(&file) {
        let Event::TableMap(map) = decoder.next_event(bytes).unwrap().1 else { continue };
        let declared = |name: &str, column_type: &str| Declared {
            name: name.to_owned(),
            column_type: column_type.to_owned(),
            character_set: None,
            nullable: true,
        };
        let comment = "/* mariadb-5.3 */";
        let types = ["int(11)", &format!("time {comment}"), &format!("datetime {comment}"), "timestamp", "date"];
        let columns = ["id", "a", "b", "c", "d"].iter().zip(types).map(|(name, kind)| declared(name, kind)).collect();
        let mut catalogue = Catalogue { columns, primary_key: vec!["id".to_owned()] };
        assert!(Shape::read(&map, Flavour::MariaDb, Some(&catalogue), Identity::Full).is_ok());
        catalogue.columns[1].column_type = format!("time(3) {comment}");
        let error = Shape::read(&map, Flavour::MariaDb, Some(&catalogue), Identity::Full).unwrap_err();
        assert!(error.to_string().contains("time(3)"), "{error}");
        return;
    }
    panic!("the file has no table map");
}

/// A decoder that works in release mode only is none.
#[test]
fn nothing_overflows() {
    for digits in 0..=6u8 {
        for fill in [0u8, 0x7f, 0x80, 0xff] {
            for form in [Form::Time(digits), Form::DateTime(digits), Form::Timestamp(digits), Form::Date] {
                for length in 0..9 {
                    let bytes = vec![fill; length];
                    value::read(&Meaning::Temporal(form), &bytes, &mut Vec::new()).ok();
                }
            }
        }
    }
}
