//! Every type in its documented form, on every version of the server, judged by the server itself.
//!
//! The table `catalogue` has a column of each type in the catalogue and one of arrays of it. Row 0 holds NULLs, and row n
//! the nth value of each type; the arrays are made by the server from the same literals. What a road (the stream, the
//! snapshot) gives for a row is asked of the server again: a text must be what the type's output function writes under the
//! pinned settings, and a typed value, read back as the type, must be printed as the column is.

mod catalogue;
mod judge;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Database, Event};

pub(crate) use self::catalogue::SETUP;
use self::catalogue::{ENTRIES, Entry, LEFT_OUT};
use crate::support::{PATIENCE, Scene};

/// A column of the table.
struct Column {
    name: String,
    sql: String,
    /// As in [`Entry::form`]; an array's items have the entry's.
    form: &'static str,
    is_array: bool,
    /// By row from 1: an SQL expression, and why the value is absent, if it is.
    values: Vec<(String, Option<&'static str>)>,
}

impl Column {
    fn of(number: usize, entry: &'static Entry) -> Vec<Self> {
        let literal = |value: &str| format!("'{}'::{}", value.replace('\'', "''"), entry.sql);
        let values = entry.values.iter().map(|value| (literal(value), None));
        let absent = entry.absent.iter().map(|(value, reason)| (literal(value), Some(*reason)));
        let single = Self {
            name: format!("c{number}"),
            sql: entry.sql.to_owned(),
            form: entry.form,
            is_array: entry.is_array,
            values: values.chain(absent).collect(),
        };
        if entry.is_array {
            return vec![single];
        }
        let array = Self {
            name: format!("a{number}"),
            sql: format!("{}[]", entry.sql),
            form: entry.form,
            is_array: true,
            values: arrays(entry),
        };
        vec![single, array]
    }
}

/// Arrays of all shapes: whole, empty, of NULLs, two dimensions, another lower bound, with an element that does not fit.
/// They are cast from arrays of text, element by element: `ARRAY[…]` of a vector would be one of two dimensions.
fn arrays(entry: &Entry) -> Vec<(String, Option<&'static str>)> {
    let cast = format!("::text[]::{}[]", entry.sql);
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let all: Vec<String> = entry.values.iter().map(|value| quoted(value)).collect();
    let first = &all[0];
    let mut arrays = vec![
        (format!("ARRAY[{}, NULL]{cast}", all.join(", ")), None),
        (format!("ARRAY[]{cast}"), None),
        (format!("ARRAY[NULL, NULL]{cast}"), None),
        (format!("ARRAY[ARRAY[{first}], ARRAY[{first}]]{cast}"), Some("dimensions")),
        (format!("array_fill({first}::text, ARRAY[1], ARRAY[0]){cast}"), Some("dimensions")),
    ];
    for (value, reason) in entry.absent {
        arrays.push((format!("ARRAY[{first}, {}]{cast}", quoted(value)), Some(*reason)));
    }
    arrays
}

/// The columns that this server can have.
fn columns(database: &Database) -> Result<Vec<Column>> {
    let version: u32 = database.value("show server_version_num")?.parse()?;
    // A server may be built without libxml.
    let xml = database.query("select '<a/>'::xml").is_ok();
    let entries = ENTRIES.iter().filter(|entry| entry.since * 10_000 <= version && (xml || entry.sql != "xml"));
    Ok(entries.enumerate().flat_map(|(number, entry)| Column::of(number, entry)).collect())
}

/// Makes the empty table.
fn create(database: &Database, columns: &[Column]) -> Result<()> {
    let declared: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.sql)).collect();
    // NULL is a value of the table's columns, whatever a domain says: the domain's own rule is not what is tested.
    database.execute("alter domain public.label drop not null")?;
    database.execute(&format!("create table public.catalogue (id int primary key, {})", declared.join(", ")))
}

