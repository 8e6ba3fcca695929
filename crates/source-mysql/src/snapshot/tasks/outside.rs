//! Between the copies and whoever looks at them from outside: their progress is shown, wishes are obeyed.
//!
//! A wish changes the progress of tables, and that change goes into the checkpoint like any other ([`copying::Outside`]). A
//! copy that was paused waits in the next process, too.

use std::time::Instant;

use change::{CopyState, TableCopy, Wish};
use copying::Note;

use super::{Progress, Snapshots, Task};
use crate::connection::Connection;
use crate::error::Error;
use crate::flavour::Flavour;
use crate::snapshot::select::try_condition;

/// Bytes of a condition: it becomes a part of its table's progress, and that has to fit into a record.
const MOST_CONDITION: usize = 16 << 10;

impl Task {
    fn shown(&self) -> TableCopy {
        let state = match self.progress {
            Progress { paused: true, .. } => CopyState::Paused,
            _ if self.is_done() => CopyState::Complete,
            _ if self.since.is_none() => CopyState::Waiting,
            _ => CopyState::Copying,
        };
        let estimate = self.table.estimate.filter(|_| self.progress.condition.is_none());
        let rate = |(since, rows): (Instant, u64)| {
            let seconds = since.elapsed().as_secs_f64();
            (seconds > 0.0).then(|| self.progress.rows.saturating_sub(rows) as f64 / seconds)
        };
        let going = matches!(state, CopyState::Copying | CopyState::Waiting);
        let rows_per_second = self.since.filter(|_| going).and_then(rate);
        TableCopy { state, rows: self.progress.rows, estimate, rows_per_second }
    }
}

impl Snapshots {
    /// Shows where a task is.
    pub(super) fn tell(&self, at: usize) {
        let task = &self.tasks[at];
        let shown = (!task.gone && !task.unwanted).then(|| task.shown());
        self.outside.show(&task.table.name, shown);
    }

    /// Says how far copies are, for those who read the log.
    pub(super) fn tell_now_and_then(&mut self) {
        if !self.outside.tells() {
            return;
        }
        for task in self.tasks.iter().filter(|task| !task.chunks.is_empty()) {
            let copy = task.shown();
            let percent = copy.share().map(|share| (share * 100.0) as u64);
            tracing::info!(
                table = %task.table.name, rows = copy.rows, estimate = copy.estimate, percent,
                rows_per_second = copy.rows_per_second.map(|rate| rate as u64),
                seconds_left = copy.seconds_left().map(|seconds| seconds as u64),
                "snapshot goes on"
            );
        }
    }

    /// Called between two transactions: obeys what persons wish. `control` is for looking at conditions.
    pub(crate) fn obey(&mut self, control: impl FnMut() -> Result<Connection, Error>) {
        let mut control = control;
        for asked in self.outside.take_asked() {
            let verdict = match &asked.wish {
                Wish::Again { table, condition } => self.again(table, condition.as_deref(), &mut control),
                Wish::Pause { table } => self.pause_all(table.as_deref()),
                Wish::Resume { table } => self.resume_all(table.as_deref()),
            };
            self.outside.promise(asked, verdict);
        }
        self.outside.obeyed();
    }

    /// Whether progress has to be written although no row is.
    pub(crate) fn has_notes(&self) -> bool {
        self.outside.has_notes()
    }

    /// The next progress to be written although no row is: its name, and its text.
    pub(crate) fn next_note(&mut self) -> Option<(String, String)> {
        Some(match self.outside.next_note()? {
            Note::Stale(key) => (key, Progress::default().text()),
            Note::Table(at) => (self.tasks[at].key.clone(), self.tasks[at].progress.text()),
        })
    }

    /// All progress that was returned is durable.
    pub(crate) fn durable(&mut self) {
        self.outside.durable();
    }

    fn find(&self, table: &str) -> Result<usize, String> {
        let named = |task: &Task| !task.gone && (task.key == table || unquoted(table) == task.key);
        self.tasks.iter().position(named).ok_or_else(|| {
            format!("{table} is not captured; write it as database.table, as in `headwater snapshot shop.orders`")
        })
    }

