//! Tables as they would be after a change: in a database where it has been made, in files of schemas, or behind a migration
//! that is run in a throw-away database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use change::{Described, SourceError, Statement, Table, TableName};
use event_avro::Naming;
use event_avro::compatibility::{Shape, record_name};
use schema_registry::Latest;

use super::registered::{Holdings, Registered};
use crate::assemble;
use crate::cli::SchemaCheck;
use crate::config::Config;
use crate::database::{Database, Scratch};
use crate::failure::Failure;
use crate::{output, signals};

/// A table after the change.
pub(super) struct Planned {
    /// What to judge it against; `None`: what is registered.
    pub(super) before: Option<Shape>,
    /// What the migration's statements say of it.
    pub(super) said: Option<Statement>,
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
    let (migrated, after) = migrate(&database, arguments, registered)?;
    Ok(Plan { tables: planned(&after, Some(&migrated), &naming), is_complete: true })
}

/// Where a migration began, and what its statements say of tables.
struct Migrated {
    before: Described,
    said: BTreeMap<TableName, Statement>,
}

fn planned(after: &Described, migrated: Option<&Migrated>, naming: &Naming) -> BTreeMap<TableName, Planned> {
    let shape_before = |name: &TableName| {
        let found = migrated?.before.tables.iter().find(|table| table.name == *name)?;
        Some(Shape::of_table(found))
    };
    let plan = |table: &Table| {
        let planned = Planned {
            before: shape_before(&table.name),
            said: migrated.and_then(|migrated| migrated.said.get(&table.name)).cloned(),
            shape: Shape::of_table(table),
            key: event_avro::key_schema(table, naming),
            value: event_avro::value_schema(table, &after.info, naming),
        };
        (table.name.clone(), planned)
    };
    after.tables.iter().map(plan).collect()
}

/// The tables before and after the migration, in one database, so that numbers of columns, or else its statements, tell what
/// was renamed.
fn migrate(
    database: &Database,
    arguments: &SchemaCheck,
    registered: &BTreeMap<TableName, Registered>,
) -> Result<(Migrated, Described), Failure> {
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
        Some((file, text)) => drop(scratch.run(file, text, &wanted)?),
        None => scratch.build(&rebuilt).map_err(|error| explained(error, "the rebuilt tables are not as yours are"))?,
    }
    let before = scratch.describe()?;
    let mut said: BTreeMap<TableName, Statement> = BTreeMap::new();
    for (file, text) in &migrations {
        let run = scratch.run(file, text, &wanted);
        let statements = match &base {
            Some(_) => run?,
            None => run.map_err(|error| {
                explained(
                    error,
                    "only the captured tables are there, with their columns and keys, rebuilt from the registry",
                )
            })?,
        };
        for statement in statements {
            match said.get_mut(&statement.table) {
                Some(earlier) => earlier.follow(&statement),
                None => drop(said.insert(statement.table.clone(), statement)),
            }
        }
    }
    let after = scratch.describe()?;
    // What was found out holds all the same.
    if let Err(error) = scratch.remove() {
        output::print_error(&format!("warning: the throw-away database is still there: {error}"));
    }
    Ok((Migrated { before, said }, after))
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

/// The schemas in a folder, each for the table whose subject, topic or record it names.
fn from_files(
    folder: &Path,
    holdings: &Holdings,
    registered: &BTreeMap<TableName, Registered>,
) -> Result<Plan, Failure> {
    let mut files = read(folder)?;
    let mut tables = BTreeMap::new();
    for (name, known) in registered {
        let topic = holdings.topic(name, known.version)?;
        let value = take(&mut files, &[&format!("{topic}-value"), &topic], Some(&known.value));
        let key = take(&mut files, &[&format!("{topic}-key")], known.key.as_ref());
        // What has no file stays as it is registered.
        let (path, value) = match (value, &key) {
            (Some((path, value)), _) => (path, value),
            (None, Some((path, _))) => (path.clone(), known.value.schema.clone()),
            (None, None) => continue,
        };
        let key = key.map(|(_, text)| text).or_else(|| known.key.as_ref().map(|key| key.schema.clone()));
        let shape = Shape::of_schemas(key.as_deref(), &value).map_err(|error| unfit(&path, &error.to_string()))?;
        tables.insert(name.clone(), Planned { before: None, said: None, shape, key, value });
    }
    if let Some((path, _)) = files.into_values().next() {
        return Err(Failure::stop(
            format!("{} belongs to no table that is registered and captured", path.display()),
            "name it <topic>-value.avsc or <topic>-key.avsc, or take it out of the folder; check --topic-prefix and --tables",
        ));
    }
    Ok(Plan { tables, is_complete: false })
}

/// Schema files by their names without the ending: where each is, and its text.
type Files = BTreeMap<String, (PathBuf, String)>;

fn read(folder: &Path) -> Result<Files, Failure> {
    let unreadable =
        |path: &Path, error: std::io::Error| Failure::configuration(format!("cannot read {}: {error}", path.display()));
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "avsc") {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
                return Err(unfit(&path, &error.to_string()));
            }
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            files.insert(stem, (path, text));
        }
    }
    if files.is_empty() {
        let what = format!("{} has no .avsc file", folder.display());
        return Err(Failure::stop(what, "name each one <topic>-value.avsc, such as shop.public.orders-value.avsc"));
    }
    Ok(files)
}

/// Takes out the file that has one of the names, or else the one whose record is called as the registered one is.
fn take(files: &mut Files, names: &[&str], known: Option<&Latest>) -> Option<(PathBuf, String)> {
    if let Some(file) = names.iter().find_map(|&name| files.remove(name)) {
        return Some(file);
    }
    let record = record_name(&known?.schema)?;
    let stem = files.iter().find(|(_, (_, text))| record_name(text).as_ref() == Some(&record))?.0.clone();
    files.remove(&stem)
}

fn unfit(path: &Path, why: &str) -> Failure {
    Failure::stop(format!("{}: {why}", path.display()), "write an Avro schema of the record, as JSON")
}
