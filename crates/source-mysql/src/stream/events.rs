//! What each event does to the stream's state.

use std::io::Cursor;
use std::sync::Arc;

use change::Transaction;

use super::rows::place_in;
use super::{DOING, Event, InFlight, Known, Number, Running, disorder, not_met, undecoded};
use crate::catalog;
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::gtid::mysql::GtidSet;
use crate::position::{FilePlace, Passed};
use crate::statement::{self, Statement};
use crate::table::{Catalogue, Shape};
use crate::wire::header::{EventType, Header};
use crate::wire::payload::{Events, Payload};
use crate::wire::query::Query;
use crate::wire::table_map::TableMap;
use crate::wire::{self, Framed};

/// The largest event that the server sends (`max_allowed_packet`), also out of a compressed transaction.
pub(super) const LARGEST: usize = 1 << 30;
const MICROS: i64 = 1_000_000;

/// A transaction in one compressed event, whose events are taken out one after the other.
pub(super) struct Unpacking {
    events: Events<Cursor<Slice>>,
    header: Header,
}

/// A part of a buffer that is kept alive.
pub(super) struct Slice {
    bytes: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }
}

impl Running {
    /// Keeps account of the place in the server's files. What the server makes up has no place; what it leaves out, because
    /// we have it, is a gap between two. Headers hold the low half of a place only.
    pub(super) fn follow(&mut self, header: &Header) {
        if header.is_artificial() || header.next_position == 0 || header.kind == EventType::HEARTBEAT {
            return;
        }
        let low = u64::from(header.next_position);
        let high = self.end.offset & !u64::from(u32::MAX);
        let end = high | low;
        self.end.offset = if end < self.end.offset { end + (1 << 32) } else { end };
    }

    /// Where the event with this header, the last one followed, begins.
    fn begin_of(&self, header: &Header) -> FilePlace {
        FilePlace { file: self.end.file.clone(), offset: self.end.offset.saturating_sub(header.length.into()) }
    }

    /// `base`: where the event begins in the buffer.
    pub(super) fn apply(&mut self, buffer: &Arc<Vec<u8>>, base: usize, framed: &Framed<'_>) -> Result<Event, Error> {
        let header = framed.header;
        // Before nearly every rows event the same table map comes again.
        if header.kind == EventType::TABLE_MAP
            && let Some((number, fingerprint)) = TableMap::number(framed.body)
            && self.tables.has(number, fingerprint)
        {
            return Ok(Event::Nothing);
        }
        match self.decoder.read(framed).map_err(undecoded)? {
            wire::Event::Format(format) => {
                self.decoder.expect(format);
                // Numbers of tables begin anew with the server.
                self.tables.clear();
                Ok(Event::Nothing)
            }
            wire::Event::Rotate(rotate) => {
                self.end = FilePlace { file: rotate.file.to_owned(), offset: rotate.position };
                if let (Passed::File(place), None) = (&mut self.passed, &self.in_flight) {
                    place.clone_from(&self.end);
                }
                Ok(Event::Moved)
            }
            wire::Event::Gtid(gtid) => {
                let number = gtid.id.map_or(Number::Anonymous, |(source, number)| Number::MySql(source, number));
                let time = gtid.immediate_commit.and_then(|micros| i64::try_from(micros).ok()).filter(|time| *time > 0);
                self.open(&header, number, time, true)
            }
            wire::Event::MariaDbGtid(gtid) => {
                self.open(&header, Number::MariaDb(gtid.id), None, gtid.standalone)?;
                if let Some(flight) = &mut self.in_flight {
                    (flight.xa, flight.unfinished_alter) = (gtid.prepared_xa, gtid.unfinished_alter);
                }
                Ok(Event::Nothing)
            }
            wire::Event::Query(query) => self.query(&query),
            wire::Event::Xid(_) => self.commit(),
            wire::Event::XaPrepare(_) => self.commit(),
            wire::Event::TableMap(map) => self.learn(&map),
            wire::Event::Rows(rows) => self.read(buffer, base, framed, &rows),
            wire::Event::Payload(payload) => self.begin_unpacking(buffer, base, &header, &payload),
            wire::Event::Incident(incident) => Err(Error::stop(
                format!("the server's log has an incident: {:?}: changes are missing in it", incident.message),
                "copy the tables anew: nobody knows what was lost. `headwater accept gap` goes on behind it",
            )),
            wire::Event::Heartbeat(heartbeat) => {
                self.hear(&heartbeat);
                Ok(Event::Nothing)
            }
            wire::Event::PreviousGtids(set) => Ok(self.change_over(set)),
            wire::Event::Stop
            | wire::Event::MariaDbGtidList(_)
            | wire::Event::RowsQuery(_)
            | wire::Event::BinlogCheckpoint(_)
            | wire::Event::StartEncryption
            | wire::Event::StatementPart
            | wire::Event::Irrelevant
            | wire::Event::Ignorable => Ok(Event::Nothing),
        }
    }

