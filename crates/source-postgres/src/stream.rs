//! The stream of changes, and why it is correct.
//!
//! **Nothing is lost.** The server sends every committed transaction whose commit record begins at or after the place
//! that was asked for, whole, in the order of commit. A position between transactions is the end of a commit record or
//! the end of log that a keep-alive names; every transaction that commits before it was sent before it, because both
//! travel in one ordered stream of bytes. So asking again from a position yields everything after it. At start the slot
//! must not be ahead of the checkpoint and the server must not be behind it: either would be a gap, and is refused.
//!
//! **Keep-alives count only when they are met in order, with no transaction in flight.** The reader thread answers them
//! when they arrive, but the position moves only here, when everything before them was returned. Between `Begin` and
//! `Commit` a keep-alive may name a place behind the very transaction whose rows are still to come: it is never a position.
//!
//! **Nothing is there twice.** A position inside a transaction is a cut: where the transaction's commit record begins,
//! its xid, the WAL position of the last change and its number among those that share it (a multi-insert writes many rows
//! into one record), rows and logical messages apart. The log does not change, so the same transaction comes again with the same numbers. On resume the
//! first transaction must be that one and that very change must be met; everything up to it is counted, not returned.
//! If it is not met, the stream stops: guessing would lose or double rows. Nothing is ever left out because its LSN
//! is smaller than another.
//!
//! **Only what is durable is confirmed.** The server is told what [`Source::confirm`] was given, and for a cut only the
//! place before its transaction: the server sends whole transactions, so the rest of a cut one comes again.
//!
//! **Shapes are the log's.** Names, types and replica identity come from the relation message that precedes a change;
//! only what it does not carry is asked of the catalogue. Rows are decoded by that shape alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use change::{
    Change, Copies, Identity, Kind, Position, Resume, Source, SourceError, SourceInfo, Started, Statement, Step, Table,
    TableName, Transaction,
};

use crate::catalog;
use crate::config::{Config, Patterns};
use crate::connection::Connection;
use crate::error::Error;
use crate::lsn::Lsn;
use crate::position::{Cut, Place};
use crate::queue::{Popped, Queue};
use crate::reader::{POSTGRES_EPOCH, Pace, StreamReader};
use crate::relation::{self, Shape};
use crate::row::{Image, SourceRow, source_columns};
use crate::snapshot::{Part, Publishing, Snapshots};
use crate::start::{self, Begun};
use crate::watch::Watch;
use crate::wire::frame::{self, Copied, HEADER, Split, WAL_HEADER};
use crate::wire::pgoutput::{self, Message, Old};
use crate::{publication, resolve, sql};

mod copying;
mod flight;
mod messages;
mod rows;
mod statements;

use flight::InFlight;
use messages::Messages;

const DOING: &str = "decoding the stream";

/// Between the commit of a transaction in the log and its being seen by others.
const VISIBLE: Duration = Duration::from_millis(30);

/// PostgreSQL as a source of changes.
pub struct PostgresSource {
    config: Config,
    patterns: Patterns,
    running: Option<Running>,
    copies: Copies,
}

impl PostgresSource {
    /// Nothing is connected before [`Source::start`].
    pub fn new(config: Config) -> Result<Self, SourceError> {
        config.validate()?;
        let patterns = Patterns::new(&config.tables)?;
        Ok(Self { config, patterns, running: None, copies: Copies::default() })
    }

    fn running(&mut self) -> Result<&mut Running, SourceError> {
        self.running.as_mut().ok_or_else(|| SourceError::Retry { what: "the source is not started".to_owned() })
    }
}

/// A relation of this connection.
struct Known {
    shape: Shape,
    /// Changes in the transaction that `serial` names.
    order: u64,
    serial: u64,
    /// Its shape was returned. A partition's shape is sent too, but its rows come under the root: it is never returned.
    announced: bool,
}

/// A row whose table's shape is returned before it; its images are in `old` and `new`.
#[derive(Clone, Copy)]
struct Waiting {
    relation: u32,
    kind: Kind,
    old: Option<Old>,
    lsn: Lsn,
    base: usize,
    /// The snapshots know of it.
    noted: bool,
}

/// What a message came to; the step is built from it when nothing is borrowed any more.
enum Event {
    Nothing,
    Moved,
    Begin,
    Table(u32),
    Row(u32, Kind, Option<Old>),
    Message,
    Statement,
    Commit,
    Copied(Part),
}

