//! Which events the files hold, and that none of their bytes can be changed or cut unnoticed.

use std::collections::BTreeSet;
use std::fs;

use source_mysql::gtid::mysql::GtidSet;
use source_mysql::wire::event::{Decoder, Event};
use source_mysql::wire::header::EventType;
use source_mysql::wire::payload::Compression;

use crate::log::{self, Log};

/// Calls `see` with every event of a file.
fn each(name: &str, mut see: impl FnMut(&Event<'_>)) {
    let file = fs::read(log::path(&format!("{name}.binlog"))).unwrap();
    let mut decoder = Decoder::new();
    for bytes in log::split(&file) {
        see(&decoder.next_event(bytes).unwrap().1);
    }
}

#[test]
fn the_corpus_holds_every_kind_of_event() {
    let kinds: BTreeSet<EventType> = log::names().iter().flat_map(|name| Log::read(name).kinds).collect();
    for kind in [
        EventType::QUERY,
        EventType::ROTATE,
        EventType::INTVAR,
        EventType::RAND,
        EventType::USER_VAR,
        EventType::FORMAT_DESCRIPTION,
        EventType::XID,
        EventType::TABLE_MAP,
        EventType::WRITE_ROWS_V1,
        EventType::UPDATE_ROWS_V1,
        EventType::DELETE_ROWS_V1,
        EventType::ROWS_QUERY,
        EventType::WRITE_ROWS,
        EventType::UPDATE_ROWS,
        EventType::DELETE_ROWS,
        EventType::GTID,
        EventType::PREVIOUS_GTIDS,
        EventType::XA_PREPARE,
        EventType::PARTIAL_UPDATE_ROWS,
        EventType::TRANSACTION_PAYLOAD,
        EventType::GTID_TAGGED,
        EventType::ANNOTATE_ROWS,
        EventType::BINLOG_CHECKPOINT,
        EventType::MARIADB_GTID,
        EventType::MARIADB_GTID_LIST,
        EventType::QUERY_COMPRESSED,
        EventType::WRITE_ROWS_COMPRESSED_V1,
        EventType::UPDATE_ROWS_COMPRESSED_V1,
        EventType::DELETE_ROWS_COMPRESSED_V1,
    ] {
        assert!(kinds.contains(&kind), "no file has a {kind:?}; they have {kinds:?}");
    }
}

#[test]
fn tags_and_what_came_before() {
    let mut executed = GtidSet::default();
    each("mysql.tags", |event| {
        if let Event::Gtid(gtid) = event {
            let (source, number) = gtid.id.unwrap();
            executed.add(source, number);
            assert!(gtid.immediate_commit.unwrap() > 1_700_000_000_000_000);
            assert!(gtid.transaction_length.unwrap() > 100);
            assert_eq!(gtid.immediate_commit, gtid.original_commit);
        }
    });
    let text = executed.to_string();
    assert!(text.contains(":b:1:first_tag:1-2"), "{text}");
    assert!(text.contains("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:9223372036854775806:some_tag:77"), "{text}");
    let mut seen = 0;
    for name in ["mysql.tags_after", "mysql.numbers"] {
        let file = fs::read(log::path(&format!("{name}.binlog"))).unwrap();
        let mut decoder = Decoder::new();
        for bytes in log::split(&file) {
            let framed = decoder.frame(bytes).unwrap();
            if let Event::PreviousGtids(before) = decoder.next_event(bytes).unwrap().1 {
                assert!(name == "mysql.numbers" || before.contains_all(&executed), "{before} does not have {text}");
                assert_eq!(before.encode(), framed.body, "the binary form is the server's, byte for byte");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn mariadb_transactions_say_what_they_are() {
    let (mut ddl, mut prepared, mut completed, mut plain, mut lists) = (0, 0, 0, 0, 0);
    for name in ["mariadb-10.11.statements", "mariadb-11.8.statements"] {
        each(name, |event| match event {
            Event::MariaDbGtid(gtid) => {
                assert_eq!((gtid.id.domain, gtid.id.server), (0, 2));
                assert!(gtid.id.sequence > 0);
                ddl += u32::from(gtid.ddl && gtid.standalone);
                prepared += u32::from(gtid.prepared_xa);
                completed += u32::from(gtid.completed_xa);
                plain += u32::from(!gtid.standalone && gtid.transactional);
            }
            Event::MariaDbGtidList(list) => {
                assert_eq!(list.set().iter().count(), 1);
                lists += 1;
            }
            _ => {}
        });
    }
    assert!(
        ddl >= 8 && prepared >= 2 && completed >= 2 && plain >= 2 && lists == 2,
        "{ddl} {prepared} {completed} {plain}"
    );
}

#[test]
fn payloads_are_zstd_and_whole_or_refused() {
    let file = fs::read(log::path("mysql.payload.binlog")).unwrap();
    let (mut decoder, mut payloads) = (Decoder::new(), 0);
    for bytes in log::split(&file) {
        let framed = decoder.frame(bytes).unwrap();
        let (header, event) = decoder.next_event(bytes).unwrap();
        let Event::Payload(payload) = event else { continue };
        assert_eq!((header.kind, payload.compression), (EventType::TRANSACTION_PAYLOAD, Compression::Zstd));
        payloads += 1;
        // The zstd stream cut at any place, behind a head that says so.
        let start = framed.body.windows(4).position(|four| four == [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
        let (head, stream) = framed.body.split_at(start);
        for cut in (1..stream.len()).step_by(stream.len() / 40 + 1) {
            let body =
                [resized(head, stream.len(), stream.len() - cut), stream[..stream.len() - cut].to_vec()].concat();
            let payload = source_mysql::wire::payload::Payload::read(&body).unwrap();
            let mut events = payload.events(1 << 20).unwrap();
            let error = loop {
                match events.next_event() {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            assert!(error.is_some(), "cut by {cut}: nothing was missed");
        }
    }
    assert!(payloads >= 2, "{payloads}");
}

/// The head of a payload with another length of its data, in the same number of bytes.
fn resized(head: &[u8], old: usize, new: usize) -> Vec<u8> {
    let encode = |length: usize| match head.iter().position(|byte| *byte == 252) {
        Some(_) if length > 250 || old > 250 => [&[252][..], &u16::try_from(length).unwrap().to_le_bytes()].concat(),
        _ => vec![u8::try_from(length).unwrap()],
    };
    let (from, to) = (encode(old), encode(new));
    let at = head.windows(from.len()).rposition(|window| window == from).unwrap();
    [&head[..at], &to, &head[at + from.len()..]].concat()
}

#[test]
fn no_byte_can_be_changed_or_cut_unnoticed() {
    for name in ["mysql.minimal", "mariadb-11.8.minimal", "mysql.tags"] {
        let file = fs::read(log::path(&format!("{name}.binlog"))).unwrap();
        let mut decoder = Decoder::new();
        for bytes in log::split(&file) {
            decoder.next_event(bytes).unwrap();
            for at in 0..bytes.len() {
                let mut other = bytes.to_vec();
                other[at] ^= 0x10;
                // The flag of being in use, which is not in the sum, is another bit.
                assert!(decoder.clone().next_event(&other).is_err(), "{name}: byte {at} of {:?}", bytes[4]);
                assert!(decoder.clone().next_event(&bytes[..at]).is_err(), "{name}: cut at {at} of {:?}", bytes[4]);
            }
        }
    }
}

/// With the sum made right again, the events themselves have to notice, or to say something else; never to panic.
#[test]
fn events_with_right_sums_and_wrong_bytes_do_no_harm() {
    let mut refused = 0;
    for name in log::names().iter().filter(|name| !name.contains("charsets")) {
        let file = fs::read(log::path(&format!("{name}.binlog"))).unwrap();
        let mut decoder = Decoder::new();
        for bytes in log::split(&file) {
            decoder.next_event(bytes).unwrap();
            for at in (19..bytes.len().saturating_sub(4)).step_by(bytes.len() / 60 + 1) {
                let mut other = bytes.to_vec();
                other[at] ^= 0xff;
                let end = other.len() - 4;
                let sum = crc32fast::hash(&other[..end]);
                other[end..].copy_from_slice(&sum.to_le_bytes());
                refused += u32::from(decoder.clone().next_event(&other).is_err());
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
