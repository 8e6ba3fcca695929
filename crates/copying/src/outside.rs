//! Between copies and whoever looks at them from outside: what has to become durable, and who is answered then.
//!
//! A wish changes the progress of tables, and that change goes into the checkpoint like any other. Only when it is durable
//! the wish is answered: then it holds, whatever is killed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use change::{Answer, Asked, Copies, TableCopy, TableName};

/// How often the log tells how far copies are.
const TELL: Duration = Duration::from_secs(10);

/// What goes out, and what came in. Tables are numbers here: those of the source's own list.
#[derive(Debug)]
pub struct Outside {
    copies: Copies,
    /// Tables whose progress has to be written although no row of theirs is.
    notes: VecDeque<usize>,
    /// Names of progress that means nothing any more.
    stale: Vec<String>,
    /// Notes were returned that may not be durable yet.
    unsure: bool,
    /// Wishes that are obeyed, but not durable yet, with their answers.
    promised: Vec<(Asked, String)>,
    told: Instant,
}

/// Progress that is to be written although no row is.
#[derive(Debug, PartialEq, Eq)]
pub enum Note {
    /// Of this table.
    Table(usize),
    /// There is none under this name any more.
    Stale(String),
}

impl Outside {
    pub fn new(copies: Copies) -> Self {
        let (notes, stale, promised) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { copies, notes, stale, unsure: false, promised, told: Instant::now() }
    }

    /// Progress under this name is to be forgotten.
    pub fn forget(&mut self, key: String) {
        self.stale.push(key);
    }

    /// Progress of this table is to be written.
    pub fn note(&mut self, table: usize) {
        if !self.notes.contains(&table) {
            self.notes.push_back(table);
        }
    }

    /// An earlier session may have shown tables that are not there any more.
    pub fn show_only(&self, known: impl Fn(&TableName) -> bool) {
        self.copies.keep(known);
    }

    /// Shows where a table is; `None`: it has no copy.
    pub fn show(&self, table: &TableName, copy: Option<TableCopy>) {
        match copy {
            Some(copy) => self.copies.show(table, copy),
            None => self.copies.hide(table),
        }
    }

    /// Whether it is time to say how far copies are.
    pub fn tells(&mut self) -> bool {
        let tells = self.told.elapsed() >= TELL;
        if tells {
            self.told = Instant::now();
        }
        tells
    }

    /// What persons wished since the last call.
    pub fn take_asked(&self) -> Vec<Asked> {
        self.copies.take_asked()
    }

    /// What came of a wish: it is answered at once if it was refused, else when it is durable.
    pub fn promise(&mut self, asked: Asked, verdict: Answer) {
        match verdict {
            Ok(text) => self.promised.push((asked, text)),
            Err(refusal) => answer(&asked, Err(refusal)),
        }
    }

    /// All wishes are looked at. Whether all that was returned so far is durable.
    pub fn obeyed(&mut self) -> bool {
        !self.unsure && self.settle()
    }

    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty() || !self.stale.is_empty()
    }

    /// The next note, which is returned now.
    pub fn next_note(&mut self) -> Option<Note> {
        let note = match self.stale.pop() {
            Some(key) => Note::Stale(key),
            None => Note::Table(self.notes.pop_front()?),
        };
        self.unsure = true;
        Some(note)
    }

    /// All that was returned is durable. Whether nothing waits to be returned either.
    pub fn durable(&mut self) -> bool {
        self.unsure = false;
        self.settle()
    }

    fn settle(&mut self) -> bool {
        let settled = !self.has_notes();
        if settled {
            for (asked, text) in self.promised.drain(..) {
                answer(&asked, Ok(text));
            }
        }
        settled
    }
}

/// A session ends, and the next one reads the checkpoint: whoever was promised something that is not in it is not forgotten.
/// A wish that became durable after all is obeyed twice, which costs some reading and loses nothing.
impl Drop for Outside {
    fn drop(&mut self) {
        self.copies.give_back(self.promised.drain(..).map(|(asked, _)| asked).collect());
    }
}

fn answer(asked: &Asked, answer: Answer) {
    // Whoever asked may be gone.
    drop(asked.answer.send(answer));
}

#[cfg(test)]
mod tests {
    use change::Wish;

    use super::*;

    #[test]
    fn a_wish_is_answered_when_it_is_durable_and_given_back_when_not() {
        let copies = Copies::default();
        let mut outside = Outside::new(copies.clone());
        let wish = || Wish::Pause { table: None };
        let answers = copies.ask(wish());
        for asked in outside.take_asked() {
            outside.note(3);
            outside.note(3);
            outside.promise(asked, Ok("paused".to_owned()));
        }
        assert!(!outside.obeyed() && answers.try_recv().is_err(), "it is not even returned");
        assert_eq!((outside.next_note(), outside.next_note()), (Some(Note::Table(3)), None));
        assert!(!outside.obeyed() && answers.try_recv().is_err(), "it is not durable");
        assert!(outside.durable());
        assert_eq!(answers.try_recv().unwrap(), Ok("paused".to_owned()));
        let answers = copies.ask(wish());
        for asked in outside.take_asked() {
            outside.promise(asked, Err("no".to_owned()));
        }
        assert_eq!(answers.try_recv().unwrap(), Err("no".to_owned()));
        drop(copies.ask(wish()));
        for asked in outside.take_asked() {
            outside.forget("old".to_owned());
            outside.promise(asked, Ok("paused".to_owned()));
        }
        drop(outside);
        assert_eq!(copies.take_asked().len(), 1, "the next session obeys it");
    }
}
