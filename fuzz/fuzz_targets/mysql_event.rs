//! Any bytes as a file of events: refused or understood, and what is left for later (rows, settings, shapes) as well.
#![no_main]

use change::Identity;
use libfuzzer_sys::fuzz_target;
use source_mysql::Flavour;
use source_mysql::table::Shape;
use source_mysql::wire::event::{Decoder, Event};
use source_mysql::wire::header::Header;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    let mut rest = bytes;
    while let Ok(header) = Header::read(rest) {
        let Some((event, others)) = rest.split_at_checked(header.length as usize) else { break };
        rest = others;
        // Sums are left out: they would keep everything else from being tried.
        let Ok((_, event)) = decoder.inner(event).or_else(|_| decoder.next_event(event)) else { continue };
        match event {
            Event::Query(query) => {
                let mut scratch = Vec::new();
                let _understood = query.session().is_ok() && query.inflated(1 << 16, &mut scratch).is_ok();
            }
            Event::TableMap(map) => {
                let shape = Shape::read(&map, Flavour::MariaDb, None, Identity::Full);
                if let Ok(shape) = shape {
                    assert_eq!(shape.extents.len(), shape.meanings.len());
                    assert!(shape.table.key.iter().all(|column| *column < shape.meanings.len()));
                }
            }
            _ => {}
        }
    }
});
