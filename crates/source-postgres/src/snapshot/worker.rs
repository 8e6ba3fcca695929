//! Reads chunks of tables, each on a connection and in a short transaction of its own.
//!
//! The lock comes before the snapshot: a table that is rewritten or truncated looks *empty* to every snapshot that was
//! taken before, so a chunk that locked too late could take a full table for an empty one. `LOCK TABLE` itself takes no
//! snapshot, and ACCESS SHARE is what every `SELECT` takes: it disturbs nothing but DDL, for as long as one chunk lasts.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use change::{Table, TableName};

use super::progress::{Key, Progress};
use super::visibility::Visibility;
use crate::catalog::{self, Candidate, field, number};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::lsn::Lsn;
use crate::queue::Queue;
use crate::wire::pgoutput::Relation;
use crate::wire::reader::Reader;
use crate::wire::tuple::{self, Cell};
use crate::{relation, resolve, sql, start, types};

/// A chunk ends with the row that brings it to so many bytes…
const CHUNK_BYTES: usize = 2 << 20;
/// … or to so much time: the age of its snapshot holds back vacuum, and its lock DDL.
const CHUNK_TIME: Duration = Duration::from_secs(1);
/// Rows of the first fetch of a chunk; the next ones are sized by what came, and at most four times as large. One, because
/// nobody knows how large a row is: memory must not be a multiple of the largest one.
const FIRST_FETCH: usize = 1;
/// Rows that are read once more at a time: few, because these are the ones with large values.
const AGAIN: usize = 16;
/// How often the server is asked again whether a snapshot is new enough.
const SHORTEST_NAP: Duration = Duration::from_millis(2);
const LONGEST_NAP: Duration = Duration::from_millis(200);
/// A wait for other transactions that is longer than this is told, with who is in the way.
const SILENCE: Duration = Duration::from_secs(5);

/// What to read next of a table.
#[derive(Debug)]
pub(crate) struct Order {
    /// Whose it is; comes back with the answer.
    pub(crate) id: u64,
    pub(crate) table: Candidate,
    pub(crate) progress: Progress,
    /// A transaction id taken after the table had joined the stream, if that was done already.
    pub(crate) joined: Option<u64>,
    /// Transactions that the snapshot has to see.
    pub(crate) must_see: Vec<u32>,
    /// The chunk's limits are halved so often.
    pub(crate) halvings: u32,
}

/// A question to whoever gave the order, who may have lost interest.
pub(crate) type Reply<T> = Sender<T>;

/// What came of an order.
pub(crate) enum Answer {
    Rows(Box<Rows>),
    /// Not yet, but so much is visible by now.
    Waiting(Visibility),
    /// A whole table could be read with this snapshot: does it see all that was passed, and will the stream stand still?
    Ready(Visibility, Reply<bool>),
    /// The table is not there any more.
    Gone,
    Failed(Error),
}

/// Rows of a table as one snapshot shows them.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) table: Arc<Table>,
    /// What its key is made of, for [`Progress::by`].
    pub(crate) by: Vec<String>,
    pub(crate) joined: u64,
    pub(crate) snapshot: Visibility,
    /// Every transaction that the snapshot sees has its commit record before this.
    pub(crate) high: Lsn,
    /// When the snapshot was taken: microseconds since 1970 by the server's clock.
    pub(crate) taken: i64,
    /// `DataRow` messages without their heads, and where each begins.
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) starts: Vec<usize>,
    /// The columns that are not texts.
    pub(crate) binary: Arc<[bool]>,
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
    pub(crate) orders: Arc<Mutex<Receiver<Order>>>,
    pub(crate) answers: Sender<(u64, Answer)>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) control: Option<Connection>,
}

impl Worker {
    /// Runs until nobody gives orders any more.
    pub(crate) fn run(mut self) {
        loop {
            let order = self.orders.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(order) = order else { return };
            let id = order.id;
            let answer = self.obey(&order).unwrap_or_else(|error| {
                // Whatever state its transaction is in, the connection ends with it.
                self.control = None;
                Answer::Failed(error)
            });
            if self.answers.send((id, answer)).is_err() {
                return;
            }
            self.queue.nudge();
        }
    }

