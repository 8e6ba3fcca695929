//! Events about tables rather than rows: a schema change in the control topic, and the last event of a topic whose table
//! goes on in another one.

use change::{ColumnType, SourceInfo, Table, Value};

use crate::encode::{SourcePlan, Stream, put, put_fine_time};
use crate::wire::{self, BRANCH_0, BRANCH_1};

/// The key schema of the control topic: the table's name.
pub const SCHEMA_CHANGE_KEY: &str = r#""string""#;

/// The value schema of the control topic. Ids are the registry's, fingerprints those of headwater's own checkpoint.
pub const SCHEMA_CHANGE: &str = concat!(
    r#"{"type":"record","name":"SchemaChange","namespace":"headwater","fields":["#,
    r#"{"name":"table","type":"string"},{"name":"action","type":"string"},{"name":"verdict","type":"string"},"#,
    r#"{"name":"findings","type":{"type":"array","items":{"type":"record","name":"Finding","fields":["#,
    r#"{"name":"rule","type":"string"},{"name":"column","type":["null","string"],"default":null},"#,
    r#"{"name":"verdict","type":"string"},{"name":"what","type":"string"},{"name":"running","type":"string"},"#,
    r#"{"name":"replaying","type":"string"},{"name":"advice","type":"string"}]}}},"#,
    r#"{"name":"topic","type":"string"},{"name":"position","type":"string"},{"name":"ts_us","type":"long"},"#,
    r#"{"name":"old_key_schema_id","type":["null","long"],"default":null},"#,
    r#"{"name":"old_value_schema_id","type":["null","long"],"default":null},"#,
    r#"{"name":"old_fingerprint","type":["null","string"],"default":null},"#,
    r#"{"name":"key_schema_id","type":["null","long"],"default":null},"#,
    r#"{"name":"value_schema_id","type":["null","long"],"default":null},"#,
    r#"{"name":"fingerprint","type":["null","string"],"default":null},"#,
    r#"{"name":"statement","type":["null","string"],"default":null},"#,
    r#"{"name":"user","type":["null","string"],"default":null}]}"#,
);

/// The schemas on one side of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schemas<'a> {
    pub key_id: Option<u32>,
    pub value_id: Option<u32>,
    pub fingerprint: Option<&'a str>,
}

/// One finding of a schema change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    pub rule: &'a str,
    pub column: Option<&'a str>,
    pub verdict: &'a str,
    pub what: &'a str,
    pub running: &'a str,
    pub replaying: &'a str,
    pub advice: &'a str,
}

/// What the control topic says of a table whose shape has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaChange<'a> {
    /// `schema.table`.
    pub table: &'a str,
    /// `published`: events go on under the new schema; `held`: they are parked; `returned`: parked events are back.
    pub action: &'a str,
    /// The worst verdict.
    pub verdict: &'a str,
    pub findings: Vec<Told<'a>>,
    /// Where the table's events go from here on.
    pub topic: &'a str,
    pub position: &'a str,
    /// Microseconds since 1970.
    pub time: i64,
    pub old: Schemas<'a>,
    pub new: Schemas<'a>,
    /// As the log has it.
    pub statement: Option<&'a str>,
    pub user: Option<&'a str>,
}

impl SchemaChange<'_> {
    /// The record's key: `header`, then the table's name.
    pub fn key(&self, header: &[u8]) -> Vec<u8> {
        let mut out = header.to_vec();
        wire::string(&mut out, self.table);
        out
    }

    /// The record's value: `header`, then the event.
    pub fn value(&self, header: &[u8]) -> Vec<u8> {
        let mut out = header.to_vec();
        for text in [self.table, self.action, self.verdict] {
            wire::string(&mut out, text);
        }
        if !self.findings.is_empty() {
            wire::count(&mut out, self.findings.len());
        }
        for told in &self.findings {
            wire::string(&mut out, told.rule);
            optional(&mut out, told.column);
            for text in [told.verdict, told.what, told.running, told.replaying, told.advice] {
                wire::string(&mut out, text);
            }
        }
        out.push(0);
        wire::string(&mut out, self.topic);
        wire::string(&mut out, self.position);
        wire::long(&mut out, self.time);
        for schemas in [&self.old, &self.new] {
            for id in [schemas.key_id, schemas.value_id] {
                match id {
                    None => out.push(BRANCH_0),
                    Some(id) => {
                        out.push(BRANCH_1);
                        wire::long(&mut out, i64::from(id));
                    }
                }
            }
            optional(&mut out, schemas.fingerprint);
        }
        optional(&mut out, self.statement);
        optional(&mut out, self.user);
        out
    }
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(BRANCH_0),
        Some(text) => {
            out.push(BRANCH_1);
            wire::string(out, text);
        }
    }
}

/// Where a table's events go from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved<'a> {
    pub topic: &'a str,
    pub position: &'a str,
    /// Of the first events there.
    pub value_id: u32,
}

