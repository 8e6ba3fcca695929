//! Packets: a length of three bytes, a sequence number, the body; a body of 16 MiB or more comes in pieces.
//!
//! Pure functions over a buffer that somebody else fills, so that the stream's thread can use them on a buffer of its own: a
//! packet of one piece, which nearly all are, is never copied.
#![deny(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::panic,
        reason = "tests may"
    )
)]

use std::ops::Range;

use crate::wire::WireError;
use crate::wire::reader::Reader;

/// Length and sequence number.
pub const HEADER: usize = 4;
/// A piece of this length is followed by another one, of which the last may be empty.
pub const PIECE: usize = 0xff_ffff;
/// The longest body: the largest `max_allowed_packet` and what an event has around a row of that size. A packet is held
/// whole, so this is what a hostile or broken server can make a connection take at most.
pub const LONGEST: usize = (1 << 30) + (64 << 10);

/// Errors have a number of their own when the server sends them without being asked (shutdown, kill, timeout).
const ERROR: u8 = 0xff;

/// What the beginning of a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The packet needs this many bytes at least, from the beginning of the buffer.
    Incomplete {
        wanted: usize,
    },
    Packet(Packet),
}

/// A packet that is there in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pieces: usize,
    length: usize,
    /// How many bytes of the buffer it takes.
    pub total: usize,
    /// The sequence number of the packet behind it.
    pub next: u8,
}

impl Packet {
    /// Where the body lies. Of a packet in pieces, they are first moved together over the headers between them: so this can
    /// be asked once.
    pub fn body(&self, buffer: &mut [u8]) -> Range<usize> {
        let (mut from, mut to) = (HEADER, HEADER);
        for _ in 1..self.pieces {
            from = from.saturating_add(PIECE);
            to = to.saturating_add(PIECE);
            let begin = from.saturating_add(HEADER);
            let end = begin.saturating_add(PIECE).min(self.total).min(buffer.len());
            if begin <= end {
                buffer.copy_within(begin..end, to);
            }
            from = begin;
        }
        HEADER..HEADER.saturating_add(self.length)
    }

    pub fn length(&self) -> usize {
        self.length
    }
}

/// Looks for a packet at the beginning of `buffer`. Its first piece has the number `sequence`.
pub fn split(buffer: &[u8], sequence: u8) -> Result<Split, WireError> {
    let (mut at, mut length, mut pieces, mut next) = (0_usize, 0_usize, 0_usize, sequence);
    loop {
        let body = at.saturating_add(HEADER);
        let Some(header) = buffer.get(at..body) else { return Ok(Split::Incomplete { wanted: body }) };
        let mut reader = Reader::new("packet", header);
        let piece = usize::try_from(reader.uint(3)?).unwrap_or(PIECE);
        let number = reader.u8()?;
        if number != next {
            match (pieces, buffer.get(body)) {
                (0, Some(&ERROR)) => {}
                (0, None) if piece > 0 => return Ok(Split::Incomplete { wanted: body.saturating_add(1) }),
                _ => return Err(out_of_turn(number, next)),
            }
        }
        length = length.saturating_add(piece);
        if length > LONGEST {
            return Err(WireError::Range {
                what: "the length of a packet",
                number: u64::try_from(length).unwrap_or(u64::MAX),
                least: 0,
                most: u64::try_from(LONGEST).unwrap_or(u64::MAX),
            });
        }
        at = body.saturating_add(piece);
        pieces = pieces.saturating_add(1);
        next = number.wrapping_add(1);
        if buffer.len() < at {
            return Ok(Split::Incomplete { wanted: at });
        }
        if piece < PIECE {
            return Ok(Split::Packet(Packet { pieces, length, total: at, next }));
        }
    }
}

fn out_of_turn(number: u8, expected: u8) -> WireError {
    WireError::Range {
        what: "the sequence number of a packet",
        number: number.into(),
        least: expected.into(),
        most: expected.into(),
    }
}

/// Puts `body` into `out` as a packet, in as many pieces as it needs. Returns the number of the packet behind it.
pub fn frame(body: &[u8], mut sequence: u8, out: &mut Vec<u8>) -> u8 {
    let mut pieces = body.chunks(PIECE);
    loop {
        let piece = pieces.next().unwrap_or_default();
        let [a, b, c, ..] = u32::try_from(piece.len()).unwrap_or_default().to_le_bytes();
        out.extend_from_slice(&[a, b, c, sequence]);
        out.extend_from_slice(piece);
        sequence = sequence.wrapping_add(1);
        if piece.len() < PIECE {
            return sequence;
        }
    }
}

/// The columns of a row in text form: `None` is NULL.
#[derive(Clone, Debug)]
pub struct Cells<'a>(Reader<'a>);

/// Takes a row's packet apart.
pub fn cells(row: &[u8]) -> Cells<'_> {
    Cells(Reader::new("row", row))
}

impl<'a> Iterator for Cells<'a> {
    type Item = Result<Option<&'a [u8]>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        const NULL: u8 = 0xfb;
        match self.0.peek().first()? {
            &NULL => Some(self.0.u8().map(|_| None)),
            _ => {
                let cell = self.0.lenenc_bytes();
                if cell.is_err() {
                    // what is behind a cell that is cut off is no cell
                    self.0.rest();
                }
                Some(cell.map(Some))
            }
        }
    }
}

