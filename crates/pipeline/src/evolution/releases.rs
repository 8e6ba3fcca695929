//! What persons wish of held tables, and the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::known::How;

/// What came of a wish: done and durable, or why not.
pub type Answer = Result<String, String>;

/// A wish, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    /// `schema.table`.
    pub(crate) table: String,
    pub(crate) how: How,
    answer: Sender<Answer>,
}

impl Asked {
    /// Whoever asked may be gone.
    pub(crate) fn answer(self, answer: Answer) {
        drop(self.answer.send(answer));
    }
}

/// While nothing streams, wishes wait: not without an end.
const MOST_ASKED: usize = 100;

/// Shared by the engine and whoever asks. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Releases(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// For the engine, which looks after every batch.
    any: AtomicBool,
    asked: Mutex<Vec<Asked>>,
}

impl Releases {
    fn lock(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks that a held table goes on. The answer comes when it is in the checkpoint.
    pub fn ask(&self, table: &str, how: How) -> Receiver<Answer> {
        let (answer, receiver) = channel();
        let mut asked = self.lock();
        let wish = Asked { table: table.to_owned(), how, answer };
        if asked.len() < MOST_ASKED {
            asked.push(wish);
            self.0.any.store(true, Ordering::Release);
        } else {
            wish.answer(Err(format!("{MOST_ASKED} wishes wait already; ask again when the pipeline is streaming")));
        }
        receiver
    }

    pub(crate) fn take(&self) -> Vec<Asked> {
        if !self.0.any.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut self.lock())
    }

    /// The session ended before these were durable.
    pub(crate) fn give_back(&self, mut wishes: Vec<Asked>) {
        let mut asked = self.lock();
        wishes.append(&mut asked);
        *asked = wishes;
        self.0.any.store(!asked.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_wait_in_their_order() {
        let releases = Releases::default();
        assert!(releases.take().is_empty());
        let answers: Vec<_> = (0..MOST_ASKED).map(|n| releases.ask(&n.to_string(), How::Accept)).collect();
        let refused = releases.ask("more", How::Accept).recv().unwrap();
        assert!(refused.unwrap_err().contains("wait already"));
        let mut taken = releases.take();
        let later = releases.ask("later", How::NewVersion);
        for one in taken.drain(..MOST_ASKED - 1) {
            one.answer(Ok(String::new()));
        }
        releases.give_back(taken);
        let tables: Vec<_> = releases.take().into_iter().map(|asked| asked.table).collect();
        assert_eq!(tables, [(MOST_ASKED - 1).to_string(), "later".to_owned()]);
        assert!(answers[0].try_recv().unwrap().is_ok() && later.try_recv().is_err());
    }
}
