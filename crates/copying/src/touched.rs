//! What the log has shown of a table while a chunk of it was being read: keys, and who touched them.

use std::collections::HashMap;

/// What a snapshot shows. `T` is how the log calls a transaction.
pub trait Sees<T> {
    /// Whether a transaction that has committed, as the log tells, is surely in the snapshot.
    fn sees(&self, transaction: &T) -> bool;
}

/// Bytes of a recorded key beside its own.
const OVERHEAD: usize = 64;

/// The keys that transactions touched since a chunk was ordered.
#[derive(Debug)]
pub struct Touched<T> {
    keys: HashMap<Vec<u8>, Vec<Touch<T>>>,
    /// Transactions that emptied the whole table.
    emptied: Vec<T>,
    bytes: usize,
}

impl<T> Default for Touched<T> {
    fn default() -> Self {
        Self { keys: HashMap::new(), emptied: Vec::new(), bytes: 0 }
    }
}

#[derive(Clone, Debug)]
struct Touch<T> {
    transaction: T,
    /// The log did not carry all values of the new row.
    partial: bool,
}

/// What becomes of a row that a chunk has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody touched it after the snapshot: it is published.
    Publish,
    /// The log has shown something newer.
    Drop,
    /// The log has shown something newer, but not all of it: the row is read once more.
    ReadAgain,
}

impl<T: Clone + PartialEq> Touched<T> {
    /// A transaction touched a row. `partial`: the log did not carry all values of the new row.
    pub fn add(&mut self, key: &[u8], transaction: &T, partial: bool) {
        match self.keys.get_mut(key) {
            Some(touches) => match touches.last_mut() {
                Some(last) if last.transaction == *transaction => last.partial |= partial,
                _ => {
                    touches.push(Touch { transaction: transaction.clone(), partial });
                    self.bytes += size_of::<Touch<T>>();
                }
            },
            None => {
                self.bytes += key.len() + OVERHEAD;
                self.keys.insert(key.to_vec(), vec![Touch { transaction: transaction.clone(), partial }]);
            }
        }
    }

    /// A transaction emptied the table.
    pub fn empty(&mut self, transaction: &T) {
        self.emptied.push(transaction.clone());
    }

    /// The rows have come, as `snapshot` shows them: what it sees says nothing about them that they do not show.
    pub fn forget(&mut self, snapshot: &impl Sees<T>) {
        self.emptied.retain(|transaction| !snapshot.sees(transaction));
        self.keys.retain(|_, touches| {
            touches.retain(|touch| !snapshot.sees(&touch.transaction));
            !touches.is_empty()
        });
        let sizes = self
            .keys
            .iter()
            .map(|(key, touches)| key.len() + OVERHEAD + size_of_val(touches.get(1..).unwrap_or_default()));
        self.bytes = sizes.sum();
    }

    /// Nothing was recorded: every row is published.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.emptied.is_empty()
    }

    /// An estimate of the memory in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// For a row that was read in `snapshot`.
    pub fn judge(&self, key: &[u8], snapshot: &impl Sees<T>) -> Verdict {
        if self.emptied.iter().any(|transaction| !snapshot.sees(transaction)) {
            return Verdict::Drop;
        }
        let touches = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let newer = || touches.iter().filter(|touch| !snapshot.sees(&touch.transaction));
        if newer().any(|touch| touch.partial) {
            Verdict::ReadAgain
        } else if newer().next().is_some() {
            Verdict::Drop
        } else {
            Verdict::Publish
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sees all before the first number but those behind it.
    struct Snapshot(u32, &'static [u32]);

    impl Sees<u32> for Snapshot {
        fn sees(&self, transaction: &u32) -> bool {
            *transaction < self.0 && !self.1.contains(transaction)
        }
    }

    #[test]
    fn only_what_the_snapshot_does_not_see_counts() {
        let snapshot = Snapshot(20, &[12]);
        let mut touched = Touched::default();
        touched.add(b"seen", &11, true);
        touched.add(b"running", &12, false);
        touched.add(b"later", &20, false);
        touched.add(b"partly", &11, false);
        touched.add(b"partly", &25, true);
        touched.add(b"partly", &26, false);
        let verdicts =
            ["untouched", "seen", "running", "later", "partly"].map(|key| touched.judge(key.as_bytes(), &snapshot));
        use Verdict::{Drop, Publish, ReadAgain};
        assert_eq!(verdicts, [Publish, Publish, Drop, Drop, ReadAgain]);
        let before = touched.bytes();
        touched.forget(&snapshot);
        let verdicts =
            ["untouched", "seen", "running", "later", "partly"].map(|key| touched.judge(key.as_bytes(), &snapshot));
        assert_eq!(verdicts, [Publish, Publish, Drop, Drop, ReadAgain], "what was forgotten did not matter");
        assert_eq!(before - touched.bytes(), OVERHEAD + "seen".len() + size_of::<Touch<u32>>());
        touched.empty(&11);
        assert_eq!(touched.judge(b"untouched", &snapshot), Publish);
        touched.empty(&30);
        assert_eq!(touched.judge(b"untouched", &snapshot), Drop);
    }
}
