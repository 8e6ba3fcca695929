//! Whole character sets against the servers' conversion of every code.
//!
//! `testdata/charsets.digests` holds, per set, how many codes MySQL 9.7 converts (`CONVERT(CONVERT(code USING x) USING
//! utf8mb4)`; MariaDB 10.11 and 11.8 gave the same) and the CRC32 over all of them in order: code, `=`, UTF-8, line end.

use std::fs;

use source_mysql::value::charset::Charset;

use crate::log;

#[test]
fn every_code_is_converted_as_the_server_does() {
    let digests = fs::read_to_string(log::path("charsets.digests")).unwrap();
    let mut sets = 0;
    for line in digests.lines() {
        let [name, count, sum] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let charset = Charset::of_name(name).unwrap();
        let (mut converted, mut digest) = (0, crc32fast::Hasher::new());
        for code in codes(charset) {
            let mut text = Vec::new();
            // Two characters of one byte are no code of two.
            let first = &mut Vec::new();
            if code.len() > 1 && charset.append(&code[..1], first).is_some()
                || charset.append(&code, &mut text).is_none()
            {
                continue;
            }
            converted += 1;
            digest.update(&[&code[..], b"=", &text, b"\n"].concat());
        }
        assert_eq!(
            (converted.to_string(), format!("{:08x}", digest.finalize())),
            (count.to_owned(), sum.to_owned()),
            "{name}"
        );
        sets += 1;
    }
    assert_eq!(sets, 34);
}

/// Everything that was asked of the server: codes of one byte, of two, of three after 8F, and of four in gb18030.
fn codes(charset: Charset) -> Vec<Vec<u8>> {
    let mut codes: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    if charset.max_bytes() == 1 {
        return codes;
    }
    codes.extend((0x80..=255).flat_map(|a| (0x20..=255).map(move |b| vec![a, b])));
    if charset.max_bytes() == 3 {
        codes.extend((0xa1..0xff).flat_map(|a| (0xa1..0xff).map(move |b| vec![0x8f, a, b])));
    }
    if charset == Charset::Gb18030 {
        for a in [0x81, 0x82, 0x83, 0x84, 0x90, 0x95, 0xe3, 0xfd] {
            for (b, c) in (0x30..0x3a).flat_map(|b| (0x81..0xff).map(move |c| (b, c))) {
                codes.extend((0x30..0x3a).map(|d| vec![a, b, c, d]));
            }
        }
    }
    codes
}
