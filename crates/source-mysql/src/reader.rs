//! The reader thread: owns the socket that the binlog comes through, and hands on whole packets.
//!
//! A packet has a head of three bytes of length and one that counts packets. An event of 16 MiB or more comes in several,
//! which are put together here, in a buffer that grows as the bytes arrive: so an event is the largest thing that is ever
//! held whole (the server allows 1 GiB, `max_allowed_packet`). What is handed on has heads of our own: the length as four
//! bytes, in the place of the old head.
//!
//! The server sends a heartbeat when it has nothing else to say, so silence means that the connection is dead. While the
//! queue is full nobody reads the socket, and its silence says nothing.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use transport::{Transport, closed, is_timeout};

use crate::error::{Error, ServerError};
use crate::queue::{BUFFER, Chunk, Queue};

const DOING: &str = "streaming the binlog";
/// Bytes of a packet's head, the server's and ours.
pub(crate) const HEAD: usize = 4;
/// A packet of this length goes on in the next one (manual: "MySQL Packets").
const LARGEST: usize = 0x00ff_ffff;
/// The server's largest event, and what stands around it.
const MOST: usize = (1 << 30) + (1 << 20);
/// Longest wait for bytes, and so for noticing a stop.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(10);
/// How often a full queue is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// Low-water mark while bytes pour in.
const SATURATED: u32 = 64 << 10;
/// A read of so many bytes says that they pour in.
const POURING: usize = 32 << 10;

pub(crate) struct StreamReader {
    transport: Transport,
    queue: Arc<Queue>,
    /// Without a byte for this long the connection is dead.
    deadline: Duration,
    packets: Packets,
    last_byte: Instant,
    pouring: bool,
}

impl StreamReader {
    pub(crate) fn new(transport: Transport, early: &[u8], queue: Arc<Queue>, deadline: Duration) -> Self {
        let packets = Packets::new(early);
        Self { transport, queue, deadline, packets, last_byte: Instant::now(), pouring: false }
    }

    /// Runs until the connection ends or the queue is closed; the reason is the queue's last entry.
    pub(crate) fn run(mut self) {
        let error = match self.stream() {
            Ok(()) => Error::Retry("the source was closed".to_owned()),
            Err(error) => error,
        };
        self.queue.end(error);
    }

    fn stream(&mut self) -> Result<(), Error> {
        self.transport.set_timeouts(RECEIVE_TIMEOUT, self.deadline).map_err(Error::network("setting timeouts"))?;
        let mut end = self.packets.find();
        loop {
            // Whatever came before the end of the stream is still worth something.
            self.hand_over(end.is_err());
            end?;
            if self.queue.is_closing() {
                return Ok(());
            }
            end = self.receive();
        }
    }

    /// Whole packets go to the queue when the consumer waits for them, or when the buffer is full.
    fn hand_over(&mut self, last: bool) {
        let packets = &mut self.packets;
        if packets.whole == 0 || !(last || packets.is_full() || self.queue.is_empty()) {
            return;
        }
        let mut chunk = packets.take(self.queue.buffer());
        while let Err(back) = self.queue.push(chunk, AGAIN) {
            if self.queue.is_closing() {
                return;
            }
            chunk = back;
            self.last_byte = Instant::now();
        }
    }

    fn receive(&mut self) -> Result<(), Error> {
        let room = self.packets.room();
        let mut count = 0;
        let outcome = loop {
            let Some(free) = room.get_mut(count..).filter(|free| !free.is_empty()) else { break Ok(()) };
            match self.transport.read(free) {
                Ok(0) => break Err(Error::Network { doing: DOING.to_owned(), error: closed() }),
                Ok(more) => count += more,
                Err(error) if is_timeout(&error) => break Ok(()),
                Err(error) => break Err(Error::network(DOING)(error)),
            }
            if !self.transport.holds_bytes() {
                break Ok(());
            }
        };
        self.packets.filled += count;
        if count > 0 {
            self.last_byte = Instant::now();
        } else if outcome.is_ok() && self.last_byte.elapsed() >= self.deadline {
            return Err(Error::Retry(format!("{DOING}: not a byte from the server for {:?}", self.deadline)));
        }
        self.pour(count >= POURING)?;
        // Bytes that came before the end may hold the server's reason for it.
        self.packets.find().and(outcome)
    }

    /// While bytes pour in, the socket wakes us for many at once.
    fn pour(&mut self, pouring: bool) -> Result<(), Error> {
        if pouring == self.pouring || self.transport.is_unix() {
            return Ok(());
        }
        self.pouring = pouring;
        let mark = if pouring { SATURATED } else { 1 };
        self.transport.set_low_water(mark).map_err(Error::network("setting the low-water mark"))
    }
}

/// Received bytes on their way to whole packets.
struct Packets {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were received.
    filled: usize,
    /// Bytes of `buffer` that are whole packets, with heads of our own.
    whole: usize,
    /// Bytes of the packet behind `whole` that lie together already, where it comes in several.
    joined: usize,
    /// The packet behind `whole` needs so many bytes.
    need: usize,
    /// Number of the next packet.
    sequence: u8,
}

impl Packets {
    /// The server's answer to a command begins with number 1.
    fn new(early: &[u8]) -> Self {
        let mut buffer = vec![0; BUFFER.max(early.len())];
        if let Some(begin) = buffer.get_mut(..early.len()) {
            begin.copy_from_slice(early);
        }
        Self { buffer, filled: early.len(), whole: 0, joined: 0, need: HEAD, sequence: 1 }
    }

    fn is_full(&self) -> bool {
        self.filled + HEAD >= BUFFER || self.need > BUFFER
    }