struct Running {
    queue: Arc<Queue>,
    reader: Option<JoinHandle<()>>,
    _watch: Watch,
    control: Option<Connection>,
    config: Config,
    patterns: Patterns,
    version: u32,
    chunk: Arc<Vec<u8>>,
    /// Where the next frame of `chunk` begins, and where its last one ends.
    next: usize,
    filled: usize,
    old: Image,
    new: Image,
    source: SourceRow,
    relations: HashMap<u32, Known>,
    /// Tables of a `TRUNCATE` that were not returned yet, and its WAL position.
    truncated: Vec<u32>,
    truncated_at: Lsn,
    waiting: Option<Waiting>,
    in_flight: Option<InFlight>,
    serial: u64,
    /// Everything up to here was returned.
    position: Lsn,
    cut: Option<Cut>,
    snapshots: Snapshots,
    publishing: Option<Publishing>,
    messages: Messages,
    /// The one that is being returned.
    statement: Option<Statement>,
    /// When the server sent what is being decoded, microseconds since 2000 by its clock.
    sent: i64,
    /// Key and text of the progress that is returned next.
    progress: (String, String),
}

impl Running {
    fn begin(
        config: &Config,
        patterns: &Patterns,
        begun: Begun,
        progress: BTreeMap<String, String>,
        copies: Copies,
    ) -> Result<(Self, Started), Error> {
        let Begun { control, transport, early, server, system, place, captured, tables, narrow } = begun;
        let from = place.restart();
        let queue = Arc::new(Queue::new(config.queue_bytes, from));
        let feedback = match server.wal_sender_timeout {
            0 => Duration::from_secs(1),
            timeout => Duration::from_millis((timeout / 4).clamp(10, 1000)),
        };
        let pace = Pace { feedback, deadline: config.deadline };
        let reader = StreamReader::new(transport, &early, Arc::clone(&queue), pace, from);
        let reader = std::thread::Builder::new()
            .name("postgres-reader".to_owned())
            .spawn(move || reader.run())
            .map_err(Error::network("starting a thread"))?;
        let mut snapshots = Snapshots::new(config, &queue, progress, copies);
        snapshots.add(captured)?;
        let watch = Watch::begin(config.clone(), patterns.clone(), &server, snapshots.door(), narrow)?;
        let nothing = Arc::new(Vec::new());
        let nobody = Arc::new(Table {
            name: TableName::new("", ""),
            columns: Vec::new(),
            key: Vec::new(),
            identity: Identity::Nothing,
            relation: None,
        });
        let info = SourceInfo {
            connector: "postgresql",
            database: Some(server.database),
            server_identity: system.identity(),
            columns: source_columns(),
        };
        let mut running = Self {
            queue,
            reader: Some(reader),
            _watch: watch,
            control: Some(control),
            config: config.clone(),
            patterns: patterns.clone(),
            version: server.version,
            chunk: Arc::clone(&nothing),
            next: 0,
            filled: 0,
            old: Image::new(Arc::clone(&nothing), Arc::clone(&nobody)),
            new: Image::new(nothing, nobody),
            source: SourceRow::default(),
            relations: HashMap::new(),
            truncated: Vec::new(),
            truncated_at: Lsn(0),
            waiting: None,
            in_flight: None,
            serial: 0,
            position: from,
            cut: if let Place::Inside(cut) = place { Some(cut) } else { None },
            snapshots,
            publishing: None,
            messages: Messages::new(&config.messages),
            statement: None,
            sent: 0,
            progress: Default::default(),
        };
        running.expect_messages();
        let tables = tables.into_iter().chain(running.messages.table().cloned()).collect();
        Ok((running, Started { info, position: Position::new(place.to_string()), tables }))
    }

    fn place(&self) -> Place {
        match &self.in_flight {
            Some(InFlight { last: Some(mark), skip_to: None, final_lsn, xid, .. }) => {
                Place::Inside(Cut { before: self.position, final_lsn: *final_lsn, xid: *xid, mark: *mark })
            }
            // Before the change that a resume looks for was met, the place is still where the resume began.
            _ => self.cut.map_or(Place::At(self.position), Place::Inside),
        }
    }

