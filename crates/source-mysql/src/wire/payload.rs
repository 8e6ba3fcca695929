//! TRANSACTION_PAYLOAD (40): a whole transaction, its events behind one another in a zstd stream.
//!
//! A transaction can be much larger than memory should be, so the stream is decompressed event by event into one buffer.
//! The size that the head announces is the server's word: never is more taken than it says, and less is an error, as is a
//! stream that breaks off. So the transaction comes whole or not at all.

use std::io::Read;

use super::header::{self, Header};
use super::reader::{Reader, WireError};

/// How the events are packed (`libs/mysql/binlog/event/compression/base.h`, `type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Zstd,
    None,
}

/// A packed transaction (`control_events.h`, `Transaction_payload_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    pub compression: Compression,
    /// Bytes of the events, unpacked.
    pub size: u64,
    data: &'a [u8],
}

/// The window that zstd may ask for: 128 MiB, the most that its own tools accept unasked.
const WINDOW_LOG: u32 = 27;

impl<'a> Payload<'a> {
    /// Reads the body: numbered fields (number, length, value) up to the number 0, then the data.
    ///
    /// # Errors
    ///
    /// Unknown fields or compression, a field that is not there, other data than announced.
    pub fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("transaction payload", body);
        let (mut packed, mut compression, mut unpacked) = (None, None, None);
        loop {
            let field = reader.lenenc()?;
            if field == 0 {
                break;
            }
            let bytes = reader.lenenc_bytes()?;
            let mut value = Reader::new("field of a transaction payload", bytes);
            let number = value.lenenc()?;
            value.end()?;
            match field {
                1 => packed = Some(number),
                2 => compression = Some(number),
                3 => unpacked = Some(number),
                number => return Err(WireError::Unknown { what: "field of a transaction payload", number }),
            }
        }
        let missing = |missing| WireError::Missing { what: "transaction payload", missing };
        let compression = match compression.ok_or_else(|| missing("its compression"))? {
            0 => Compression::Zstd,
            255 => Compression::None,
            number => return Err(WireError::Unknown { what: "compression of a transaction payload", number }),
        };
        let packed = packed.ok_or_else(|| missing("its size"))?;
        let size = match compression {
            Compression::Zstd => unpacked.ok_or_else(|| missing("its unpacked size"))?,
            Compression::None => unpacked.unwrap_or(packed),
        };
        let data = reader.take(usize::try_from(packed).unwrap_or(usize::MAX))?;
        reader.end()?;
        Ok(Self { compression, size, data })
    }

    /// The events in order. `limit` bounds one event, not all of them.
    ///
    /// # Errors
    ///
    /// No memory for the decompressor.
    pub fn events(&self, limit: usize) -> Result<Events<'a>, WireError> {
        let source = match self.compression {
            Compression::None => Source::Plain(self.data),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(self.data).and_then(|mut decoder| {
                    decoder.window_log_max(WINDOW_LOG)?;
                    Ok(decoder)
                });
                Source::Zstd(Box::new(decoder.map_err(|error| broken(&error))?))
            }
        };
        Ok(Events { source, left: self.size, limit, event: Vec::new() })
    }
}

fn broken(error: &std::io::Error) -> WireError {
    WireError::Compression { what: "transaction payload", problem: error.to_string() }
}

enum Source<'a> {
    Plain(&'a [u8]),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'a [u8]>>),
}

/// The events of a payload, one after the other.
pub struct Events<'a> {
    source: Source<'a>,
    /// Bytes that were announced and have not come.
    left: u64,
    limit: usize,
    event: Vec<u8>,
}

