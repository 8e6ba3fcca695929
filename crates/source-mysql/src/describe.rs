//! The captured tables without a stream: what the catalogue shows now. Needs no log, and changes nothing.

use change::{Described, SourceError, SourceInfo};

use crate::catalog;
use crate::config::{Config, Patterns};
use crate::connection::{Connection, Purpose};
use crate::declared;
use crate::error::Error;
use crate::source_row::source_columns;

/// The tables that match, each as its events would be.
///
/// # Errors
///
/// The server cannot be asked, the configuration cannot be, or a table has a column of a type that is not known.
pub fn describe(config: &Config) -> Result<Described, SourceError> {
    config.validate()?;
    Ok(look(config)?)
}

fn look(config: &Config) -> Result<Described, Error> {
    let patterns = Patterns::new(&config.tables)?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let server = catalog::server(&mut control)?;
    let mut tables = Vec::new();
    for member in catalog::members(&mut control, &patterns)? {
        let Some(catalogue) = catalog::describe(&mut control, &member.name)? else { continue };
        match declared::table(&member.name, &catalogue, server.flavour, server.key_identity()) {
            Ok(Some(table)) => tables.push(table),
            Ok(None) => {
                let column = declared::unknown(&catalogue, server.flavour);
                let column =
                    column.map_or_else(String::new, |found| format!(" {} ({})", found.name, found.column_type));
                return Err(Error::stop(
                    format!("{} has a column{column} of a type that is not known", member.name),
                    format!("leave the table out: \"!{}\"", member.name),
                ));
            }
            Err(error) => {
                let help = format!("leave the table out: \"!{}\"", member.name);
                return Err(Error::stop(error.to_string(), help));
            }
        }
    }
    control.close();
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    let info = SourceInfo {
        connector: server.flavour.connector(),
        database: None,
        server_identity: String::new(),
        columns: source_columns(),
    };
    Ok(Described { info, tables })
}