    fn obey(&mut self, order: &Order) -> Result<Answer, Error> {
        let answers = self.answers.clone();
        let queue = Arc::clone(&self.queue);
        let control = match &mut self.control {
            Some(control) => control,
            None => self.control.insert(open(&self.config)?),
        };
        let joined = match order.joined {
            Some(joined) => joined,
            None => transaction_id(control)?,
        };
        let begin = Instant::now();
        let (mut nap, mut told) = (SHORTEST_NAP, Instant::now());
        let (snapshot, high, taken) = loop {
            let Some((snapshot, high, taken)) = begin_read(control, &order.table)? else {
                control.query("ending a read", "ROLLBACK")?;
                return Ok(Answer::Gone);
            };
            let sees_all = snapshot.xmin > joined && order.must_see.iter().all(|xid| snapshot.sees(*xid));
            let verdict = match (sees_all, order.table.is_keyless()) {
                (true, true) => ask(&answers, &queue, order.id, &snapshot),
                (yes, _) => Some(yes),
            };
            if verdict == Some(true) {
                break (snapshot, high, taken);
            }
            control.query("ending a read", "ROLLBACK")?;
            if verdict.is_none() {
                return Ok(Answer::Waiting(snapshot));
            }
            if told.elapsed() > SILENCE {
                tell_who_is_in_the_way(control, &order.table.name, &snapshot, begin)?;
                told = Instant::now();
                if answers.send((order.id, Answer::Waiting(snapshot))).is_err() {
                    return Ok(Answer::Gone);
                }
            }
            thread::sleep(nap);
            nap = (nap * 2).min(LONGEST_NAP);
        };
        let mut source = Source::describe(control, &self.config, &order.table)?;
        if source.shape.key.is_empty() && !order.table.is_keyless() {
            let name = &order.table.name;
            return Err(Error::Retry(format!(
                "{name} has lost its key: ALTER TABLE {} ADD PRIMARY KEY (…)",
                sql::table(name)
            )));
        }
        source.wanted = wanted(&self.config, order);
        source.limits = Limits::halved(order.halvings);
        let table = Arc::new(source.shape.clone());
        let answer = |collected: Collected, reach| {
            let Collected { bytes, starts } = collected;
            let (table, by, snapshot) = (Arc::clone(&table), source.by.clone(), snapshot.clone());
            let (bytes, binary) = (Arc::new(bytes), Arc::clone(&source.binary));
            Answer::Rows(Box::new(Rows { table, by, joined, snapshot, high, taken, bytes, starts, binary, reach }))
        };
        let last = if order.table.is_keyless() {
            source.read_whole(control, &mut |part, reach| {
                let sent = answers.send((order.id, answer(part, reach)));
                queue.nudge();
                sent.is_ok()
            })?
        } else {
            source.read(control, &order.progress)?
        };
        control.query("ending a read", "COMMIT")?;
        Ok(answer(last.0, last.1))
    }
}

/// Which rows a person wants: by command, or by configuration.
fn wanted(config: &Config, order: &Order) -> Option<String> {
    let name = &order.table.name;
    let configured =
        || config.snapshot_where.get(&name.to_string()).or_else(|| config.snapshot_where.get(&sql::table(name)));
    order.progress.condition.as_ref().or_else(configured).cloned()
}

/// Whether the stream stands still for this snapshot. `None`: whoever gave the order has given it up.
fn ask(answers: &Sender<(u64, Answer)>, queue: &Queue, order: u64, snapshot: &Visibility) -> Option<bool> {
    let (reply, verdict) = channel();
    answers.send((order, Answer::Ready(snapshot.clone(), reply))).ok()?;
    queue.nudge();
    verdict.recv().ok()
}

fn open(config: &Config) -> Result<Connection, Error> {
    let mut control = start::open_control(config)?;
    // Rows that a policy hides would be missing from the topic without a word: better an error.
    control.query("setting row_security", "SET row_security = off")?;
    // A chunk is the first rows of a query for all that are left. The planner, asked for all, might rather sort the whole
    // table for each chunk than follow the key's index; a server process that works alone is what workers are counted in.
    control.query("setting the plan", "SET enable_sort = off; SET max_parallel_workers_per_gather = 0")?;
    // The catalogue is asked the same for each chunk. And a query for all that is left looks dear enough to the planner to be
    // compiled, for each chunk anew: with a filter, or with a column left out, 8,000 rows took 4.7 ms instead of 1.2, and above
    // `jit_optimize_above_cost` it is worse.
    control.query("setting the plan", "SET plan_cache_mode = force_generic_plan; SET jit = off")?;
    Ok(control)
}