    /// At the beginning of a file: all that lies before it has these numbers, which are another name for the place, and one
    /// that holds on other servers too. Only where no transaction without a number can follow: a set says nothing of those.
    fn change_over(&mut self, set: GtidSet) -> Event {
        let is_behind = |last: &FilePlace| self.end > *last && self.end.file != last.file;
        if self.in_flight.is_some() || self.cut.is_some() || !self.numbered_behind.as_ref().is_some_and(is_behind) {
            return Event::Nothing;
        }
        tracing::info!(%set, "GTIDs were turned on: positions are made of them from here on");
        (self.passed, self.numbered_behind) = (Passed::MySql(set), None);
        Event::Moved
    }

    fn open(&mut self, header: &Header, number: Number, time: Option<i64>, standalone: bool) -> Result<Event, Error> {
        let begin = self.begin_of(header);
        if let Some(flight) = &self.in_flight {
            return Err(disorder(format!("a transaction begins at {begin} inside the one at {}", flight.begin)));
        }
        let skip = match &self.cut {
            Some(cut) if cut.begin == begin => cut.rows,
            Some(cut) => return Err(not_met(cut, &format!("the transaction at {begin} came instead"))),
            None => 0,
        };
        let id = match &number {
            Number::MySql(source, number) => format!("{source}:{number}"),
            Number::MariaDb(gtid) => gtid.to_string(),
            Number::Anonymous => begin.to_string(),
        };
        self.source.gtid = if matches!(number, Number::Anonymous) { None } else { Some(id.clone()) };
        self.source.server_id = header.server_id;
        self.source.file.clone_from(&begin.file);
        let commit_time = time.unwrap_or_else(|| i64::from(header.timestamp).saturating_mul(MICROS));
        self.serial += 1;
        self.in_flight = Some(InFlight {
            transaction: Transaction { id, commit_time },
            number,
            begin,
            standalone,
            xa: false,
            unfinished_alter: false,
            told: false,
            total: 0,
            skip,
            mark: None,
        });
        Ok(Event::Nothing)
    }

    /// The transaction in flight is over.
    pub(super) fn commit(&mut self) -> Result<Event, Error> {
        let flight =
            self.in_flight.take().ok_or_else(|| disorder(format!("an end without a beginning at {}", self.end)))?;
        if let (true, Some(cut)) = (flight.skip > 0, &self.cut) {
            return Err(not_met(cut, &format!("the transaction has {} rows of captured tables", flight.total)));
        }
        self.cut = None;
        self.truncating = false;
        match (&mut self.passed, flight.number) {
            (Passed::MySql(set), Number::MySql(source, number)) => set.add(source, number),
            (Passed::MariaDb(set), Number::MariaDb(gtid)) => set.advance(gtid),
            (Passed::File(place), _) => place.clone_from(&self.end),
            (passed, number) => {
                return Err(Error::stop(
                    format!("a transaction is numbered {number:?}, but the log is followed by {passed}"),
                    "was gtid_mode changed while the log was read? set it back to ON, or `headwater accept gap`",
                ));
            }
        }
        Ok(if flight.told { Event::Commit } else { Event::Moved })
    }

