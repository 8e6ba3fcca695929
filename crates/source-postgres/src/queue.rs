//! The bounded way from the reader thread to the thread that decodes: whole frames in large buffers, which come back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::lsn::Lsn;

/// Size of an ordinary buffer. A larger one was made for one large message and is not kept.
pub(crate) const BUFFER: usize = 256 << 10;

/// Received bytes. The buffer keeps its whole length, so that nothing is ever filled with zeros twice.
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// How many of them count.
    pub(crate) filled: usize,
}

impl Chunk {
    fn empty() -> Self {
        Self { bytes: vec![0; BUFFER], filled: 0 }
    }
}

/// What both threads share.
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    taken: Condvar,
    limit: usize,
    /// Durable downstream: what the server may forget.
    confirmed: AtomicU64,
    closing: AtomicBool,
    /// Somebody wants to know where the server is.
    asked: AtomicBool,
}

struct Inner {
    chunks: VecDeque<Chunk>,
    /// Size of all in `chunks`: what they cost, not what they hold.
    bytes: usize,
    spare: Vec<Chunk>,
    end: Option<Error>,
    ended: bool,
    nudged: bool,
}

/// What a wait for bytes came to.
pub(crate) enum Popped {
    Chunk(Chunk),
    Nothing,
    /// The reader is gone, and everything it received was taken.
    Ended(Error),
}

impl Queue {
    pub(crate) fn new(limit: usize, confirmed: Lsn) -> Self {
        Self {
            inner: Mutex::new(Inner {
                chunks: VecDeque::new(),
                bytes: 0,
                spare: Vec::new(),
                end: None,
                ended: false,
                nudged: false,
            }),
            filled: Condvar::new(),
            taken: Condvar::new(),
            limit,
            confirmed: AtomicU64::new(confirmed.0),
            closing: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the queue whole: every change to it is complete before the lock is given back.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn confirm(&self, lsn: Lsn) {
        self.confirmed.fetch_max(lsn.0, Ordering::AcqRel);
    }

    pub(crate) fn confirmed(&self) -> Lsn {
        Lsn(self.confirmed.load(Ordering::Acquire))
    }

    /// Lets the server be asked for a keep-alive.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    pub(crate) fn take_asked(&self) -> bool {
        self.asked.swap(false, Ordering::AcqRel)
    }

    /// Ends the wait of [`Queue::pop`]: there is something else to do.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_all();
    }

    /// Waits for a nudge, and takes nothing.
    pub(crate) fn rest(&self, wait: Duration) {
        let mut inner = self.lock();
        if !std::mem::take(&mut inner.nudged) {
            inner = self
                .filled
                .wait_timeout_while(inner, wait, |inner| !inner.nudged)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            inner.nudged = false;
        }
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.taken.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// An empty buffer with room for `BUFFER` bytes.
    pub(crate) fn buffer(&self) -> Chunk {
        let spare = self.lock().spare.pop();
        spare.unwrap_or_else(Chunk::empty)
    }

    /// Gives a buffer back.
    pub(crate) fn recycle(&self, bytes: Vec<u8>) {
        let mut inner = self.lock();
        if bytes.len() == BUFFER && inner.spare.len() < 4 {
            inner.spare.push(Chunk { bytes, filled: 0 });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().chunks.is_empty()
    }

    /// Waits at most `wait` for room; gives the chunk back when there is none. One chunk always fits, whatever its size.
    pub(crate) fn push(&self, chunk: Chunk, wait: Duration) -> Result<(), Chunk> {
        let mut inner = self.lock();
        let full = |inner: &Inner| !inner.chunks.is_empty() && inner.bytes + chunk.bytes.len() > self.limit;
        if full(&inner) {
            inner = self.taken.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0;
            if full(&inner) {
                return Err(chunk);
            }
        }
        inner.bytes += chunk.bytes.len();
        inner.chunks.push_back(chunk);
        self.filled.notify_one();
        Ok(())
    }

    /// The reader's last word.
    pub(crate) fn end(&self, error: Error) {
        let mut inner = self.lock();
        inner.end = Some(error);
        inner.ended = true;
        self.filled.notify_all();
    }

    pub(crate) fn pop(&self, wait: Duration) -> Popped {
        let until = Instant::now() + wait;
        let mut inner = self.lock();
        loop {
            if let Some(chunk) = inner.chunks.pop_front() {
                inner.bytes -= chunk.bytes.len();
                self.taken.notify_one();
                return Popped::Chunk(chunk);
            }
            if inner.ended {
                let over = || Error::Retry("the replication stream is over".to_owned());
                return Popped::Ended(inner.end.take().unwrap_or_else(over));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || std::mem::take(&mut inner.nudged) {
                return Popped::Nothing;
            }
            inner = self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_queues_say_so_and_one_chunk_always_fits() {
        let queue = Queue::new(BUFFER, Lsn(0));
        let chunk = |size| Chunk { bytes: vec![0; size], filled: 0 };
        assert!(queue.push(chunk(4 * BUFFER), Duration::ZERO).is_ok());
        let Err(back) = queue.push(chunk(10), Duration::from_millis(1)) else { panic!("there was room") };
        assert!(matches!(queue.pop(Duration::ZERO), Popped::Chunk(_)));
        assert!(queue.push(back, Duration::ZERO).is_ok());
        queue.end(Error::Retry("over".to_owned()));
        assert!(matches!(queue.pop(Duration::ZERO), Popped::Chunk(_)));
        assert!(matches!(queue.pop(Duration::ZERO), Popped::Ended(_)));
    }

    #[test]
    fn only_ordinary_buffers_are_kept() {
        let queue = Queue::new(BUFFER, Lsn(0));
        queue.recycle(vec![0; 8 * BUFFER]);
        assert_eq!(queue.buffer().bytes.len(), BUFFER);
    }

    #[test]
    fn confirmations_never_go_back() {
        let queue = Queue::new(BUFFER, Lsn(5));
        queue.confirm(Lsn(3));
        assert_eq!(queue.confirmed(), Lsn(5));
    }
}
