//! The bounded way from the reader thread to the thread that decodes: whole packets in large buffers, which come back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;

/// Size of an ordinary buffer. A larger one was made for one large event and is not kept.
pub(crate) const BUFFER: usize = 256 << 10;

/// Received bytes. The buffer keeps its whole length, so that nothing is ever filled with zeros twice.
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// How many of them count.
    pub(crate) filled: usize,
}

/// What both threads share.
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    taken: Condvar,
    limit: usize,
    closing: AtomicBool,
}

struct Inner {
    chunks: VecDeque<Chunk>,
    /// Size of all in `chunks`: what they cost, not what they hold.
    bytes: usize,
    spare: Vec<Vec<u8>>,
    end: Option<Error>,
    ended: bool,
    /// Somebody has something else for whoever waits here.
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
    pub(crate) fn new(limit: usize) -> Self {
        let inner =
            Inner { chunks: VecDeque::new(), bytes: 0, spare: Vec::new(), end: None, ended: false, nudged: false };
        Self {
            inner: Mutex::new(inner),
            filled: Condvar::new(),
            taken: Condvar::new(),
            limit,
            closing: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the queue whole: every change to it is complete before the lock is given back.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait of whoever takes.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_all();
    }

    /// Waits for a nudge, and takes nothing.
    pub(crate) fn rest(&self, wait: Duration) {
        let inner = self.lock();
        let waited = self.filled.wait_timeout_while(inner, wait, |inner| !inner.nudged);
        waited.unwrap_or_else(PoisonError::into_inner).0.nudged = false;
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.taken.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// A buffer with room for `BUFFER` bytes.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        let spare = self.lock().spare.pop();
        spare.unwrap_or_else(|| vec![0; BUFFER])
    }

    /// Gives a buffer back.
    pub(crate) fn recycle(&self, bytes: Vec<u8>) {
        let mut inner = self.lock();
        if bytes.len() == BUFFER && inner.spare.len() < 4 {
            inner.spare.push(bytes);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().chunks.is_empty()
    }

    /// Hands over, or gives the chunk back when there was no room for `wait`. One that is larger than the limit is taken
    /// when nothing else is there.
    pub(crate) fn push(&self, chunk: Chunk, wait: Duration) -> Result<(), Chunk> {
        let mut inner = self.lock();
        let cost = chunk.bytes.len();
        let full = |inner: &mut Inner| inner.bytes > 0 && inner.bytes + cost > self.limit;
        if full(&mut inner) {
            let waited = self.taken.wait_timeout_while(inner, wait, |inner| full(inner) && !self.is_closing());
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            if full(&mut inner) {
                return Err(chunk);
            }
        }
        inner.bytes += cost;
        inner.chunks.push_back(chunk);
        self.filled.notify_all();
        Ok(())
    }

    /// The reader's last word.
    pub(crate) fn end(&self, error: Error) {
        let mut inner = self.lock();
        (inner.end, inner.ended) = (Some(error), true);
        self.filled.notify_all();
    }

    pub(crate) fn pop(&self, wait: Duration) -> Popped {
        let inner = self.lock();
        let waited = self
            .filled
            .wait_timeout_while(inner, wait, |inner| inner.chunks.is_empty() && !inner.ended && !inner.nudged);
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        if let Some(chunk) = inner.chunks.pop_front() {
            inner.bytes -= chunk.bytes.len();
            self.taken.notify_all();
            return Popped::Chunk(chunk);
        }
        inner.nudged = false;
        match inner.ended {
            false => Popped::Nothing,
            true => Popped::Ended(
                inner.end.take().unwrap_or_else(|| Error::Retry("the stream has ended already".to_owned())),
            ),
        }
    }
}