/// A transaction id that is taken now, and used by nobody.
fn transaction_id(control: &mut Connection) -> Result<u64, Error> {
    let doing = "taking a transaction id";
    control.query(doing, "BEGIN")?;
    let rows = control.query(doing, "SELECT pg_current_xact_id()")?;
    control.query(doing, "ROLLBACK")?;
    number(rows.first().ok_or_else(|| catalog::strange(doing))?, 0, doing)
}

/// Locks the table against DDL, then takes a snapshot. `None`: the name means another table by now.
fn begin_read(control: &mut Connection, table: &Candidate) -> Result<Option<(Visibility, Lsn, i64)>, Error> {
    let doing = format!("taking a snapshot of {}", table.name);
    control.query(&doing, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
    let result = (|| {
        match control.query(&doing, &format!("LOCK TABLE {} IN ACCESS SHARE MODE", relation_sql(table))) {
            // Dropped or renamed since. Only here: further on it is a table that somebody's condition asks for.
            Err(error) if matches!(error.code(), Some("42P01" | "3F000")) => return Ok(None),
            locked => locked?,
        };
        // The snapshot is taken before the position is read, so each commit that it sees lies before the position.
        let named = format!("{}.{}", sql::identifier(&table.name.schema), sql::identifier(&table.name.table));
        let rows = control.query_prepared(
            &doing,
            "headwater_snapshot",
            "(text) AS SELECT pg_current_snapshot(), pg_current_wal_insert_lsn(), \
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
             pg_size_bytes(current_setting('wal_segment_size')), to_regclass($1)::oid",
            &format!("({})", sql::literal(&named)),
        )?;
        let row = rows.first().ok_or_else(|| catalog::strange(&doing))?;
        if number::<u32>(row, 4, &doing)? != table.oid {
            return Ok(None);
        }
        let snapshot = field(row, 0, &doing)?.parse().map_err(|_| catalog::strange(&doing))?;
        let high: Lsn = number(row, 1, &doing)?;
        Ok(Some((snapshot, reachable(high, number(row, 3, &doing)?), number(row, 2, &doing)?)))
    })();
    if result.is_err() {
        control.query("ending a read", "ROLLBACK").ok();
    }
    result
}

/// A position that lies just behind a page's header is where the next record will begin; an idle server never sends it.
/// Nothing ends between the page's first byte and there. (`SizeOfXLogShortPHD` 24, `SizeOfXLogLongPHD` 40 in a
/// segment's first page: `src/include/access/xlog_internal.h`.)
fn reachable(high: Lsn, segment: u64) -> Lsn {
    const PAGE: u64 = 8192;
    match (high.0 % segment.max(PAGE), high.0 % PAGE) {
        (40, _) => Lsn(high.0 - 40),
        (_, 24) => Lsn(high.0 - 24),
        _ => high,
    }
}

/// What `FROM` and `LOCK TABLE` are followed by: children by inheritance are tables of their own, partitions are not.
pub(crate) fn relation_sql(table: &Candidate) -> String {
    let only = if table.is_partitioned() { "" } else { "ONLY " };
    format!("{only}{}.{}", sql::identifier(&table.name.schema), sql::identifier(&table.name.table))
}

/// Names the transactions that a snapshot has to wait for.
fn tell_who_is_in_the_way(
    control: &mut Connection,
    table: &TableName,
    snapshot: &Visibility,
    since: Instant,
) -> Result<(), Error> {
    let doing = "asking who is in the way";
    let rows = control.query(
        doing,
        "SELECT 'pid ' || pid, coalesce(state, '') || coalesce(' ' || wait_event, ''), \
         coalesce((now() - xact_start)::text, '') FROM pg_stat_activity WHERE backend_xid IS NOT NULL \
         UNION ALL SELECT 'prepared transaction ' || quote_literal(gid), '', (now() - prepared)::text \
         FROM pg_prepared_xacts ORDER BY 3 DESC LIMIT 5",
    )?;
    let who: Vec<String> = rows
        .iter()
        .map(|row| {
            row.iter().flatten().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
        })
        .collect();
    tracing::warn!(
        %table, waited_s = since.elapsed().as_secs(), oldest = snapshot.xmin, running = %who.join("; "),
        "the snapshot of the table waits for transactions that began before it; changes flow on"
    );
    Ok(())
}

/// A table as it can be read in the open transaction.
struct Source {
    relation: Relation,
    /// The types that the columns of a row are announced with.
    types: Vec<u32>,
    /// The columns that are asked for in binary form. Never those of the key: its texts are compared with the stream's, and
    /// are literals where a copy goes on.
    binary: Arc<[bool]>,
    shape: Table,
    by: Vec<String>,
    from: String,
    /// The publication's row filter.
    filter: Option<String>,
    /// What a person wants of it.
    wanted: Option<String>,
    limits: Limits,
}

/// Where a chunk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    bytes: usize,
    time: Duration,
}

