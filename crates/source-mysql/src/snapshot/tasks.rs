//! Which tables are to be copied, what was ordered of them, and what is ready for the stream.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use change::{Copies, Kind, SourceError, Table, TableName};
use copying::{Outside, Sees, Throttle, Touched};

use super::fence::{Mark, Seen};
use super::key::{self};
use super::progress::{Progress, Shows, key_columns};
use super::publishing::Publishing;
use super::worker::{Answer, Order, Reach, Rows, Worker};
use crate::catalog::{Member, Server};
use crate::config::Config;
use crate::error::Error;
use crate::position::{FilePlace, Passed};
use crate::queue::Queue;
use crate::row::Image;

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
/// A chunk is made smaller so many times at most: to a 64th.
const MOST_HALVINGS: u32 = 6;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The tables that are being copied.
pub(crate) struct Snapshots {
    config: Config,
    server: Server,
    orders: Sender<Order>,
    answers: Receiver<(u64, Answer)>,
    /// What the workers need, until the first order starts them.
    idle: Option<Ends>,
    queue: Arc<Queue>,
    throttle: Throttle,
    outside: Outside,
    tasks: Vec<Task>,
    /// The tasks that are not done, by name: looked at for every row of the stream.
    open: HashMap<TableName, usize>,
    /// Progress that has no task yet, by [`Task::key`]: of earlier sessions.
    known: BTreeMap<String, String>,
    /// What the thread that looks at the catalogue has found.
    joined: Joined,
    /// Where the log ended when this process began: whatever a predecessor passed lies before it.
    floor: Option<FilePlace>,
    last_order: u64,
    /// The order for which the stream stands still.
    standing: Option<u64>,
    /// Tables that were copied whole: the stream's changes that the copy shows already.
    shown: Vec<Shown>,
}

/// The workers' ends of the two channels.
type Ends = (Receiver<Order>, Sender<(u64, Answer)>);

/// What the copy of a table without a key shows: all transactions that begin before this place.
struct Shown {
    table: TableName,
    high: FilePlace,
}

/// One table.
struct Task {
    table: Member,
    /// The name of its progress.
    key: String,
    progress: Progress,
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
    /// Of a table without a key: where the last transaction begins whose changes were left to the copy.
    left: Option<FilePlace>,
}

