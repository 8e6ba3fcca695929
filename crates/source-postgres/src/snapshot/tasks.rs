//! Which tables are to be copied, what was ordered of them, and what is ready for the stream.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use change::{Copies, Kind, SourceError, Table, TableName};
use copying::{Outside, Throttle, Touched};

use super::progress::{Progress, Seen, key_columns};
use super::publishing::{Publishing, key, texts};
use super::visibility::{ParseVisibilityError, Visibility};
use super::worker::{Answer, Order, Reach, Rows, Worker};
use crate::catalog::Candidate;
use crate::config::Config;
use crate::error::Error;
use crate::lsn::Lsn;
use crate::queue::Queue;
use crate::row::Image;
use crate::sql;
use crate::wire::pgoutput::Old;
use crate::wire::tuple::Cell;

mod members;
mod outside;
#[cfg(test)]
mod tests;

pub(crate) use members::Joined;

/// Chunks of one table that may be ordered and not yet published: one is published while the next is read.
const AHEAD: usize = 2;
/// Memory for the keys recorded during one chunk. More, and the chunk is given up and a smaller one is read.
const TOUCHED_BYTES: usize = 8 << 20;
/// Bytes of one table's progress: it is written whole, as one record of the checkpoint, and brokers take a mebibyte.
const MOST_PROGRESS: usize = 256 << 10;
/// So many passed transactions are remembered at most: 4 MiB.
const MOST_PASSED: usize = 1 << 20;
/// A chunk is made smaller so many times at most: to a 64th.
const MOST_HALVINGS: u32 = 6;
/// How often the server is asked where it is, while a chunk waits for the stream.
const ASK: Duration = Duration::from_millis(5);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The tables that are being copied.
pub(crate) struct Snapshots {
    config: Config,
    orders: Sender<Order>,
    answers: Receiver<(u64, Answer)>,
    /// What the workers need, until the first order starts them.
    idle: Option<Ends>,
    queue: Arc<Queue>,
    throttle: Throttle,
    outside: Outside,
    tasks: Vec<Task>,
    /// The tasks that are not done, by relation: looked at for every row of the stream.
    open: HashMap<u32, usize>,
    /// Progress that has no task yet, by [`Task::key`]: of earlier sessions.
    known: BTreeMap<String, String>,
    /// By relation: its name there.
    names: HashMap<u32, String>,
    /// What the thread that looks at the catalogue has found.
    joined: Joined,
    /// The publication leaves out changes for the time being: then nothing is read.
    narrow: bool,
    /// Transactions passed since there is something to copy, without those that every new snapshot sees.
    passed: Vec<u32>,
    last_order: u64,
    asked: Instant,
    /// The order for which the stream stands still.
    standing: Option<u64>,
    /// Tables that were copied whole: the stream's changes that the copy shows already.
    shown: Vec<Shown>,
}

/// The workers' ends of the two channels.
type Ends = (Receiver<Order>, Sender<(u64, Answer)>);

/// What the copy of a table without a key shows, and the end of the log that it can show.
struct Shown {
    relation: u32,
    snapshot: Visibility,
    high: Lsn,
}

/// One table.
struct Task {
    table: Candidate,
    /// The name of its progress.
    key: String,
    progress: Progress,
    joined: Option<u64>,
    chunks: VecDeque<Chunk>,
    /// After a failure: not before.
    pause: Option<Instant>,
    /// How often the next chunk is halved: while one of full size is read, too much is written.
    halvings: u32,
    /// Nobody wants it copied: the configuration says `never`, and no person has asked.
    unwanted: bool,
    gone: bool,
    /// When this process began to read, and how many rows there were then.
    since: Option<(Instant, u64)>,
}

/// A chunk that was ordered.
#[derive(Default)]
struct Chunk {
    order: u64,
    touched: Touched<u32>,
    rows: Option<Rows>,
    /// The table as it was when `touched` or `rows` were keyed by its key.
    keyed: Option<Arc<Table>>,
}

impl Chunk {
    fn ordered(order: u64) -> Self {
        Self { order, ..Self::default() }
    }

