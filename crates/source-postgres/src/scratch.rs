//! A database of its own on a server that somebody gives, to see what a migration makes of tables. It is dropped with the
//! value; nothing else on the server is touched by us, whatever the migration itself does.

use std::collections::BTreeSet;

use change::script::quoted;
use change::{ColumnType, Described, SourceError, Table};

use crate::catalog;
use crate::config::Config;
use crate::connection::{Connection, Purpose};
use crate::describe::describe;
use crate::error::Error;
use crate::{script, sql};

/// The database. Dropping the value drops it.
#[derive(Debug)]
pub struct Scratch {
    /// For the database that the URL names.
    outside: Config,
    /// For the database itself.
    inside: Config,
    name: String,
    dropped: bool,
}

impl Scratch {
    /// Makes an empty database called `name`, on the server that `config` names.
    ///
    /// # Errors
    ///
    /// The server cannot be asked, refuses, or has a database of this name.
    pub fn create(config: &Config, name: &str) -> Result<Self, SourceError> {
        config.validate()?;
        let mut inside = config.clone();
        inside.url = change::url::with_database(&config.url, name);
        Connection::open(config, Purpose::Control).and_then(|mut control| {
            let doing = format!("making the database {name}");
            // The other template may have tables in it, and nobody may be connected to it.
            control.query(&doing, &format!("CREATE DATABASE {} TEMPLATE template0", sql::identifier(name)))?;
            control.close();
            Ok(())
        })?;
        Ok(Self { outside: config.clone(), inside, name: name.to_owned(), dropped: false })
    }

    /// Makes tables as far as events know them: columns, NOT NULL, labels of enums, the key as primary key. A type that the
    /// server does not have becomes one of the same name, with values of the same form.
    ///
    /// # Errors
    ///
    /// The server refuses one of them.
    pub fn build(&self, tables: &[Table]) -> Result<(), SourceError> {
        Ok(self.build_all(tables)?)
    }

    fn build_all(&self, tables: &[Table]) -> Result<(), Error> {
        let mut control = self.session()?;
        let schemas: BTreeSet<&str> = tables.iter().map(|table| table.name.schema.as_str()).collect();
        for schema in schemas {
            make_schema(&mut control, schema)?;
        }
        for table in tables {
            let doing = format!("rebuilding {}", table.name);
            let mut columns = Vec::with_capacity(table.columns.len() + 1);
            for column in &table.columns {
                let form = base(column.kind);
                let name = if column.sql_type.is_empty() { form.clone() } else { column.sql_type.clone() };
                let kind = ensure_type(&mut control, &doing, &name, &form, &column.labels)?;
                let rule = if column.nullable == Some(false) { " NOT NULL" } else { "" };
                columns.push(format!("{} {kind}{rule}", sql::identifier(&column.name)));
            }
            let key: Vec<_> = table.key.iter().filter_map(|index| table.columns.get(*index)).collect();
            if !key.is_empty() {
                let key: Vec<String> = key.iter().map(|column| sql::identifier(&column.name)).collect();
                columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
            }
            control.query(&doing, &format!("CREATE TABLE {} ({})", sql::table(&table.name), columns.join(", ")))?;
        }
        control.close();
        Ok(())
    }

    /// Runs the statements of a file one after the other in a session of their own, as long as `wanted` says so. `file` is
    /// for messages.
    ///
    /// # Errors
    ///
    /// The first statement that the server refuses, with its line; [`SourceError::Stop`] when it is not wanted any more.
    pub fn run(&self, file: &str, text: &str, wanted: &dyn Fn() -> bool) -> Result<(), SourceError> {
        let statements = script::split(text)
            .map_err(|refused| Error::stop(format!("{file}, line {}: {}", refused.line, refused.what), refused.help))?;
        let mut control = self.session()?;
        for statement in statements {
            if !wanted() {
                return Err(SourceError::Stop {
                    what: format!("{file}, line {}: interrupted", statement.line),
                    help: "nothing is left on the server; run the check again".to_owned(),
                });
            }
            let doing = format!("{file}, line {}", statement.line);
            if script::is_event_trigger(statement.sql) {
                tracing::warn!("{doing}: an event trigger changes no table, and needs a superuser: left out");
                continue;
            }
            control.query(&doing, statement.sql)?;
        }
        control.close();
        Ok(())
    }

    /// The tables that match, as they are in this database now.
    ///
    /// # Errors
    ///
    /// The server cannot be asked.
    pub fn describe(&self) -> Result<Described, SourceError> {
        describe(&self.inside)
    }

    /// Drops the database. Without this call it is dropped with the value, and a failure is only logged.
    ///
    /// # Errors
    ///
    /// The server cannot be asked, or refuses. It is tried once more then, when the value goes.
    pub fn remove(mut self) -> Result<(), SourceError> {
        let result = self.drop_database();
        result.map_err(|error| SourceError::Stop {
            what: format!("{error}; the database {} may be left behind", self.name),
            help: format!("run: {};", self.drop_statement()),
        })
    }

    fn drop_database(&mut self) -> Result<(), Error> {
        let doing = format!("dropping the database {}", self.name);
        let mut control = Connection::open(&self.outside, Purpose::Control)?;
        control.query(&doing, &self.drop_statement())?;
        self.dropped = true;
        control.close();
        Ok(())
    }

    fn drop_statement(&self) -> String {
        format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", sql::identifier(&self.name))
    }

