//! Any rows of any columns: every cell that is understood lies inside the event and gives a value, an absence or a
//! refusal.
#![no_main]

use std::sync::Arc;

use change::{Identity, Reason, Row};
use libfuzzer_sys::fuzz_target;
use source_mysql::Flavour;
use source_mysql::row::Image;
use source_mysql::table::Shape;
use source_mysql::wire::header::EventType;
use source_mysql::wire::rows::Rows;
use source_mysql::wire::table_map::TableMap;

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (kind, map, body) = input;
    let Ok(map) = TableMap::read(map) else { return };
    let Ok(shape) = Shape::read(&map, Flavour::MySql, None, Identity::Full) else { return };
    let kinds = [23, 24, 25, 30, 31, 32, 39, 166, 167, 168, 169, 170, 171];
    let kind = EventType(kinds[usize::from(kind) % kinds.len()]);
    let Ok(rows) = Rows::read(kind, body) else { return };
    let mut scratch = Vec::new();
    let Ok(rows) = rows.inflated(1 << 16, &mut scratch) else { return };
    let shape = Arc::new(shape);
    let bytes = Arc::new(rows.data.to_vec());
    let Ok(mut images) = rows.images(&shape.extents) else { return };
    loop {
        let mut before = Image::new(Arc::clone(&bytes), Arc::clone(&shape), Reason::KeyOnly);
        let mut after = Image::new(Arc::clone(&bytes), Arc::clone(&shape), Reason::Unchanged);
        let from = images.offset();
        let Ok(true) = images.next_row(&mut before.cells, &mut after.cells) else { return };
        assert!(images.offset() > from && images.offset() <= bytes.len());
        after.complete(&before);
        for image in [&mut before, &mut after] {
            let _has_key = image.prepare_key().is_ok();
            for column in 0..image.cells.len() {
                let _understood = image.value(column, &mut Vec::new()).is_ok();
            }
        }
    }
});
