//! Tables as they would be after a change: in a database where it has been made, in files of schemas, or behind a migration
//! that is run in a throw-away database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use change::{Described, SourceError, Table, TableName};
use event_avro::Naming;
use event_avro::compatibility::Shape;

use super::registered::{Holdings, Registered};
use crate::assemble;
use crate::cli::SchemaCheck;
use crate::config::Config;
use crate::database::{Database, Scratch};
use crate::failure::Failure;
use crate::signals;

/// A table after the change.
pub(super) struct Planned {
    /// What to judge it against; `None`: what is registered.
    pub(super) before: Option<Shape>,
    pub(super) shape: Shape,
    pub(super) key: Option<String>,
    pub(super) value: String,
}

/// What there is after the change.
pub(super) struct Plan {
    pub(super) tables: BTreeMap<TableName, Planned>,
    /// Whether a table that is registered, and not among these, is gone; otherwise it was only not looked at.
    pub(super) is_complete: bool,
}

/// The plan that the arguments ask for. `registered`: what the registry has of the captured tables.
pub(super) fn find(
    config: &Config,
    arguments: &SchemaCheck,
    holdings: &Holdings,
    registered: &BTreeMap<TableName, Registered>,
) -> Result<Plan, Failure> {
    let database = assemble::database(config);
    let naming = Naming { prefix: config.kafka.topic_prefix.clone() };
    if let Some(folder) = &arguments.avsc {
        return from_files(folder, holdings, registered);
    }
    if arguments.migration.is_empty() {
        let described = database.describe()?;
        return Ok(Plan { tables: planned(&described, None, &naming), is_complete: true });
    }
    let (before, after) = migrate(&database, arguments, registered)?;
    Ok(Plan { tables: planned(&after, Some(&before), &naming), is_complete: true })
}

fn planned(after: &Described, before: Option<&Described>, naming: &Naming) -> BTreeMap<TableName, Planned> {
    let shape_before = |name: &TableName| {
        let found = before?.tables.iter().find(|table| table.name == *name)?;
        Some(Shape::of_table(found))
    };
    let plan = |table: &Table| {
        let planned = Planned {
            before: shape_before(&table.name),
            shape: Shape::of_table(table),
            key: event_avro::key_schema(table, naming),
            value: event_avro::value_schema(table, &after.info, naming),
        };
        (table.name.clone(), planned)
    };
    after.tables.iter().map(plan).collect()
}

/// The tables before and after the migration, in one database, so that numbers of columns tell what was renamed.
fn migrate(
    database: &Database,
    arguments: &SchemaCheck,
    registered: &BTreeMap<TableName, Registered>,
) -> Result<(Described, Described), Failure> {
    let read = |path: &PathBuf| {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::configuration(format!("cannot read {file}: {error}")))?;
        Ok::<_, Failure>((file, text))
    };
    let base = arguments.base.as_ref().map(read).transpose()?;
    let migrations = arguments.migration.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let rebuilt = if base.is_some() { Vec::new() } else { rebuild(registered)? };
    // From here on Ctrl-C only raises a flag: the database is dropped in any case.
    let stop = signals::watch()?;
    let wanted = || !stop.load(Ordering::Relaxed);
    let names: Vec<TableName> = registered.keys().cloned().collect();
    let scratch = Scratch::create(database, &names)?;
    match &base {
        Some((file, text)) => scratch.run(file, text, &wanted)?,
        None => scratch.build(&rebuilt).map_err(|error| explained(error, "the rebuilt tables are not as yours are"))?,
    }
    let before = scratch.describe()?;
    for (file, text) in &migrations {
        let run = scratch.run(file, text, &wanted);
        match &base {
            Some(_) => run?,
            None => run.map_err(|error| {
                explained(
                    error,
                    "only the captured tables are there, with their columns and keys, rebuilt from the registry",
                )
            })?,
        }
    }
    let after = scratch.describe()?;
    scratch.remove()?;
    Ok((before, after))
}

/// The tables as far as the registry knows them.
fn rebuild(registered: &BTreeMap<TableName, Registered>) -> Result<Vec<Table>, Failure> {
    let table = |(name, registered): (&TableName, &Registered)| {
        let key = registered.key.as_ref().map(|key| key.schema.as_str());
        event_avro::registered_table(name, key, &registered.value.schema).map_err(|error| {
            Failure::stop(
                format!("{name} cannot be rebuilt from its registered schemas: {error}"),
                "give the structure before the migration with --base FILE",
            )
        })
    };
    registered.iter().map(table).collect()
}

/// The server's refusal of a statement, where a dump of the structure would have helped.
fn explained(error: SourceError, why: &str) -> Failure {
    match error {
        SourceError::Stop { what, help } if !what.ends_with("interrupted") => Failure::stop(
            what,
            format!(
                "{why}; if that is the reason, give a dump of the structure before the migration with --base FILE \
                 (otherwise: {help})"
            ),
        ),
        error => error.into(),
    }
}

/// The value schemas in a folder, each for the table whose subject, topic or record it names.
fn from_files(
    folder: &Path,
    holdings: &Holdings,
    registered: &BTreeMap<TableName, Registered>,
) -> Result<Plan, Failure> {
    let unreadable =
        |path: &Path, error: std::io::Error| Failure::configuration(format!("cannot read {}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "avsc") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let what = format!("{} has no .avsc file", folder.display());
        return Err(Failure::stop(what, "name each one <topic>-value.avsc, such as shop.public.orders-value.avsc"));
    }
    let mut texts = BTreeMap::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        texts.insert(stem, (path, text));
    }
    let mut tables = BTreeMap::new();
    for (name, known) in registered {
        let topic = holdings.topic(name)?;
        let value_subject = format!("{topic}-value");
        let value = texts.remove(&value_subject).or_else(|| texts.remove(&topic));
        let value = value.or_else(|| {
            let record = full_name(&known.value.schema)?;
            let stem = texts.iter().find(|(_, (_, text))| full_name(text).as_ref() == Some(&record))?.0.clone();
            texts.remove(&stem)
        });
        let key = texts.remove(&format!("{topic}-key")).map(|(_, text)| text);
        let Some((path, value)) = value else { continue };
        let key = key.or_else(|| known.key.as_ref().map(|key| key.schema.clone()));
        let shape = Shape::of_schemas(key.as_deref(), &value).map_err(|error| {
            Failure::stop(format!("{}: {error}", path.display()), "write an Avro schema of the record, as JSON")
        })?;
        tables.insert(name.clone(), Planned { before: None, shape, key, value });
    }
    if let Some((path, _)) = texts.into_values().next() {
        return Err(Failure::stop(
            format!("{} belongs to no table that is registered and captured", path.display()),
            "name it <topic>-value.avsc, or take it out of the folder; check --topic-prefix and --tables",
        ));
    }
    Ok(Plan { tables, is_complete: false })
}

/// A record's name with its namespace.
fn full_name(schema: &str) -> Option<String> {
    let schema: serde_json::Value = serde_json::from_str(schema).ok()?;
    let part = |attribute: &str| schema.get(attribute).and_then(serde_json::Value::as_str);
    let name = part("name")?;
    Some(part("namespace").map_or_else(|| name.to_owned(), |namespace| format!("{namespace}.{name}")))
}
