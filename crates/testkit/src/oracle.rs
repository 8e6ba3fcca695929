//! The judge of a test: reads topics as a downstream consumer does, with `apache-avro` and a registry client by others,
//! never with the product's encoder.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use apache_avro::reader::datum::GenericDatumReader;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id};
use serde_json::Value as Json;

use crate::eventually::eventually;
use crate::process::locked;
use crate::render::Shape;
use crate::waiting::wait;
use crate::{Kafka, Registry};

/// How long a topic that is read may be silent before its end.
const READ: Duration = Duration::from_secs(60);
const SHOWN: usize = 20;

/// One record of a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Decoded; times, decimals and bytes as PostgreSQL writes them.
    pub key: Option<Json>,
    /// `None` is a tombstone.
    pub value: Option<Json>,
    pub raw_key: Option<Vec<u8>>,
    pub raw_value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp_ms: Option<i64>,
}

impl Event {
    /// A field of the value by its path: `source.lsn`, `after.id`. A field that is not there, or a tombstone: null.
    pub fn field(&self, path: &str) -> &Json {
        path.split('.').fold(self.value.as_ref().unwrap_or(&Json::Null), |at, name| at.get(name).unwrap_or(&Json::Null))
    }

    pub fn after(&self, column: &str) -> &Json {
        self.field("after").get(column).unwrap_or(&Json::Null)
    }

    pub fn before(&self, column: &str) -> &Json {
        self.field("before").get(column).unwrap_or(&Json::Null)
    }

    /// `c`, `u`, `d`, `r` …; empty for a tombstone.
    pub fn op(&self) -> &str {
        self.field("op").as_str().unwrap_or_default()
    }

    pub fn is_tombstone(&self) -> bool {
        self.value.is_none()
    }

    /// The id of the schema which the value was written with.
    pub fn value_schema_id(&self) -> Option<u32> {
        self.raw_value.as_deref().and_then(schema_id)
    }

    pub fn key_schema_id(&self) -> Option<u32> {
        self.raw_key.as_deref().and_then(schema_id)
    }
}

/// Key and value.
pub type RawRecord = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A reader of topics through a broker and a registry.
#[derive(Debug)]
pub struct Oracle {
    bootstrap: String,
    registry: SrSettings,
    shapes: Mutex<HashMap<u32, Arc<Shape>>>,
}

impl Oracle {
    pub fn new(kafka: &Kafka, registry: &Registry) -> Oracle {
        Oracle::at(&kafka.bootstrap(), &registry.url())
    }

    pub fn at(bootstrap: &str, registry_url: &str) -> Oracle {
        // the registry client's HTTP library wants one even for plain HTTP; an error means that there is one already
        rustls::crypto::ring::default_provider().install_default().ok();
        Oracle {
            bootstrap: bootstrap.to_owned(),
            registry: SrSettings::new(registry_url.to_owned()),
            shapes: Mutex::default(),
        }
    }

    /// Gives all committed records of a topic to `take`, those of a partition in their order, and keeps none of them.
    pub fn for_each(&self, topic: &str, mut take: impl FnMut(Event) -> Result<()>) -> Result<()> {
        self.each(topic, "read_committed", |message| take(self.event(message)?))
    }

