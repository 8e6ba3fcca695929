//! The database that a configuration names: PostgreSQL, MySQL or MariaDB, by its URL's scheme. What differs between them
//! for the program is decided here and nowhere else.

use std::collections::BTreeSet;

use change::{Described, Finding, Position, Resume, Source, SourceError, Statement, Table, TableName};
use source_mysql::MySqlSource;
use source_postgres::{PostgresSource, SlotGuard};

use crate::failure::Failure;
use crate::retention::Shown;

/// One database with its source's configuration.
pub enum Database {
    Postgres(source_postgres::Config),
    MySql(source_mysql::Config),
}

/// Which source reads a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Postgres,
    /// MySQL and MariaDB: the server says which.
    MySql,
}

impl Scheme {
    /// `None`: no database of ours.
    pub fn of(url: &str) -> Option<Self> {
        match url.split_once("://")? {
            ("postgres" | "postgresql", rest) if !rest.is_empty() => Some(Self::Postgres),
            ("mysql" | "mariadb", rest) if !rest.is_empty() => Some(Self::MySql),
            _ => None,
        }
    }
}

/// Where a pipeline can go on that cannot from its checkpoint.
pub struct Elsewhere {
    pub server_identity: String,
    pub position: Position,
    /// What this place is, for people.
    pub what: String,
}

impl Database {
    /// The source, not yet connected.
    pub fn source(self) -> Result<Box<dyn Source>, Failure> {
        Ok(match self {
            Self::Postgres(config) => Box::new(PostgresSource::new(config)?),
            Self::MySql(config) => Box::new(MySqlSource::new(config)?),
        })
    }

    /// Whether it is fit to be read from.
    pub fn check(&self) -> Result<Vec<Finding>, SourceError> {
        match self {
            Self::Postgres(config) => source_postgres::check(config),
            Self::MySql(config) => source_mysql::check(config),
        }
    }

    /// The captured tables as the catalogue shows them now.
    pub fn describe(&self) -> Result<Described, SourceError> {
        match self {
            Self::Postgres(config) => source_postgres::describe(config),
            Self::MySql(config) => source_mysql::describe(config),
        }
    }

    /// Those of the tables that the configuration asks for.
    pub fn captured(&self, tables: &mut Vec<TableName>) -> Result<(), SourceError> {
        match self {
            Self::Postgres(config) => {
                let patterns = source_postgres::Patterns::new(&config.tables)?;
                tables.retain(|table| patterns.matches(table));
            }
            Self::MySql(config) => {
                let patterns = source_mysql::Patterns::new(&config.tables)?;
                tables.retain(|table| patterns.matches(table));
            }
        }
        Ok(())
    }

    /// Begins to watch what the server keeps of its log for this pipeline, as long as the guard lives. A server that keeps
    /// its log for everybody, whoever reads it, needs no guard.
    pub fn guard(self, shown: Shown) -> Result<Option<SlotGuard>, Failure> {
        match self {
            Self::Postgres(config) => Ok(Some(SlotGuard::begin(config, shown)?)),
            Self::MySql(_) => Ok(None),
        }
    }

    /// The nearest place behind a gap in the log, or behind what cannot be read.
    pub fn behind_gap(&self, checkpoint: Option<&Resume>, slot: &str) -> Result<Elsewhere, Failure> {
        match (self, checkpoint) {
            (Self::Postgres(config), checkpoint) => {
                let place = of_slot(config, slot)?;
                match checkpoint.filter(|checkpoint| checkpoint.server_identity != place.server_identity) {
                    None => Ok(place),
                    Some(Resume { server_identity, .. }) => Err(Failure::stop(
                        format!("the server is another one ({}, not {server_identity})", place.server_identity),
                        "if that is meant, `headwater accept identity` accepts the server and the gap",
                    )),
                }
            }
            (Self::MySql(config), Some(checkpoint)) => {
                Ok(of_log(source_mysql::accept::behind_gap(config, checkpoint)?))
            }
            (Self::MySql(config), None) => Ok(of_log(source_mysql::accept::end(config)?)),
        }
    }

    /// The place from which on this server is read, whatever another one had before.
    pub fn now(&self, slot: &str) -> Result<Elsewhere, Failure> {
        match self {
            Self::Postgres(config) => of_slot(config, slot),
            Self::MySql(config) => Ok(of_log(source_mysql::accept::end(config)?)),
        }
    }
}

