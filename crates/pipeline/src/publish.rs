//! Tables on their way to topics: changes encoded and handed over.
//!
//! Everything that may wait (the registry, a new topic, a verdict) happens in [`prepare`](crate::prepare), before a Kafka
//! transaction holds anything that could be kept waiting. [`Publisher::publish`] only encodes; records gather in one buffer,
//! and leave it together ([`Publisher::hand_over`]) when it is full, when another table's turn comes, and before a batch is
//! closed. The order within a partition is the order of the changes: a topic has one table, and the buffer has one topic.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use change::{Change, Kind, SourceInfo, Table, TableName};
use event_avro::render::render_key;
use event_avro::{Plan, Records};
use sink_kafka::{Admin, Outgoing, Producer, SendError};

use crate::announce::Control;
use crate::error::Failure;
use crate::evolution::Evolution;
use crate::monitor::{Monitor, TableProgress};
use crate::returning::Returning;
use crate::run::Pipeline;
use crate::schemas::Schemas;
use crate::{Config, clock};

/// One table in one shape, ready to be published.
pub(crate) struct Outlet {
    pub(crate) table: Arc<Table>,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    pub(crate) plan: Plan,
    pub(crate) counts: TableProgress,
    /// The checkpoint knows this shape. Otherwise it was made before the log showed the table.
    pub(crate) is_known: bool,
}

/// What a batch has published, for metrics and the status page.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Published {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Publishes the changes of one session.
pub(crate) struct Publisher {
    pub(crate) config: Config,
    pub(crate) kafka: Arc<sink_kafka::Config>,
    pub(crate) admin: Admin,
    pub(crate) schemas: Schemas,
    pub(crate) monitor: Monitor,
    pub(crate) info: SourceInfo,
    pub(crate) evolution: Evolution,
    pub(crate) control: Control,
    /// Held tables whose parked events are on their way back.
    pub(crate) returning: HashMap<TableName, Returning>,
    /// When a return could last not begin anew.
    pub(crate) not_begun: Option<Instant>,
    outlets: Vec<Outlet>,
    by_name: HashMap<TableName, usize>,
    /// The outlet of the last change: rows come in runs.
    current: usize,
    /// Records of the current outlet that librdkafka does not have yet.
    records: Records,
    /// The time of processing of the records in the buffer.
    now: i64,
}

impl Publisher {
    pub(crate) fn new(pipeline: &Pipeline, admin: Admin, info: SourceInfo, evolution: Evolution) -> Self {
        Self {
            config: pipeline.config.clone(),
            kafka: Arc::clone(&pipeline.kafka),
            admin,
            schemas: Schemas::new(pipeline),
            monitor: pipeline.monitor.clone(),
            info,
            evolution,
            control: Control::new(&pipeline.config.topic_prefix),
            returning: HashMap::new(),
            not_begun: None,
            outlets: Vec::new(),
            by_name: HashMap::new(),
            current: 0,
            records: Records::default(),
            now: 0,
        }
    }

    /// Whether changes of the table in this shape can be published without waiting for anybody.
    pub(crate) fn is_ready(&self, table: &Arc<Table>) -> bool {
        self.outlet(&table.name).is_some_and(|outlet| outlet.is_known && outlet.table == *table)
            && !self.evolution.says_more_than_shapes(&table.name)
    }

    pub(crate) fn outlet(&self, table: &TableName) -> Option<&Outlet> {
        self.by_name.get(table).and_then(|&at| self.outlets.get(at))
    }

    pub(crate) fn add(&mut self, mut outlet: Outlet) {
        if let Some(&at) = self.by_name.get(&outlet.table.name) {
            outlet.counts =
                TableProgress { topic: outlet.topic.clone(), ..std::mem::take(&mut self.outlets[at].counts) };
            self.outlets[at] = outlet;
        } else {
            self.by_name.insert(outlet.table.name.clone(), self.outlets.len());
            self.outlets.push(outlet);
        }
    }

