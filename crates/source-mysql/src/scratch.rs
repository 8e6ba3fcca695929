//! Databases on a server that somebody gives for that alone, to see what a migration makes of tables. They have the names
//! that the migration uses, which may name others, too: so the server must have none yet. They are dropped with the value.

use change::{ColumnType, Described, SourceError, Statement, Table, TableName};

use crate::catalog::{field, identifier, qualified};
use crate::config::Config;
use crate::connection::{Connection, Purpose};
use crate::definition::{Definition, definitions, sql_mode};
use crate::describe::describe;
use crate::error::Error;
use crate::script;

/// The databases. Dropping the value drops them.
#[derive(Debug)]
pub struct Scratch {
    config: Config,
    /// Those that were made, and nothing else.
    databases: Vec<String>,
}

impl Scratch {
    /// Makes empty databases of these names, on the server that `config` names.
    ///
    /// # Errors
    ///
    /// The server cannot be asked, refuses, or has a database that is not the system's: then nothing is made.
    pub fn create(config: &Config, databases: &[String]) -> Result<Self, SourceError> {
        config.validate()?;
        let mut config = config.clone();
        // It may be the very one that is not there yet.
        config.url = change::url::with_database(&config.url, "");
        let mut scratch = Self { config, databases: Vec::new() };
        scratch.make(databases)?;
        Ok(scratch)
    }

    fn make(&mut self, databases: &[String]) -> Result<(), Error> {
        let mut control = Connection::open(&self.config, Purpose::Control)?;
        let doing = "asking for the databases";
        let query = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) NOT IN \
             ('mysql', 'information_schema', 'performance_schema', 'sys') LIMIT 1";
        if let Some(row) = control.query(doing, query)?.first() {
            let name = field(row, 0, doing)?;
            return Err(Error::stop(
                format!(
                    "the server has a database {name}: the check makes and drops databases, and a migration may name any"
                ),
                "give --server an empty server, such as a container that only the check uses",
            ));
        }
        for name in databases {
            // Without a character set of its own the server's default holds, as for the application's databases.
            control
                .execute(&format!("making the database {name}"), &format!("CREATE DATABASE {}", identifier(name)))?;
            self.databases.push(name.clone());
        }
        control.close();
        Ok(())
    }

    /// Makes tables as far as events know them: columns, NOT NULL, the key as primary key.
    ///
    /// # Errors
    ///
    /// The server refuses one of them.
    pub fn build(&self, tables: &[Table]) -> Result<(), SourceError> {
        Ok(self.build_all(tables)?)
    }

    fn build_all(&self, tables: &[Table]) -> Result<(), Error> {
        let mut control = Connection::open(&self.config, Purpose::Control)?;
        for table in tables {
            let mut columns = Vec::with_capacity(table.columns.len() + 1);
            for column in &table.columns {
                let kind = if column.sql_type.is_empty() { base(column.kind) } else { column.sql_type.clone() };
                let rule = if column.nullable == Some(false) { "NOT NULL" } else { "NULL" };
                columns.push(format!("{} {kind} {rule}", identifier(&column.name)));
            }
            let key: Vec<_> = table.key.iter().filter_map(|index| table.columns.get(*index)).collect();
            if !key.is_empty() {
                let key: Vec<String> = key.iter().map(|column| identifier(&column.name)).collect();
                columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
            }
            let statement = format!("CREATE TABLE {} ({})", qualified(&table.name), columns.join(", "));
            control.execute(&format!("rebuilding {}", table.name), &statement)?;
        }
        control.close();
        Ok(())
    }

    /// Runs the statements of a file one after the other in a session of their own, as long as `wanted` says so. Where there
    /// is one database, names without a database mean it. `file` is for messages. Gives what they say of tables, in order.
    ///
    /// # Errors
    ///
    /// The first statement that the server refuses, with its line; [`SourceError::Stop`] when it is not wanted any more.
    pub fn run(&self, file: &str, text: &str, wanted: &dyn Fn() -> bool) -> Result<Vec<Statement>, SourceError> {
        let statements = script::split(text)
            .map_err(|refused| Error::stop(format!("{file}, line {}: {}", refused.line, refused.what), refused.help))?;
        let mut control = Connection::open(&self.config, Purpose::Control)?;
        // As the application's sessions have it: ours is pinned for reading.
        control.execute("setting up the session", "SET SESSION sql_mode = DEFAULT")?;
        if let [database] = &self.databases[..] {
            control.execute("setting up the session", &format!("USE {}", identifier(database)))?;
        }
        let mut said = Vec::new();
        for statement in statements {
            if !wanted() {
                return Err(SourceError::Stop {
                    what: format!("{file}, line {}: interrupted", statement.line),
                    help: "nothing is left on the server; run the check again".to_owned(),
                });
            }
            said.extend(said_of_tables(&mut control, statement.sql)?);
            control.execute(&format!("{file}, line {}", statement.line), statement.sql)?;
        }
        control.close();
        Ok(said)
    }

    /// The tables that match, as they are now.
    ///
    /// # Errors
    ///
    /// The server cannot be asked.
    pub fn describe(&self) -> Result<Described, SourceError> {
        describe(&self.config)
    }

    /// Drops the databases. Without this call they are dropped with the value, and a failure is only logged.
    ///
    /// # Errors
    ///
    /// The server cannot be asked, or refuses. It is tried once more then, when the value goes.
    pub fn remove(mut self) -> Result<(), SourceError> {
        let result = self.drop_databases();
        result.map_err(|error| SourceError::Stop {
            what: format!("{error}; databases may be left behind: {}", self.databases.join(", ")),
            help: format!("run: {}", self.drop_statements()),
        })
    }

    /// Those that are gone are forgotten.
    fn drop_databases(&mut self) -> Result<(), Error> {
        if self.databases.is_empty() {
            return Ok(());
        }
        let mut control = Connection::open(&self.config, Purpose::Control)?;
        let mut result = Ok(());
        self.databases.retain(|name| {
            let dropped = control.execute(&format!("dropping the database {name}"), &drop_statement(name));
            let is_left = dropped.is_err();
            // The others go in any case.
            if result.is_ok() {
                result = dropped;
            }
            is_left
        });
        control.close();
        result
    }

    fn drop_statements(&self) -> String {
        let statements: Vec<String> = self.databases.iter().map(|name| drop_statement(name) + ";").collect();
        statements.join(" ")
    }
}

