//! What the registry has of the pipeline's tables. Every request reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use change::TableName;
use event_avro::Naming;
use event_avro::compatibility::level::{Level, NoLevel};
use event_avro::compatibility::{self, KeyField, Shape};
use schema_registry::{Against, Latest, Part, Registry, RequestError, SubjectNaming};
use tokio::runtime::Runtime;

use super::listed;
use crate::assemble;
use crate::config::Config;
use crate::failure::Failure;

/// How long one answer may take: longer than a registry's restart, shorter than a person's patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// The registry, seen from one pipeline.
pub(super) struct Holdings {
    registry: Registry,
    runtime: Runtime,
    topic_prefix: String,
    subject_naming: SubjectNaming,
    /// The tables with a value subject under the prefix, each with the highest version of its topic. A registry need not list
    /// all of them.
    listed: BTreeMap<TableName, u32>,
}

/// A table with its newest registered schemas.
pub(super) struct Registered {
    /// The version of its topic: every `schema release --new-version` begins another.
    pub(super) version: u32,
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
        let subjects = runtime.block_on(registry.subjects(until())).map_err(|error| failed(&error))?;
        let topic_prefix = config.kafka.topic_prefix.clone();
        let subject_naming = config.registry.subject_naming;
        let listed = listed::tables(&topic_prefix, subject_naming, &subjects);
        Ok(Self { registry, runtime, topic_prefix, subject_naming, listed })
    }

    /// A version of a table's topic.
    pub(super) fn topic(&self, table: &TableName, version: u32) -> Result<String, Failure> {
        event_avro::topic(&self.topic_prefix, &table.schema, &table.table)
            .map(|topic| event_avro::topic_version(&topic, version))
            .map_err(|error| Failure::configuration(error.to_string()))
    }

    /// The subject of one half of the events in a version of a table's topic.
    pub(super) fn subject(&self, table: &TableName, version: u32, part: Part) -> Result<String, Failure> {
        let record = match part {
            Part::Key => event_avro::key_record(table, &self.naming()),
            Part::Value => event_avro::value_record(table, &self.naming()),
        };
        Ok(self.registry.subject(&self.topic(table, version)?, part, &record))
    }

    /// The tables that are listed with a value subject under the prefix.
    pub(super) fn names(&self) -> Vec<TableName> {
        self.listed.keys().cloned().collect()
    }

    /// What is registered of a table, under the newest version of its topic; `None`: nothing.
    pub(super) fn table(&self, table: &TableName) -> Result<Option<Registered>, Failure> {
        let first = self.listed.get(table).copied().unwrap_or(1);
        let mut newest = self.value(table, first)?.map(|value| (first, value));
        // What is not listed may be there all the same, also behind a first version whose subjects were deleted.
        for version in (first..u32::MAX).skip(1) {
            let Some(value) = self.value(table, version)? else { break };
            newest = Some((version, value));
        }
        let Some((version, value)) = newest else { return Ok(None) };
        let key = self.latest(table, version, Part::Key)?.filter(|key| is_current(key, &value));
        Ok(Some(Registered { version, key, value }))
    }

    /// The newest value schema of a version of a table's topic.
    fn value(&self, table: &TableName, version: u32) -> Result<Option<Latest>, Failure> {
        if version == 1 {
            return self.latest(table, version, Part::Value);
        }
        // Named by the record alone, all versions have one subject.
        if self.subject_naming == SubjectNaming::Record {
            return Ok(None);
        }
        // Under a longer prefix that begins with ours, the same topic belongs to a table that is called `v2`.
        let record = event_avro::value_record(table, &self.naming());
        let is_ours = |value: &Latest| compatibility::record_name(&value.schema).is_some_and(|name| name == record);
        Ok(self.latest(table, version, Part::Value)?.filter(is_ours))
    }

    fn latest(&self, table: &TableName, version: u32, part: Part) -> Result<Option<Latest>, Failure> {
        let subject = self.subject(table, version, part)?;
        self.runtime.block_on(self.registry.latest(&subject, until())).map_err(|error| failed(&error))
    }

    fn naming(&self) -> Naming {
        Naming { prefix: self.topic_prefix.clone() }
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

/// Whether a key goes with a value: where a table has lost its key, the subject stays. What `event-avro` writes tells: a key
/// column is never null in the row, unless its key field has another form than the column.
fn is_current(key: &Latest, value: &Latest) -> bool {
    let Ok(shape) = Shape::of_schemas(Some(&key.schema), &value.schema) else { return true };
    let is_ours = shape.fields.iter().all(|field| field.sql_type.is_some());
    let goes = |key: &KeyField| {
        let column = shape.fields.iter().find(|field| field.name == key.name);
        column.is_some_and(|column| !column.optional || column.form != key.form)
    };
    !is_ours || shape.key.iter().flatten().all(goes)
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

#[cfg(test)]
mod tests {
    use schema_registry::SchemaId;
    use wiremock::matchers::{any, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// A registry that lists some tables and has value schemas of some records, by their subjects.
    fn holdings(
        runtime: &Runtime,
        server: &MockServer,
        listed: &[(TableName, u32)],
        values: &[(&str, &str)],
        subject_naming: SubjectNaming,
    ) -> Holdings {
        let record =
            |namespace| format!(r#"{{"type":"record","name":"Envelope","namespace":"{namespace}","fields":[]}}"#);
        runtime.block_on(server.reset());
        for (subject, namespace) in values {
            let body = serde_json::json!({ "version": 1, "id": 1, "schema": record(namespace) });
            let found = Mock::given(path(format!("/subjects/{subject}/versions/latest")));
            runtime.block_on(found.respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(server));
        }
        let missing = ResponseTemplate::new(404).set_body_json(serde_json::json!({ "error_code": 40401 }));
        runtime.block_on(Mock::given(any()).respond_with(missing).mount(server));
        let mut config = schema_registry::Config::new(&server.uri()).unwrap();
        config.subject_naming = subject_naming;
        Holdings {
            registry: Registry::new(config).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            topic_prefix: "shop".to_owned(),
            subject_naming,
            listed: listed.iter().cloned().collect(),
        }
    }

    #[test]
    fn the_newest_version_of_a_topic_is_found() {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(MockServer::start());
        let (one, two, three) = ("shop.s.t-value", "shop.s.t.v2-value", "shop.s.t.v3-value");
        let (ours, other) = ("shop.s.t", "shop.s.t.v2");
        for (listed, values, expected) in [
            (None, vec![], None),
            (None, vec![(one, ours)], Some(1)),
            (Some(1), vec![(one, ours), (two, ours)], Some(2)),
            // Nothing is listed.
            (None, vec![(one, ours), (two, ours), (three, ours)], Some(3)),
            (None, vec![(two, ours)], Some(2)),
            // The older ones were deleted.
            (Some(3), vec![(three, ours)], Some(3)),
            // The table `v2` of a schema `t`, of another pipeline whose prefix is `shop.s`.
            (Some(1), vec![(one, ours), (two, other)], Some(1)),
        ] {
            let table = TableName::new("s", "t");
            let listed: Vec<_> = listed.map(|version| (table.clone(), version)).into_iter().collect();
            let holdings = holdings(&runtime, &server, &listed, &values, SubjectNaming::Topic);
            let found = holdings.table(&table).unwrap();
            assert_eq!(found.map(|found| found.version), expected, "{listed:?} {values:?}");
        }
        let by_record = [("shop.s.t.Envelope", ours)];
        let holdings = holdings(&runtime, &server, &[], &by_record, SubjectNaming::Record);
        assert_eq!(holdings.table(&TableName::new("s", "t")).unwrap().map(|found| found.version), Some(1));
    }

    fn latest(fields: &str) -> Latest {
        let schema = format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#);
        Latest { version: 1, id: SchemaId(1), schema }
    }

    #[test]
    fn a_key_that_the_table_has_lost_is_told_from_its_own() {
        let long = r#"{"name":"id","type":"long"}"#;
        let text = r#"{"name":"id","type":"string"}"#;
        for (key, row, expected) in [
            (long, r#"{"name":"id","type":"long","headwater.sql_type":"bigint"}"#, true),
            (long, r#"{"name":"id","type":["null","long"],"headwater.sql_type":"bigint"}"#, false),
            (long, r#"{"name":"other","type":["null","long"],"headwater.sql_type":"bigint"}"#, false),
            // A day may be `infinity`, so it may be null in the row of a table that has it as its key.
            (
                text,
                r#"{"name":"id","type":["null",{"type":"int","logicalType":"date"}],"headwater.sql_type":"date"}"#,
                true,
            ),
            (text, r#"{"name":"id","type":["null","string"],"headwater.sql_type":"text"}"#, false),
            // Who else registers schemas may have other habits.
            (long, r#"{"name":"id","type":["null","long"]}"#, true),
        ] {
            assert_eq!(is_current(&latest(key), &latest(row)), expected, "{key} {row}");
        }
    }
}
