//! What the registry has of the pipeline's tables. Every request reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use change::TableName;
use event_avro::compatibility::level::{Level, NoLevel};
use schema_registry::{Against, Latest, Part, Registry, RequestError};
use tokio::runtime::Runtime;

use crate::assemble;
use crate::config::Config;
use crate::failure::Failure;

/// How long one answer may take: longer than a registry's restart, shorter than a person's patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every topic that is no table's but has a table's form.
const NO_TABLES: [(&str, &str); 1] = [("pg_logical", "message")];

/// The registry, seen from one pipeline.
pub(super) struct Holdings {
    registry: Registry,
    runtime: Runtime,
    topic_prefix: String,
}

/// A table with its newest registered schemas.
pub(super) struct Registered {
    pub(super) key: Option<Latest>,
    pub(super) value: Latest,
}

/// What the registry itself says of a new schema.
pub(super) struct Opinion {
    pub(super) is_compatible: bool,
    pub(super) messages: Vec<String>,
}

impl Holdings {
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        let registry =
            Registry::new(assemble::registry(config)?).map_err(|error| Failure::configuration(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::unexpected(format!("cannot start the runtime: {error}")))?;
        Ok(Self { registry, runtime, topic_prefix: config.kafka.topic_prefix.clone() })
    }

    /// A table's topic.
    pub(super) fn topic(&self, table: &TableName) -> Result<String, Failure> {
        event_avro::topic(&self.topic_prefix, &table.schema, &table.table)
            .map_err(|error| Failure::configuration(error.to_string()))
    }

    /// The subject of one half of a table's events.
    pub(super) fn subject(&self, table: &TableName, part: Part) -> Result<String, Failure> {
        let naming = event_avro::Naming { prefix: self.topic_prefix.clone() };
        let record = match part {
            Part::Key => event_avro::key_record(table, &naming),
            Part::Value => event_avro::value_record(table, &naming),
        };
        Ok(self.registry.subject(&self.topic(table)?, part, &record))
    }

    /// The tables that have a value subject under the prefix.
    pub(super) fn names(&self) -> Result<Vec<TableName>, Failure> {
        let subjects = self.runtime.block_on(self.registry.subjects(until())).map_err(|error| failed(&error))?;
        // What stands around the names in any table's subject.
        let anything = self.subject(&TableName::new("s", "t"), Part::Value)?;
        let (before, value) = anything.rsplit_once("s.t").unwrap_or((&anything, ""));
        // A topic in front of the record repeats what the record says; a record's name has no hyphen.
        let by_record = value != "-value";
        let prefix = if by_record { before.rsplit_once('-').map_or(before, |(_, record)| record) } else { before };
        let name = |subject: &String| {
            let subject = if by_record { subject.rsplit('-').next()? } else { subject };
            let (schema, table) = subject.strip_prefix(prefix)?.strip_suffix(value)?.split_once('.')?;
            // Dots in names are escaped: one more is another kind of topic.
            let is_table = !table.contains('.') && !NO_TABLES.contains(&(schema, table));
            let plain = |part| event_avro::name::unmangle(part).into_owned();
            is_table.then(|| TableName::new(plain(schema), plain(table)))
        };
        let mut names: Vec<TableName> = subjects.iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// What is registered of a table; `None`: nothing.
    pub(super) fn table(&self, table: &TableName) -> Result<Option<Registered>, Failure> {
        let latest = |part| {
            let subject = self.subject(table, part)?;
            self.runtime.block_on(self.registry.latest(&subject, until())).map_err(|error| failed(&error))
        };
        let Some(value) = latest(Part::Value)? else { return Ok(None) };
        Ok(Some(Registered { key: latest(Part::Key)?, value }))
    }

    /// What is registered of several.
    pub(super) fn tables(&self, names: &[TableName]) -> Result<BTreeMap<TableName, Registered>, Failure> {
        let mut found = BTreeMap::new();
        for name in names {
            if let Some(registered) = self.table(name)? {
                found.insert(name.clone(), registered);
            }
        }
        Ok(found)
    }

    /// All versions under a subject, oldest first.
    pub(super) fn versions(&self, subject: &str) -> Result<Vec<Latest>, Failure> {
        let ask = async {
            let mut found = Vec::new();
            for number in self.registry.versions(subject, until()).await? {
                // One that was deleted a moment ago is no version any more.
                found.extend(self.registry.version(subject, number, until()).await?);
            }
            Ok(found)
        };
        self.runtime.block_on(ask).map_err(|error: RequestError| failed(&error))
    }

    /// The level in force for a subject.
    pub(super) fn level(&self, subject: &str) -> Result<Level, Failure> {
        let level = self.runtime.block_on(self.registry.level(subject, until())).map_err(|error| failed(&error))?;
        level.parse().map_err(|error: NoLevel| {
            Failure::stop(
                format!("the level of {subject}: {error}"),
                "set one of these for the subject, or for the registry",
            )
        })
    }

    /// What the registry would say if the schema were registered. It is not.
    pub(super) fn opinion(&self, subject: &str, schema: &str) -> Result<Opinion, Failure> {
        let ask = self.registry.check_compatibility(subject, schema, Against::All, until());
        match self.runtime.block_on(ask) {
            Ok(judged) => Ok(Opinion { is_compatible: judged.is_compatible, messages: judged.messages }),
            Err(schema_registry::CheckError::Invalid { reason, .. }) => {
                Ok(Opinion { is_compatible: false, messages: vec![reason] })
            }
            Err(schema_registry::CheckError::Request(error)) => Err(failed(&error)),
        }
    }
}

fn until() -> Option<Instant> {
    Instant::now().checked_add(PATIENCE)
}

fn failed(error: &RequestError) -> Failure {
    if error.is_transient() {
        Failure::unexpected(error.to_string())
    } else {
        Failure::stop(error.to_string(), "check registry.url, its path and the login")
    }
}
