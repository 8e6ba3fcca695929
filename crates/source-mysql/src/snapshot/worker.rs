//! Reads chunks of tables, each in a short transaction of its own.
//!
//! The lock comes before the snapshot: else a table that is altered, emptied, or put in another's place between the two
//! would be read as it was, or not at all. But a consistent snapshot is what a transaction begins with, so a second
//! connection takes the lock first, the one that every SELECT takes; it gives it back when the reading transaction has its
//! own. It disturbs nothing but DDL, for as long as one chunk lasts.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use change::Table;

use super::fence::Seen;
use super::key::{self, Key};
use super::progress::Progress;
use super::publishing;
use super::select::{self, Select};
use crate::catalog::{self, Member, Server};
use crate::config::Config;
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::flavour::Flavour;
use crate::position::FilePlace;
use crate::queue::Queue;
use crate::row::Image;
use crate::table::Shape;

/// A chunk ends with the row that brings it to so many bytes…
const CHUNK_BYTES: usize = 2 << 20;
/// … or to so much time: the age of its snapshot holds back purging, and its lock DDL.
const CHUNK_TIME: Duration = Duration::from_secs(1);
/// Rows of the first query of a chunk; the next ones are sized by what came, and at most four times as large. One, because
/// nobody knows how large a row is: memory must not be a multiple of the largest one.
const FIRST_QUERY: usize = 1;
/// Rows that are read once more at a time.
const AGAIN: usize = 16;
/// How often the server is asked again whether a snapshot would be new enough.
const SHORTEST_NAP: Duration = Duration::from_millis(2);
const LONGEST_NAP: Duration = Duration::from_millis(200);
/// A wait for other transactions that is longer than this is told.
const SILENCE: Duration = Duration::from_secs(5);

/// The server's numbers for a name that stands for nothing: database, table.
const GONE: [u16; 3] = [1049, 1051, 1146];
/// … and for a right that the account lacks on a database or table.
const DENIED: [u16; 2] = [1044, 1142];

/// What to read next of a table.
#[derive(Debug)]
pub(crate) struct Order {
    /// Whose it is; comes back with the answer.
    pub(crate) id: u64,
    pub(crate) table: Member,
    pub(crate) progress: Progress,
    /// What the snapshot has to show.
    pub(crate) must_see: Arc<Seen>,
    /// The chunk's limits are halved so often.
    pub(crate) halvings: u32,
}

/// A question to whoever gave the order, who may have lost interest.
pub(crate) type Reply<T> = Sender<T>;

/// What came of an order.
pub(crate) enum Answer {
    Rows(Box<Rows>),
    /// A whole table could be read as it is at this place: was nothing passed behind it, and will the stream stand still?
    Ready(FilePlace, Reply<bool>),
    /// The table is not there any more.
    Gone,
    Failed(Error),
}

/// Rows of a table as one snapshot shows them.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) table: Arc<Table>,
    /// How its rows are read.
    pub(crate) shape: Arc<Shape>,
    /// What its key is made of, for [`Progress::by`].
    pub(crate) by: Vec<String>,
    /// Transactions that the snapshot surely shows.
    pub(crate) seen: Seen,
    /// Every transaction that it shows ends before this.
    pub(crate) high: FilePlace,
    /// When it was taken: microseconds since 1970 by the server's clock.
    pub(crate) taken: i64,
    /// Rows of a query's answer, and where each begins.
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) starts: Vec<usize>,
    /// What was read: the next rows up to this key (none: nothing was left), or some rows once more.
    pub(crate) reach: Reach,
}

#[derive(Debug)]
pub(crate) enum Reach {
    /// `end`: nothing is left behind.
    Next {
        after: Option<Key>,
        end: bool,
    },
    Again(Vec<Key>),
    /// A part of a whole table; the next one is sent when this one was taken.
    Part {
        end: bool,
        taken: Reply<()>,
    },
}

/// One thread.
pub(crate) struct Worker {
    pub(crate) config: Config,
    /// The server that the stream comes from: snapshots of another one mean nothing to it.
    pub(crate) server: Server,
    pub(crate) orders: Arc<Mutex<Receiver<Order>>>,
    pub(crate) answers: Sender<(u64, Answer)>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) connections: Option<Pair>,
}

/// Who reads, and who takes the lock.
pub(crate) struct Pair {
    reader: Connection,
    guard: Connection,
}

