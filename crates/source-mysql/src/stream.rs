//! The stream of changes, and why it is correct.
//!
//! **Nothing is lost.** The server sends its files' events in their order, each transaction whole, and only committed ones
//! (but XA, see below). Asked by a set of transactions it sends all that are not in the set; a transaction joins the set
//! here when its end was met. Before that, at start, the server must have all of the set and must not have purged anything
//! outside it: either would be a gap, and is refused. Every event's checksum is compared, an event of an unknown type ends
//! the stream, and so does a row that does not end where its event does.
//!
//! **Nothing is there twice.** A position inside a transaction is a cut: where the transaction begins in the files of this
//! one server, and how many rows of captured tables were returned. The files do not change, so the server sends the same
//! transaction first; it has to begin at that very place, and so many rows are counted, not returned. Rows are counted,
//! not events, because the server packs rows into events as it likes, but never changes what is in its files. The same
//! tables have to be captured: so they are when the configuration is the same, and a transaction that ends before the cut
//! is met stops the stream.
//!
//! **What is not known to be committed is never returned.** An XA transaction's rows are in the log when it is prepared,
//! before anybody knows whether it commits: a captured row in one stops the stream. So does a statement in the place of
//! rows, and what undoes rows that were logged.
//!
//! **Shapes are the log's.** Columns, types and signs come from the table map before each rows event. What it does not say
//! is asked of the catalogue, whose columns have to fit the table map ([`table`](crate::table)).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use change::{
    Change, Copies, Kind, Position, Reason, Resume, Source, SourceError, SourceInfo, Started, Step, Table, Transaction,
};

use crate::catalog::{self, Member, Server};
use crate::config::{Config, Patterns};
use crate::connection::Connection;
use crate::declared;
use crate::error::Error;
use crate::history::History;
use crate::position::{Cut, FilePlace, Passed, Place};
use crate::queue::{Popped, Queue};
use crate::reader::{self, StreamReader};
use crate::row::Image;
use crate::snapshot::{Mark, Part, Publishing, Snapshots};
use crate::source_row::{SourceRow, source_columns};
use crate::start::{self, Begun};
use crate::table::Shape;
use crate::watch::Watch;
use crate::wire::Decoder;

mod copying;
mod events;
mod rows;
mod statements;
mod tables;

use events::Unpacking;
use rows::{Batch, Reading};
use statements::Statements;
use tables::{Known, Tables};

const DOING: &str = "decoding the binlog";

/// MySQL or MariaDB as a source of changes.
pub struct MySqlSource {
    config: Config,
    patterns: Patterns,
    running: Option<Running>,
    copies: Copies,
}

impl MySqlSource {
    /// Nothing is connected before [`Source::start`].
    ///
    /// # Errors
    ///
    /// A configuration that cannot work.
    pub fn new(config: Config) -> Result<Self, SourceError> {
        config.validate()?;
        let patterns = Patterns::new(&config.tables)?;
        Ok(Self { config, patterns, running: None, copies: Copies::default() })
    }

    /// What was passed, and the transaction that was being read, which nobody will read again. `None`: it has no number.
    pub(crate) fn behind_current(&self) -> Option<Passed> {
        let running = self.running.as_ref()?;
        let mut passed = running.passed.clone();
        match (&mut passed, &running.in_flight.as_ref()?.number) {
            (Passed::MySql(set), Number::MySql(source, number)) => set.add(*source, *number),
            (Passed::MariaDb(set), Number::MariaDb(id)) => set.advance(*id),
            _ => return None,
        }
        Some(passed)
    }

    fn running(&mut self) -> Result<&mut Running, SourceError> {
        self.running.as_mut().ok_or_else(|| SourceError::Retry { what: "the source is not started".to_owned() })
    }
}

