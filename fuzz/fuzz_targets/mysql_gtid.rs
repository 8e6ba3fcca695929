//! Any text and any bytes as sets of transactions: what is understood has one text and one binary form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use source_mysql::gtid::{mariadb, mysql};
use source_mysql::wire::gtid::Gtid;

fuzz_target!(|bytes: &[u8]| {
    let binary = mysql::GtidSet::decode(bytes).ok();
    let text = std::str::from_utf8(bytes).ok();
    for set in [binary, text.and_then(|text| text.parse::<mysql::GtidSet>().ok())].into_iter().flatten() {
        assert_eq!(set.to_string().parse().as_ref(), Ok(&set));
        assert_eq!(mysql::GtidSet::decode(&set.encode()).as_ref(), Ok(&set));
        let mut rest = set.clone();
        rest.subtract(&set);
        assert!(rest.is_empty() && set.contains_all(&rest) && set.contains_all(&set));
    }
    if let Some(set) = text.and_then(|text| text.parse::<mariadb::GtidSet>().ok()) {
        assert_eq!(set.to_string().parse().as_ref(), Ok(&set));
    }
    let _understood = Gtid::read(bytes, false).is_ok() || Gtid::read_tagged(bytes).is_ok();
});