/// A throw-away database on a server that somebody gives. It is dropped with the value.
pub enum Scratch {
    Postgres(Box<source_postgres::Scratch>),
    MySql(Box<source_mysql::Scratch>),
}

impl Scratch {
    /// Makes it on the server that `database` names, with room for `tables` and for what its patterns name.
    pub fn create(database: &Database, tables: &[TableName]) -> Result<Self, SourceError> {
        match database {
            Database::Postgres(config) => {
                let name = format!("headwater_check_{:016x}", fastrand::u64(..));
                source_postgres::Scratch::create(config, &name).map(|scratch| Self::Postgres(Box::new(scratch)))
            }
            Database::MySql(config) => {
                let named = config.tables.iter().filter_map(|pattern| pattern.split_once('.'));
                let exact = named.filter(|(name, _)| !name.starts_with('!') && !name.contains('*'));
                let names: BTreeSet<&str> =
                    exact.map(|(name, _)| name).chain(tables.iter().map(|table| table.schema.as_str())).collect();
                let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
                if names.is_empty() {
                    return Err(SourceError::Stop {
                        what: "the migration needs a database to run in: nothing is registered yet, and --tables \
                               (source.tables) names only patterns of databases"
                            .to_owned(),
                        help: "name one database in --tables, such as 'shop.*'".to_owned(),
                    });
                }
                source_mysql::Scratch::create(config, &names).map(|scratch| Self::MySql(Box::new(scratch)))
            }
        }
    }

    /// Makes tables in it as far as events know them.
    pub fn build(&self, tables: &[Table]) -> Result<(), SourceError> {
        match self {
            Self::Postgres(scratch) => scratch.build(tables),
            Self::MySql(scratch) => scratch.build(tables),
        }
    }

    /// Runs a file's statements as long as `wanted` says so. Gives what they say of tables, where numbers of columns do not
    /// say more.
    pub fn run(&self, file: &str, text: &str, wanted: &dyn Fn() -> bool) -> Result<Vec<Statement>, SourceError> {
        match self {
            Self::Postgres(scratch) => scratch.run(file, text, wanted).map(|()| Vec::new()),
            Self::MySql(scratch) => scratch.run(file, text, wanted),
        }
    }

    /// The tables in it that the configuration asks for.
    pub fn describe(&self) -> Result<Described, SourceError> {
        match self {
            Self::Postgres(scratch) => scratch.describe(),
            Self::MySql(scratch) => scratch.describe(),
        }
    }

    /// Drops it.
    pub fn remove(self) -> Result<(), SourceError> {
        match self {
            Self::Postgres(scratch) => scratch.remove(),
            Self::MySql(scratch) => scratch.remove(),
        }
    }
}

/// The place that the slot holds: from there the server still has everything.
fn of_slot(config: &source_postgres::Config, slot: &str) -> Result<Elsewhere, Failure> {
    let status = source_postgres::slot_status(config)?;
    let position = status.confirmed_flush_lsn.ok_or_else(|| {
        Failure::stop(
            format!("slot {slot} does not exist: there is no position to go on from"),
            format!("create it first: select pg_create_logical_replication_slot('{slot}', 'pgoutput');"),
        )
    })?;
    Ok(Elsewhere {
        server_identity: status.server_identity,
        position: Position::new(position.to_string()),
        what: format!("what slot {slot} holds"),
    })
}

fn of_log(place: source_mysql::accept::Elsewhere) -> Elsewhere {
    let source_mysql::accept::Elsewhere { server_identity, position, what } = place;
    Elsewhere { server_identity, position, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_alone_name_no_throw_away_database() {
        let config = |tables: &[&str]| {
            let tables = tables.iter().map(|&table| table.to_owned());
            Database::MySql(source_mysql::Config::new("check", "mysql://ci@127.0.0.1:1/".to_owned(), tables))
        };
        let error = |tables: &[&str], known: &[TableName]| {
            Scratch::create(&config(tables), known)
                .err()
                .map(|error| Failure::from(error).to_string())
                .unwrap_or_default()
        };
        let text = error(&["shop*.*", "!shop_old.*"], &[]);
        assert!(text.contains("name one database in --tables"), "{text}");
        // With a name the server is asked, which is not there.
        for text in [error(&["shop.*"], &[]), error(&["shop*.*"], &[TableName::new("shop_1", "t")])] {
            assert!(!text.is_empty() && !text.contains("--tables"), "{text}");
        }
    }
}