    /// Whether a table's key is of the columns that this chunk knows. If not, the primary key was changed meanwhile, and
    /// what the log says of a row no longer meets the row that was read.
    fn has_key_of(&mut self, table: &Arc<Table>) -> bool {
        match &self.keyed {
            Some(known) if Arc::ptr_eq(known, table) => true,
            Some(known) if !key_columns(known).eq(key_columns(table)) => false,
            _ => {
                self.keyed = Some(Arc::clone(table));
                true
            }
        }
    }
}

impl Task {
    fn is_done(&self) -> bool {
        self.gone || self.unwanted || (self.progress.is_done() && self.chunks.is_empty())
    }

    /// Where to read on: behind what was ordered last, if that is known.
    fn next(&self) -> Option<Progress> {
        if self.is_done()
            || self.progress.paused
            || self.chunks.len() >= AHEAD
            || self.pause.is_some_and(|until| Instant::now() < until)
        {
            return None;
        }
        let mut next = self.progress.clone();
        if let Some(last) = self.chunks.back() {
            // Rows that are read again are ordered one chunk at a time: which they are is known when they are published.
            match &last.rows.as_ref()?.reach {
                Reach::Next { after, end: false } => next.after.clone_from(after),
                _ => return None,
            }
            next.by = last.rows.as_ref().map(|rows| rows.by.clone()).unwrap_or_default();
        }
        Some(next)
    }
}

impl Snapshots {
    pub(crate) fn new(config: &Config, queue: &Arc<Queue>, known: BTreeMap<String, String>, copies: Copies) -> Self {
        let (orders, received) = channel();
        let (sender, answers) = channel();
        let named = |(key, text): (&String, &String)| Some((Progress::parse(key, text).ok()?.oid, key.clone()));
        Self {
            names: known.iter().filter_map(named).collect(),
            config: config.clone(),
            orders,
            answers,
            idle: Some((received, sender)),
            queue: Arc::clone(queue),
            throttle: Throttle::new(config.snapshot_rate),
            outside: Outside::new(copies),
            tasks: Vec::new(),
            open: HashMap::new(),
            known,
            joined: Joined::default(),
            narrow: false,
            passed: Vec::new(),
            last_order: 0,
            asked: Instant::now(),
            standing: None,
            shown: Vec::new(),
        }
    }

    /// Starts the workers, if they do not run yet: most processes have nothing to copy.
    fn start_workers(&mut self) -> Result<(), Error> {
        let Some((received, answers)) = self.idle.take() else { return Ok(()) };
        let orders = Arc::new(Mutex::new(received));
        for number in 0..self.config.snapshot_workers {
            let worker = Worker {
                config: self.config.clone(),
                orders: Arc::clone(&orders),
                answers: answers.clone(),
                queue: Arc::clone(&self.queue),
                control: None,
            };
            // Not joined: when nobody listens any more it ends with its query.
            thread::Builder::new()
                .name(format!("pg-snapshot-{number}"))
                .spawn(move || worker.run())
                .map_err(Error::network("starting a thread"))?;
        }
        Ok(())
    }

    /// Where tables are put that have joined the stream.
    pub(crate) fn door(&self) -> Joined {
        Arc::clone(&self.joined)
    }

    /// Whether there is something to read now: there are copies, and not all of them are paused.
    pub(crate) fn is_active(&self) -> bool {
        self.open.values().any(|&at| !self.tasks[at].progress.paused)
    }

    fn show(&mut self, relation: u32, seen: &Seen) -> Result<(), Error> {
        let snapshot = seen.snapshot.parse().map_err(|error: ParseVisibilityError| {
            Error::stop(format!("reading the progress of a snapshot: {error}"), "please report this")
        })?;
        self.shown.push(Shown { relation, snapshot, high: Lsn(seen.high) });
        Ok(())
    }

    /// Whether the copy of a table shows, or will show, a transaction's changes of it: they are no events of their own.
    pub(crate) fn shows(&self, relation: u32, xid: u32) -> bool {
        if self.open.is_empty() && self.shown.is_empty() {
            return false;
        }
        self.open.get(&relation).is_some_and(|&at| self.tasks[at].table.is_keyless())
            || self.shown.iter().any(|shown| shown.relation == relation && shown.snapshot.sees(xid))
    }

    /// Whether the stream has to stand still.
    pub(crate) fn is_standing(&self) -> bool {
        self.standing.is_some()
    }