impl Events<'_> {
    /// The next event, header included and without a checksum: inside a payload there is none. It stays until the next
    /// call. None once all that was announced has come.
    ///
    /// # Errors
    ///
    /// Data that cannot be decompressed, that ends too early or goes on too long, an event beyond the limit. After an
    /// error there is no next event.
    pub fn next_event(&mut self) -> Result<Option<&[u8]>, WireError> {
        const WHAT: &str = "event in a transaction payload";
        self.event.clear();
        if self.left == 0 {
            // The end of the stream has to be where the events end.
            return match self.fill(1)? {
                0 => Ok(None),
                _ => Err(WireError::LeftOver { what: "transaction payload", left: 1 }),
            };
        }
        let head = u64::try_from(header::LENGTH).unwrap_or(0);
        self.exactly(head)?;
        let length = u64::from(Header::read(&self.event)?.length);
        let most = u64::try_from(self.limit).unwrap_or(u64::MAX);
        if length > most {
            return Err(WireError::Range { what: WHAT, number: length, least: head, most });
        }
        self.exactly(length.saturating_sub(head))?;
        Ok(Some(&self.event))
    }

    /// Adds so many bytes to the event.
    fn exactly(&mut self, count: u64) -> Result<(), WireError> {
        let short = |left: u64| WireError::Short {
            what: "transaction payload",
            at: 0,
            wanted: usize::try_from(count).unwrap_or(usize::MAX),
            left: usize::try_from(left).unwrap_or(usize::MAX),
        };
        if count > self.left {
            return Err(short(self.left));
        }
        let came = self.fill(count)?;
        self.left = self.left.saturating_sub(came);
        if came == count { Ok(()) } else { Err(short(came)) }
    }

    /// The buffer grows with what really comes, not with what was announced.
    fn fill(&mut self, count: u64) -> Result<u64, WireError> {
        let came = match &mut self.source {
            Source::Plain(data) => data.by_ref().take(count).read_to_end(&mut self.event),
            Source::Zstd(decoder) => decoder.by_ref().take(count).read_to_end(&mut self.event),
        };
        came.map(|came| u64::try_from(came).unwrap_or(u64::MAX)).map_err(|error| {
            self.left = 0;
            broken(&error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &[u8]) -> Vec<u8> {
        let mut event = vec![0; header::LENGTH];
        event[4] = 16;
        event[9..13].copy_from_slice(&u32::try_from(header::LENGTH + body.len()).unwrap().to_le_bytes());
        event.extend(body);
        event
    }

    fn payload(plain: &[u8], announced: u32, cut: usize) -> Vec<u8> {
        let packed = zstd::encode_all(plain, 3).unwrap();
        let packed = &packed[..packed.len() - cut];
        let mut body = vec![2, 1, 0, 1, 1, u8::try_from(packed.len()).unwrap(), 3, 4, 253];
        body.extend(&announced.to_le_bytes()[..3]);
        body.push(0);
        body.extend(packed);
        body
    }

    fn all(body: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, WireError> {
        let mut events = Payload::read(body)?.events(limit)?;
        let mut found = Vec::new();
        while let Some(event) = events.next_event()? {
            found.push(event.to_vec());
        }
        Ok(found)
    }

    #[test]
    fn events_come_one_by_one() {
        let (one, two) = (event(b"abc"), event(&[7; 5000]));
        let plain = [&one[..], &two[..]].concat();
        let size = u32::try_from(plain.len()).unwrap();
        assert_eq!(all(&payload(&plain, size, 0), 10_000), Ok(vec![one, two]));
        assert!(matches!(all(&payload(&plain, size, 0), 5000), Err(WireError::Range { .. })));
        for announced in [size - 1, size + 1, 22, 5] {
            assert!(all(&payload(&plain, announced, 0), 10_000).is_err(), "{announced}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_an_error() {
        let plain = event(b"some bytes that do not shrink: 0123456789");
        let size = u32::try_from(plain.len()).unwrap();
        for cut in 1..20 {
            assert!(all(&payload(&plain, size, cut), 10_000).is_err(), "{cut}");
        }
        let mut broken = payload(&plain, size, 0);
        broken[14] ^= 0xff;
        assert!(all(&broken, 10_000).is_err());
    }

    #[test]
    fn heads_are_strict() {
        assert!(Payload::read(&[0]).is_err());
        assert!(matches!(Payload::read(&[2, 1, 7, 1, 1, 0, 0]), Err(WireError::Unknown { number: 7, .. })));
        assert!(Payload::read(&[9, 1, 0, 0]).is_err());
        let mut body = vec![2, 3, 252, 255, 0, 1, 1, 22, 0];
        body.extend(event(b"abc"));
        assert_eq!(all(&body, 100).unwrap().len(), 1);
        assert!(Payload::read(&body[..body.len() - 1]).is_err());
        assert!(Payload::read(&[&body[..], &[0]].concat()).is_err());
    }
}