    /// A session as a migration's: names without a schema mean `public`.
    fn session(&self) -> Result<Connection, Error> {
        let mut control = Connection::open(&self.inside, Purpose::Control)?;
        control.query("setting up the session", "SET search_path = \"$user\", public")?;
        Ok(control)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.dropped
            && let Err(error) = self.drop_database()
        {
            tracing::error!(%error, "a database was left behind; run: {};", self.drop_statement());
        }
    }
}

fn make_schema(control: &mut Connection, schema: &str) -> Result<(), Error> {
    let statement = format!("CREATE SCHEMA IF NOT EXISTS {}", sql::identifier(schema));
    control.query(&format!("making the schema {schema}"), &statement).map(drop)
}

/// The type to declare a column with: the one of this name, which is made if the server does not have it. The name is the
/// registry's, where others write too, and becomes a part of statements: so it has to be one type and nothing else.
fn ensure_type(
    control: &mut Connection,
    doing: &str,
    name: &str,
    form: &str,
    labels: &[String],
) -> Result<String, Error> {
    if !has_letters_of_a_type(name) {
        return Err(Error::stop(
            format!("{doing}: the registered type {name:?} is none of the server's"),
            "look at who writes to the registry, and give the structure before the migration with --base FILE",
        ));
    }
    // The server reads the text by its grammar of a type; what is none is a syntax error, or not found.
    let is_there = match control.query(doing, &format!("SELECT to_regtype({}) IS NOT NULL", sql::literal(name))) {
        Ok(rows) => rows.first().is_some_and(|row| catalog::flag(row, 0)),
        Err(error) if error.code() == Some(SYNTAX_ERROR) => false,
        Err(error) => return Err(error),
    };
    if is_there {
        return Ok(name.to_owned());
    }
    let (element, brackets) = name.strip_suffix("[]").map_or((name, ""), |element| (element, "[]"));
    let form = form.strip_suffix("[]").unwrap_or(form);
    // Of a type that is not there a modifier means nothing.
    let bare = element.split_once('(').map_or(element, |(bare, _)| bare.trim_end());
    let Some(schema) = schema_of(bare) else { return Ok(format!("{form}{brackets}")) };
    control.query(doing, &format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
    let statement = if labels.is_empty() {
        format!("CREATE DOMAIN {bare} AS {form}")
    } else {
        let labels: Vec<String> = labels.iter().map(|label| sql::literal(label)).collect();
        format!("CREATE TYPE {bare} AS ENUM ({})", labels.join(", "))
    };
    control.query(doing, &statement)?;
    Ok(format!("{bare}{brackets}"))
}

const SYNTAX_ERROR: &str = "42601";

/// Whether a text has nothing but what types are written with: no literal, no comment, no end of a statement.
fn has_letters_of_a_type(name: &str) -> bool {
    let mut outside = name.split('"').step_by(2);
    let plain = |letter: char| letter.is_alphanumeric() || "_ .,()[]-".contains(letter);
    let quotes = name.matches('"').count();
    quotes.is_multiple_of(2) && outside.all(|part| part.chars().all(plain) && !part.contains("--"))
}

/// The schema of a type as the server prints it, both quoted where they have to be. `None`: it is no such name, and so none
/// that could be made.
fn schema_of(name: &str) -> Option<&str> {
    // What was taken off as a modifier may have been a part of a name in quotes.
    if !name.matches('"').count().is_multiple_of(2) {
        return None;
    }
    let (schema, rest) = name.split_at(identifier_length(name)?);
    let bare = rest.strip_prefix('.')?;
    (identifier_length(bare)? == bare.len()).then_some(schema)
}

/// The length of the name that `text` begins with.
fn identifier_length(text: &str) -> Option<usize> {
    let length = if text.starts_with('"') {
        quoted(text, b'"', false)
    } else {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        text.find(|letter| !is_part(letter)).unwrap_or(text.len())
    };
    (length > 0).then_some(length)
}

/// A type whose values have this form.
fn base(form: ColumnType) -> String {
    match form {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Long => "bigint".to_owned(),
        ColumnType::Float => "real".to_owned(),
        ColumnType::Double => "double precision".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
        ColumnType::Text => "text".to_owned(),
        ColumnType::Uuid => "uuid".to_owned(),
        ColumnType::Bytes => "bytea".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Time => "time".to_owned(),
        ColumnType::LocalTimestamp => "timestamp".to_owned(),
        ColumnType::Timestamp => "timestamptz".to_owned(),
        ColumnType::Array { element, .. } => format!("{}[]", base(element.form())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types() {
        assert_eq!(schema_of("public.mood"), Some("public"));
        assert_eq!(schema_of("\"a.b\".\"c.\"\"d\""), Some("\"a.b\""));
        for name in [
            "type 1234",
            "mood",
            "public.mood as",
            "a.b.c",
            "a.",
            ".b",
            "\"a\"\"b\"",
            "public.\"a",
            "public.\"a\"\"",
            "",
        ] {
            assert_eq!(schema_of(name), None, "{name}");
        }
    }

    #[test]
    fn what_types_are_written_with() {
        for name in [
            "numeric(10,-2)",
            "timestamp(3) with time zone",
            "\"char\"",
            "public.\"it's; --\"[]",
            "größe.ü",
            "type 1234 (dropped since)",
        ] {
            assert!(has_letters_of_a_type(name), "{name}");
        }
        for name in [
            "numeric(4)); copy (select 1) to program 'cmd'; --",
            "int -- x",
            "int\n",
            "int /* x */",
            "int default $$x$$",
            "int; drop table t",
            "\"int",
        ] {
            assert!(!has_letters_of_a_type(name), "{name}");
        }
    }
}