    fn query(&mut self, query: &Query<'_>) -> Result<Event, Error> {
        let mut scratch = Vec::new();
        let query = query.inflated(LARGEST, &mut scratch).map_err(Error::wire(DOING))?;
        let statement = if query.load { Statement::Rows("LOAD DATA") } else { statement::classify(query.sql) };
        let Some(flight) = &mut self.in_flight else {
            return Err(disorder(format!("a statement outside a transaction at {}", self.end)));
        };
        match statement {
            // The server writes it for transactions of rows; then something else says where they end.
            Statement::Begin => flight.standalone = false,
            Statement::Commit => return self.commit(),
            Statement::XaStart => (flight.standalone, flight.xa) = (false, true),
            Statement::XaEnd | Statement::Harmless => {}
            Statement::XaOver => return self.commit(),
            Statement::Rollback if flight.total == 0 => return self.commit(),
            Statement::RollbackTo if flight.total == 0 => {}
            Statement::Rollback | Statement::RollbackTo => {
                return Err(Error::stop(
                    format!("the transaction {} undoes rows that are in the log", flight.transaction.id),
                    "it changed tables of an engine without transactions beside others: ALTER TABLE … ENGINE = InnoDB",
                ));
            }
            Statement::Rows(verb) => {
                return Err(Error::stop(
                    format!(
                        "the transaction {} holds a statement ({verb}) in the place of its rows",
                        flight.transaction.id
                    ),
                    "SET GLOBAL binlog_format = 'ROW', and let the sessions that set another one for themselves reconnect; \
                     `headwater accept gap` goes on behind the transaction",
                ));
            }
            Statement::Truncate(table) => {
                if self.truncate(query.database, table)? {
                    return Ok(Event::Nothing);
                }
            }
            // Shapes that came from the catalogue may be others now.
            Statement::Other => {
                self.tables.clear();
                self.warn_of_replaced_rows(query.database, query.sql);
                self.snapshots.altered(query.database, query.sql);
                self.note_altered(query.database, query.sql)?;
                self.note_statement(&query);
            }
        }
        match &self.in_flight {
            // It ends when its last statement is returned.
            _ if self.statements.wait() => Ok(Event::Nothing),
            Some(flight) if flight.standalone => self.commit(),
            _ => Ok(Event::Nothing),
        }
    }

    fn begin_unpacking(
        &mut self,
        buffer: &Arc<Vec<u8>>,
        base: usize,
        header: &Header,
        payload: &Payload<'_>,
    ) -> Result<Event, Error> {
        let range = place_in(buffer, base, payload.data);
        let data = Slice { bytes: Arc::clone(buffer), start: range.start, end: range.end };
        let events = payload.events_of(Cursor::new(data), LARGEST).map_err(Error::wire(DOING))?;
        self.unpacking = Some(Unpacking { events, header: *header });
        Ok(Event::Nothing)
    }

    /// The next event of a compressed transaction.
    pub(super) fn unpack(&mut self) -> Result<Event, Error> {
        let Some(mut unpacking) = self.unpacking.take() else { return Ok(Event::Nothing) };
        let Some(event) = unpacking.events.next_event().map_err(Error::wire(DOING))? else {
            return if self.in_flight.is_some() {
                Err(disorder(format!("the compressed transaction before {} has no end", self.end)))
            } else {
                Ok(Event::Nothing)
            };
        };
        let bytes = Arc::new(event.to_vec());
        let framed = self.decoder.inside(&bytes).map_err(undecoded)?;
        // For the place of its rows: they have none of their own.
        let framed = Framed { header: Header { length: unpacking.header.length, ..framed.header }, ..framed };
        self.unpacking = Some(unpacking);
        self.apply(&bytes, 0, &framed)
    }