/// How it is known which transactions a snapshot shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fence {
    /// By those that MySQL has executed.
    Numbers,
    /// The snapshot itself has a place in the log: MariaDB's has.
    SnapshotPlace,
    /// The table is locked against writers while the snapshot is taken: it is then as at the log's end.
    LockedTable,
}

impl Fence {
    fn of(order: &Order, server: &Server) -> Self {
        match (server.flavour, &*order.must_see) {
            (Flavour::MariaDb, _) => Self::SnapshotPlace,
            (Flavour::MySql, Seen::Set(_)) if !order.table.is_keyless => Self::Numbers,
            (Flavour::MySql, _) => Self::LockedTable,
        }
    }
}

/// A transaction that has begun.
struct Begun {
    seen: Seen,
    high: FilePlace,
    taken: i64,
    select: Select,
}

/// What came of the attempt to begin one.
enum Attempt {
    Begun(Box<Begun>),
    /// The snapshot would not show all that it has to.
    TooEarly,
    Gone,
}

impl Worker {
    /// Runs until nobody gives orders any more.
    pub(crate) fn run(mut self) {
        loop {
            let order = self.orders.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(order) = order else { return };
            let id = order.id;
            let answer = self.obey(&order).unwrap_or_else(|error| {
                // Whatever state their transactions are in, the connections end with them.
                self.connections = None;
                Answer::Failed(error)
            });
            if self.answers.send((id, answer)).is_err() {
                return;
            }
            self.queue.nudge();
        }
    }

    fn obey(&mut self, order: &Order) -> Result<Answer, Error> {
        let (answers, queue) = (self.answers.clone(), Arc::clone(&self.queue));
        let pair = match &mut self.connections {
            Some(pair) => pair,
            None => self.connections.insert(Pair::open(&self.config, &self.server)?),
        };
        let begin = Instant::now();
        let (mut nap, mut told) = (SHORTEST_NAP, Instant::now());
        let Begun { seen, high, taken, mut select } = loop {
            match pair.begin(order, &self.server)? {
                Attempt::Gone => return Ok(Answer::Gone),
                Attempt::Begun(begun) if !order.table.is_keyless => break *begun,
                Attempt::Begun(begun) => match ask(&answers, &queue, order.id, &begun.high) {
                    Some(true) => break *begun,
                    Some(false) => pair.end()?,
                    None => {
                        pair.end()?;
                        return Ok(Answer::Failed(Error::Retry("the copy was given up".to_owned())));
                    }
                },
                Attempt::TooEarly => {}
            }
            if told.elapsed() > SILENCE {
                tracing::warn!(
                    table = %order.table.name, waited_s = begin.elapsed().as_secs(),
                    "the snapshot of the table waits until the server has finished the transactions that are in its log \
                     already (a replica that has to acknowledge them?); changes flow on"
                );
                told = Instant::now();
            }
            thread::sleep(nap);
            nap = (nap * 2).min(LONGEST_NAP);
        };
        select.wanted = wanted(&self.config, order);
        let (table, shape) = (Arc::new(select.shape.table.clone()), Arc::new(select.shape.clone()));
        let answer = |collected: Collected, reach| {
            let Collected { bytes, starts } = collected;
            let (table, shape, by) = (Arc::clone(&table), Arc::clone(&shape), select.by.clone());
            let (seen, high, bytes) = (seen.clone(), high.clone(), Arc::new(bytes));
            Answer::Rows(Box::new(Rows { table, shape, by, seen, high, taken, bytes, starts, reach }))
        };
        let chunk = Chunk { select: &select, shape: &shape, limits: Limits::halved(order.halvings) };
        let (rows, reach) = if order.table.is_keyless {
            chunk.read_whole(&mut pair.reader, &mut |part, reach| {
                let sent = answers.send((order.id, answer(part, reach)));
                queue.nudge();
                sent.is_ok()
            })?
        } else {
            chunk.read(&mut pair.reader, &order.progress)?
        };
        pair.end()?;
        Ok(answer(rows, reach))
    }
}

/// Which rows a person wants: by command, or by configuration.
fn wanted(config: &Config, order: &Order) -> Option<String> {
    let configured = || config.snapshot_where.get(&order.table.name.to_string());
    order.progress.condition.as_ref().or_else(configured).cloned()
}

/// Whether the stream stands still for this snapshot. `None`: whoever gave the order has given it up.
fn ask(answers: &Sender<(u64, Answer)>, queue: &Queue, order: u64, high: &FilePlace) -> Option<bool> {
    let (reply, verdict) = channel();
    answers.send((order, Answer::Ready(high.clone(), reply))).ok()?;
    queue.nudge();
    verdict.recv().ok()
}

