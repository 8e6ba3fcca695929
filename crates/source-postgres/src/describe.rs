//! The captured tables without a stream: what the catalogue shows now. Needs neither slot nor publication, and changes nothing.

use change::{Described, SourceError, SourceInfo};

use crate::catalog;
use crate::config::{Config, Patterns};
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::row::source_columns;
use crate::start;

/// The tables that match, each as its events would be. Where the publication exists, its column lists count; without one
/// every column does. Tables that a stream would refuse, for want of a key, are described too.
///
/// # Errors
///
/// The server cannot be asked, or the configuration cannot be.
pub fn describe(config: &Config) -> Result<Described, SourceError> {
    config.validate()?;
    Ok(look(config)?)
}

fn look(config: &Config) -> Result<Described, Error> {
    let patterns = Patterns::new(&config.tables)?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let server = catalog::server(&mut control)?;
    let mut tables = Vec::new();
    for candidate in catalog::wanted(&catalog::relations(&mut control)?, &patterns) {
        if candidate.unloggable().is_none() {
            tables.extend(start::describe(&mut control, &config.publication, &candidate)?);
        }
    }
    control.close();
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    let info = SourceInfo {
        connector: "postgresql",
        database: Some(server.database),
        server_identity: String::new(),
        columns: source_columns(),
    };
    Ok(Described { info, tables })
}
