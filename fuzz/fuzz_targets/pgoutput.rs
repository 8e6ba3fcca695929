//! Any bytes as a pgoutput message: refused or understood, and what the cells point at lies inside the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use source_postgres::wire::pgoutput;

fuzz_target!(|bytes: &[u8]| {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let _understood = pgoutput::read(bytes, &mut old, &mut new).is_ok();
});