    /// All whole packets, with a new buffer for the rest.
    fn take(&mut self, next: Vec<u8>) -> Chunk {
        let bytes = std::mem::replace(&mut self.buffer, next);
        let rest = bytes.get(self.whole..self.filled).unwrap_or_default();
        if self.buffer.len() < rest.len() {
            self.buffer.resize(rest.len(), 0);
        }
        if let Some(begin) = self.buffer.get_mut(..rest.len()) {
            begin.copy_from_slice(rest);
        }
        let filled = std::mem::take(&mut self.whole);
        self.filled = rest.len();
        Chunk { bytes, filled }
    }

    /// Where the next bytes go. A packet larger than a buffer gets one of its own size, which grows as its bytes arrive.
    fn room(&mut self) -> &mut [u8] {
        let large = self.whole == 0 && self.need > BUFFER;
        let end = if large { self.need.min(self.filled + 8 * BUFFER) } else { BUFFER };
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        self.buffer.get_mut(self.filled..end).unwrap_or_default()
    }

    /// Moves `whole` behind the last whole packet.
    fn find(&mut self) -> Result<(), Error> {
        loop {
            let at = if self.joined > 0 { self.whole + HEAD + self.joined } else { self.whole };
            let received = self.buffer.get(at..self.filled).unwrap_or_default();
            let Some((&[low, middle, high, number], rest)) = received.split_first_chunk::<HEAD>() else {
                self.need = at + HEAD - self.whole;
                return Ok(());
            };
            let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
            if number != self.sequence {
                let what = format!("{DOING}: packet {number} came where {} was due", self.sequence);
                return Err(Error::Retry(what));
            }
            if rest.len() < length {
                self.need = at + HEAD + length - self.whole;
                return Ok(());
            }
            self.sequence = number.wrapping_add(1);
            if self.joined > 0 {
                self.buffer.copy_within(at + HEAD..self.filled, at);
                self.filled -= HEAD;
            }
            self.joined += length;
            if self.joined > MOST {
                let help = "please report this with the server's version";
                return Err(Error::stop(format!("{DOING}: an event of more than {MOST} bytes"), help));
            }
            if length < LARGEST {
                self.complete()?;
            }
        }
    }

    /// The packet behind `whole` is there.
    fn complete(&mut self) -> Result<(), Error> {
        let length = std::mem::take(&mut self.joined);
        let begin = self.whole + HEAD;
        let packet = self.buffer.get(begin..begin + length).unwrap_or_default();
        if let Some(error) = ServerError::of_packet(packet) {
            return Err(Error::Server { doing: DOING.to_owned(), error });
        }
        match packet.first() {
            Some(0) => {}
            Some(0xfe) if length < 9 => return Err(Error::Retry("the server ended the stream".to_owned())),
            first => {
                let what = format!("{DOING}: a packet that begins with {first:?} is not understood");
                return Err(Error::stop(what, "please report this with the server's version"));
            }
        }
        let head = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(place) = self.buffer.get_mut(self.whole..begin) {
            place.copy_from_slice(&head);
        }
        self.whole = begin + length;
        Ok(())
    }
}

/// The packet at the beginning of `bytes`, without the byte that says that it is an event, and its whole length.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let length = usize::try_from(u32::from_le_bytes(*head)).ok()?;
    Some((rest.get(1..length)?, HEAD + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&length[..3], &[number], payload].concat()
    }

    /// Feeds the bytes in pieces of this size and returns the events.
    fn events(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Error> {
        let mut packets = Packets::new(&[]);
        let mut events = Vec::new();
        let mut left = bytes;
        while !left.is_empty() {
            let room = packets.room();
            let count = left.len().min(piece).min(room.len());
            room[..count].copy_from_slice(&left[..count]);
            left = &left[count..];
            packets.filled += count;
            packets.find()?;
            if packets.is_full() || left.is_empty() {
                let chunk = packets.take(vec![0; BUFFER]);
                let mut rest = &chunk.bytes[..chunk.filled];
                while let Some((event, total)) = split(rest) {
                    events.push(event.to_vec());
                    rest = &rest[total..];
                }
                assert!(rest.is_empty());
            }
        }
        Ok(events)
    }

    #[test]
    fn packets_in_any_pieces() {
        let bytes = [packet(1, b"\0one"), packet(2, b"\0"), packet(3, b"\0three")].concat();
        for piece in [1, 2, 3, 5, 8, 100] {
            assert_eq!(events(&bytes, piece).unwrap(), [&b"one"[..], b"", b"three"], "{piece}");
        }
    }

    #[test]
    fn large_events_come_in_several_packets() {
        for extra in [0, 1, 70_000] {
            let mut event: Vec<u8> = (0..2 * LARGEST + extra).map(|at| (at % 251) as u8).collect();
            event[0] = 0;
            let bytes = [
                packet(1, b"\0before"),
                packet(2, &event[..LARGEST]),
                packet(3, &event[LARGEST..2 * LARGEST]),
                packet(4, &event[2 * LARGEST..]),
                packet(5, b"\0after"),
            ]
            .concat();
            let found = events(&bytes, 1 << 20).unwrap();
            assert_eq!(found.len(), 3, "{extra}");
            assert!(found[0] == b"before" && found[1] == event[1..] && found[2] == b"after", "{extra}");
        }
    }

    #[test]
    fn what_is_no_event_ends_the_stream() {
        for (bytes, words) in [
            (packet(2, b"\0early"), "packet 2 came where 1 was due"),
            (packet(1, b"\x02what"), "Some(2) is not understood"),
            (packet(1, b""), "None is not understood"),
            (packet(1, b"\xfe\0\0\x02\0"), "the server ended the stream"),
            (packet(1, b"\xff\xd4\x04#HY000no such file"), "no such file"),
        ] {
            let error = events(&bytes, 100).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
