//! Logical messages (`pg_logical_emit_message`), where they are asked for: rows of a table of their own.
//!
//! A transactional message is one of the changes of its transaction, and counted like them: also one that is not wanted, as
//! it may have been wanted when the position was written that is looked for. Any other is sent as soon as the
//! server decodes its record, whatever became of the transaction that wrote it: here it is a transaction by itself.
//!
//! **Its place** is the end of its record, which is the position that comes with it. Asked to go on from there, the server
//! leaves out what begins before (`logicalmsg_decode` in `src/backend/replication/logical/decode.c`): the message, and the
//! transactions whose commit records lie before it, which were all sent. One byte more would be a transaction less, for the
//! next record may be a commit. It never comes inside another transaction, because the server decodes nothing while it
//! sends one. Where a resume looks for a cut, such a message would have been
//! returned before the transaction that was cut, had it been asked for then: it is left out.

use std::sync::Arc;

use change::{Change, Column, ColumnType, Identity, Kind, Step, Table, TableName, Transaction};

use super::{Event, InFlight, Known, Running};
use crate::config::Glob;
use crate::ddl_trigger;
use crate::error::Error;
use crate::lsn::Lsn;
use crate::reader::POSTGRES_EPOCH;
use crate::relation::Shape;
use crate::row::Image;
use crate::wire::tuple::Cell;

/// Their relation: no table has this OID.
pub(super) const RELATION: u32 = 0;

/// No schema of a database may begin with `pg_`, so there is no such table.
const SCHEMA: &str = "pg_logical";
const TABLE: &str = "message";

/// What is wanted of messages, and the one that is being returned.
pub(super) struct Messages {
    prefixes: Vec<Glob>,
    image: Image,
    pending: Option<Pending>,
}

/// A message on its way.
#[derive(Clone, Copy)]
struct Pending {
    lsn: Lsn,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A change of the transaction in flight.
    Inside,
    /// By itself: its beginning, the message, its end.
    Begin,
    Alone,
    Commit,
}

impl Messages {
    pub(super) fn new(prefixes: &[String]) -> Self {
        let image = Image::new(Arc::default(), Arc::new(table()));
        Self { prefixes: prefixes.iter().map(|prefix| Glob::new(prefix)).collect(), image, pending: None }
    }

    /// The table that they are rows of, if any are wanted.
    pub(super) fn table(&self) -> Option<&Arc<Table>> {
        (!self.prefixes.is_empty()).then_some(&self.image.table)
    }

    fn wants(&self, prefix: &str) -> bool {
        self.prefixes.iter().any(|wanted| wanted.matches(prefix))
    }

    /// Keeps a message, with its content as the server prints bytes.
    fn keep(&mut self, prefix: &str, content: &[u8], pending: Pending) {
        let mut bytes = Vec::with_capacity(prefix.len() + 2 + 2 * content.len());
        bytes.extend_from_slice(prefix.as_bytes());
        bytes.extend_from_slice(b"\\x");
        for byte in content {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            bytes.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        let (start, length) = (prefix.len(), bytes.len() - prefix.len());
        self.image.attach(Arc::new(bytes));
        self.image.cells = vec![Cell::Text { start: 0, length: start }, Cell::Text { start, length }];
        self.pending = Some(pending);
    }
}

fn table() -> Table {
    let column = |name: &str, kind, sql_type: &str| Column {
        name: name.to_owned(),
        kind,
        sql_type: sql_type.to_owned(),
        labels: Vec::new(),
        nullable: Some(false),
        number: None,
    };
    Table {
        name: TableName::new(SCHEMA, TABLE),
        columns: vec![column("prefix", ColumnType::Text, "text"), column("content", ColumnType::Bytes, "bytea")],
        key: vec![0],
        identity: Identity::Default,
        relation: None,
    }
}

impl Running {
    /// Makes the table of messages known to the stream.
    pub(super) fn expect_messages(&mut self) {
        if let Some(table) = self.messages.table() {
            let shape = Shape { table: Arc::clone(table), captured: true };
            self.relations.insert(RELATION, Known { shape, order: 0, serial: 0, announced: false });
        }
    }

    /// A message was received.
    pub(super) fn hear(&mut self, transactional: bool, lsn: Lsn, prefix: &str, content: &[u8]) -> Result<Event, Error> {
        if transactional {
            self.transaction(lsn)?;
        } else if self.in_flight.is_some() {
            return Err(super::disorder(format!("a message at {lsn} that belongs to no transaction came inside one")));
        } else if self.cut.is_some() || lsn <= self.position {
            return Ok(Event::Nothing);
        }
        if prefix == ddl_trigger::PREFIX && transactional {
            return self.learn_statement(lsn, content);
        }
        if prefix == ddl_trigger::PREFIX || !self.messages.wants(prefix) {
            // Its place may be where a resume goes on.
            if transactional {
                self.pass(lsn, true)?;
            }
            return Ok(Event::Nothing);
        }
        let stage = if transactional { Stage::Inside } else { Stage::Begin };
        self.messages.keep(prefix, content, Pending { lsn, stage });
        Ok(Event::Nothing)
    }

    /// The next event of a message that was received.
    pub(super) fn say(&mut self) -> Result<Option<Event>, Error> {
        let Some(Pending { lsn, stage }) = self.messages.pending else { return Ok(None) };
        if matches!(stage, Stage::Inside | Stage::Alone) && self.announce(RELATION) {
            return Ok(Some(Event::Table(RELATION)));
        }
        let next = match stage {
            Stage::Inside => None,
            Stage::Begin => Some(Stage::Alone),
            Stage::Alone => Some(Stage::Commit),
            Stage::Commit => None,
        };
        self.messages.pending = next.map(|stage| Pending { lsn, stage });
        let event = match stage {
            Stage::Begin => {
                self.begin_alone(lsn);
                Event::Begin
            }
            Stage::Inside | Stage::Alone => {
                let wanted = self.count(RELATION, lsn)?;
                if stage == Stage::Alone {
                    // Nothing of it is left that a cut could leave out: its place is behind it.
                    self.position = lsn;
                    self.in_flight.iter_mut().for_each(|flight| flight.last = None);
                }
                self.source.lsn = lsn;
                if wanted { Event::Message } else { Event::Nothing }
            }
            Stage::Commit => {
                self.in_flight = None;
                Event::Commit
            }
        };
        Ok(Some(event))
    }

    fn begin_alone(&mut self, lsn: Lsn) {
        self.serial += 1;
        self.source.xid = None;
        self.source.origin = None;
        let commit_time = self.sent.saturating_add(POSTGRES_EPOCH);
        let transaction = Transaction { id: format!("message:{}", lsn.0), commit_time };
        self.in_flight = Some(InFlight::new(transaction, lsn, 0, None));
    }

    pub(super) fn message_step(&mut self) -> Option<Step<'_>> {
        let table = &self.relations.get(&RELATION)?.shape.table;
        self.source.place(table);
        let flight = self.in_flight.as_ref()?;
        Some(Step::Change(Change {
            kind: Kind::Message,
            table,
            transaction: &flight.transaction,
            before: None,
            before_is_key_only: false,
            after: Some(&self.messages.image),
            total_order: flight.total,
            table_order: self.relations.get(&RELATION)?.order,
            source: &self.source,
        }))
    }
}
