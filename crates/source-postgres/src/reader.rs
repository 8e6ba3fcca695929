//! The reader thread: owns the replication socket, hands on whole frames, and keeps the server content.
//!
//! It never waits for the consumer without an end: while the queue is full it goes on sending feedback on its own timer,
//! so back-pressure reaches the server (its socket fills) and never costs the connection. What it tells the server to
//! forget is only what was confirmed, never what it received.
//!
//! PostgreSQL's sender makes one system call a row, and each wakes an eager reader on another CPU, which halves the
//! sender's speed. So while bytes pour in, the socket only wakes us once `SATURATED` bytes are there (or at the receive
//! timeout); while they trickle, at once. Unix sockets ignore that mark for wake-ups: there a short sleep does the same.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use transport::{Transport, closed, is_timeout};

use crate::connection::server_error;
use crate::error::Error;
use crate::lsn::Lsn;
use crate::queue::{BUFFER, Chunk, Queue};
use crate::wire::WireError;
use crate::wire::frame::{self, Copied, HEADER, Split};

const DOING: &str = "streaming";
/// Longest wait for bytes, and so for noticing a confirmation or a stop.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(10);
/// Low-water mark while bytes pour in.
const SATURATED: u32 = 64 << 10;
/// A read of so many bytes says that they pour in.
const POURING: usize = 32 << 10;
const UNIX_NAP: Duration = Duration::from_micros(40);
/// A confirmation is told to the server at most this much later.
const PROMPT: Duration = Duration::from_millis(50);
/// How long the server may take to end its side after we ended ours.
const GOODBYE: Duration = Duration::from_secs(1);
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(crate) const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// What the reader obeys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Feedback is sent at least this often.
    pub(crate) feedback: Duration,
    /// Without a byte for this long the connection is dead.
    pub(crate) deadline: Duration,
}

pub(crate) struct StreamReader {
    transport: Transport,
    queue: Arc<Queue>,
    pace: Pace,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were received.
    filled: usize,
    /// Bytes of `buffer` that are whole frames.
    whole: usize,
    /// The frame behind `whole` needs so many bytes.
    need: usize,
    received: Lsn,
    told: Lsn,
    last_told: Instant,
    last_byte: Instant,
    asked: bool,
    reply_wanted: bool,
    pouring: bool,
}

impl StreamReader {
    pub(crate) fn new(transport: Transport, early: &[u8], queue: Arc<Queue>, pace: Pace, from: Lsn) -> Self {
        let now = Instant::now();
        let mut buffer = vec![0; BUFFER.max(early.len())];
        let filled = early.len();
        buffer[..filled].copy_from_slice(early);
        Self {
            transport,
            queue,
            pace,
            buffer,
            filled,
            whole: 0,
            need: HEADER,
            received: from,
            told: from,
            last_told: now,
            last_byte: now,
            asked: false,
            reply_wanted: true,
            pouring: false,
        }
    }

    /// Runs until the connection ends or the queue is closed; the reason is the queue's last entry.
    pub(crate) fn run(mut self) {
        let end = self.stream();
        let error = match end {
            Ok(()) => {
                self.goodbye();
                Error::Retry("the source was closed".to_owned())
            }
            Err(error) => error,
        };
        self.queue.end(error);
    }

    fn stream(&mut self) -> Result<(), Error> {
        self.transport.set_timeouts(RECEIVE_TIMEOUT, self.pace.deadline).map_err(Error::network("setting timeouts"))?;
        self.find_frames()?;
        while !self.queue.is_closing() {
            self.hand_over()?;
            self.receive()?;
            self.find_frames()?;
            self.feed_back()?;
        }
        Ok(())
    }