impl Limits {
    fn halved(times: u32) -> Self {
        Self { bytes: CHUNK_BYTES >> times, time: CHUNK_TIME / (1 << times) }
    }
}

impl Source {
    fn describe(control: &mut Connection, config: &Config, table: &Candidate) -> Result<Self, Error> {
        let published = catalog::published(control, &config.publication, table)?;
        let relation = catalog::as_relation(control, table, &published)?;
        let relation = relation.ok_or_else(|| Error::Retry(format!("{} is gone", table.name)))?;
        let types = resolve::types(control, &relation.columns)?;
        let facts = catalog::table_facts(control, table.oid)?;
        let shape = relation::table(&relation, &types, &facts);
        let part = |&at: &usize| {
            let column = &relation.columns[at];
            let (number, collation) = facts.place(&column.name);
            format!("{}/{number}/{}/{collation}", column.name, column.type_oid)
        };
        let by = shape.key.iter().map(part).collect();
        let columns = relation.columns.iter().zip(&types);
        let types: Vec<u32> = columns
            .map(|(column, resolved)| resolved.as_ref().map_or(column.type_oid, |resolved| resolved.plain))
            .collect();
        let forms = types.iter().zip(&shape.columns).enumerate();
        let binary =
            forms.map(|(at, (oid, column))| !shape.key.contains(&at) && types::is_sent_binary(*oid, column.kind));
        let binary = binary.collect();
        Ok(Self {
            relation,
            types,
            binary,
            shape,
            by,
            from: relation_sql(table),
            filter: published.filter,
            wanted: None,
            limits: Limits::halved(0),
        })
    }

    fn key_columns(&self) -> Vec<String> {
        self.shape.key.iter().map(|&at| sql::identifier(&self.relation.columns[at].name)).collect()
    }

    fn select(&self, conditions: &[String]) -> String {
        let columns: Vec<String> = self.relation.columns.iter().map(|column| sql::identifier(&column.name)).collect();
        let filter = self.filter.as_ref().map(|filter| sql::nested(filter));
        let conditions: Vec<String> = conditions.iter().cloned().chain(filter).collect();
        // In a query of its own, so that whatever a person wrote cannot loosen the conditions above.
        let columns = columns.join(", ");
        let from = match &self.wanted {
            Some(wanted) => format!("(SELECT {columns} FROM {} WHERE {}) AS wanted", self.from, sql::nested(wanted)),
            None => self.from.clone(),
        };
        let conditions =
            if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        format!("SELECT {columns} FROM {from}{conditions}")
    }

    /// All rows, in parts; `hand_over` takes all but the last, and says whether somebody wants more.
    fn read_whole(
        &self,
        control: &mut Connection,
        hand_over: &mut dyn FnMut(Collected, Reach) -> bool,
    ) -> Result<(Collected, Reach), Error> {
        self.open(control, &self.select(&[]))?;
        loop {
            let mut rows = Collected::within(self.limits);
            let end = self.fill(control, &mut rows)?;
            let (taken, wait) = channel();
            if end {
                return Ok((rows, Reach::Part { end, taken }));
            }
            if !hand_over(rows, Reach::Part { end, taken }) || wait.recv().is_err() {
                return Err(Error::Retry("nobody wants the copy any more".to_owned()));
            }
        }
    }