    /// Makes the next chunk the current one.
    fn refill(&mut self, wait: Duration) -> Result<bool, Error> {
        match self.queue.pop(wait) {
            Popped::Nothing => Ok(false),
            Popped::Ended(error) => Err(publication::explain(&self.config, &self.patterns, self.version, error)),
            Popped::Chunk(chunk) => {
                let bytes = Arc::new(chunk.bytes);
                self.old.attach(Arc::clone(&bytes));
                self.new.attach(Arc::clone(&bytes));
                let spent = std::mem::replace(&mut self.chunk, bytes);
                if let Ok(bytes) = Arc::try_unwrap(spent) {
                    self.queue.recycle(bytes);
                }
                (self.next, self.filled) = (0, chunk.filled);
                Ok(true)
            }
        }
    }

    /// Decodes one frame of the current chunk.
    fn advance(&mut self) -> Result<Event, Error> {
        let chunk = Arc::clone(&self.chunk);
        let rest = chunk.get(self.next..self.filled).unwrap_or_default();
        let (body, total) = match frame::split(rest).map_err(Error::wire(DOING))? {
            Split::Frame { body, total, .. } => (body, total),
            Split::Incomplete { .. } => return Err(catalog::strange(DOING)),
        };
        let base = self.next + HEADER + WAL_HEADER;
        self.next += total;
        match frame::copied(body).map_err(Error::wire(DOING))? {
            Copied::KeepAlive { end, .. } if self.in_flight.is_none() && self.cut.is_none() => {
                self.position = self.position.max(end);
                Ok(Event::Moved)
            }
            Copied::KeepAlive { .. } => Ok(Event::Nothing),
            Copied::Wal { start, sent, payload, .. } => {
                self.sent = sent;
                let message = pgoutput::read(payload, &mut self.old.cells, &mut self.new.cells)
                    .map_err(|error| Error::wire(format!("{DOING} at {start}"))(error))?;
                self.apply(message, start, base)
            }
        }
    }

    fn apply(&mut self, message: Message<'_>, lsn: Lsn, base: usize) -> Result<Event, Error> {
        let row = |relation, kind, old| Waiting { relation, kind, old, lsn, base, noted: false };
        match message {
            Message::Insert { relation } => self.row(row(relation, Kind::Insert, None)),
            Message::Update { relation, old } => self.row(row(relation, Kind::Update, old)),
            Message::Delete { relation, old } => self.row(row(relation, Kind::Delete, Some(old))),
            Message::Truncate { mut relations } => {
                self.transaction(lsn)?;
                relations.reverse();
                self.truncated = relations;
                self.truncated_at = lsn;
                Ok(Event::Nothing)
            }
            Message::Begin { final_lsn, commit_time, xid } => self.open(final_lsn, commit_time, xid),
            Message::Commit { commit_lsn, end_lsn } => self.commit(commit_lsn, end_lsn),
            Message::Origin { lsn: origin, name } => {
                self.transaction(lsn)?;
                self.source.origin = Some((name.to_owned(), origin));
                Ok(Event::Nothing)
            }
            Message::Relation(relation) => {
                self.learn(&relation)?;
                Ok(Event::Nothing)
            }
            Message::Logical { transactional, lsn, prefix, content } => self.hear(transactional, lsn, prefix, content),
            Message::Type => Ok(Event::Nothing),
        }
    }

    fn transaction(&mut self, lsn: Lsn) -> Result<&mut InFlight, Error> {
        self.in_flight.as_mut().ok_or_else(|| disorder(format!("a change at {lsn} outside a transaction")))
    }

    fn open(&mut self, final_lsn: Lsn, commit_time: i64, xid: u32) -> Result<Event, Error> {
        if self.in_flight.is_some() {
            return Err(disorder(format!("transaction {xid} begins inside another one")));
        }
        let skip_to = match &self.cut {
            Some(cut) if cut.final_lsn == final_lsn && cut.xid == xid => Some(cut.mark),
            Some(cut) => {
                return Err(not_met(cut, &format!("transaction {xid} with commit at {final_lsn} came instead")));
            }
            None => None,
        };
        self.serial += 1;
        self.source.xid = Some(xid);
        self.source.origin = None;
        let transaction = Transaction {
            id: format!("{xid}:{}", final_lsn.0),
            commit_time: commit_time.saturating_add(POSTGRES_EPOCH),
        };
        self.in_flight = Some(InFlight::new(transaction, final_lsn, xid, skip_to));
        Ok(Event::Begin)
    }

