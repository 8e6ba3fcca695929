//! Which tables are in the stream, and what becomes of a table's copy when it was out of it for a while.
//!
//! A copy and the changes since make a table's topic whole, if the stream carried *every* change since the copy. It did not
//! when somebody took the table out of the publication, or let the publication leave out kinds of changes, or when the
//! changes went to another topic because the table had another name for a while. None of this is in the log. So:
//!
//! - The progress of each table names the *entry* of the publication that lists it (the OID of its catalogue row). Taken
//!   out and put back, by whomever and however quickly, a table has another entry. The comparison is with the checkpoint:
//!   no kill can come between putting a table back and noticing that it was out.
//! - Options of a publication leave no such trace. While they are narrow nothing counts as copied: that is made durable
//!   *before* they are mended ([`Door::noted`]), and nothing is read until they are.
//! - A table that is seen under another name has no progress under its old one any more.
//!
//! Whoever copies tables (`snapshot = "initial"`) then copies this one anew. Otherwise the loss is told, with its window.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use change::TableName;

use super::{Progress, Snapshots, Task};
use crate::catalog::Candidate;
use crate::error::Error;
use crate::sql;
use copying::Snapshot;

/// Between the thread that looks at the catalogue and the copies.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// Tables that are in the stream.
    pub(crate) joined: Vec<Candidate>,
    /// The last look before these tables were found.
    pub(crate) since: Option<String>,
    /// The publication leaves out changes.
    pub(crate) narrow: bool,
    /// It is in the checkpoint that they are missing.
    pub(crate) noted: bool,
}

pub(crate) type Joined = Arc<Mutex<Door>>;