/// Row 0, all NULL, then row n with the nth value of each column.
fn insert(database: &Database, columns: &[Column]) -> Result<usize> {
    let rows = columns.iter().map(|column| column.values.len()).max().unwrap_or_default();
    let mut sql = String::from("insert into public.catalogue (id) values (0);");
    for row in 0..rows {
        let filled: Vec<(&str, &str)> = columns
            .iter()
            .filter_map(|column| Some((column.name.as_str(), column.values.get(row)?.0.as_str())))
            .collect();
        let (names, values): (Vec<&str>, Vec<&str>) = filled.into_iter().unzip();
        let (names, values) = (names.join(", "), values.join(", "));
        sql.push_str(&format!("insert into public.catalogue (id, {names}) values ({}, {values});", row + 1));
    }
    database.execute(&sql)?;
    Ok(rows + 1)
}

/// Every built-in type that a column can have has an entry, or a reason to have none.
fn complete(database: &Database) -> Result<()> {
    let missing = database.query(
        "select t.typname from pg_type t where t.typnamespace = 'pg_catalog'::regnamespace \
         and t.typtype in ('b', 'd', 'e', 'm', 'r') and t.typoutput <> 'array_out'::regproc \
         and not exists (select from pg_attribute a where a.attrelid = 'public.catalogue'::regclass \
         and a.attnum > 0 and a.atttypid = t.oid) order by 1",
    )?;
    for row in missing {
        let name = row[0].as_deref().unwrap_or_default();
        let known = LEFT_OUT.iter().any(|(left_out, reason)| *left_out == name && !reason.is_empty());
        ensure!(known || name == "xml", "the catalogue has no entry for type {name}");
    }
    Ok(())
}

/// Streams the catalogue; gives what the second road has to be equal to.
fn streamed(scene: &Scene) -> Result<Vec<Event>> {
    let columns = columns(&scene.database)?;
    create(&scene.database, &columns)?;
    complete(&scene.database)?;
    // The settings of the database are not those of the connection.
    let name = &scene.database.name;
    for setting in [
        "datestyle = 'German'",
        "intervalstyle = 'postgres_verbose'",
        "extra_float_digits = -5",
        "bytea_output = 'escape'",
        "timezone = 'Asia/Kolkata'",
    ] {
        scene.database.execute(&format!("alter database {name} set {setting}"))?;
    }
    let headwater = scene.start()?;
    let rows = insert(&scene.database, &columns)?;
    let events = scene.events("catalogue", rows)?;
    ensure!(events.iter().all(|event| event.op() == "c"), "{}", headwater.output());
    judge::forms(scene, &events, &columns)?;
    judge::values(&scene.database, &events, &columns)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(events)
}

/// Copies the catalogue by a second pipeline: each row is what the stream gave, value by value.
fn copied(mut scene: Scene, streamed: &[Event]) -> Result<()> {
    let columns = columns(&scene.database)?;
    scene.name.push_str("_copy");
    scene.source = "snapshot = \"initial\"".to_owned();
    let headwater = scene.start()?;
    let events = scene.events("catalogue", streamed.len()).with_context(|| headwater.output())?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    ensure!(events.iter().all(|event| event.op() == "r"), "{}", headwater.output());
    judge::forms(&scene, &events, &columns)?;
    judge::values(&scene.database, &events, &columns)?;
    let by_id = |events: &[Event]| -> BTreeMap<Option<u64>, [Json; 2]> {
        let fields = |event: &Event| ["after", "absent"].map(|name| event.field(name).clone());
        events.iter().map(|event| (event.after("id").as_u64(), fields(event))).collect()
    };
    let (stream, copy) = (by_id(streamed), by_id(&events));
    assert_eq!((stream.len(), copy.len()), (streamed.len(), events.len()));
    for (row, streamed) in &stream {
        // Column by column, so that a failure is short.
        for column in columns.iter().map(|column| column.name.as_str()).chain(["id"]) {
            assert_eq!(copy[row][0][column], streamed[0][column], "row {row:?}, {column}");
        }
        assert_eq!(&copy[row], streamed, "row {row:?}");
    }
    Ok(())
}

/// Both roads, on any version.
pub(crate) fn every_type(scene: Scene) -> Result<()> {
    let events = streamed(&scene)?;
    copied(scene, &events)
}

#[test]
fn every_type_is_the_databases_own() -> Result<()> {
    every_type(Scene::new("types", SETUP)?)
}