    fn again(
        &mut self,
        table: &str,
        condition: Option<&str>,
        control: &mut impl FnMut() -> Result<Connection, Error>,
    ) -> Result<String, String> {
        let at = self.find(table)?;
        let member = &self.tasks[at].table;
        if member.is_keyless {
            return Err(format!(
                "{table} has no key: its rows would be in the topic twice, and nobody could tell which are which; give \
                 it a primary key first"
            ));
        }
        if let Some(condition) = condition {
            if condition.contains(';') {
                return Err(
                    "the condition cannot be used: it has a `;`; inside a text write char(59) for it".to_owned()
                );
            }
            if condition.len() > MOST_CONDITION {
                let why = "longer than 16 KiB; put the keys into a table and write `id in (select …)`";
                return Err(format!("the condition cannot be used: it is {why}"));
            }
            let tried = control().and_then(|mut control| try_condition(&mut control, &member.name, condition));
            tried.map_err(|error| format!("the condition cannot be used: {error}"))?;
        }
        self.may_copy()?;
        let about = member.estimate.filter(|_| condition.is_none());
        let about = about.map_or_else(String::new, |rows| format!(", about {rows} rows"));
        let task = &mut self.tasks[at];
        let condition = condition.map(str::to_owned);
        task.progress = Progress { asked: true, condition, ..Progress::default() };
        task.unwanted = false;
        tracing::info!(table = %task.table.name, all_rows = task.progress.condition.is_none(), "snapshot begins, as asked");
        self.open.insert(task.table.name.clone(), at);
        self.begin_anew(at);
        Ok(format!("{table} is copied again{about}"))
    }

    /// Whether this server's log has what a copy needs.
    fn may_copy(&self) -> Result<(), String> {
        if self.server.flavour == Flavour::MariaDb && self.floor.is_none() {
            return Err("the account may not see where the log ends: GRANT BINLOG MONITOR ON *.* TO it".to_owned());
        }
        Ok(())
    }

    /// What was ordered before means nothing any more.
    pub(super) fn begin_anew(&mut self, at: usize) {
        let task = &mut self.tasks[at];
        task.chunks.clear();
        (task.pause, task.since) = (None, None);
        self.outside.note(at);
        self.tell(at);
    }

    /// The stream waits for a table without a key that is being copied: that is not paused, and the next process would
    /// begin it anew.
    fn may_pause(task: &Task) -> bool {
        let stands = task.table.is_keyless && !task.chunks.is_empty();
        !(task.is_done() || task.progress.paused || stands)
    }

    pub(super) fn pause(&mut self, at: usize) {
        self.tasks[at].progress.paused = true;
        self.begin_anew(at);
    }

    fn pause_all(&mut self, table: Option<&str>) -> Result<String, String> {
        let found = self.chosen(table, Self::may_pause)?;
        for &at in &found {
            self.pause(at);
        }
        Ok(self.list(&found, "paused", "nothing is being copied that could be paused"))
    }

    fn resume_all(&mut self, table: Option<&str>) -> Result<String, String> {
        let found = self.chosen(table, |task| !task.is_done() && task.progress.paused)?;
        for &at in &found {
            self.tasks[at].progress.paused = false;
            self.begin_anew(at);
        }
        Ok(self.list(&found, "copied on", "no copy is paused"))
    }

    fn chosen(&self, table: Option<&str>, fit: impl Fn(&Task) -> bool) -> Result<Vec<usize>, String> {
        let all = match table {
            Some(table) => {
                let at = self.find(table)?;
                at..at + 1
            }
            None => 0..self.tasks.len(),
        };
        Ok(all.filter(|&at| fit(&self.tasks[at])).collect())
    }

    fn list(&self, tasks: &[usize], what: &str, none: &str) -> String {
        let names: Vec<String> = tasks.iter().map(|&at| self.tasks[at].table.name.to_string()).collect();
        if names.is_empty() { none.to_owned() } else { format!("{what}: {}", names.join(", ")) }
    }
}

/// A name as MySQL quotes it: `` `shop`.`orders` ``.
fn unquoted(name: &str) -> String {
    name.replace("``", "\0").replace('`', "").replace('\0', "`")
}