impl Pair {
    fn open(config: &Config, server: &Server) -> Result<Self, Error> {
        let mut reader = Connection::open(config, Purpose::Control)?;
        let there = catalog::server(&mut reader)?;
        if there.identity != server.identity {
            return Err(Error::Retry(format!(
                "the log comes from server {}, but copies would be read from server {}: does `url` lead to several?",
                server.identity, there.identity
            )));
        }
        // Texts come as they are stored.
        reader.execute("setting the result's character set", "SET character_set_results = NULL")?;
        // Should DDL begin to wait between the two locks, this one waits behind it, and it for the other one.
        reader.execute("setting the lock's patience", "SET lock_wait_timeout = 1")?;
        let guard = Connection::open(config, Purpose::Control)?;
        Ok(Self { reader, guard })
    }

    fn begin(&mut self, order: &Order, server: &Server) -> Result<Attempt, Error> {
        let doing = format!("taking a snapshot of {}", order.table.name);
        let touch = format!("SELECT 1 FROM {} LIMIT 0", select::table(&order.table.name));
        let fence = Fence::of(order, server);
        // Before anything is locked: what the log has, the server may still be about to commit.
        if fence == Fence::Numbers && !self.executed()?.covers(&order.must_see) {
            return Ok(Attempt::TooEarly);
        }
        if !self.lock(&doing, &touch, order, fence)? {
            return Ok(Attempt::Gone);
        }
        let Some(select) = select::describe(&mut self.guard, &order.table.name, server)? else {
            self.unlock(&doing)?;
            return Ok(Attempt::Gone);
        };
        if select.shape.table.key.is_empty() != order.table.is_keyless {
            self.unlock(&doing)?;
            // What is known of the table is asked again.
            return Ok(Attempt::Gone);
        }
        let executed = if fence == Fence::Numbers { Some(self.executed()?) } else { None };
        self.reader.execute(&doing, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")?;
        let high = match fence {
            Fence::SnapshotPlace => catalog::snapshot_place(&mut self.reader)?,
            Fence::Numbers | Fence::LockedTable => catalog::end_of_files(&mut self.reader)?,
        };
        // While the guard locks the table, nobody has written it that has not committed: it is exactly as at the log's end.
        let seen = executed.unwrap_or_else(|| Seen::Place(high.clone()));
        let taken = catalog::time(&mut self.reader)?;
        self.reader.execute(&doing, &touch)?;
        self.unlock(&doing)?;
        if fence == Fence::SnapshotPlace && !seen.covers(&order.must_see) {
            self.end()?;
            return Ok(Attempt::TooEarly);
        }
        Ok(Attempt::Begun(Box::new(Begun { seen, high, taken, select })))
    }

    fn executed(&mut self) -> Result<Seen, Error> {
        catalog::gtid_variable(&mut self.reader, "gtid_executed").map(Seen::Set)
    }

    /// Locks the table against DDL, or against writers too. `false`: it is gone.
    fn lock(&mut self, doing: &str, touch: &str, order: &Order, fence: Fence) -> Result<bool, Error> {
        let against_writers = fence == Fence::LockedTable;
        let locked = if against_writers {
            // Whoever writes waits behind us while we wait for others: not for long.
            self.guard.execute(doing, "SET lock_wait_timeout = 1")?;
            self.guard.execute(doing, &format!("LOCK TABLES {} READ", select::table(&order.table.name)))
        } else {
            self.guard.execute(doing, "START TRANSACTION READ ONLY")?;
            self.guard.execute(doing, touch)
        };
        match locked {
            Err(error) if error.code().is_some_and(|code| GONE.contains(&code)) => {
                self.unlock(doing)?;
                Ok(false)
            }
            Err(error) if against_writers && error.code().is_some_and(|code| DENIED.contains(&code)) => {
                Err(may_not_lock(&error, order))
            }
            locked => locked.map(|()| true),
        }
    }

    fn unlock(&mut self, doing: &str) -> Result<(), Error> {
        self.guard.execute(doing, "ROLLBACK")?;
        self.guard.execute(doing, "UNLOCK TABLES")
    }

    fn end(&mut self) -> Result<(), Error> {
        self.reader.execute("ending a read", "ROLLBACK")
    }
}

fn may_not_lock(error: &Error, order: &Order) -> Error {
    let name = &order.table.name;
    let (why, else_do) = if order.table.is_keyless {
        ("has no primary key", format!("ALTER TABLE {} ADD PRIMARY KEY (…)", select::table(name)))
    } else {
        (
            "is on a server without GTIDs",
            "SET GLOBAL gtid_mode = ON (`headwater doctor` has the steps to it)".to_owned(),
        )
    };
    Error::stop(
        error.to_string(),
        format!(
            "{name} {why}, and to copy it the account has to lock it for a moment: GRANT LOCK TABLES ON {}.* TO it (its \
             name: SELECT CURRENT_USER()), or {else_do}",
            catalog::identifier(&name.schema)
        ),
    )
}

struct Limits {
    bytes: usize,
    time: Duration,
}

impl Limits {
    fn halved(times: u32) -> Self {
        Self { bytes: CHUNK_BYTES >> times, time: CHUNK_TIME / (1 << times) }
    }
}

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Collected {
    fn add(&mut self, row: &[u8]) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(row);
    }
}

