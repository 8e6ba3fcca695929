//! Which tables are captured, and what becomes of a table's copy when another one takes its name.
//!
//! What is created is in the log from its first row on. A table that is *renamed* into the place of another one is not: its
//! rows were written under another name. Schema-change tools do just that, with rows that are the same; a person may do it
//! with others. So a copy that is not complete begins anew when a RENAME names its table; of one that is complete it is
//! said, with the command that copies the table again.

use std::sync::{Arc, Mutex, PoisonError};

use std::collections::VecDeque;

use super::{Progress, Shown, Snapshots, Task};
use crate::catalog::Member;
use crate::error::Error;
use crate::statement;
use copying::Snapshot;

/// Tables that the thread that looks at the catalogue has found: all that are captured now.
pub(crate) type Joined = Arc<Mutex<Option<Vec<Member>>>>;

impl Snapshots {
    /// Takes what the thread that looks at the catalogue has found.
    pub(super) fn look_at_the_door(&mut self) -> Result<(), Error> {
        let found = self.joined.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.join(found.unwrap_or_default())
    }

    /// Tables that are captured from now on: those that were not copied yet are.
    pub(crate) fn add(&mut self, tables: Vec<Member>) -> Result<(), Error> {
        self.join(tables)?;
        let tasks = &self.tasks;
        self.outside.show_only(|name| tasks.iter().any(|task| task.table.name == *name));
        Ok(())
    }

    fn join(&mut self, tables: Vec<Member>) -> Result<(), Error> {
        for table in tables {
            let same = |task: &Task| task.table.name == table.name && !task.gone;
            match self.tasks.iter().position(same) {
                // What is being read was ordered by what was known then.
                Some(at) if self.tasks[at].chunks.is_empty() => self.tasks[at].table = table,
                Some(_) => {}
                None => self.begin(table)?,
            }
        }
        Ok(())
    }

    fn begin(&mut self, table: Member) -> Result<(), Error> {
        let key = table.name.to_string();
        let known = self.known.remove(&key).map(|text| Progress::parse(&key, &text)).transpose()?;
        let unwanted = self.config.snapshot == Snapshot::Never
            && known.as_ref().is_none_or(|progress| !progress.asked && !progress.is_done());
        let mut progress = known.unwrap_or_default();
        let at = self.tasks.len();
        if unwanted && progress.rows > 0 {
            // What the log says meanwhile is not kept for it: should it be wanted again, it begins anew.
            progress = Progress::default();
            self.outside.note(at);
        }
        if let Some(shows) = progress.shows.as_ref().filter(|shows| shows.server == self.server.identity) {
            let high = shows.place.parse().map_err(|error| {
                Error::stop(format!("reading the progress of a snapshot: {error}"), "please report this")
            })?;
            self.shown.push(Shown { table: table.name.clone(), high });
        }
        let (chunks, halvings, gone) = (VecDeque::new(), 0, false);
        let (pause, since, left) = (None, None, None);
        self.tasks.push(Task { table, key, progress, chunks, pause, halvings, unwanted, gone, since, left });
        let task = &self.tasks[at];
        if !task.is_done() {
            tracing::info!(table = %task.table.name, rows = task.progress.rows, "snapshot begins");
            self.open.insert(task.table.name.clone(), at);
        }
        self.tell(at);
        Ok(())
    }

    /// A table is not there any more under its name.
    pub(super) fn leave(&mut self, at: usize) {
        self.tasks[at].chunks.clear();
        self.tasks[at].gone = true;
        self.close(at);
        self.tell(at);
    }

    /// The log has a statement that is no change of rows.
    pub(crate) fn altered(&mut self, database: &str, sql: &[u8]) {
        let sql = String::from_utf8_lossy(sql);
        if self.tasks.is_empty() || !statement::has_word(&sql, "rename") {
            return;
        }
        for at in 0..self.tasks.len() {
            let task = &self.tasks[at];
            if !statement::names(&sql, database, &task.table.name) || task.gone || task.unwanted {
                continue;
            }
            if task.is_done() {
                tracing::warn!(
                    table = %task.table.name, help = %format!("headwater snapshot {}", task.table.name),
                    "the table was renamed, or another one was put in its place: if that has other rows, copy it again"
                );
            } else if task.progress.rows > 0 || !task.chunks.is_empty() {
                tracing::info!(table = %task.table.name, "the table was renamed or replaced; its snapshot begins anew");
                self.tasks[at].progress.begin_anew();
                self.begin_anew(at);
            }
        }
    }
}