    fn commit(&mut self, commit_lsn: Lsn, end_lsn: Lsn) -> Result<Event, Error> {
        let Some(flight) = self.in_flight.take() else {
            return Err(disorder(format!("a commit at {commit_lsn} outside a transaction")));
        };
        if flight.final_lsn != commit_lsn {
            return Err(disorder(format!("commit {commit_lsn} ends a transaction of {}", flight.final_lsn)));
        }
        if let (Some(_), Some(cut)) = (flight.skip_to, &self.cut) {
            return Err(not_met(cut, "the transaction ended before it"));
        }
        self.cut = None;
        self.position = self.position.max(end_lsn);
        if flight.total > 0 {
            self.snapshots.passed(flight.xid);
        }
        Ok(Event::Commit)
    }

    /// A relation message: the shape of the rows to come.
    fn learn(&mut self, relation: &pgoutput::Relation) -> Result<(), Error> {
        let name = TableName::new(&relation.schema, &relation.table);
        let captured = self.patterns.matches(&name);
        let table = if captured { self.look_up(relation)? } else { relation::bare_table(relation) };
        self.snapshots.named(relation.oid, &name, captured);
        let before = self.relations.get(&relation.oid);
        let differs = before.is_none_or(|known| *known.shape.table != table || known.shape.captured != captured);
        if !differs {
            return Ok(());
        }
        let (order, serial) = before.map_or((0, 0), |known| (known.order, known.serial));
        let shape = Shape { table: Arc::new(table), captured };
        self.relations.insert(relation.oid, Known { shape, order, serial, announced: false });
        Ok(())
    }

    /// Asks the catalogue, once more on a new connection if the old one is gone.
    fn look_up(&mut self, relation: &pgoutput::Relation) -> Result<Table, Error> {
        let ask = |control: &mut Connection| -> Result<Table, Error> {
            let types = resolve::types(control, &relation.columns)?;
            let mut facts = catalog::table_facts(control, relation.oid)?;
            if facts.numbers(&relation.columns).is_none() {
                // A commit is in the log a moment before the catalogue shows it; if it is not that, the table was altered since.
                std::thread::sleep(VISIBLE);
                facts = catalog::table_facts(control, relation.oid)?;
            }
            Ok(relation::table(relation, &types, &facts))
        };
        if let Some(control) = &mut self.control
            && let Ok(table) = ask(control)
        {
            return Ok(table);
        }
        ask(self.control.insert(start::open_control(&self.config)?))
    }

    /// Whether more changes were already received.
    fn more(&self) -> bool {
        let mut next = self.next;
        while let Ok(Split::Frame { body, total, .. }) = frame::split(self.chunk.get(next..self.filled).unwrap_or(&[]))
        {
            if body.first() == Some(&b'w') {
                return true;
            }
            next += total;
        }
        !self.queue.is_empty()
    }

    /// The next event that is a step; `None` when nothing came in time, or only the position moved.
    fn event(&mut self, wait: Duration) -> Result<Option<Event>, Error> {
        let mut until = None;
        loop {
            if let Some(row) = self.waiting.take() {
                match self.row(row)? {
                    Event::Nothing => {}
                    event => return Ok(Some(event)),
                }
            }
            if let Some(event) = self.say()? {
                match event {
                    Event::Nothing => {}
                    event => return Ok(Some(event)),
                }
            }
            while let Some(relation) = self.truncated.pop() {
                if self.announce(relation) {
                    self.truncated.push(relation);
                    return Ok(Some(Event::Table(relation)));
                }
                if self.count(relation, self.truncated_at)? && !self.is_shown(relation) {
                    self.source.lsn = self.truncated_at;
                    self.record(relation, Kind::Truncate, None);
                    return Ok(Some(Event::Row(relation, Kind::Truncate, None)));
                }
            }
            if self.begin_copying()? {
                return self.copy().map(Some);
            }
            if self.stands_still() {
                self.queue.rest(wait);
                return if self.begin_copying()? { self.copy().map(Some) } else { Ok(None) };
            }
            if self.next >= self.filled {
                let until = *until.get_or_insert_with(|| Instant::now() + wait);
                if !self.refill(until.saturating_duration_since(Instant::now()))? {
                    // A chunk may have come meanwhile.
                    return if self.begin_copying()? { self.copy().map(Some) } else { Ok(None) };
                }
            }
            match self.advance()? {
                Event::Nothing => {}
                // While copies go on, silence is not the end of a batch: their next chunk comes soon.
                Event::Moved if self.next >= self.filled && self.queue.is_empty() && !self.snapshots.is_active() => {
                    return Ok(None);
                }
                Event::Moved => {}
                event => return Ok(Some(event)),
            }
        }
    }