    /// Encodes one change.
    pub(crate) fn publish(&mut self, producer: &Producer, change: &Change<'_>) -> Result<Published, Failure> {
        let at = self.outlet_of(change.table)?;
        if at != self.current {
            self.hand_over(producer)?;
            self.current = at;
        }
        if self.records.entries.is_empty() {
            self.now = clock::unix_micros();
        }
        let outlet = &mut self.outlets[at];
        let (entries, bytes) = (self.records.entries.len(), self.records.bytes.len());
        outlet
            .plan
            .encode(change, self.now, &mut self.records)
            .map_err(|error| Failure::Stop { what: error.to_string(), help: ENCODE_HELP.to_owned() })?;
        let added = self.records.bytes.len() - bytes;
        let published = Published { records: (self.records.entries.len() - entries) as u64, bytes: added as u64 };
        match change.kind {
            Kind::Insert => outlet.counts.inserts += 1,
            Kind::Update => outlet.counts.updates += 1,
            Kind::Delete => outlet.counts.deletes += 1,
            Kind::Truncate => outlet.counts.truncates += 1,
            Kind::Read => outlet.counts.reads += 1,
            Kind::Message => outlet.counts.messages += 1,
        }
        // A record that may be too large leaves while it is known which row it is.
        if added > LARGE.min(producer.certain_size()) {
            let result = self.send(producer);
            result.map_err(|error| Failure::undelivered(&error, &describe(change.table, change)))?;
        } else if self.records.bytes.len() >= BUFFER || self.records.entries.len() >= BUFFERED_RECORDS {
            self.hand_over(producer)?;
        }
        Ok(published)
    }

    /// Gives librdkafka every record that still waits in the buffer.
    pub(crate) fn hand_over(&mut self, producer: &Producer) -> Result<(), Failure> {
        self.send(producer).map_err(|error| {
            let table = self.outlets.get(self.current).map(|outlet| outlet.table.name.to_string());
            Failure::undelivered(&error, &format!("table {}", table.unwrap_or_default()))
        })
    }

    fn send(&mut self, producer: &Producer) -> Result<(), SendError> {
        let (records, Some(outlet)) = (&self.records, self.outlets.get(self.current)) else { return Ok(()) };
        let outgoing = records.entries.iter().map(|entry| Outgoing {
            partition: records.key_body(entry).map_or(0, |key| sink_kafka::partition_for(key, outlet.partitions)),
            key: records.key(entry),
            value: records.value(entry),
        });
        producer.send(&outlet.topic, outgoing)?;
        self.records.clear();
        Ok(())
    }

    fn outlet_of(&mut self, table: &Arc<Table>) -> Result<usize, Failure> {
        if let Some(outlet) = self.outlets.get(self.current)
            && Arc::ptr_eq(&outlet.table, table)
        {
            return Ok(self.current);
        }
        let at = self.by_name.get(&table.name).copied().filter(|&at| self.outlets[at].table == *table);
        let at = at.ok_or_else(|| Failure::Stop {
            what: format!("a change of {} came before its shape", table.name),
            help: "this is a defect of headwater: please report it with the log".to_owned(),
        })?;
        // From now on the pointer itself is recognised.
        self.outlets[at].table = Arc::clone(table);
        Ok(at)
    }

    /// What has been published of each table since the last call.
    pub(crate) fn take_counts(&mut self) -> impl Iterator<Item = (&TableName, TableProgress)> {
        self.outlets.iter_mut().map(|outlet| {
            let empty = TableProgress { topic: outlet.topic.clone(), ..TableProgress::default() };
            (&outlet.table.name, std::mem::replace(&mut outlet.counts, empty))
        })
    }
}

/// Names a row for an error: its table, and its key.
fn describe(table: &Table, change: &Change<'_>) -> String {
    let key = change.after.or(change.before).map(|row| render_key(row, table)).unwrap_or_default();
    let key = if key.is_empty() { "without key".to_owned() } else { key };
    format!("table {}, row {key}", table.name)
}

const ENCODE_HELP: &str = "leave the table out of source.tables, or report the value with the table's definition";

/// Bytes and records that wait for each other: enough to share the cost of handing over, little beside the caches.
const BUFFER: usize = 64 << 10;
const BUFFERED_RECORDS: usize = 512;

/// A change with more bytes than this is handed over at once.
const LARGE: usize = 32 << 10;