    /// A transaction with changes was passed.
    pub(crate) fn passed(&mut self, xid: u32) {
        if self.is_active() {
            self.passed.push(xid);
            if self.passed.len() >= MOST_PASSED {
                self.shorten();
            }
        }
    }

    /// The list of passed transactions is long. While the stream is behind, the chunks that wait for it see them all. If
    /// they do not, nothing was read for a long time (a publication that leaves out changes, a table that cannot be locked):
    /// then whoever reads next takes a new transaction id first, like a table that has just joined.
    fn shorten(&mut self) {
        for rows in self.tasks.iter().flat_map(|task| &task.chunks).filter_map(|chunk| chunk.rows.as_ref()) {
            self.passed.retain(|xid| !rows.snapshot.sees(*xid));
        }
        if self.passed.len() < MOST_PASSED / 2 {
            return;
        }
        self.passed = Vec::new();
        for task in &mut self.tasks {
            task.chunks.clear();
            task.joined = None;
        }
    }

    /// A row of a relation was changed. `old` and `new` hold its images.
    pub(crate) fn touch(&mut self, relation: u32, xid: u32, kind: Kind, before: Option<Old>, old: &Image, new: &Image) {
        let Some(&at) = self.open.get(&relation) else { return };
        let task = &mut self.tasks[at];
        if task.chunks.is_empty() {
            return;
        }
        if kind != Kind::Truncate && !task.chunks.iter_mut().all(|chunk| chunk.has_key_of(&new.table)) {
            tracing::info!(table = %task.table.name, "the primary key was changed during a chunk of the snapshot; reading it again");
            task.chunks.clear();
        }
        let partial = kind == Kind::Update && new.cells.contains(&Cell::Unchanged);
        let old_key = before.and_then(|_| key(&[old]));
        let new_key = if matches!(kind, Kind::Insert | Kind::Update) { key(&[new, old]) } else { None };
        for chunk in &mut task.chunks {
            // What the rows show already can never drop one of them: while the stream is far behind, that is nearly all.
            if chunk.rows.as_ref().is_some_and(|rows| rows.snapshot.sees(xid)) {
                continue;
            }
            if kind == Kind::Truncate {
                chunk.touched.empty(&xid);
            }
            for (key, partial) in old_key.iter().map(|key| (key, false)).chain(new_key.iter().map(|key| (key, partial)))
            {
                chunk.touched.add(key, &xid, partial);
            }
        }
        if task.chunks.iter().any(|chunk| chunk.touched.bytes() > TOUCHED_BYTES) {
            task.halvings = (task.halvings + 1).min(MOST_HALVINGS);
            tracing::info!(
                table = %task.table.name, parts = 1 << task.halvings,
                "too much was written during a chunk of the snapshot; reading a smaller one"
            );
            task.chunks.clear();
        }
    }

    /// A row changed its key, and the log did not carry all its values: it is read once more, where it is now. Its table's
    /// progress, if it is being copied.
    pub(crate) fn moved(&mut self, relation: u32, old: &Image, new: &Image) -> Option<(String, String)> {
        let task = &mut self.tasks[*self.open.get(&relation)?];
        let progress = &mut task.progress;
        // Whatever is ordered later sees the row at its new place.
        let fresh = progress.after.is_none() && !progress.end && progress.again.is_empty() && task.chunks.is_empty();
        if fresh || key(&[old]) == key(&[new, old]) {
            return None;
        }
        let again = texts(&[new, old])?;
        if !progress.again.contains(&again) {
            progress.again.push(again);
        }
        let mut text = progress.text();
        if text.len() > MOST_PROGRESS {
            tracing::info!(table = %task.table.name, "many rows got other keys; the snapshot of the table begins anew");
            progress.again = Vec::new();
            (progress.after, progress.rows, progress.end) = (None, 0, false);
            task.chunks.clear();
            text = progress.text();
        }
        Some((task.key.clone(), text))
    }