    fn step(&mut self, event: &Event) -> Option<Step<'_>> {
        match event {
            Event::Nothing | Event::Moved => Some(Step::Idle),
            Event::Commit => Some(Step::Commit { more: self.more() }),
            Event::Copied(part) => self.copied_step(*part),
            Event::Begin => self.in_flight.as_ref().map(|flight| Step::Begin(&flight.transaction)),
            Event::Table(oid) => self.relations.get(oid).map(|known| Step::Table(&known.shape.table)),
            Event::Message => self.message_step(),
            Event::Statement => self.statement_step(),
            Event::Row(oid, kind, old) => {
                let known = self.relations.get(oid)?;
                let flight = self.in_flight.as_ref()?;
                self.source.place(&known.shape.table);
                let after = matches!(kind, Kind::Insert | Kind::Update);
                Some(Step::Change(Change {
                    kind: *kind,
                    table: &known.shape.table,
                    transaction: &flight.transaction,
                    before: if old.is_some() { Some(&self.old) } else { None },
                    before_is_key_only: *old == Some(Old::Key),
                    after: if after { Some(&self.new) } else { None },
                    total_order: flight.total,
                    table_order: known.order,
                    source: &self.source,
                }))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queue.close();
        // The reader ends by itself within its receive timeout and its goodbye.
        if let Some(reader) = self.reader.take()
            && reader.join().is_err()
        {
            tracing::error!("the reader thread panicked");
        }
    }
}

fn disorder(what: impl std::fmt::Display) -> Error {
    Error::stop(format!("{DOING}: {what}"), "please report this with the server's version")
}

fn not_met(cut: &Cut, what: &str) -> Error {
    Error::stop(
        format!(
            "the checkpoint lies inside a transaction ({}), and that change was not met: {what}",
            Place::Inside(*cut)
        ),
        "was the publication changed, or is this another server? `headwater accept gap` goes on from the slot's position",
    )
}

impl Source for PostgresSource {
    fn start(&mut self, from: Option<&Resume>) -> Result<Started, SourceError> {
        self.running = None;
        let begun = start::begin(&self.config, &self.patterns, from)?;
        let progress = from.map(|from| from.progress.clone()).unwrap_or_default();
        let (running, started) = Running::begin(&self.config, &self.patterns, begun, progress, self.copies.clone())?;
        self.running = Some(running);
        Ok(started)
    }

    fn next(&mut self, wait: Duration) -> Result<Step<'_>, SourceError> {
        let running = self.running()?;
        running.end_copying();
        match running.event(wait)? {
            None => Ok(Step::Idle),
            Some(event) => Ok(running.step(&event).unwrap_or(Step::Idle)),
        }
    }

    fn position(&self) -> Position {
        let place = self.running.as_ref().map_or(Place::At(Lsn(0)), Running::place);
        Position::new(place.to_string())
    }

    fn confirm(&mut self, position: &Position) -> Result<(), SourceError> {
        let place: Place = position
            .as_str()
            .parse()
            .map_err(|error| Error::stop(format!("confirming: {error}"), "please report this"))?;
        let running = self.running()?;
        // Never beyond what was returned: confirming more would let the server forget what nobody has.
        if place.restart() > running.position {
            return Err(disorder(format!("{place} was confirmed, but only {} was read", running.position)).into());
        }
        running.queue.confirm(place.restart());
        running.snapshots.durable();
        Ok(())
    }

    fn copies(&self) -> Copies {
        self.copies.clone()
    }

    fn close(&mut self) -> Result<(), SourceError> {
        self.running = None;
        if self.config.temporary {
            let mut control = start::open_control(&self.config)?;
            let drop = format!("DROP PUBLICATION IF EXISTS {}", sql::identifier(&self.config.publication));
            control.query("dropping the temporary publication", &drop)?;
            control.close();
        }
        Ok(())
    }
}
