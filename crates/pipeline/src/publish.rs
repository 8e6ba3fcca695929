//! Tables on their way to topics: schemas registered, topics made, plans compiled, changes encoded and handed over.
//!
//! Everything that may wait (the registry, a new topic) happens in [`Publisher::prepare`], before a Kafka transaction
//! holds anything that could be kept waiting. [`Publisher::publish`] only encodes; records gather in one buffer, and leave it
//! together ([`Publisher::hand_over`]) when it is full, when another table's turn comes, and before a batch is closed. The
//! order within a partition is the order of the changes: a topic has one table, and the buffer has one topic.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use change::{Change, Kind, SourceInfo, Table, TableName};
use event_avro::render::render_key;
use event_avro::{Plan, Records};
use schema_registry::{Part, RegisterError, SchemaId};
use sink_kafka::{Admin, Outgoing, Producer, SendError, TopicSpec};

use crate::error::{Failure, Leg};
use crate::monitor::{Monitor, State, TableProgress};
use crate::run::Pipeline;
use crate::{Config, Shutdown, clock};

/// One table in one shape, ready to be published.
struct Outlet {
    table: Arc<Table>,
    topic: String,
    partitions: i32,
    plan: Plan,
    counts: TableProgress,
}

/// A schema that the registry has to know before a table's changes can be published.
struct Wanted<'a> {
    table: &'a Table,
    part: Part,
    topic: &'a str,
    subject: String,
    schema: String,
}

/// What a batch has published, for metrics and the status page.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Publishes the changes of one session.
pub(crate) struct Publisher {
    config: Config,
    kafka: Arc<sink_kafka::Config>,
    admin: Admin,
    registry: Arc<schema_registry::Registry>,
    runtime: tokio::runtime::Handle,
    shutdown: Shutdown,
    monitor: Monitor,
    info: SourceInfo,
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
    pub(crate) fn new(pipeline: &Pipeline, admin: Admin, info: SourceInfo) -> Self {
        Self {
            config: pipeline.config.clone(),
            kafka: Arc::clone(&pipeline.kafka),
            admin,
            registry: Arc::clone(&pipeline.registry),
            runtime: pipeline.runtime.clone(),
            shutdown: pipeline.shutdown.clone(),
            monitor: pipeline.monitor.clone(),
            info,
            outlets: Vec::new(),
            by_name: HashMap::new(),
            current: 0,
            records: Records::default(),
            now: 0,
        }
    }

    /// Whether changes of the table in this shape can be published without waiting for anybody.
    pub(crate) fn is_ready(&self, table: &Arc<Table>) -> bool {
        self.by_name.get(&table.name).and_then(|&at| self.outlets.get(at)).is_some_and(|outlet| outlet.table == *table)
    }

    /// Makes the tables' topics, registers their schemas and compiles their plans. Waits as long as the registry is away.
    pub(crate) fn prepare(&mut self, tables: &[Arc<Table>]) -> Result<(), Failure> {
        let (begin, mut told) = (clock::now(), clock::now());
        for (done, some) in tables.chunks(AT_ONCE).enumerate() {
            if told.elapsed() > TELL {
                told = clock::now();
                let (ready, all) = (done * AT_ONCE, tables.len());
                tracing::info!(ready, all, seconds = begin.elapsed().as_secs(), "preparing topics and schemas");
            }
            self.prepare_some(some)?;
        }
        Ok(())
    }

    fn prepare_some(&mut self, tables: &[Arc<Table>]) -> Result<(), Failure> {
        let naming = event_avro::Naming { prefix: self.config.topic_prefix.clone() };
        let name = |table: &Arc<Table>| {
            event_avro::topic(&self.config.topic_prefix, &table.name.schema, &table.name.table)
                .map_err(|error| Failure::Stop { what: error.to_string(), help: NAME_HELP.to_owned() })
        };
        let topics: Vec<String> = tables.iter().map(name).collect::<Result<_, _>>()?;
        let specs: Vec<TopicSpec> = topics.iter().map(|topic| TopicSpec::events(topic, &self.kafka.topics)).collect();
        let states = self.admin.ensure(&specs).map_err(|error| Failure::kafka(&error))?;
        let mut wanted = Vec::with_capacity(2 * tables.len());
        for (table, topic) in tables.iter().zip(&topics) {
            let key = event_avro::key_schema(table, &naming);
            let value = event_avro::value_schema(table, &self.info, &naming);
            let subject = |part, record: String| self.registry.subject(topic, part, &record);
            wanted.extend(key.map(|schema| {
                let subject = subject(Part::Key, event_avro::key_record(table, &naming));
                Wanted { table, part: Part::Key, topic, subject, schema }
            }));
            let subject = subject(Part::Value, event_avro::value_record(table, &naming));
            wanted.push(Wanted { table, part: Part::Value, topic, subject, schema: value });
        }
        let headers = self.register(&wanted)?;
        for (index, (table, topic)) in tables.iter().zip(topics.iter()).enumerate() {
            let header = |part: Part| {
                let found = wanted.iter().position(|one| one.topic == topic && one.part == part);
                found.map_or(NO_HEADER, |at| headers[at])
            };
            let stream = event_avro::Stream { name: &self.config.topic_prefix, version: self.config.version };
            let options = event_avro::Options { tombstones: self.config.tombstones };
            let (key, value) = (header(Part::Key), header(Part::Value));
            let plan = Plan::compile(table, &self.info, &stream, &key, &value, options);
            self.add(Outlet {
                table: Arc::clone(table),
                partitions: states.get(index).map_or(1, |state| state.partitions),
                plan,
                counts: TableProgress { topic: topic.clone(), ..TableProgress::default() },
                topic: topic.clone(),
            });
        }
        Ok(())
    }