impl Snapshots {
    /// Takes what the thread that looks at the catalogue has found.
    pub(super) fn look_at_the_door(&mut self) -> Result<(), Error> {
        let door = Arc::clone(&self.joined);
        let (joined, since, narrow) = {
            let mut door = door.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut door.joined), door.since.take(), door.narrow)
        };
        self.join(joined, since.as_deref())?;
        if narrow != self.narrow {
            self.narrow = narrow;
            for at in 0..self.tasks.len() {
                // What is missed is told when it is over.
                let entry = self.tasks[at].progress.entry;
                if !self.copied_anew(at, entry) && !narrow {
                    self.tell_loss(at, since.as_deref());
                }
            }
        }
        Ok(())
    }

    /// Everything that was returned is durable.
    pub(super) fn answer_the_door(&self) {
        if self.narrow {
            self.joined.lock().unwrap_or_else(PoisonError::into_inner).noted = true;
        }
    }

    /// Tables that are in the stream from now on: those that were not copied yet are.
    pub(crate) fn add(&mut self, tables: Vec<Candidate>) -> Result<(), Error> {
        self.join(tables, None)?;
        self.outside.show_only(|name| self.tasks.iter().any(|task| task.table.name == *name));
        Ok(())
    }

    fn join(&mut self, tables: Vec<Candidate>, since: Option<&str>) -> Result<(), Error> {
        for table in tables {
            let same = |task: &Task| task.table.oid == table.oid && task.table.name == table.name && !task.gone;
            if let Some(at) = self.tasks.iter().position(same) {
                self.see_again(at, table, since);
                continue;
            }
            self.rename(table.oid, &table.name);
            let key = sql::table(&table.name);
            // Another table under an old name.
            let namesake = |task: &Task| task.key == key && !task.gone;
            if let Some(at) = self.tasks.iter().position(namesake) {
                tracing::warn!(
                    table = %table.name,
                    "another table has this name now; rows of the one before stay in the topic, as dropping it is no change \
                     of a row"
                );
                self.leave(at);
            }
            self.begin(key, table, since)?;
        }
        Ok(())
    }

    /// A table that is known already.
    fn see_again(&mut self, at: usize, table: Candidate, since: Option<&str>) {
        let task = &mut self.tasks[at];
        let (before, entry) = (task.progress.entry, table.entry);
        // What is being read was ordered by what was known then.
        if task.chunks.is_empty() {
            task.table = table;
        }
        self.compare(at, before, entry, since);
    }

    fn compare(&mut self, at: usize, before: Option<u32>, entry: Option<u32>, since: Option<&str>) {
        if entry.is_none() || before == entry {
            return;
        }
        if before.is_some() && !self.copied_anew(at, entry) {
            self.tell_loss(at, since);
        }
        self.tasks[at].progress.entry = entry;
        self.outside.note(at);
    }

    fn begin(&mut self, key: String, table: Candidate, since: Option<&str>) -> Result<(), Error> {
        let known = self.known.remove(&key).map(|text| Progress::parse(&key, &text)).transpose()?;
        let known = known.filter(|progress| progress.oid == table.oid);
        let unwanted = self.config.snapshot == Snapshot::Never
            && known.as_ref().is_none_or(|progress| !progress.asked && !progress.is_done());
        let fresh = || Progress { oid: table.oid, entry: table.entry, ..Progress::default() };
        let is_new = known.is_none();
        let mut progress = known.unwrap_or_else(fresh);
        let at = self.tasks.len();
        if unwanted && progress.rows > 0 {
            // What the log says meanwhile is not kept for it: should it be wanted again, it begins anew.
            progress = Progress { entry: progress.entry, ..fresh() };
            self.outside.note(at);
        } else if unwanted && is_new {
            // A copy notes the entry with its first rows; here nothing else would.
            self.outside.note(at);
        }
        if let Some(seen) = progress.seen.as_ref().filter(|_| progress.is_done()) {
            self.show(table.oid, seen)?;
        }
        let (before, entry) = (progress.entry, table.entry);
        let (chunks, joined, pause, since_when) = (VecDeque::new(), None, None, None);
        let (halvings, gone) = (0, false);
        self.tasks.push(Task {
            table,
            key,
            progress,
            joined,
            chunks,
            pause,
            halvings,
            unwanted,
            gone,
            since: since_when,
        });
        self.compare(at, before, entry, since);
        let task = &self.tasks[at];
        if !task.is_done() {
            tracing::info!(table = %task.table.name, rows = task.progress.rows, "snapshot begins");
            self.open.insert(task.table.oid, at);
        }
        self.tell(at);
        Ok(())
    }

    /// Changes of a table were missed. Whether its copy begins anew: it does where tables are copied.
    fn copied_anew(&mut self, at: usize, entry: Option<u32>) -> bool {
        let task = &mut self.tasks[at];
        let wanted = self.config.snapshot == Snapshot::Initial || (task.progress.asked && !task.is_done());
        // A second copy of rows that nothing tells apart would double them.
        if task.gone || task.unwanted || !wanted || task.table.is_keyless() {
            return task.gone;
        }
        let done = task.is_done();
        let old = std::mem::take(&mut task.progress);
        task.progress = Progress {
            oid: task.table.oid,
            entry,
            asked: old.asked && !done,
            condition: old.condition.filter(|_| !done),
            paused: old.paused,
            ..Progress::default()
        };
        if done {
            tracing::warn!(
                table = %task.table.name,
                "changes of the table were missed, as it or a kind of them was out of the publication, or it had another name: \
                 it is copied anew; rows that were deleted meanwhile stay in its topic"
            );
        }
        self.open.insert(task.table.oid, at);
        self.begin_anew(at);
        true
    }

    fn tell_loss(&self, at: usize, since: Option<&str>) {
        let name = &self.tasks[at].table.name;
        let since = since.unwrap_or("headwater ran before");
        let help = if self.tasks[at].table.is_keyless() {
            format!(
                "compare the topic of {name} with the table: a second copy of a table without a key would double its rows"
            )
        } else {
            format!("headwater snapshot {}", sql::table(name))
        };
        tracing::error!(
            table = %name, since, %help,
            "the table, or a kind of its changes, was out of the publication for a while between then and now: those \
             changes are not in its topic and never will be"
        );
    }

    /// A table is not there any more under its name.
    pub(super) fn leave(&mut self, at: usize) {
        self.tasks[at].chunks.clear();
        self.tasks[at].gone = true;
        self.close(at);
        self.tell(at);
    }

    /// A table has this name now: what was copied under another one is not what that topic goes on from.
    pub(crate) fn rename(&mut self, relation: u32, name: &TableName) {
        let other = |task: &Task| task.table.oid == relation && task.table.name != *name && !task.gone;
        if let Some(at) = self.tasks.iter().position(other) {
            tracing::warn!(
                table = %self.tasks[at].table.name, now = %name,
                "the table was renamed: its changes go to another topic, or nowhere if `tables` does not ask for the new name"
            );
            self.leave(at);
            self.outside.forget(self.tasks[at].key.clone());
        }
        // Under a name from before this session.
        let key = sql::table(name);
        if let Some(old) = self.names.remove(&relation)
            && old != key
            && self.known.remove(&old).is_some()
        {
            self.outside.forget(old);
        }
    }

    /// The log calls a table so now.
    pub(crate) fn named(&mut self, relation: u32, name: &TableName, captured: bool) {
        let other = |task: &Task| task.table.oid == relation && task.table.name != *name && !task.gone;
        let Some(at) = self.tasks.iter().position(other) else { return };
        let task = &mut self.tasks[at];
        // Of a copy that has not begun nobody can say which name is the newer one, and nothing is lost.
        let begun = task.progress.rows > 0 || task.progress.end;
        if begun || !captured {
            let fate =
                if captured { "go to another topic" } else { "are not captured: `tables` does not ask for that name" };
            tracing::warn!(table = %task.table.name, now = %name, "the table was renamed, and from here on its changes {fate}");
        }
        if !task.table.is_keyless() {
            task.chunks.clear();
        }
        if begun && !self.copied_anew(at, self.tasks[at].progress.entry) {
            self.outside.forget(self.tasks[at].key.clone());
        }
    }
}