/// A transaction between its first event and its end.
struct InFlight {
    transaction: Transaction,
    /// Its number, which joins the passed ones at its end.
    number: Number,
    begin: FilePlace,
    /// One statement is all of it: nothing else says that it ends.
    standalone: bool,
    /// An XA transaction: whether it commits is not known yet.
    xa: bool,
    /// MariaDB's ALTER TABLE that only begins, or has failed: it defines nothing.
    unfinished_alter: bool,
    /// `Begin` was returned.
    told: bool,
    /// Rows of captured tables that were met.
    total: u64,
    /// How many of them are not to be returned again.
    skip: u64,
    /// What copies call it, once they have asked.
    mark: Option<Mark>,
}

/// How the server names a transaction.
#[derive(Clone, Debug)]
enum Number {
    MySql(crate::gtid::mysql::Source, u64),
    MariaDb(crate::gtid::mariadb::Gtid),
    Anonymous,
}

/// What an event came to; the step is built from it when nothing is borrowed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    Moved,
    Begin,
    Statement,
    /// The shape of the table with this number.
    Table(u64),
    Row(u64, Kind),
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
    server: Server,
    decoder: Decoder,
    chunk: Arc<Vec<u8>>,
    /// Where the next packet of `chunk` begins, and where its last one ends.
    next: usize,
    filled: usize,
    /// A compressed transaction whose events are being taken out.
    unpacking: Option<Unpacking>,
    /// A rows event whose rows are being returned.
    reading: Option<Reading>,
    /// A TRUNCATE is being returned.
    truncating: bool,
    statements: Statements,
    before: Image,
    after: Image,
    source: SourceRow,
    /// The next rows of `reading`.
    batch: Batch,
    tables: Tables,
    in_flight: Option<InFlight>,
    serial: u64,
    /// Where the last event of the stream ended in the server's files.
    end: FilePlace,
    passed: Passed,
    /// As [`Begun`] has it.
    numbered_behind: Option<FilePlace>,
    cut: Option<Cut>,
    /// What tables were where the stream is, for logs that do not say it.
    history: History,
    snapshots: Snapshots,
    publishing: Option<Publishing>,
    /// Key and text of the progress that is returned next.
    progress: (String, String),
}

impl Running {
    fn begin(
        config: &Config,
        patterns: &Patterns,
        begun: Begun,
        mut progress: BTreeMap<String, String>,
        copies: Copies,
    ) -> Result<(Self, Started), Error> {
        let Begun { mut control, transport, early, server, place, captured, floor, numbered_behind } = begun;
        let noted = History::take(&mut progress)?;
        let mut history = if place.anew { History::default() } else { noted };
        let tables = described(&mut control, &server, &captured, &mut history)?;
        let queue = Arc::new(Queue::new(config.queue_bytes));
        let reader = StreamReader::new(transport, &early, Arc::clone(&queue), config.deadline);
        let reader = std::thread::Builder::new()
            .name("mysql-reader".to_owned())
            .spawn(move || reader.run())
            .map_err(Error::network("starting a thread"))?;
        let info = SourceInfo {
            connector: server.flavour.connector(),
            database: None,
            server_identity: server.identity.clone(),
            columns: source_columns(),
        };
        tracing::debug!(flavour = %server.flavour, version = server.version, "the binlog is read");
        let mut snapshots = Snapshots::new(config, &server, &queue, progress, copies, floor);
        snapshots.add(captured)?;
        let watch = Watch::begin(config.clone(), patterns.clone(), snapshots.door())?;
        let nothing = Arc::new(Vec::new());
        let nobody = Arc::new(Shape::nobody());
        let position = Position::new(place.to_string());
        let running = Self {
            queue,
            reader: Some(reader),
            _watch: watch,
            control: Some(control),
            config: config.clone(),
            patterns: patterns.clone(),
            source: SourceRow::default(),
            server,
            decoder: Decoder::new(),
            before: Image::new(Arc::clone(&nothing), Arc::clone(&nobody), Reason::KeyOnly),
            after: Image::new(Arc::clone(&nothing), nobody, Reason::Unchanged),
            chunk: nothing,
            next: 0,
            filled: 0,
            unpacking: None,
            reading: None,
            truncating: false,
            statements: Statements::default(),
            batch: Batch::default(),
            tables: Tables::default(),
            in_flight: None,
            serial: 0,
            end: FilePlace { file: String::new(), offset: 0 },
            passed: place.passed,
            numbered_behind,
            cut: place.cut,
            history,
            snapshots,
            publishing: None,
            progress: Default::default(),
        };
        Ok((running, Started { info, position, tables }))
    }