    /// Whole frames go to the queue when the consumer waits for them, or when the buffer is full.
    fn hand_over(&mut self) -> Result<(), Error> {
        let full = self.filled + HEADER >= BUFFER || self.need > BUFFER;
        if self.whole == 0 || !(full || self.queue.is_empty()) {
            return Ok(());
        }
        let next = self.queue.buffer();
        let mut chunk = Chunk { bytes: std::mem::replace(&mut self.buffer, next.bytes), filled: self.whole };
        let rest = self.whole..self.filled;
        self.filled = rest.len();
        if self.buffer.len() < self.filled {
            self.buffer.resize(self.filled, 0);
        }
        self.buffer[..self.filled].copy_from_slice(&chunk.bytes[rest]);
        self.whole = 0;
        while let Err(back) = self.queue.push(chunk, PROMPT) {
            if self.queue.is_closing() {
                return Ok(());
            }
            chunk = back;
            // Nobody reads the socket now: its silence says nothing about the server.
            self.last_byte = Instant::now();
            self.feed_back()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), Error> {
        let start = self.filled;
        // A frame that is larger than a buffer gets a buffer of its own size, which grows as its bytes really arrive.
        let room = if self.whole == 0 && self.need > BUFFER { self.need.min(start + 8 * BUFFER) } else { BUFFER };
        if start >= room {
            return Ok(());
        }
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let mut end = start;
        let outcome = loop {
            let read = self.transport.read(&mut self.buffer[end..room]);
            match read {
                Ok(0) => break Err(Error::Network { doing: DOING.to_owned(), error: closed() }),
                Ok(count) => end += count,
                Err(error) if is_timeout(&error) => break Ok(()),
                Err(error) => break Err(Error::network(DOING)(error)),
            }
            if end == room || !self.transport.holds_bytes() {
                break Ok(());
            }
        };
        self.filled = end;
        self.after_read(end - start)?;
        // Bytes that came before the end may hold the server's reason for it.
        if end > start { self.find_frames().and(outcome) } else { outcome }
    }

    fn after_read(&mut self, count: usize) -> Result<(), Error> {
        if count > 0 {
            self.last_byte = Instant::now();
            self.asked = false;
        }
        if self.transport.is_unix() {
            if count > 0 && count < POURING && self.whole > 0 {
                std::thread::sleep(UNIX_NAP);
            }
            return Ok(());
        }
        let pouring = count >= POURING;
        if pouring != self.pouring {
            self.pouring = pouring;
            let mark = if pouring { SATURATED } else { 1 };
            self.transport.set_low_water(mark).map_err(Error::network("setting the low-water mark"))?;
        }
        Ok(())
    }

    /// Moves `whole` behind the last whole frame, and notes what the frames ask of us.
    fn find_frames(&mut self) -> Result<(), Error> {
        loop {
            let rest = self.buffer.get(self.whole..self.filled).unwrap_or_default();
            match frame::split(rest).map_err(Error::wire(DOING))? {
                Split::Incomplete { need } => {
                    self.need = need;
                    return Ok(());
                }
                Split::Frame { tag: b'd', body, total } => {
                    match frame::copied(body).map_err(Error::wire(DOING))? {
                        Copied::Wal { start, .. } => self.received = self.received.max(start),
                        Copied::KeepAlive { end, reply } => {
                            self.received = self.received.max(end);
                            self.reply_wanted |= reply;
                        }
                    }
                    self.whole += total;
                }
                Split::Frame { tag, body, total } => {
                    control(tag, body)?;
                    // Not for the consumer.
                    self.buffer.copy_within(self.whole + total..self.filled, self.whole);
                    self.filled -= total;
                }
            }
        }
    }

    /// Tells the server what was received and what is durable: when asked, when that moved, and on the timer.
    fn feed_back(&mut self) -> Result<(), Error> {
        let confirmed = self.queue.confirmed();
        let since = self.last_told.elapsed();
        let silent = self.last_byte.elapsed();
        if silent >= self.pace.deadline {
            return Err(Error::Retry(format!("{DOING}: not a byte from the server for {:?}", self.pace.deadline)));
        }
        let ask = self.queue.take_asked() || (silent >= self.pace.deadline / 2 && !self.asked);
        let moved = confirmed > self.told && since >= PROMPT;
        if self.reply_wanted || ask || moved || since >= self.pace.feedback {
            self.say_status(confirmed, ask)?;
            self.asked |= ask;
        }
        Ok(())
    }

    fn say_status(&mut self, confirmed: Lsn, ask: bool) -> Result<(), Error> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX) - POSTGRES_EPOCH;
        let mut message = vec![b'd', 0, 0, 0, 38, b'r'];
        for lsn in [self.received.max(confirmed), confirmed, confirmed] {
            message.extend(lsn.0.to_be_bytes());
        }
        message.extend(now.to_be_bytes());
        message.push(u8::from(ask));
        self.transport.write_all(&message).map_err(Error::network("sending feedback"))?;
        self.told = confirmed;
        self.last_told = Instant::now();
        self.reply_wanted = false;
        Ok(())
    }

    /// The last feedback, the end of our side, and then whatever the server still sends, up to its end or a second.
    fn goodbye(&mut self) {
        let begin = Instant::now();
        let said = self.say_status(self.queue.confirmed(), false);
        let copy_done = [b'c', 0, 0, 0, 4];
        let terminate = [b'X', 0, 0, 0, 4];
        let told = said.is_ok()
            && self.transport.set_low_water(1).is_ok()
            && self.transport.write_all(&copy_done).is_ok()
            && self.transport.write_all(&terminate).is_ok();
        let mut rest = vec![0; BUFFER];
        while told && begin.elapsed() < GOODBYE {
            match self.transport.read(&mut rest) {
                Ok(0) => break,
                Err(error) if !is_timeout(&error) => break,
                _ => {}
            }
        }
    }
}

/// A frame outside the stream of changes.
fn control(tag: u8, body: &[u8]) -> Result<(), Error> {
    match tag {
        b'E' => Err(Error::Server { doing: DOING.to_owned(), error: server_error(body, DOING)? }),
        b'N' => {
            let notice = server_error(body, DOING)?;
            tracing::debug!(%notice, "notice from the server");
            Ok(())
        }
        b'S' => Ok(()),
        b'c' | b'C' | b'Z' => Err(Error::Retry("the server ended the replication stream".to_owned())),
        number => Err(Error::wire(DOING)(WireError::Unknown { what: "an unexpected message", number })),
    }
}