/// What a statement says of tables, by the settings of the session that will run it.
fn said_of_tables(control: &mut Connection, sql: &str) -> Result<Vec<Statement>, Error> {
    if definitions(sql, 0).is_empty() {
        return Ok(Vec::new());
    }
    let doing = "asking for the session's database and sql_mode";
    let rows = control.query(doing, "SELECT COALESCE(DATABASE(), ''), @@SESSION.sql_mode")?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let (database, sql_mode) = (field(row, 0, doing)?, sql_mode(field(row, 1, doing)?));
    let said = |definition: Definition| Statement {
        table: TableName::new(definition.table.0.as_deref().unwrap_or(database), &definition.table.1),
        text: sql.to_owned(),
        user: None,
        moved: definition.moved,
        generated: definition.generated,
    };
    Ok(definitions(sql, sql_mode).into_iter().map(said).collect())
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {}", identifier(name))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.drop_databases() {
            tracing::error!(%error, "databases were left behind; run: {}", self.drop_statements());
        }
    }
}

/// A type whose values have this form.
fn base(form: ColumnType) -> String {
    match form {
        ColumnType::Boolean => "bit(1)".to_owned(),
        ColumnType::Long => "bigint".to_owned(),
        ColumnType::Float => "float".to_owned(),
        ColumnType::Double => "double".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Text | ColumnType::Array { .. } => "longtext".to_owned(),
        ColumnType::Uuid => "char(36)".to_owned(),
        ColumnType::Bytes => "longblob".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Time => "time(6)".to_owned(),
        ColumnType::LocalTimestamp => "datetime(6)".to_owned(),
        ColumnType::Timestamp => "timestamp(6)".to_owned(),
    }
}
