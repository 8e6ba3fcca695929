//! What decoding costs: reads a binlog file again and again, every column of every row, and prints nanoseconds per row.
//!
//! `cargo run --release -p source-mysql --example measure -- FILE [ROUNDS]`; the file needs `binlog_row_metadata=FULL`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use change::{Identity, Reason, Row, Value};
use source_mysql::Flavour;
use source_mysql::row::Image;
use source_mysql::table::Shape;
use source_mysql::wire::event::{Decoder, Event};
use source_mysql::wire::header::Header;

type Anything = Box<dyn std::error::Error>;

fn main() -> Result<(), Anything> {
    let mut arguments = std::env::args().skip(1);
    let file = std::fs::read(arguments.next().ok_or("which file?")?)?;
    let rounds: u32 = arguments.next().map_or(Ok(5), |rounds| rounds.parse())?;
    for walk_only in [true, false] {
        let (mut rows, start) = (0u64, Instant::now());
        for _ in 0..rounds {
            rows += round(&file, walk_only)?;
        }
        let nanoseconds = start.elapsed().as_nanos() / u128::from(rows.max(1));
        let what = if walk_only { "frame, checksum, cells" } else { "frame, checksum, cells, values" };
        writeln(&format!("{what}: {nanoseconds} ns a row, {rows} rows"))?;
    }
    Ok(())
}

fn writeln(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
}

fn round(file: &[u8], walk_only: bool) -> Result<u64, Anything> {
    let (mut decoder, mut shapes, mut rows) = (Decoder::new(), HashMap::new(), 0);
    let (mut rest, mut scratch) = (file.get(4..).unwrap_or_default(), Vec::new());
    while !rest.is_empty() {
        let length = usize::try_from(Header::read(rest)?.length)?;
        let (bytes, others) = rest.split_at_checked(length).ok_or("a short file")?;
        rest = others;
        match decoder.next_event(bytes)?.1 {
            Event::TableMap(map) => {
                let known = shapes.entry(map.table);
                known.or_insert(Arc::new(Shape::read(&map, Flavour::MariaDb, None, Identity::Full)?));
            }
            Event::Rows(found) => {
                let shape = shapes.get(&found.table).ok_or("rows without a table")?;
                let buffer = Arc::new(found.data.to_vec());
                let mut before = Image::new(Arc::clone(&buffer), Arc::clone(shape), Reason::KeyOnly);
                let mut after = Image::new(Arc::clone(&buffer), Arc::clone(shape), Reason::Unchanged);
                let mut images = found.images(&shape.extents)?;
                while images.next_row(&mut before.cells, &mut after.cells)? {
                    rows += 1;
                    for image in [&before, &after].into_iter().filter(|_| !walk_only) {
                        for column in 0..image.cells.len() {
                            if let Value::Array(_) = image.value(column, &mut scratch)? {
                                return Err("no column is an array".into());
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(rows)
}
