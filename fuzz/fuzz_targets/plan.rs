//! Any relation message that is understood makes schemas that parse, and a plan.
#![no_main]

use std::collections::HashSet;
use std::sync::Arc;

use apache_avro::Schema;
use change::SourceInfo;
use event_avro::{Naming, Options, Plan, Stream, key_schema, value_schema};
use libfuzzer_sys::fuzz_target;
use source_postgres::bare_table;
use source_postgres::wire::pgoutput::{self, Message};

fuzz_target!(|bytes: &[u8]| {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let Ok(Message::Relation(relation)) = pgoutput::read(bytes, &mut old, &mut new) else { return };
    let mut names = HashSet::new();
    if !relation.columns.iter().all(|column| names.insert(&column.name)) {
        return; // no server has such a table
    }
    let table = Arc::new(bare_table(&relation));
    let info = SourceInfo {
        connector: "postgresql",
        database: Some("d".to_owned()),
        server_identity: "1/1".to_owned(),
        columns: Vec::new(),
    };
    let naming = Naming { prefix: "p".to_owned() };
    Schema::parse_str(&value_schema(&table, &info, &naming)).expect("a value schema");
    if let Some(key) = key_schema(&table, &naming) {
        Schema::parse_str(&key).expect("a key schema");
    }
    let stream = Stream { name: "p", version: "0" };
    let plan = Plan::compile(&table, &info, &stream, &[], &[], Options::default());
    assert!(Arc::ptr_eq(plan.table(), &table));
});