    fn read(&self, control: &mut Connection, progress: &Progress) -> Result<(Collected, Reach), Error> {
        let same_key = progress.by.is_empty() || progress.by == self.by;
        if progress.end && same_key {
            return self.read_again(control, progress);
        }
        let key = self.key_columns();
        let mut conditions = Vec::new();
        let begin = progress.after.as_ref().filter(|_| same_key);
        if let Some(after) = begin {
            conditions.push(format!("({}) > ({})", key.join(", "), literals(after)));
        }
        let mut rows = Collected::within(self.limits);
        self.open(control, &format!("{} ORDER BY {}", self.select(&conditions), key.join(", ")))?;
        let end = self.fill(control, &mut rows)?;
        let after = match rows.starts.last() {
            Some(&start) => Some(self.key_of(&rows.bytes, start)?),
            None => begin.cloned(),
        };
        Ok((rows, Reach::Next { after, end }))
    }

    /// Takes a chunk from the open query; `true`: it has no more.
    fn fill(&self, control: &mut Connection, rows: &mut Collected) -> Result<bool, Error> {
        let begin = Instant::now();
        let mut fetch = FIRST_FETCH;
        loop {
            if self.collect(control, fetch, rows)? {
                return Ok(true);
            }
            let Limits { bytes, time } = self.limits;
            if rows.bytes.len() >= bytes || begin.elapsed() >= time {
                return Ok(false);
            }
            let average = rows.bytes.len() / rows.starts.len() + 1;
            fetch = ((bytes - rows.bytes.len()) / average + 1).min(4 * fetch);
        }
    }

    fn read_again(&self, control: &mut Connection, progress: &Progress) -> Result<(Collected, Reach), Error> {
        let keys: Vec<Key> = progress.again.iter().take(AGAIN).cloned().collect();
        let wanted: Vec<String> = keys.iter().map(|key| format!("({})", literals(key))).collect();
        let condition = format!("({}) IN ({})", self.key_columns().join(", "), wanted.join(", "));
        let mut rows = Collected::within(self.limits);
        self.open(control, &self.select(&[condition]))?;
        while !self.collect(control, AGAIN, &mut rows)? {}
        Ok((rows, Reach::Again(keys)))
    }

    fn open(&self, control: &mut Connection, statement: &str) -> Result<(), Error> {
        let doing = format!("reading {}", self.shape.name);
        if control.open_query(&doing, statement, &self.binary)? != self.types {
            return Err(Error::Retry(format!("{doing}: the table was altered meanwhile")));
        }
        Ok(())
    }

    /// Takes up to `most` rows from the open query; `true`: it has no more.
    fn collect(&self, control: &mut Connection, most: usize, rows: &mut Collected) -> Result<bool, Error> {
        control.fetch(&format!("reading {}", self.shape.name), most, &mut |body| {
            rows.starts.push(rows.bytes.len());
            rows.bytes.extend_from_slice(body);
        })
    }

    /// The texts of the key of a row that was read.
    fn key_of(&self, bytes: &[u8], start: usize) -> Result<Key, Error> {
        let doing = "reading a key";
        let mut cells = Vec::new();
        let row = bytes.get(start..).unwrap_or_default();
        tuple::read_values(&mut Reader::new("data row", row), &self.binary, &mut cells).map_err(Error::wire(doing))?;
        let text = |&at: &usize| match cells.get(at) {
            Some(Cell::Text { start, length }) => {
                let text = row.get(*start..start + length).and_then(|bytes| std::str::from_utf8(bytes).ok());
                text.map(str::to_owned).ok_or_else(|| catalog::strange(doing))
            }
            _ => Err(catalog::strange(doing)),
        };
        self.shape.key.iter().map(text).collect()
    }
}

struct Collected {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Collected {
    /// Room for a whole chunk at once: growing would copy it several times. The last fetch brings a little more than the
    /// limit; pages that nothing is written to cost nothing.
    fn within(limits: Limits) -> Self {
        Self { bytes: Vec::with_capacity(limits.bytes + limits.bytes / 8), starts: Vec::new() }
    }
}

fn literals(key: &Key) -> String {
    key.iter().map(|text| sql::literal(text)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_behind_a_page_header_are_rounded_down() {
        let segment = 16 << 20;
        for (high, expected) in [
            (segment + 40, segment),
            (segment + 24, segment),
            (segment + 8192 + 24, segment + 8192),
            (segment + 8192 + 40, segment + 8192 + 40),
            (segment + 8192 + 32, segment + 8192 + 32),
        ] {
            assert_eq!(reachable(Lsn(high), segment), Lsn(expected), "{high}");
        }
    }
}