    /// A table map: which table the rows to come belong to.
    fn learn(&mut self, map: &TableMap<'_>) -> Result<Event, Error> {
        let name = change::TableName::new(map.schema, map.name);
        let known = if self.patterns.matches(&name) { Some(self.known(map, &name)?) } else { None };
        self.tables.insert(map.table, map.fingerprint, known);
        Ok(Event::Nothing)
    }

    fn known(&mut self, map: &TableMap<'_>, name: &change::TableName) -> Result<Known, Error> {
        let shape = self.shape(map, name)?;
        // Another number for the same table, as after a statement that opened it anew.
        let before = self.tables.named(name);
        let same = before.filter(|known| *known.table == shape.table);
        let (table, announced, order, serial) = match same {
            Some(known) => (Arc::clone(&known.table), known.announced, known.order, known.serial),
            None => (Arc::new(shape.table.clone()), false, 0, 0),
        };
        Ok(Known { shape: Arc::new(shape), table, order, serial, announced })
    }

    fn shape(&mut self, map: &TableMap<'_>, name: &change::TableName) -> Result<Shape, Error> {
        let identity = self.server.key_identity();
        let catalogue = self.catalogue(name)?;
        let read = |catalogue: Option<&Catalogue>| Shape::read(map, self.server.flavour, catalogue, identity);
        let shape = match read(catalogue.as_ref()) {
            // The table was altered since. What the log says itself is enough where it says all; else the catalogue is asked
            // once more, as a statement may not have named the table that it altered.
            Err(error) if error.is_contradiction() => match self.server.logs_names() {
                true => read(None),
                false => {
                    let fresh = self.look_up(name)?;
                    let read = Shape::read(map, self.server.flavour, fresh.as_ref(), identity);
                    if let (Ok(_), Some(fresh)) = (&read, &fresh) {
                        self.history.note(name, fresh);
                    }
                    read
                }
            },
            other => other,
        };
        shape.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Error::stop(
                format!("{error}{cause}"),
                "SET GLOBAL binlog_row_metadata = 'FULL' makes the log say what its rows mean; rows that are in it already need \
                 the table as it was: `headwater accept gap` goes on behind them",
            )
        })
    }

    /// Nobody who reads the log learns which rows have gone: the least is to say so.
    fn warn_of_replaced_rows(&self, database: &str, sql: &[u8]) {
        let Some(written) = statement::replaces_rows(&String::from_utf8_lossy(sql)) else { return };
        let name = self.written(database, written);
        if self.patterns.matches(&name) {
            tracing::warn!(
                table = %name, help = %format!("delete what should not be there by statements, or `headwater snapshot {name}`"),
                "a statement removed or exchanged rows in one piece; the log does not say which: there are no events of them"
            );
        }
    }

    /// What the log does not say of its tables is asked anew for those that a statement names.
    fn note_altered(&mut self, database: &str, sql: &[u8]) -> Result<(), Error> {
        if self.server.logs_names() {
            return Ok(());
        }
        for table in self.history.named(database, sql) {
            if let Some(found) = self.look_up(&table)? {
                self.history.note(&table, &found);
            }
        }
        Ok(())
    }

    /// What the catalogue said of a table where the stream is, or says now.
    fn catalogue(&mut self, table: &change::TableName) -> Result<Option<Catalogue>, Error> {
        if self.server.logs_names() {
            return self.look_up(table);
        }
        if let Some(known) = self.history.get(table) {
            return Ok(Some(known.clone()));
        }
        let found = self.look_up(table)?;
        if let Some(found) = &found {
            self.history.note(table, found);
        }
        Ok(found)
    }

    /// Asks the catalogue, once more on a new connection if the old one is gone.
    pub(super) fn look_up(&mut self, table: &change::TableName) -> Result<Option<Catalogue>, Error> {
        if let Some(control) = &mut self.control
            && let Ok(found) = catalog::describe(control, table)
        {
            return Ok(found);
        }
        let control = self.control.insert(Connection::open(&self.config, Purpose::Control)?);
        catalog::describe(control, table)
    }
}