    fn add(&mut self, mut outlet: Outlet) {
        if let Some(&at) = self.by_name.get(&outlet.table.name) {
            outlet.counts = std::mem::take(&mut self.outlets[at].counts);
            self.outlets[at] = outlet;
        } else {
            self.by_name.insert(outlet.table.name.clone(), self.outlets.len());
            self.outlets.push(outlet);
        }
    }

    /// Registers schemas, several at a time: a registry answers in tens of milliseconds, and there may be thousands.
    fn register(&self, wanted: &[Wanted<'_>]) -> Result<Vec<[u8; 5]>, Failure> {
        let mut headers = vec![NO_HEADER; wanted.len()];
        for (some, headers) in wanted.chunks(REQUESTS).zip(headers.chunks_mut(REQUESTS)) {
            let Some(answers) = self.runtime.block_on(self.ask(some)) else { return Err(Failure::Interrupted) };
            for ((one, answer), header) in some.iter().zip(answers).zip(headers) {
                let id = answer.map_err(|error| self.refused(&one.subject, &one.schema, one.table, &error))?;
                *header = schema_registry::header(id);
            }
        }
        Ok(headers)
    }

    /// The registry's answers; `None` when somebody wants to stop first. Says so when they take long.
    async fn ask(&self, wanted: &[Wanted<'_>]) -> Option<Vec<Result<SchemaId, RegisterError>>> {
        let until = clock::now().checked_add(REGISTRY_PATIENCE);
        let mut requests = tokio::task::JoinSet::new();
        for (at, one) in wanted.iter().enumerate() {
            let (registry, subject, schema) = (Arc::clone(&self.registry), one.subject.clone(), one.schema.clone());
            requests.spawn_on(async move { (at, registry.register(&subject, &schema, until).await) }, &self.runtime);
        }
        let mut answers: Vec<Option<Result<SchemaId, RegisterError>>> = wanted.iter().map(|_| None).collect();
        while !requests.is_empty() {
            let done = tokio::select! {
                () = self.shutdown.asked() => return None,
                done = requests.join_next() => done,
                () = tokio::time::sleep(REGISTRY_SILENCE) => {
                    self.tell_silence(wanted.iter().zip(&answers).find(|(_, answer)| answer.is_none()).map(|(one, _)| one));
                    tokio::select! {
                        () = self.shutdown.asked() => return None,
                        done = requests.join_next() => done,
                    }
                }
            };
            match done {
                Some(Ok((at, answer))) => answers[at] = Some(answer),
                // Nothing cancels them.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => {}
            }
        }
        answers.into_iter().collect()
    }

    fn tell_silence(&self, waiting: Option<&Wanted<'_>>) {
        let subject = waiting.map(|one| one.subject.as_str()).unwrap_or_default();
        let what = format!("no answer about {subject} for {} s; still asking", REGISTRY_SILENCE.as_secs());
        tracing::warn!(leg = %Leg::Registry, "{what}");
        self.monitor.enter(State::Retrying, Some(format!("{}: {what}", Leg::Registry)), None);
    }

    /// Says which field of which table offends the registry's rule.
    fn refused(&self, subject: &str, schema: &str, table: &Table, error: &RegisterError) -> Failure {
        if error.is_transient() {
            return Failure::Retry { leg: Leg::Registry, what: error.to_string() };
        }
        if matches!(error, RegisterError::NotRegistered { .. }) {
            let what = format!("table {}: {error}", table.name);
            let command = self.registry.registration(subject, schema);
            return Failure::Stop { what, help: format!("{NOT_REGISTERED_HELP}:\n{command}") };
        }
        let mut what = format!("table {}: {error}", table.name);
        let until = clock::now().checked_add(REGISTRY_PATIENCE);
        if matches!(error, RegisterError::Incompatible { .. })
            && let Ok(Some(latest)) = self.runtime.block_on(self.registry.latest(subject, until))
        {
            let differences = event_avro::compatibility::differences(&latest.schema, schema);
            if !differences.is_empty() {
                what = format!("{what}; against version {}: {}", latest.version, differences.join(", "));
            }
        }
        Failure::Stop { what, help: REGISTRY_HELP.to_owned() }
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

const NAME_HELP: &str = "choose another kafka.topic_prefix, or leave the table out of source.tables";
const ENCODE_HELP: &str = "leave the table out of source.tables, or report the value with the table's definition";
const REGISTRY_HELP: &str =
    "nothing is lost: the database keeps the change; mend the registry or the table, then start headwater again";

const NOT_REGISTERED_HELP: &str = "nothing is lost: the database keeps the change; `headwater doctor` names all schemas that \
     are missing; register this one, then start headwater again";

/// Bytes and records that wait for each other: enough to share the cost of handing over, little beside the caches.
const BUFFER: usize = 64 << 10;
const BUFFERED_RECORDS: usize = 512;

/// A change with more bytes than this is handed over at once.
const LARGE: usize = 32 << 10;

/// The registry's frame of a record that has no key.
const NO_HEADER: [u8; 5] = [0; 5];

/// Tables that are prepared together: their topics are made by one request.
const AT_ONCE: usize = 100;

/// Requests to the registry at the same time.
const REQUESTS: usize = 16;

/// How often the log tells that tables are being prepared.
const TELL: Duration = Duration::from_secs(10);

/// How long one schema is tried before the session ends and the next one begins: long enough for a registry's restart.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(20);

/// After this time the status says what is waited for.
const REGISTRY_SILENCE: Duration = Duration::from_secs(2);