    /// Called between two transactions: takes answers, gives orders, and returns a chunk that may be published at `at`.
    pub(crate) fn poll(&mut self, at: Lsn) -> Result<Option<Publishing>, Error> {
        self.look_at_the_door()?;
        self.shown.retain(|shown| shown.high > at);
        if !self.is_active() {
            self.passed = Vec::new();
            return Ok(None);
        }
        self.start_workers()?;
        while let Ok((order, answer)) = self.answers.try_recv() {
            self.take(order, answer)?;
        }
        self.order();
        self.tell_now_and_then();
        let ready = self.tasks.iter().position(|task| {
            let rows = task.chunks.front().and_then(|chunk| chunk.rows.as_ref());
            rows.is_some_and(|rows| rows.high <= at || matches!(rows.reach, Reach::Part { .. }))
        });
        if let Some(index) = ready
            && let Some(Chunk { rows: Some(rows), touched, order, .. }) = self.tasks[index].chunks.pop_front()
        {
            if let Reach::Part { end: false, taken } = &rows.reach
                && taken.send(()).is_ok()
            {
                self.tasks[index].chunks.push_back(Chunk::ordered(order));
            }
            return Ok(Some(Publishing::new(index, rows, touched)));
        }
        let waits = self.tasks.iter().any(|task| task.chunks.front().is_some_and(|chunk| chunk.rows.is_some()));
        if waits && self.asked.elapsed() >= ASK {
            self.queue.ask();
            self.asked = Instant::now();
        }
        Ok(None)
    }

    /// Gives orders. A table counts as being read until its chunks are published: else, while the stream is behind, chunks
    /// of every table would pile up in memory.
    fn order(&mut self) {
        if self.narrow || !self.throttle.allows(Instant::now()) {
            return;
        }
        let mut busy = self.tasks.iter().filter(|task| !task.chunks.is_empty()).count();
        for task in &mut self.tasks {
            let fresh = task.chunks.is_empty();
            if fresh && busy >= self.config.snapshot_workers {
                continue;
            }
            let Some(mut progress) = task.next() else { continue };
            if task.table.is_keyless() {
                if !task.chunks.is_empty() {
                    continue;
                }
                if progress.rows > 0 {
                    tracing::warn!(
                        table = %task.table.name, rows = progress.rows,
                        "the copy of a table without a key was interrupted and begins anew: these rows will be there twice"
                    );
                    progress.rows = 0;
                    task.progress.rows = 0;
                }
            }
            self.last_order += 1;
            let order = Order {
                id: self.last_order,
                table: task.table.clone(),
                progress,
                joined: task.joined,
                must_see: self.passed.clone(),
                halvings: task.halvings,
            };
            task.pause = None;
            task.since.get_or_insert_with(|| (Instant::now(), task.progress.rows));
            task.chunks.push_back(Chunk::ordered(self.last_order));
            busy += usize::from(fresh);
            if self.orders.send(order).is_err() {
                return;
            }
        }
    }

    fn take(&mut self, order: u64, answer: Answer) -> Result<(), Error> {
        let owner = |task: &Task| task.chunks.iter().position(|chunk| chunk.order == order);
        let found = self.tasks.iter().enumerate().find_map(|(at, task)| Some((at, owner(task)?)));
        // Given up meanwhile.
        let Some((at, place)) = found else { return Ok(()) };
        match answer {
            Answer::Waiting(snapshot) => self.forget(&snapshot),
            Answer::Ready(snapshot, reply) => {
                let free = self.standing.is_none_or(|standing| standing == order);
                let yes = free && self.passed.iter().all(|xid| snapshot.sees(*xid));
                if reply.send(yes).is_ok() && yes {
                    self.standing = Some(order);
                }
            }
            Answer::Rows(rows) => {
                self.forget(&rows.snapshot);
                self.throttle.spend(rows.bytes.len(), Instant::now());
                let task = &mut self.tasks[at];
                task.joined = Some(rows.joined);
                if task.chunks[place].has_key_of(&rows.table) {
                    task.chunks[place].touched.forget(&rows.snapshot);
                    task.chunks[place].rows = Some(*rows);
                } else {
                    task.chunks.clear();
                }
            }
            Answer::Gone => {
                if self.standing == Some(order) {
                    self.standing = None;
                }
                let task = &mut self.tasks[at];
                tracing::info!(table = %task.table.name, rows = task.progress.rows, "the table is gone, and its snapshot ends");
                self.leave(at);
            }
            Answer::Failed(error) => {
                if self.standing == Some(order) {
                    self.standing = None;
                }
                self.tasks[at].chunks.truncate(place);
                self.failed(at, error)?;
            }
        }
        Ok(())
    }