    fn place(&self) -> Place {
        let cut = match &self.in_flight {
            Some(flight) if flight.total > 0 && flight.skip == 0 => {
                Some(Cut { server: self.server.identity.clone(), begin: flight.begin.clone(), rows: flight.total })
            }
            // Before the row that a resume looks for was met, the place is still where the resume began.
            _ => self.cut.clone(),
        };
        Place { passed: self.passed.clone(), cut, anew: false }
    }

    /// Makes the next chunk the current one.
    fn refill(&mut self, wait: Duration) -> Result<bool, Error> {
        match self.queue.pop(wait) {
            Popped::Nothing => Ok(false),
            Popped::Ended(error) => Err(error),
            Popped::Chunk(chunk) => {
                let bytes = Arc::new(chunk.bytes);
                // The images let go of the old buffer, so that it can go back.
                let nobody = Arc::new(Shape::nobody());
                self.before.attach(&bytes, 0, &nobody);
                self.after.attach(&bytes, 0, &nobody);
                let spent = std::mem::replace(&mut self.chunk, bytes);
                if let Ok(bytes) = Arc::try_unwrap(spent) {
                    self.queue.recycle(bytes);
                }
                (self.next, self.filled) = (0, chunk.filled);
                Ok(true)
            }
        }
    }

    /// Decodes one event of the current chunk.
    fn advance(&mut self) -> Result<Event, Error> {
        let chunk = Arc::clone(&self.chunk);
        let rest = chunk.get(self.next..self.filled).unwrap_or_default();
        let (event, total) = reader::split(rest).ok_or_else(|| disorder("a packet is broken"))?;
        // One byte behind the head says that it is an event.
        let base = self.next + reader::HEAD + 1;
        self.next += total;
        let framed = self.decoder.frame(event).map_err(undecoded)?;
        self.follow(&framed.header);
        self.apply(&chunk, base, &framed)
    }

    /// The next event that is a step; `None` when nothing came in time, or only the position moved.
    fn event(&mut self, wait: Duration) -> Result<Option<Event>, Error> {
        let mut until = None;
        loop {
            if self.say()? {
                return Ok(Some(Event::Statement));
            }
            if self.truncating {
                match self.truncation()? {
                    Some(Event::Nothing) => {}
                    Some(event) => return Ok(Some(event)),
                    None => return self.commit().map(Some),
                }
                continue;
            }
            if self.reading.is_some() {
                match self.row()? {
                    Event::Nothing => {}
                    event => return Ok(Some(event)),
                }
                continue;
            }
            if self.begin_copying()? {
                return self.copy().map(Some);
            }
            if self.stands_still() {
                self.queue.rest(wait);
                return if self.begin_copying()? { self.copy().map(Some) } else { Ok(None) };
            }
            let event = if self.unpacking.is_some() {
                self.unpack()?
            } else {
                if self.next >= self.filled {
                    let until = *until.get_or_insert_with(|| Instant::now() + wait);
                    if !self.refill(until.saturating_duration_since(Instant::now()))? {
                        // A chunk may have come meanwhile.
                        return if self.begin_copying()? { self.copy().map(Some) } else { Ok(None) };
                    }
                }
                self.advance()?
            };
            match event {
                Event::Nothing => {}
                // While copies go on, silence is not the end of a batch: their next chunk comes soon.
                Event::Moved if self.next >= self.filled && self.queue.is_empty() && !self.copies_wait() => {
                    return Ok(None);
                }
                Event::Moved => {}
                event => return Ok(Some(event)),
            }
        }
    }

