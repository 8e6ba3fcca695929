//! Any bytes as a document and as changes to it: what comes out is UTF-8 or refused, and not much longer than what went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use source_mysql::json;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (document, changes) = input;
    let mut out = Vec::new();
    if json::text::write(document, &mut out).is_ok() {
        // A byte can become an escape of six, and a number of eight bytes one of 25.
        assert!(out.len() <= 64 + document.len() * 32, "{} bytes of {}", out.len(), document.len());
        let mut again = Vec::new();
        if json::diff::write(document, &[], &mut again).is_ok() {
            assert_eq!(out, again);
        }
    }
    let _understood = json::diff::write(document, changes, &mut Vec::new()).is_ok();
});
