//! Any bytes as a backend message and as the body of a CopyData: refused or understood, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use source_postgres::wire::frame;

fuzz_target!(|bytes: &[u8]| {
    let _understood = frame::split(bytes).is_ok();
    let _understood = frame::copied(bytes).is_ok();
});
