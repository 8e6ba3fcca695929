//! What the account may do, who else reads the log, and what the log leaves out.

use change::{Finding, TableName};

use super::settings::Known;
use super::{good, problem, warning};
use crate::catalog::{self, Server};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::flavour::Flavour;
use crate::start;

pub(super) fn rights(control: &mut Connection, server: &Server, account: &str) -> Result<Vec<Finding>, Error> {
    let subject = format!("account {account}");
    let log = if start::may_read(control)? {
        good(&subject, "may read the log")
    } else {
        problem(&subject, "may not read the log", format!("GRANT REPLICATION SLAVE ON *.* TO {account};"))
    };
    Ok(vec![log, status(control, server, account, subject)?])
}

/// MariaDB's name for the right is another one since 10.5.
fn status(control: &mut Connection, server: &Server, account: &str, subject: String) -> Result<Finding, Error> {
    match catalog::filter(control) {
        Ok(_) => return Ok(good(subject, "may ask for the state of the log")),
        Err(error) if catalog::is_denied(&error) => {}
        Err(error) => return Err(error),
    }
    let right = match server.flavour {
        Flavour::MySql => "REPLICATION CLIENT",
        Flavour::MariaDb => "BINLOG MONITOR",
    };
    let help = format!("GRANT {right} ON *.* TO {account};");
    Ok(if server.gtids {
        let what =
            "may not ask for the state of the log: whether binlog_do_db or binlog_ignore_db hide tables is not known";
        warning(subject, what, help)
    } else {
        problem(subject, "may not ask where the log ends, which is where a pipeline without GTIDs begins", help)
    })
}

/// Whether another reader has our number.
pub(super) fn readers(control: &mut Connection, config: &Config) -> Result<Finding, Error> {
    let number = config.own_server_id();
    let subject = format!("reader {number}");
    let Some(readers) = catalog::readers(control)? else {
        return Ok(good(subject, "is this pipeline's number; who else reads the log is not shown to this account"));
    };
    Ok(match start::rival(&readers, config) {
        Some(error) => {
            let help = "give this pipeline a number that nobody has, server_id under [source]: SHOW REPLICAS (MariaDB: SHOW \
                        SLAVE HOSTS) lists those that are taken";
            problem(subject, error.to_string(), help)
        }
        None => good(subject, "is this pipeline's number among the readers of the log, and no other's"),
    })
}

/// A replica logs what it replicates only if it is told to.
pub(super) fn replica(control: &mut Connection, server: &Server, known: &Known) -> Result<Option<Finding>, Error> {
    let name = if known.contains_key("log_replica_updates") { "log_replica_updates" } else { "log_slave_updates" };
    let is_on = known.get(name).is_some_and(|value| value.eq_ignore_ascii_case("ON"));
    let is_replica = match catalog::is_replica(control, server.flavour)? {
        // MariaDB tells few what is replicated to it, but everybody what was.
        None if known.get("gtid_slave_pos").is_some_and(String::is_empty) => Some(false),
        other => other,
    };
    let help = format!("put {name} = ON under [mysqld] in the server's configuration file, and restart it");
    Ok(match (is_on, is_replica) {
        (true, Some(true)) => Some(good(name, "ON: what this replica replicates is in its log")),
        (true, _) | (false, Some(false)) => None,
        (false, Some(true)) => {
            Some(problem(name, "is OFF on a replica: what it replicates is not in its log, and is not captured", help))
        }
        (false, None) => {
            Some(warning(name, "is OFF: if this server is a replica, what it replicates is not captured", help))
        }
    })
}

/// Captured tables whose rows the server does not log.
pub(super) fn filters(control: &mut Connection, captured: &[TableName]) -> Result<Vec<Finding>, Error> {
    let filter = match catalog::filter(control) {
        // Said already.
        Err(error) if catalog::is_denied(&error) => return Ok(Vec::new()),
        other => other?,
    };
    let mut databases: Vec<&str> = captured.iter().map(|table| table.schema.as_str()).collect();
    databases.dedup();
    let hidden = |database: &str| {
        let lists = |list: &[String]| list.iter().any(|name| name == database);
        // As the servers judge: with a list of those to log, the other list does not count.
        let (name, is_hidden, help) = if filter.only.is_empty() {
            let help =
                format!("take binlog_ignore_db = {database} out of the server's configuration file, and restart it");
            ("binlog_ignore_db", lists(&filter.without), help)
        } else {
            let help = format!(
                "put binlog_do_db = {database} beside the others in the server's configuration file, and restart it"
            );
            ("binlog_do_db", !lists(&filter.only), help)
        };
        is_hidden.then(|| problem(name, format!("the server does not log changes of the database {database}"), help))
    };
    Ok(databases.into_iter().filter_map(hidden).collect())
}