/// The last event of a topic, under the schema that its events have (`header`): no rows, `op` is `moved`, and `absent`
/// says where the table goes on. It belongs to no transaction; columns of the source block that cannot be null are empty
/// or 0. `now` in microseconds since 1970.
pub fn moved(
    table: &Table,
    info: &SourceInfo,
    stream: &Stream<'_>,
    header: &[u8],
    to: &Moved<'_>,
    now: i64,
) -> Vec<u8> {
    let source = SourcePlan::compile(table, info, stream);
    let mut out = header.to_vec();
    out.extend([BRANCH_0, BRANCH_0]);
    source.put_head(&mut out, now, false);
    for (column, optional) in source.columns() {
        if optional {
            out.push(BRANCH_0);
            continue;
        }
        let text = match column.name.as_str() {
            "schema" => table.name.schema.as_str(),
            "table" => table.name.table.as_str(),
            _ => "",
        };
        let value = if column.kind == ColumnType::Text { Value::Text(text) } else { Value::Long(0) };
        // Source blocks have texts and numbers.
        put(&mut out, column.kind, &value);
    }
    out.push(BRANCH_0);
    wire::string(&mut out, "moved");
    out.push(BRANCH_1);
    wire::long(&mut out, now.div_euclid(1000));
    put_fine_time(&mut out, now);
    let id = to.value_id.to_string();
    let entries = [("topic", to.topic), ("position", to.position), ("value_schema_id", id.as_str())];
    wire::count(&mut out, entries.len());
    for (field, text) in entries {
        wire::string(&mut out, field);
        wire::string(&mut out, "moved");
        optional(&mut out, Some(text));
    }
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{info, orders};
    use crate::schema::{Naming, value_schema};
    use apache_avro::Schema;
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::types::Value as Avro;

    fn field(record: &Avro, name: &str) -> Avro {
        let Avro::Record(fields) = record else { panic!("{record:?} is no record") };
        let (_, value) = fields.iter().find(|(field, _)| field == name).unwrap();
        if let Avro::Union(_, value) = value { (**value).clone() } else { value.clone() }
    }

    fn read(schema: &str, mut bytes: &[u8]) -> Avro {
        let schema = Schema::parse_str(schema).unwrap();
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut bytes).unwrap();
        assert!(bytes.is_empty(), "{bytes:?} is left");
        value
    }

    #[test]
    fn a_schema_change_is_read_as_it_was_written() {
        let told = Told {
            rule: "rename",
            column: Some("note"),
            verdict: "corrupts-silently",
            what: "w",
            running: "r",
            replaying: "p",
            advice: "a",
        };
        let change = SchemaChange {
            table: "public.orders",
            action: "held",
            verdict: "corrupts-silently",
            findings: vec![told],
            topic: "t.parked",
            position: "0/10",
            time: 5,
            old: Schemas { key_id: Some(1), value_id: Some(2), fingerprint: Some("f") },
            new: Schemas::default(),
            statement: Some("alter table"),
            user: None,
        };
        let read_back = read(SCHEMA_CHANGE, &change.value(&[]));
        assert_eq!(field(&read_back, "table"), Avro::String("public.orders".into()));
        assert_eq!(field(&read_back, "old_value_schema_id"), Avro::Long(2));
        assert_eq!(field(&read_back, "fingerprint"), Avro::Null);
        assert_eq!(field(&read_back, "statement"), Avro::String("alter table".into()));
        let Avro::Array(findings) = field(&read_back, "findings") else { panic!("no array") };
        assert_eq!(field(&findings[0], "column"), Avro::String("note".into()));
        assert_eq!(read(SCHEMA_CHANGE_KEY, &change.key(&[])), Avro::String("public.orders".into()));
        let none = SchemaChange { findings: Vec::new(), ..change };
        assert_eq!(field(&read(SCHEMA_CHANGE, &none.value(&[])), "findings"), Avro::Array(Vec::new()));
    }

    #[test]
    fn the_last_event_is_one_of_the_topics_own() {
        let (table, info) = (orders(), info());
        let stream = Stream { name: "shop", version: "1" };
        let to = Moved { topic: "shop.public.orders.v2", position: "0/10", value_id: 42 };
        let bytes = moved(&table, &info, &stream, &[], &to, 1_700_000_000_000_000);
        let event = read(&value_schema(&table, &info, &Naming { prefix: "shop".to_owned() }), &bytes);
        assert_eq!(field(&event, "op"), Avro::String("moved".into()));
        assert_eq!((field(&event, "before"), field(&event, "after")), (Avro::Null, Avro::Null));
        assert_eq!(field(&field(&event, "source"), "table"), Avro::String("orders".into()));
        let Avro::Array(absent) = field(&event, "absent") else { panic!("no array") };
        let said: Vec<_> = absent.iter().map(|entry| (field(entry, "field"), field(entry, "text"))).collect();
        assert_eq!(said[0], (Avro::String("topic".into()), Avro::String("shop.public.orders.v2".into())));
        assert_eq!(said[2], (Avro::String("value_schema_id".into()), Avro::String("42".into())));
    }
}