/// A chunk that is being read.
struct Chunk<'a> {
    select: &'a Select,
    shape: &'a Arc<Shape>,
    limits: Limits,
}

impl Chunk<'_> {
    fn read(&self, reader: &mut Connection, progress: &Progress) -> Result<(Collected, Reach), Error> {
        let same_key = progress.by.is_empty() || progress.by == self.select.by;
        if progress.end && same_key {
            return self.read_again(reader, progress);
        }
        let doing = format!("reading {}", self.shape.table.name);
        let begin = Instant::now();
        let mut after = progress.after.clone().filter(|_| same_key);
        let (mut rows, mut limit) = (Collected::default(), FIRST_QUERY);
        loop {
            let before = rows.starts.len();
            reader.rows(&doing, &self.select.next(after.as_ref(), limit), &mut |row| rows.add(row))?;
            if rows.starts.len() > before {
                after = Some(self.last_key(&rows)?);
            }
            if rows.starts.len() - before < limit {
                return Ok((rows, Reach::Next { after, end: true }));
            }
            let Limits { bytes, time } = self.limits;
            if rows.bytes.len() >= bytes || begin.elapsed() >= time {
                return Ok((rows, Reach::Next { after, end: false }));
            }
            let average = rows.bytes.len() / rows.starts.len() + 1;
            limit = ((bytes - rows.bytes.len()) / average + 1).min(4 * limit);
        }
    }

    fn read_again(&self, reader: &mut Connection, progress: &Progress) -> Result<(Collected, Reach), Error> {
        let keys: Vec<Key> = progress.again.iter().take(AGAIN).cloned().collect();
        let mut rows = Collected::default();
        let doing = format!("reading {}", self.shape.table.name);
        reader.rows(&doing, &self.select.again(&keys), &mut |row| rows.add(row))?;
        Ok((rows, Reach::Again(keys)))
    }

    /// All rows, in parts; `hand_over` takes all but the last, and says whether somebody wants more. While a part is
    /// published the server waits, as nobody takes its next bytes.
    fn read_whole(
        &self,
        reader: &mut Connection,
        hand_over: &mut dyn FnMut(Collected, Reach) -> bool,
    ) -> Result<(Collected, Reach), Error> {
        let doing = format!("reading {}", self.shape.table.name);
        let (mut rows, mut wanted) = (Collected::default(), true);
        reader.rows(&doing, &self.select.whole(), &mut |row| {
            if !wanted {
                return;
            }
            rows.add(row);
            if rows.bytes.len() >= self.limits.bytes {
                let (taken, wait) = channel();
                let part = std::mem::take(&mut rows);
                wanted = hand_over(part, Reach::Part { end: false, taken }) && wait.recv().is_ok();
            }
        })?;
        if !wanted {
            return Err(Error::Retry("nobody wants the copy any more".to_owned()));
        }
        let (taken, _) = channel();
        Ok((rows, Reach::Part { end: true, taken }))
    }

    fn last_key(&self, rows: &Collected) -> Result<Key, Error> {
        let doing = "reading a key";
        let start = rows.starts.last().copied().unwrap_or_default();
        let row = rows.bytes.get(start..).unwrap_or_default().to_vec();
        let mut cells = Vec::new();
        publishing::cells(&row, self.shape.table.columns.len(), &mut cells).map_err(Error::wire(doing))?;
        let mut image = Image::new(Arc::new(row), Arc::clone(self.shape), change::Reason::Unchanged);
        image.cells = cells;
        key::parts(&[&image]).ok_or_else(|| catalog::strange(doing))
    }
}