/// A chunk that was ordered.
#[derive(Default)]
struct Chunk {
    order: u64,
    touched: Touched<Mark>,
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
    fn has_key_of(&mut self, table: &Table) -> bool {
        match &self.keyed {
            Some(known) => std::ptr::eq(Arc::as_ptr(known), table) || key_columns(known).eq(key_columns(table)),
            None => {
                self.keyed = Some(Arc::new(table.clone()));
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
    pub(crate) fn new(
        config: &Config,
        server: &Server,
        queue: &Arc<Queue>,
        known: BTreeMap<String, String>,
        copies: Copies,
        floor: Option<FilePlace>,
    ) -> Self {
        let (orders, received) = channel();
        let (sender, answers) = channel();
        Self {
            config: config.clone(),
            server: server.clone(),
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
            floor,
            last_order: 0,
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
                server: self.server.clone(),
                orders: Arc::clone(&orders),
                answers: answers.clone(),
                queue: Arc::clone(&self.queue),
                connections: None,
            };
            // Not joined: when nobody listens any more it ends with its query.
            thread::Builder::new()
                .name(format!("mysql-snapshot-{number}"))
                .spawn(move || worker.run())
                .map_err(Error::network("starting a thread"))?;
        }
        Ok(())
    }

    /// Where tables are put that the catalogue has.
    pub(crate) fn door(&self) -> Joined {
        Arc::clone(&self.joined)
    }

    /// Whether there is something to read now: there are copies, and not all of them are paused.
    pub(crate) fn is_active(&self) -> bool {
        self.open.values().any(|&at| !self.tasks[at].progress.paused)
    }

    /// Whether the copy of a table shows, or will show, the changes of a transaction that begins there: they are no events of
    /// their own.
    pub(crate) fn shows(&mut self, table: &TableName, begin: &FilePlace) -> bool {
        if self.open.is_empty() && self.shown.is_empty() {
            return false;
        }
        if let Some(&at) = self.open.get(table)
            && self.tasks[at].table.is_keyless
        {
            self.tasks[at].left = Some(begin.clone());
            return true;
        }
        self.shown.iter().any(|shown| shown.table == *table && begin < &shown.high)
    }

    /// Whether the stream has to stand still.
    pub(crate) fn is_standing(&self) -> bool {
        self.standing.is_some()
    }

    /// Whether a transaction's changes of a table have to be told to [`Self::touch`].
    pub(crate) fn watches(&self, table: &TableName) -> bool {
        !self.open.is_empty() && self.open.contains_key(table)
    }

    /// A row of a table was changed, or all of them were removed: then there are no images.
    pub(crate) fn touch(&mut self, table: &TableName, mark: &Mark, kind: Kind, old: &Image, new: &Image) {
        let Some(&at) = self.open.get(table) else { return };
        let task = &mut self.tasks[at];
        if task.chunks.is_empty() {
            return;
        }
        if kind != Kind::Truncate && !task.chunks.iter_mut().all(|chunk| chunk.has_key_of(&new.shape().table)) {
            tracing::info!(table = %task.table.name, "the primary key was changed during a chunk of the snapshot; reading it again");
            task.chunks.clear();
        }
        let partial = new.lacks_values();
        let old_key = if matches!(kind, Kind::Update | Kind::Delete) { key::parts(&[old]) } else { None };
        let new_key = match kind {
            Kind::Insert => key::parts(&[new]),
            Kind::Update => key::parts(&[new, old]),
            _ => None,
        };
        let old_key = old_key.as_ref().map(key::bytes);
        let new_key = new_key.as_ref().map(key::bytes);
        for chunk in &mut task.chunks {
            // What the rows show already can never drop one of them: while the stream is far behind, that is nearly all.
            if chunk.rows.as_ref().is_some_and(|rows| rows.seen.sees(mark)) {
                continue;
            }
            if kind == Kind::Truncate {
                chunk.touched.empty(mark);
            }
            for (key, partial) in old_key.iter().map(|key| (key, false)).chain(new_key.iter().map(|key| (key, partial)))
            {
                chunk.touched.add(key, mark, partial);
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
    pub(crate) fn moved(&mut self, table: &TableName, old: &Image, new: &Image) -> Option<(String, String)> {
        let task = &mut self.tasks[*self.open.get(table)?];
        let progress = &mut task.progress;
        // Whatever is ordered later sees the row at its new place.
        let fresh = progress.after.is_none() && !progress.end && progress.again.is_empty() && task.chunks.is_empty();
        let again = key::parts(&[new, old])?;
        if fresh || key::parts(&[old]).as_ref() == Some(&again) {
            return None;
        }
        if !progress.again.contains(&again) {
            progress.again.push(again);
        }
        let mut text = progress.text();
        if text.len() > MOST_PROGRESS {
            tracing::info!(table = %task.table.name, "many rows got other keys; the snapshot of the table begins anew");
            progress.begin_anew();
            task.chunks.clear();
            text = progress.text();
        }
        Some((task.key.clone(), text))
    }

    /// Called between two transactions, of which all up to `at` were passed: takes answers, gives orders, and returns a chunk
    /// that may be published now.
    pub(crate) fn poll(&mut self, at: &FilePlace, passed: &Passed) -> Result<Option<Publishing>, Error> {
        self.look_at_the_door()?;
        self.shown.retain(|shown| shown.high > *at);
        if !self.is_active() {
            return Ok(None);
        }
        self.start_workers()?;
        while let Ok((order, answer)) = self.answers.try_recv() {
            self.take(order, answer)?;
        }
        self.order(at, passed);
        self.tell_now_and_then();
        let ready = self.tasks.iter().position(|task| {
            let rows = task.chunks.front().and_then(|chunk| chunk.rows.as_ref());
            rows.is_some_and(|rows| rows.high <= *at || matches!(rows.reach, Reach::Part { .. }))
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
        Ok(None)
    }

    /// What a snapshot that is ordered now has to show.
    fn must_see(&self, at: &FilePlace, passed: &Passed) -> Seen {
        match passed {
            Passed::MySql(set) => Seen::Set(set.clone()),
            Passed::MariaDb(_) | Passed::File(_) => {
                Seen::Place(self.floor.as_ref().map_or(at, |floor| floor.max(at)).clone())
            }
        }
    }

    /// Gives orders. A table counts as being read until its chunks are published: else, while the stream is behind, chunks
    /// of every table would pile up in memory.
    fn order(&mut self, at: &FilePlace, passed: &Passed) {
        if !self.throttle.allows(Instant::now()) {
            return;
        }
        let mut must_see = None;
        let mut busy = self.tasks.iter().filter(|task| !task.chunks.is_empty()).count();
        for index in 0..self.tasks.len() {
            let task = &self.tasks[index];
            let fresh = task.chunks.is_empty();
            if fresh && busy >= self.config.snapshot_workers || !fresh && task.table.is_keyless {
                continue;
            }
            let Some(mut progress) = task.next() else { continue };
            let must_see = must_see.get_or_insert_with(|| Arc::new(self.must_see(at, passed)));
            let task = &mut self.tasks[index];
            if task.table.is_keyless && progress.rows > 0 {
                tracing::warn!(
                    table = %task.table.name, rows = progress.rows,
                    "the copy of a table without a key was interrupted and begins anew: these rows will be there twice"
                );
                (progress.rows, task.progress.rows) = (0, 0);
            }
            self.last_order += 1;
            let order = Order {
                id: self.last_order,
                table: task.table.clone(),
                progress,
                must_see: Arc::clone(must_see),
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
            Answer::Ready(high, reply) => {
                let free = self.standing.is_none_or(|standing| standing == order);
                // What was left to the copy has to be in it.
                let whole = self.tasks[at].left.as_ref().is_none_or(|left| *left < high);
                if reply.send(free && whole).is_ok() && free && whole {
                    self.standing = Some(order);
                }
            }
            Answer::Rows(rows) => {
                self.throttle.spend(rows.bytes.len(), Instant::now());
                let task = &mut self.tasks[at];
                if task.chunks[place].has_key_of(&rows.table) {
                    task.chunks[place].touched.forget(&rows.seen);
                    task.chunks[place].rows = Some(*rows);
                } else {
                    task.chunks.clear();
                }
            }
            Answer::Gone => {
                self.stand_no_more(order);
                let task = &mut self.tasks[at];
                tracing::info!(table = %task.table.name, rows = task.progress.rows, "the table is gone, and its snapshot ends");
                let key = task.key.clone();
                self.leave(at);
                self.outside.forget(key);
            }
            Answer::Failed(error) => {
                self.stand_no_more(order);
                self.tasks[at].chunks.truncate(place);
                self.failed(at, error)?;
            }
        }
        Ok(())
    }

    fn stand_no_more(&mut self, order: u64) {
        if self.standing == Some(order) {
            self.standing = None;
        }
    }

    fn failed(&mut self, at: usize, error: Error) -> Result<(), Error> {
        let task = &mut self.tasks[at];
        // While a table waits for a lock against writers, they wait behind it.
        let locks_writers = task.table.is_keyless || !self.server.gtids;
        let pause = if locks_writers { 10 * PAUSE } else { PAUSE };
        task.pause = Some(Instant::now() + pause);
        match SourceError::from(error) {
            SourceError::Retry { what } => {
                tracing::warn!(table = %task.table.name, "{what}; the snapshot goes on behind its last chunk");
                Ok(())
            }
            // A wish is not worth the pipeline.
            SourceError::Stop { what, help } if task.progress.asked => {
                let name = task.table.name.to_string();
                self.pause(at);
                tracing::error!(table = %name, %what, %help, "the snapshot of the table is paused; changes flow on");
                Ok(())
            }
            SourceError::Stop { what, help } => Err(Error::stop(what, help)),
        }
    }

    /// A chunk was published: the name of its table's progress, and its text.
    pub(crate) fn advance(&mut self, chunk: &mut Publishing) -> (String, String) {
        let rows = &chunk.rows;
        if let Reach::Part { end: true, .. } = chunk.reach() {
            self.standing = None;
            let table = self.tasks[chunk.task].table.name.clone();
            self.shown.push(Shown { table, high: rows.high.clone() });
        }
        let task = &mut self.tasks[chunk.task];
        task.halvings = task.halvings.saturating_sub(1);
        let progress = &mut task.progress;
        match chunk.reach() {
            Reach::Next { after, end } => {
                if progress.by != rows.by {
                    // Rows may have moved before the first chunk was read: those are by this key already.
                    if !progress.by.is_empty() {
                        progress.again.clear();
                    }
                    progress.rows = 0;
                    progress.by.clone_from(&rows.by);
                }
                progress.after.clone_from(after);
                progress.end = *end;
                progress.rows += rows.starts.len() as u64;
            }
            Reach::Part { end, .. } => {
                progress.end = *end;
                progress.rows += rows.starts.len() as u64;
                let shows = || Shows { server: self.server.identity.clone(), place: rows.high.to_string() };
                progress.shows = end.then(shows);
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

    /// A table that came back has two tasks of one name: the old one must not close the new one.
    fn close(&mut self, task: usize) {
        let name = self.tasks[task].table.name.clone();
        if self.open.get(&name) == Some(&task) {
            self.open.remove(&name);
        }
    }
}