    /// Whether there is something to return that is not in the log.
    fn copies_wait(&self) -> bool {
        self.snapshots.is_active() || self.history.has_notes()
    }

    /// Whether more was already received.
    fn more(&self) -> bool {
        self.unpacking.is_some() || self.next < self.filled || !self.queue.is_empty()
    }

    fn step(&mut self, event: Event) -> Option<Step<'_>> {
        match event {
            Event::Nothing | Event::Moved => Some(Step::Idle),
            Event::Commit => Some(Step::Commit { more: self.more() }),
            Event::Copied(part) => self.copied_step(part),
            Event::Begin => self.in_flight.as_ref().map(|flight| Step::Begin(&flight.transaction)),
            Event::Statement => self.statements.said().map(Step::Statement),
            Event::Table(number) => Some(Step::Table(&self.tables.get(number)??.table)),
            Event::Row(number, kind) => {
                let known = self.tables.get(number)??;
                let flight = self.in_flight.as_ref()?;
                let before = matches!(kind, Kind::Update | Kind::Delete);
                let after = matches!(kind, Kind::Insert | Kind::Update);
                Some(Step::Change(Change {
                    kind,
                    table: &known.table,
                    transaction: &flight.transaction,
                    before: if before { Some(&self.before) } else { None },
                    before_is_key_only: before && self.before.is_partial(),
                    after: if after { Some(&self.after) } else { None },
                    total_order: flight.total,
                    table_order: known.order,
                    source: &self.source,
                }))
            }
        }
    }
}

/// The captured tables as the catalogue shows them, so that their schemas can be known before their first rows; notes those
/// that the log will not describe. Where only the log can tell what a column is, a table is left out.
fn described(
    control: &mut Connection,
    server: &Server,
    captured: &[Member],
    history: &mut History,
) -> Result<Vec<Arc<Table>>, Error> {
    let mut tables = Vec::new();
    for Member { name, .. } in captured {
        let Some(catalogue) = catalog::describe(control, name)? else { continue };
        if !server.logs_names() && history.get(name).is_none() {
            history.note(name, &catalogue);
        }
        let table = declared::table(name, &catalogue, server.flavour, server.key_identity());
        tables.extend(table.ok().flatten().map(Arc::new));
    }
    Ok(tables)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queue.close();
        // The reader ends by itself within its receive timeout.
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

fn undecoded(error: impl std::error::Error) -> Error {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::stop(
        format!("{DOING}: {error}{cause}"),
        "please report this with the server's version; nothing was skipped and nothing is lost",
    )
}

fn not_met(cut: &Cut, what: &str) -> Error {
    Error::stop(
        format!(
            "the checkpoint lies inside the transaction at {} of server {}, behind {} of its rows, and they were not met: \
             {what}",
            cut.begin, cut.server, cut.rows
        ),
        "are other tables captured than before? `headwater accept gap` goes on behind that transaction",
    )
}

impl Source for MySqlSource {
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
            Some(event) => Ok(running.step(event).unwrap_or(Step::Idle)),
        }
    }

    fn position(&self) -> Position {
        let place = self.running.as_ref().map(Running::place);
        Position::new(place.map_or_else(String::new, |place| place.to_string()))
    }

    /// The server keeps its log by time, whoever reads it: there is nothing to tell it. But who wished something learns that
    /// it is durable.
    fn confirm(&mut self, _position: &Position) -> Result<(), SourceError> {
        self.running()?.snapshots.durable();
        Ok(())
    }

    fn copies(&self) -> Copies {
        self.copies.clone()
    }

    fn close(&mut self) -> Result<(), SourceError> {
        self.running = None;
        Ok(())
    }
}
