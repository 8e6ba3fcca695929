//! `headwater doctor` for PostgreSQL: what is fit, what is not, and the exact command that mends it. Changes nothing.

use change::{Finding, Severity, SourceError};

use crate::catalog::{self, Server};
use crate::config::{Config, Patterns};
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::retention::doctor;
use crate::{ddl_trigger, publication, slot, sql};

/// Looks at everything that a stream with this configuration needs. An error means that the server cannot be asked.
pub fn check(config: &Config) -> Result<Vec<Finding>, SourceError> {
    config.validate()?;
    let patterns = Patterns::new(&config.tables)?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let server = catalog::server(&mut control)?;
    let mut findings = settings(&server);
    findings.extend(capacity(&mut control)?);
    findings.extend(doctor::check(&mut control, config)?);
    findings.push(slot_state(&mut control, config, &server)?);
    findings.extend(tables(&mut control, config, &patterns, &server)?);
    findings.push(ddl_trigger::check(&mut control)?);
    control.close();
    Ok(findings)
}

fn finding(severity: Severity, subject: impl Into<String>, what: impl Into<String>, help: Option<String>) -> Finding {
    Finding { severity, subject: subject.into(), what: what.into(), help }
}

fn good(subject: impl Into<String>, what: impl Into<String>) -> Finding {
    finding(Severity::Good, subject, what, None)
}

fn settings(server: &Server) -> Vec<Finding> {
    let version = if server.version >= crate::start::OLDEST {
        good("version", format!("PostgreSQL {}", server.version_text))
    } else {
        let what = format!("PostgreSQL {} is older than 14", server.version_text);
        finding(Severity::Problem, "version", what, Some("upgrade the server".to_owned()))
    };
    let level = if server.wal_level == "logical" {
        good("wal_level", "logical")
    } else {
        let help = "ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server";
        let what = format!("is {}: the log lacks what changes are read from", server.wal_level);
        finding(Severity::Problem, "wal_level", what, Some(help.to_owned()))
    };
    let role = format!("role {}", server.user);
    let right = if server.may_replicate {
        good(role, "may read the log")
    } else {
        let help = format!("ALTER ROLE {} REPLICATION;", sql::plain(&server.user));
        finding(Severity::Problem, role, "may not read the log", Some(help))
    };
    vec![version, level, right]
}

fn capacity(control: &mut Connection) -> Result<Vec<Finding>, Error> {
    let doing = "counting slots and senders";
    let rows = control.query(
        doing,
        "SELECT current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots), \
         current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)",
    )?;
    let row = rows.first().ok_or_else(|| catalog::strange(doing))?;
    let mut findings = Vec::new();
    for (index, name) in [(0, "max_replication_slots"), (1, "max_wal_senders")] {
        let left: i64 = catalog::number(row, index, doing)?;
        let what = format!("{left} left");
        findings.push(if left > 0 {
            good(name, what)
        } else {
            let help = format!("raise {name} (needs a restart), unless our own slot is the last one");
            finding(Severity::Warning, name, what, Some(help))
        });
    }
    Ok(findings)
}

fn slot_state(control: &mut Connection, config: &Config, server: &Server) -> Result<Finding, Error> {
    let subject = format!("slot {}", config.slot);
    let Some(slot) = slot::read(control, &config.slot)? else {
        return Ok(good(subject, "is not there yet; the first start makes it"));
    };
    if let Some(error) = slot.broken(&config.slot, &server.database) {
        let what = error.to_string();
        let help = if let Error::Stop { help, .. } = error { Some(help) } else { None };
        return Ok(finding(Severity::Problem, subject, what, help));
    }
    let holder = slot.active_pid.map_or_else(|| "not in use".to_owned(), |pid| format!("in use by process {pid}"));
    let lag =
        slot.retained.map_or_else(String::new, |bytes| format!(", keeps {} of log", change::bytes_in_words(bytes)));
    let what = format!(
        "{holder}{lag}, wal_status {}, confirmed up to {}",
        slot.wal_status,
        slot.confirmed_flush.unwrap_or_default()
    );
    let severity = if matches!(slot.wal_status.as_str(), "reserved" | "") { Severity::Good } else { Severity::Warning };
    Ok(finding(severity, subject, what, None))
}

fn tables(
    control: &mut Connection,
    config: &Config,
    patterns: &Patterns,
    server: &Server,
) -> Result<Vec<Finding>, Error> {
    let all = catalog::relations(control)?;
    let (captured, refused) = publication::judge(&all, patterns);
    let problem = |refused: publication::Refused| {
        finding(Severity::Problem, format!("table {}", refused.name), refused.why, Some(refused.help))
    };
    let mut findings: Vec<Finding> =
        publication::missing(&all, patterns).into_iter().chain(refused).map(problem).collect();
    for table in &captured {
        let identity = match table.identity {
            'd' => "its primary key",
            'i' => "a unique index",
            _ => "the whole row",
        };
        findings.push(good(format!("table {}", table.name), format!("replica identity: {identity}")));
    }
    if captured.is_empty() {
        let what = "no table matches yet; those that are created later will join";
        findings.push(finding(Severity::Warning, "tables", what, None));
    }
    let found = publication::read(control, &config.publication, server.version)?;
    let statements = publication::needed(found.as_ref(), &config.publication, &captured);
    let subject = format!("publication {}", config.publication);
    findings.push(match &found {
        _ if statements.is_empty() => good(subject, format!("has all {} tables", captured.len())),
        None => finding(
            Severity::Warning,
            subject,
            "is not there yet; the first start makes it if it may",
            Some(statements.join(" ")),
        ),
        Some(publication) if publication.ours => {
            finding(Severity::Warning, subject, "lacks something; the next start mends it", Some(statements.join(" ")))
        }
        Some(_) => {
            let what = "lacks something, and belongs to another role";
            finding(Severity::Problem, subject, what, Some(statements.join(" ")))
        }
    });
    Ok(findings)
}
