//! The copies of tables as seen from outside: how far they are, and what a person wishes of them.
//!
//! A source shows and obeys, whoever looks from outside (a status page, a command) reads and asks. Neither waits for the
//! other: the source takes the wishes between two of its steps, and answers each one when it is durable.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::TableName;

/// What a copy is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyState {
    /// Other tables come first.
    #[default]
    Waiting,
    Copying,
    /// A person paused it.
    Paused,
    Complete,
}

impl CopyState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Copying => "copying",
            Self::Paused => "paused",
            Self::Complete => "complete",
        }
    }
}

/// One table's copy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableCopy {
    pub state: CopyState,
    /// Rows read so far.
    pub rows: u64,
    /// Rows that the table has, as the database estimates it. `None`: it does not know.
    pub estimate: Option<u64>,
    /// Since the copy was begun or went on.
    pub rows_per_second: Option<f64>,
}

impl TableCopy {
    /// How much is done, from 0 to 1. An estimate may be too low: then it stays below 1 until the end.
    pub fn share(&self) -> Option<f64> {
        match self.state {
            CopyState::Complete => Some(1.0),
            _ => Some((self.rows as f64 / self.estimate.filter(|&all| all > 0)? as f64).min(0.99)),
        }
    }

    /// How long the rest takes, if all goes on as before. `None` when the estimate was too low.
    pub fn seconds_left(&self) -> Option<f64> {
        let rate = self.rows_per_second.filter(|&rate| rate > 0.0 && self.state == CopyState::Copying)?;
        Some(self.estimate?.checked_sub(self.rows)? as f64 / rate)
    }
}

/// What a person wishes. Tables as `schema.table`, or quoted as SQL quotes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Copy a table again from its first row, as far as `condition` (SQL, as behind `WHERE`) holds.
    Again { table: String, condition: Option<String> },
    /// Stop reading; no table: all that are being copied.
    Pause { table: Option<String> },
    /// Go on behind the last chunk; no table: all that are paused.
    Resume { table: Option<String> },
}

/// What came of a wish: done and durable, or why not.
pub type Answer = Result<String, String>;

/// A wish, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    pub wish: Wish,
    pub answer: Sender<Answer>,
}

/// While no source is there, wishes wait: not without an end, as somebody may ask every minute of a long outage.
const MOST_ASKED: usize = 100;

/// Shared by a source and those who look. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Copies(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    tables: BTreeMap<TableName, TableCopy>,
    asked: Vec<Asked>,
}

impl Copies {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the source: this is where a table's copy is now.
    pub fn show(&self, table: &TableName, copy: TableCopy) {
        let mut inner = self.lock();
        match inner.tables.get_mut(table) {
            Some(known) => *known = copy,
            None => drop(inner.tables.insert(table.clone(), copy)),
        }
    }

    /// For the source: a table has no copy any more.
    pub fn hide(&self, table: &TableName) {
        self.lock().tables.remove(table);
    }

    /// For the source: the wishes since the last call.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.lock().asked)
    }

    /// For the source: it ended before these wishes were durable. They come before those that were asked meanwhile.
    pub fn give_back(&self, mut wishes: Vec<Asked>) {
        let mut inner = self.lock();
        wishes.append(&mut inner.asked);
        inner.asked = wishes;
    }

    /// For the source, when it begins: what an earlier session has shown of other tables means nothing any more.
    pub fn keep(&self, known: impl Fn(&TableName) -> bool) {
        self.lock().tables.retain(|table, _| known(table));
    }

    /// All copies that the source knows of.
    pub fn all(&self) -> BTreeMap<TableName, TableCopy> {
        self.lock().tables.clone()
    }

    /// Asks the source. The answer comes when the wish is durable, whichever session of the source that is in.
    pub fn ask(&self, wish: Wish) -> Receiver<Answer> {
        let (answer, receiver) = channel();
        let mut inner = self.lock();
        if inner.asked.len() < MOST_ASKED {
            inner.asked.push(Asked { wish, answer });
        } else {
            let refusal = format!("{MOST_ASKED} wishes wait already; ask again when the pipeline is streaming");
            // The receiver is here.
            drop(answer.send(Err(refusal)));
        }
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_wait_in_their_order_and_not_without_an_end() {
        let copies = Copies::default();
        let wish = |n: usize| Wish::Pause { table: Some(n.to_string()) };
        let answers: Vec<_> = (0..MOST_ASKED).map(|n| copies.ask(wish(n))).collect();
        assert!(copies.ask(wish(0)).recv().unwrap().unwrap_err().contains("wait already"));
        let mut first = copies.take_asked();
        let later = copies.ask(wish(MOST_ASKED));
        first.drain(..MOST_ASKED - 2);
        copies.give_back(first);
        let asked: Vec<_> = copies.take_asked().into_iter().map(|asked| asked.wish).collect();
        assert_eq!(asked, [MOST_ASKED - 2, MOST_ASKED - 1, MOST_ASKED].map(wish));
        assert!(answers[0].try_recv().is_err() && later.try_recv().is_err());
    }

    #[test]
    fn a_share_and_the_time_that_is_left() {
        let copy =
            |rows, estimate, rate| TableCopy { state: CopyState::Copying, rows, estimate, rows_per_second: rate };
        let half = copy(50, Some(100), Some(10.0));
        assert_eq!((half.share(), half.seconds_left()), (Some(0.5), Some(5.0)));
        let beyond = copy(150, Some(100), Some(10.0));
        assert_eq!((beyond.share(), beyond.seconds_left()), (Some(0.99), None));
        let unknown = copy(150, None, Some(10.0));
        assert_eq!((unknown.share(), unknown.seconds_left()), (None, None));
        assert_eq!(copy(0, Some(0), None).share(), None);
        assert_eq!(TableCopy { state: CopyState::Complete, ..unknown }.share(), Some(1.0));
    }
}