    /// All committed records of a topic, in the order of (partition, offset). A topic that is not there has none.
    pub fn read(&self, topic: &str) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        self.for_each(topic, |event| {
            events.push(event);
            Ok(())
        })?;
        events.sort_by_key(|event| (event.partition, event.offset));
        Ok(events)
    }

    /// Keys and values of all committed records of one partition in the order of their offsets, as they are.
    pub fn raw(&self, topic: &str, partition: i32) -> Result<Vec<RawRecord>> {
        let mut records = Vec::new();
        self.each(topic, "read_committed", |message| {
            if message.partition() == partition {
                records.push((message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec)));
            }
            Ok(())
        })?;
        Ok(records)
    }

    /// The number of records that a reader sees who also takes uncommitted and aborted ones.
    pub fn count_uncommitted(&self, topic: &str) -> Result<usize> {
        let mut count = 0;
        self.each(topic, "read_uncommitted", |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// The number of committed records, tombstones too, without decoding them.
    pub fn count(&self, topic: &str) -> Result<usize> {
        let mut count = 0;
        self.each(topic, "read_committed", |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// Reads until `enough` says yes to all committed records of the topic.
    pub fn wait_for(&self, topic: &str, deadline: Duration, enough: impl Fn(&[Event]) -> bool) -> Result<Vec<Event>> {
        eventually(deadline, &format!("the records of {topic}"), || {
            let events = self.read(topic)?;
            if enough(&events) { Ok(events) } else { Err(anyhow!("{}", show(&events))) }
        })
    }

    /// Reads until there are at least `count` committed records (tombstones count too).
    pub fn wait_for_count(&self, topic: &str, count: usize, deadline: Duration) -> Result<Vec<Event>> {
        self.wait_for(topic, deadline, |events| events.len() >= count)
    }

    /// The schema with this id, as JSON.
    pub fn schema(&self, id: u32) -> Result<Json> {
        let settings = self.registry.clone();
        let found = wait(async move { get_schema_by_id(id, &settings).await });
        Ok(serde_json::from_str(&found.map_err(|error| anyhow!("schema {id}: {error}"))?.schema)?)
    }

    fn each(
        &self,
        topic: &str,
        isolation: &str,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut config = rdkafka::ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("group.id", "oracle").set("isolation.level", isolation);
        config.set("enable.partition.eof", "true").set("enable.auto.commit", "false").set("fetch.wait.max.ms", "10");
        config.set("allow.auto.create.topics", "false");
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id());
        let mut open: HashSet<i32> = partitions.collect();
        let mut assignment = TopicPartitionList::new();
        for partition in &open {
            assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let mut last = Instant::now();
        // the end of a partition is told at the last stable offset when reading what is committed
        while !open.is_empty() {
            ensure!(
                last.elapsed() < READ,
                "nothing came for {READ:?}, and partitions {open:?} of {topic} have not been read to their end"
            );
            match consumer.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(message)) => {
                    take(&message)?;
                    last = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
                Some(Err(error)) => return Err(error).with_context(|| format!("reading {topic}")),
            }
        }
        Ok(())
    }

    fn event(&self, message: &BorrowedMessage<'_>) -> Result<Event> {
        let place = || format!("{} partition {} offset {}", message.topic(), message.partition(), message.offset());
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        Ok(Event {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(|bytes| self.decode(bytes)).transpose().with_context(place)?,
            value: message.payload().map(|bytes| self.decode(bytes)).transpose().with_context(place)?,
            raw_key: message.key().map(<[u8]>::to_vec),
            raw_value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            timestamp_ms: message.timestamp().to_millis(),
        })
    }

    /// A zero byte, the schema's id, the Avro value, and nothing after it.
    fn decode(&self, bytes: &[u8]) -> Result<Json> {
        let id = schema_id(bytes).with_context(|| format!("no frame: {bytes:02x?}"))?;
        let shape = self.shape(id)?;
        let mut rest = &bytes[5..];
        let value = GenericDatumReader::builder(&shape.schema).build()?.read_value(&mut rest)?;
        ensure!(rest.is_empty(), "{} bytes are left after the value of schema {id}", rest.len());
        shape.json(&value)
    }

    fn shape(&self, id: u32) -> Result<Arc<Shape>> {
        if let Some(shape) = locked(&self.shapes).get(&id) {
            return Ok(Arc::clone(shape));
        }
        let shape = Arc::new(Shape::parse(&self.schema(id)?.to_string())?);
        locked(&self.shapes).insert(id, Arc::clone(&shape));
        Ok(shape)
    }
}

/// The table that a reader of the events ends with: key (as JSON text) to the last `after`.
pub fn replay(events: &[Event]) -> Result<BTreeMap<String, Json>> {
    let mut table = BTreeMap::new();
    for event in events {
        let key = event.key.as_ref().map_or_else(String::new, Json::to_string);
        match event.op() {
            "" | "d" => drop(table.remove(&key)),
            "c" | "u" | "r" => drop(table.insert(key, event.field("after").clone())),
            "t" => table.clear(),
            other => bail!("unknown op {other:?} in {event:?}"),
        }
    }
    Ok(table)
}

/// The last events, a line each.
pub fn show(events: &[Event]) -> String {
    let mut text = format!("{} records", events.len());
    for event in &events[events.len().saturating_sub(SHOWN)..] {
        let null = Json::Null;
        let (key, value) = (event.key.as_ref().unwrap_or(&null), event.value.as_ref().unwrap_or(&null));
        write!(text, "\n  {}/{}@{} {key} {value}", event.topic, event.partition, event.offset)
            .expect("a String takes all");
    }
    text
}

fn schema_id(bytes: &[u8]) -> Option<u32> {
    match bytes.first_chunk::<5>()? {
        [0, id @ ..] => Some(u32::from_be_bytes(*id)),
        _ => None,
    }
}
