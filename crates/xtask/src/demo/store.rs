//! The database that the shop is kept in. What differs between PostgreSQL, MySQL and MariaDB is said here and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use testkit::{Database, Flavour, MySqlDatabase, TextRow, shared, wait};

/// Which database is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    Postgres,
    Mysql,
    Mariadb,
}

/// The columns of a row as the oracle shows them, by name; NULLs are left out.
pub(super) type Row = BTreeMap<String, String>;

/// Runs statements on one open connection.
pub(super) type Session = Box<dyn FnMut(&str) -> Result<()> + Send>;

/// The shop's database on its server.
pub(super) enum Store {
    Postgres(Database),
    MySql(MySqlDatabase),
}

impl Source {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Mariadb => "MariaDB",
        }
    }

    /// Starts the database beside the broker and the registry, and makes the shop's database.
    pub(super) fn start(self) -> Result<Store> {
        std::thread::scope(|scope| {
            scope.spawn(shared::kafka);
            scope.spawn(shared::registry);
            match self {
                Self::Postgres => Ok(Store::Postgres(shared::postgres().create_database()?)),
                Self::Mysql => of_mysql(Flavour::MySql),
                Self::Mariadb => of_mysql(Flavour::MariaDb),
            }
        })
    }
}

fn of_mysql(flavour: Flavour) -> Result<Store> {
    Ok(Store::MySql(shared::mysql(flavour).create_database_called("shop")?))
}

impl Store {
    pub(super) fn url(&self) -> String {
        match self {
            Self::Postgres(database) => database.url(),
            Self::MySql(database) => database.url(),
        }
    }

    /// The first part of a table's name, in patterns and topics.
    pub(super) fn schema(&self) -> &str {
        match self {
            Self::Postgres(_) => "public",
            Self::MySql(database) => &database.name,
        }
    }

    /// The shop's tables. MySQL wants a length where a text has none; both then publish the same forms.
    pub(super) fn create_tables(&self) -> Result<()> {
        let (text, moment) = match self {
            Self::Postgres(_) => ("text", "timestamptz"),
            Self::MySql(_) => ("varchar(80)", "timestamp(6)"),
        };
        self.execute(&format!(
            "create table customers (id bigint primary key, name {text} not null, email {text},
                 spent numeric(12,2) not null);
             create table orders (id bigint primary key, customer_id bigint not null,
                 amount numeric(12,2) not null, status {text} not null, placed_at {moment} not null,
                 foreign key (customer_id) references customers (id))"
        ))
    }

    /// The time at which it is asked, also inside a transaction.
    pub(super) fn now(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "clock_timestamp()",
            Self::MySql(_) => "sysdate(6)",
        }
    }

    fn execute(&self, sql: &str) -> Result<()> {
        match self {
            Self::Postgres(database) => database.execute(sql),
            Self::MySql(database) => database.execute(sql),
        }
    }

    fn query(&self, sql: &str) -> Result<Vec<TextRow>> {
        match self {
            Self::Postgres(database) => database.query(sql),
            Self::MySql(database) => database.query(sql),
        }
    }

    pub(super) fn session(&self) -> Result<Session> {
        Ok(match self {
            Self::Postgres(database) => {
                let client = Arc::new(database.connect_sync()?);
                Box::new(move |sql| {
                    let (client, sql) = (Arc::clone(&client), sql.to_owned());
                    Ok(wait(async move { client.batch_execute(&sql).await })?)
                })
            }
            Self::MySql(database) => {
                let mut session = database.session()?;
                Box::new(move |sql| session.run(sql))
            }
        })
    }

    /// The rows of a table by their id.
    pub(super) fn rows(&self, table: &str) -> Result<BTreeMap<String, Row>> {
        let columns: Vec<(String, String)> = self.query(&self.columns(table))?.into_iter().filter_map(pair).collect();
        let texts: Vec<String> = columns.iter().map(|(name, kind)| self.text(name, kind)).collect();
        let zone = match self {
            Self::Postgres(_) => "set timezone = 'UTC'",
            Self::MySql(_) => "set time_zone = '+00:00'",
        };
        let read = self.query(&format!("{zone}; select {} from {table}", texts.join(", ")))?;
        let names = || columns.iter().map(|(name, _)| name.clone());
        let row = |values: TextRow| names().zip(values).filter_map(|(name, value)| Some((name, value?))).collect();
        let with_id = |row: Row| Some((row.get("id")?.clone(), row));
        read.into_iter().map(|values| with_id(row(values)).context("a row without an id")).collect()
    }

    /// Asks for the names and types of a table's columns.
    fn columns(&self, table: &str) -> String {
        let schema = self.schema();
        format!(
            "select column_name, data_type from information_schema.columns
             where table_schema = '{schema}' and table_name = '{table}' order by ordinal_position"
        )
    }

    /// An expression for a column's text as the oracle shows it, which is as PostgreSQL writes it.
    fn text(&self, column: &str, kind: &str) -> String {
        match (self, kind) {
            (Self::Postgres(_), _) => format!("{column}::text"),
            (Self::MySql(_), "timestamp") => {
                format!("concat(trim(trailing '.' from trim(trailing '0' from {column})), '+00')")
            }
            (Self::MySql(_), _) => column.to_owned(),
        }
    }
}

fn pair(row: TextRow) -> Option<(String, String)> {
    let mut values = row.into_iter().flatten();
    Some((values.next()?, values.next()?))
}