    fn failed(&mut self, at: usize, error: Error) -> Result<(), Error> {
        let task = &mut self.tasks[at];
        task.pause = Some(Instant::now() + PAUSE);
        let what = error.to_string();
        match SourceError::from(error) {
            SourceError::Retry { .. } => {
                tracing::warn!(table = %task.table.name, "{what}; the snapshot goes on behind its last chunk");
                Ok(())
            }
            // A wish is not worth the pipeline.
            SourceError::Stop { help, .. } if task.progress.asked => {
                let help = refused(&self.config, &task.table.name, &what, help);
                let name = task.table.name.to_string();
                self.pause(at);
                tracing::error!(table = %name, %what, %help, "the snapshot of the table is paused; changes flow on");
                Ok(())
            }
            SourceError::Stop { what, help } => {
                let help = refused(&self.config, &task.table.name, &what, help);
                Err(Error::stop(what, help))
            }
        }
    }

    /// What one snapshot sees, every later one sees.
    fn forget(&mut self, snapshot: &Visibility) {
        self.passed.retain(|xid| !snapshot.sees(*xid));
    }

    /// A chunk was published: the name of its table's progress, and its text.
    pub(crate) fn advance(&mut self, chunk: &mut Publishing) -> (String, String) {
        if let Reach::Part { end: true, .. } = chunk.reach() {
            self.standing = None;
            let (relation, snapshot) = (self.tasks[chunk.task].table.oid, chunk.rows.snapshot.clone());
            self.shown.push(Shown { relation, snapshot, high: chunk.rows.high });
        }
        let task = &mut self.tasks[chunk.task];
        task.halvings = task.halvings.saturating_sub(1);
        let progress = &mut task.progress;
        match chunk.reach() {
            Reach::Next { after, end } => {
                if progress.by != chunk.rows.by {
                    // Before the first chunk nothing says what the key is made of, and rows may have moved already.
                    if !progress.by.is_empty() {
                        progress.again.clear();
                    }
                    progress.rows = 0;
                    progress.by.clone_from(&chunk.rows.by);
                }
                progress.after.clone_from(after);
                progress.end = *end;
                progress.rows += chunk.rows.starts.len() as u64;
            }
            Reach::Part { end, .. } => {
                progress.end = *end;
                progress.rows += chunk.rows.starts.len() as u64;
                let seen = || Seen { snapshot: chunk.rows.snapshot.to_string(), high: chunk.rows.high.0 };
                progress.seen = end.then(seen);
            }
            Reach::Again(keys) => progress.again.retain(|key| !keys.contains(key)),
        }
        progress.again.append(&mut chunk.again);
        if progress.is_done() {
            tracing::info!(table = %task.table.name, rows = progress.rows, "snapshot complete");
        }
        let (key, text) = (task.key.clone(), progress.text());
        if task.is_done() {
            self.close(chunk.task);
        }
        self.tell(chunk.task);
        (key, text)
    }

    /// A renamed table has two tasks of one relation: the old one must not close the new one.
    fn close(&mut self, task: usize) {
        let relation = self.tasks[task].table.oid;
        if self.open.get(&relation) == Some(&task) {
            self.open.remove(&relation);
        }
    }
}

/// Who must do what, when the server does not let the role read a table: exactly, with the role's name.
fn refused(config: &Config, table: &TableName, what: &str, help: String) -> String {
    let role = config.endpoint().map_or_else(|_| "headwater".to_owned(), |endpoint| sql::plain(&endpoint.user));
    let reason = "the snapshot reads the whole table";
    if what.contains("row-level security") {
        format!("{reason}, and policies hide rows of it from this role: ALTER ROLE {role} BYPASSRLS;")
    } else if what.contains("permission denied for schema") {
        format!("{reason}: GRANT USAGE ON SCHEMA {} TO {role};", sql::plain(&table.schema))
    } else if what.contains("permission denied") {
        format!("{reason}: GRANT SELECT ON {} TO {role};", sql::table(table))
    } else {
        help
    }
}
