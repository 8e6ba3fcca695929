//! What the log has shown of a table while a chunk of it was being read: keys, and who touched them.

use std::collections::HashMap;

use super::visibility::Visibility;

/// Bytes of a recorded key beside its own.
const OVERHEAD: usize = 64;

/// The keys that transactions touched since a chunk was ordered.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    keys: HashMap<Vec<u8>, Vec<Touch>>,
    /// Transactions that emptied the whole table.
    emptied: Vec<u32>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Touch {
    xid: u32,
    /// The log did not carry all values of the new row.
    partial: bool,
}

/// What becomes of a row that a chunk has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody touched it after the snapshot: it is published.
    Publish,
    /// The log has shown something newer.
    Drop,
    /// The log has shown something newer, but not all of it: the row is read once more.
    ReadAgain,
}

impl Touched {
    /// A transaction touched a row. `partial`: the log did not carry all values of the new row.
    pub(crate) fn add(&mut self, key: &[u8], xid: u32, partial: bool) {
        match self.keys.get_mut(key) {
            Some(touches) => match touches.last_mut() {
                Some(last) if last.xid == xid => last.partial |= partial,
                _ => {
                    touches.push(Touch { xid, partial });
                    self.bytes += size_of::<Touch>();
                }
            },
            None => {
                self.bytes += key.len() + OVERHEAD;
                self.keys.insert(key.to_vec(), vec![Touch { xid, partial }]);
            }
        }
    }

    /// A transaction emptied the table.
    pub(crate) fn empty(&mut self, xid: u32) {
        self.emptied.push(xid);
    }

    /// The rows have come, as `snapshot` shows them: what it sees says nothing about them that they do not show.
    pub(crate) fn forget(&mut self, snapshot: &Visibility) {
        self.emptied.retain(|xid| !snapshot.sees(*xid));
        self.keys.retain(|_, touches| {
            touches.retain(|touch| !snapshot.sees(touch.xid));
            !touches.is_empty()
        });
        let sizes = self.keys.iter().map(|(key, touches)| key.len() + OVERHEAD + size_of_val(&touches[1..]));
        self.bytes = sizes.sum();
    }

    /// Nothing was recorded: every row is published.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.emptied.is_empty()
    }

    /// An estimate of the memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// For a row that was read in `snapshot`.
    pub(crate) fn judge(&self, key: &[u8], snapshot: &Visibility) -> Verdict {
        if self.emptied.iter().any(|xid| !snapshot.sees(*xid)) {
            return Verdict::Drop;
        }
        let touches = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let newer = || touches.iter().filter(|touch| !snapshot.sees(touch.xid));
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

    #[test]
    fn only_what_the_snapshot_does_not_see_counts() {
        let snapshot: Visibility = "10:20:12".parse().unwrap();
        let mut touched = Touched::default();
        touched.add(b"seen", 11, true);
        touched.add(b"running", 12, false);
        touched.add(b"later", 20, false);
        touched.add(b"partly", 11, false);
        touched.add(b"partly", 25, true);
        touched.add(b"partly", 26, false);
        let verdicts =
            ["untouched", "seen", "running", "later", "partly"].map(|key| touched.judge(key.as_bytes(), &snapshot));
        use Verdict::{Drop, Publish, ReadAgain};
        assert_eq!(verdicts, [Publish, Publish, Drop, Drop, ReadAgain]);
        let before = touched.bytes();
        touched.forget(&snapshot);
        let verdicts =
            ["untouched", "seen", "running", "later", "partly"].map(|key| touched.judge(key.as_bytes(), &snapshot));
        assert_eq!(verdicts, [Publish, Publish, Drop, Drop, ReadAgain], "what was forgotten did not matter");
        assert_eq!(before - touched.bytes(), OVERHEAD + "seen".len() + size_of::<Touch>());
        touched.empty(11);
        assert_eq!(touched.judge(b"untouched", &snapshot), Publish);
        touched.empty(30);
        assert_eq!(touched.judge(b"untouched", &snapshot), Drop);
    }
}