/// How a result set ends: by the old packet of five bytes, or by an OK packet with another first byte. Both begin as a row
/// does whose first column is 16 MiB or longer; only that row's packet is.
pub(crate) fn ends_rows(body: &[u8], ok_at_end: bool) -> bool {
    let most = if ok_at_end { PIECE } else { 9 };
    body.first() == Some(&0xfe) && body.len() < most
}

/// The status word of the packet that ends a result set.
pub(crate) fn status(body: &[u8], ok_at_end: bool) -> Result<u16, WireError> {
    let mut reader = Reader::new("end of rows", body);
    reader.u8()?;
    if ok_at_end {
        reader.lenenc()?;
        reader.lenenc()?;
    } else {
        reader.u16()?;
    }
    reader.u16()
}

/// The status word of an OK packet.
pub(crate) fn ok_status(body: &[u8]) -> Result<u16, WireError> {
    status(body, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(buffer: &[u8], sequence: u8) -> Packet {
        match split(buffer, sequence) {
            Ok(Split::Packet(packet)) => packet,
            other => panic!("{other:?}"),
        }
    }

    /// A body whose bytes tell their place.
    fn body(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn a_packet_comes_back() {
        for length in [0, 1, 250, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 1, 2 * PIECE, 2 * PIECE + 5, 3 * PIECE] {
            let body = body(length);
            let mut buffer = Vec::new();
            let next = frame(&body, 254, &mut buffer);
            let all = buffer.len();
            assert_eq!(all, length + HEADER * (length / PIECE + 1));
            buffer.extend_from_slice(&[7, 0, 0]);
            let found = packet(&buffer, 254);
            assert_eq!((found.length(), found.total, found.next), (length, all, next));
            let place = found.body(&mut buffer);
            assert!(buffer[place] == body[..], "{length}");
            assert_eq!(buffer[all..], [7, 0, 0]);
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let mut buffer = Vec::new();
        frame(&body(PIECE), 1, &mut buffer);
        let wanted = |length: usize| split(&buffer[..length], 1);
        assert_eq!(wanted(0), Ok(Split::Incomplete { wanted: 4 }));
        assert_eq!(wanted(3), Ok(Split::Incomplete { wanted: 4 }));
        assert_eq!(wanted(4), Ok(Split::Incomplete { wanted: PIECE + 4 }));
        assert_eq!(wanted(PIECE + 4), Ok(Split::Incomplete { wanted: PIECE + 8 }));
        assert_eq!(packet(&buffer, 1).total, PIECE + 8);
    }

    #[test]
    fn numbers_are_checked() {
        assert!(split(&[1, 0, 0, 3, b'x'], 2).is_err());
        assert!(split(&[0, 0, 0, 3], 2).is_err());
        assert_eq!(split(&[1, 0, 0, 3], 2), Ok(Split::Incomplete { wanted: 5 }));
        // an error that nobody asked for
        assert_eq!(packet(&[3, 0, 0, 0, 0xff, 1, 2], 9).next, 1);
    }

    #[test]
    fn a_packet_has_a_limit() {
        let mut buffer = Vec::new();
        for number in 0..64 {
            buffer.extend_from_slice(&[0xff, 0xff, 0xff, number]);
            buffer.resize(buffer.len() + PIECE, 1);
        }
        let announced = LONGEST - 64 * PIECE;
        let [a, b, c, ..] = (announced as u32).to_le_bytes();
        buffer.extend_from_slice(&[a, b, c, 64]);
        assert!(matches!(split(&buffer, 0), Ok(Split::Incomplete { .. })));
        let at = buffer.len() - HEADER;
        buffer[at..].copy_from_slice(&[0xff, 0xff, 0xff, 64]);
        assert!(matches!(split(&buffer, 0), Err(WireError::Range { .. })));
    }

    #[test]
    fn rows() {
        let columns: Vec<_> = cells(b"\x03abc\xfb\x00").map(Result::unwrap).collect();
        assert_eq!(columns, [Some(&b"abc"[..]), None, Some(b"")]);
        let broken: Vec<_> = cells(b"\x03ab").collect();
        assert!(matches!(broken[..], [Err(_)]));
        assert!(ends_rows(&[0xfe, 0, 0, 2, 0], false) && ends_rows(&[0xfe, 0, 0, 2, 0, 0, 0], true));
        assert!(!ends_rows(&[0xfe, 0, 0, 0, 1, 0, 0, 0, 0, 0], false));
        assert!(!ends_rows(&vec![0xfe; PIECE], true));
        assert_eq!(status(&[0xfe, 0, 0, 2, 0], false), Ok(2));
        assert_eq!(status(&[0xfe, 0, 0, 8, 1, 0, 0], true), Ok(0x108));
    }

    proptest! {
        #[test]
        fn any_bytes(mut bytes: Vec<u8>, sequence: u8) {
            if let Ok(Split::Packet(packet)) = split(&bytes, sequence) {
                prop_assert!(packet.total <= bytes.len());
                let body = packet.body(&mut bytes);
                prop_assert!(bytes.get(body).is_some());
            }
            prop_assert!(cells(&bytes).count() <= bytes.len());
        }
    }
}
