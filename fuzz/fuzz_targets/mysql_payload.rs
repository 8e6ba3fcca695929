//! Any bytes as a payload and as compressed data: never more than was announced or allowed, and an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use source_mysql::wire::compressed;
use source_mysql::wire::payload::Payload;

const LIMIT: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let mut out = Vec::new();
    if compressed::inflate("fuzz", bytes, LIMIT, &mut out).is_ok() {
        assert!(out.len() <= LIMIT);
    }
    let Ok(payload) = Payload::read(bytes) else { return };
    let Ok(mut events) = payload.events(LIMIT) else { return };
    let mut total = 0u64;
    while let Ok(Some(event)) = events.next_event() {
        assert!(event.len() <= LIMIT);
        total += event.len() as u64;
        assert!(total <= payload.size);
    }
});
