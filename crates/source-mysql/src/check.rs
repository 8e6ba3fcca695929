//! `headwater doctor` for MySQL and MariaDB: what is fit, what is not, and the exact statement that mends it. Changes nothing.

use change::{Finding, Severity, SourceError};

use crate::catalog;
use crate::config::{Config, Patterns};
use crate::connection::{Connection, Purpose};

mod account;
mod settings;
mod tables;

/// Looks at everything that a stream with this configuration needs. An error means that the server cannot be asked.
pub fn check(config: &Config) -> Result<Vec<Finding>, SourceError> {
    config.validate()?;
    let patterns = Patterns::new(&config.tables)?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let server = catalog::server(&mut control)?;
    let known = catalog::variables(&mut control, &settings::NAMES)?;
    let account = catalog::account(&mut control)?;
    let mut findings = settings::check(&server, &known);
    findings.extend(account::rights(&mut control, &server, &account)?);
    findings.push(account::readers(&mut control, config)?);
    findings.extend(account::replica(&mut control, &server, &known)?);
    let captured = tables::check(&mut control, config, &patterns, &server, &account, &mut findings)?;
    findings.extend(account::filters(&mut control, &captured)?);
    control.close();
    Ok(findings)
}

fn finding(severity: Severity, subject: impl Into<String>, what: impl Into<String>, help: Option<String>) -> Finding {
    Finding { severity, subject: subject.into(), what: what.into(), help }
}

fn good(subject: impl Into<String>, what: impl Into<String>) -> Finding {
    finding(Severity::Good, subject, what, None)
}

fn warning(subject: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Finding {
    finding(Severity::Warning, subject, what, Some(help.into()))
}

fn problem(subject: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Finding {
    finding(Severity::Problem, subject, what, Some(help.into()))
}
