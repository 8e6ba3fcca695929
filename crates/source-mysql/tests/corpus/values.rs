//! Every row of every file against what the server said of it.

use std::fs;

use change::{ColumnType, Row};
use source_mysql::row::Image;
use source_mysql::table::Shape;
use source_mysql::value;
use source_mysql::wire::cell::Cell;
use source_mysql::wire::rows::RowsKind;

use crate::log::{self, Log};
use crate::rendering::{escape, render, same};

/// Tables whose rows are not what a SELECT shows: sequences, and old versions of rows.
const UNSEEN: [&str; 2] = ["seq", "versioned"];

#[test]
fn every_value_is_what_the_server_says() {
    let mut compared = 0;
    for name in log::names() {
        compared += compare(&name);
    }
    assert!(compared > 5_000, "only {compared} cells were compared");
}

fn compare(name: &str) -> usize {
    let text = fs::read_to_string(log::path(&format!("{name}.expected"))).unwrap();
    let expected: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut expected = expected.iter().filter(|line| !UNSEEN.contains(&line[1]));
    let log = Log::read(name);
    let mut compared = 0;
    for row in log.rows.iter().filter(|row| row.shape.table.columns[0].name == "id") {
        let table = row.shape.table.name.table.as_str();
        if UNSEEN.contains(&table) {
            continue;
        }
        let images: &[(&str, &Image)] = match row.kind {
            RowsKind::Write => &[("I", &row.after)],
            RowsKind::Update => &[("B", &row.before), ("A", &row.after)],
            RowsKind::Delete => &[("D", &row.before)],
        };
        for (what, image) in images {
            let line = expected.next().unwrap_or_else(|| panic!("{name}: a row of {table} more than expected"));
            assert_eq!((line[0], line[1]), (*what, table), "{name}: {line:?}");
            compared += compare_image(name, &row.shape, image, &line[2..]);
        }
    }
    assert_eq!(expected.next(), None, "{name}: a row less than expected");
    compared
}

fn compare_image(name: &str, shape: &Shape, image: &Image, expected: &[&str]) -> usize {
    let mut compared = 0;
    assert_eq!(image.cells.len(), shape.table.columns.len());
    for (index, (column, expected)) in shape.table.columns.iter().zip(expected).enumerate() {
        let mut scratch = b"left over".to_vec();
        let value = image.value(index, &mut scratch).unwrap_or_else(|error| panic!("{name}: {error}"));
        let place = || format!("{name}: {}.{} ({}): {value:.9?}", shape.table.name, column.name, column.sql_type);
        let Some(ours) = render(column, &value) else { continue };
        assert!(same(column, &ours, expected), "{}: {ours} and not {expected}", place());
        if let Cell::Bytes { .. } = image.cells[index]
            && !matches!(column.kind, ColumnType::Bytes | ColumnType::Float | ColumnType::Boolean)
        {
            let text = text(shape, image, index);
            assert!(same(column, &escape(&text), expected), "{}: the text {text} and not {expected}", place());
        }
        compared += 1;
    }
    compared
}

/// The text that the column would have as a key.
fn text(shape: &Shape, image: &Image, index: usize) -> String {
    let mut out = Vec::new();
    value::text(&shape.meanings[index], image.bytes_of(index), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let kind = shape.table.columns[index].kind;
    if shape.table.key.contains(&index) && kind.in_key() != kind {
        assert_eq!(image.text(index), Some(text.as_str()));
    }
    text
}
