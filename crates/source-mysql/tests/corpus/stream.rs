//! What the servers send to a replica (`testdata/stream.py`): the artificial rotate event before the format description,
//! with and without a checksum, and heartbeats.

use std::fs;

use source_mysql::wire::event::{Decoder, Event};
use source_mysql::wire::header::EventType;
use source_mysql::wire::reader::Reader;

use crate::log;

fn packets(name: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(log::path(&format!("{name}.stream"))).unwrap();
    let mut reader = Reader::new("stream", &bytes);
    let mut packets = Vec::new();
    while !reader.is_empty() {
        let length = reader.length32().unwrap();
        packets.push(reader.take(length).unwrap().to_vec());
    }
    packets
}

#[test]
fn streams_are_read_from_their_first_packet_to_their_heartbeats() {
    for server in ["mysql", "mariadb-10.11", "mariadb-11.8"] {
        let mut files = Vec::new();
        for checksum in ["CRC32", "NONE"] {
            let name = format!("{server}.{checksum}");
            let (mut decoder, mut kinds) = (Decoder::new(), Vec::new());
            for packet in packets(&name) {
                let (header, event) = decoder.next_event(&packet).unwrap_or_else(|error| panic!("{name}: {error:?}"));
                kinds.push(header.kind);
                match event {
                    Event::Rotate(rotate) => {
                        assert!(header.is_artificial() && rotate.position == 4, "{name}");
                        files.push(rotate.file.to_owned());
                    }
                    Event::Heartbeat(heartbeat) => {
                        assert_eq!(Some(heartbeat.file), files.last().map(String::as_str), "{name}");
                        assert!(heartbeat.position > 200, "{name}");
                    }
                    _ => {}
                }
            }
            assert_eq!(kinds.first(), Some(&EventType::ROTATE), "{name}");
            assert_eq!(kinds.get(1), Some(&EventType::FORMAT_DESCRIPTION), "{name}");
            assert!(
                kinds.contains(&EventType::XID) && kinds.ends_with(&[EventType::HEARTBEAT; 2]),
                "{name}: {kinds:?}"
            );
        }
        assert_eq!(files[0], files[1], "{server}: the name is the same whether there is a checksum or not");
    }
}
