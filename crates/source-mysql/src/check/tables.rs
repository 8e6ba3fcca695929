//! The tables that are asked for: whether they are there, may be read, and can be captured well.

use change::{Finding, Severity, TableName};

use super::{finding, problem};
use crate::catalog::{self, Candidate, Server};
use crate::config::{Config, Patterns};
use crate::connection::Connection;
use crate::declared;
use crate::error::Error;
use crate::table::Catalogue;
use crate::url::edits;

/// How many names are proposed.
const NEAREST: usize = 3;

/// Adds a finding for each table; returns those that are captured, by name.
pub(super) fn check(
    control: &mut Connection,
    config: &Config,
    patterns: &Patterns,
    server: &Server,
    account: &str,
    findings: &mut Vec<Finding>,
) -> Result<Vec<TableName>, Error> {
    let all = catalog::relations(control)?;
    findings.extend(missing(&all, patterns, account));
    let (tables, others): (Vec<_>, Vec<_>) =
        all.iter().filter(|candidate| patterns.matches(&candidate.name)).partition(|candidate| candidate.is_table());
    for other in others.iter().filter(|other| patterns.names(&other.name)) {
        let what = format!("is a {}: its rows are not in the log", other.kind.to_ascii_lowercase());
        findings.push(problem(subject(&other.name), what, "ask for the tables that it is made of"));
    }
    let loose = catalog::without_transactions(control)?;
    let logs_cascades = catalog::logs_cascades(control)?;
    for table in &tables {
        let mut said = Said::default();
        match catalog::refuses(control, &table.name)? {
            Some(error) => said.refused(&error, &table.name, account),
            None => {
                said.described(catalog::describe(control, &table.name)?.as_ref(), &table.name, server);
                let cascade = if logs_cascades { None } else { catalog::cascade(control, &table.name)? };
                cascade.into_iter().for_each(|foreign_key| said.silent(&foreign_key));
            }
        }
        if let Some(engine) = loose.get(&table.name) {
            said.loose(engine, &table.name);
        }
        findings.push(said.finding(&table.name));
    }
    if tables.is_empty() && patterns.exact().next().is_none() {
        findings.push(nothing(&all, config, account));
    }
    Ok(tables.into_iter().map(|table| table.name.clone()).collect())
}

fn subject(table: &TableName) -> String {
    format!("table {table}")
}

/// Tables that are asked for by name and are not seen.
fn missing(all: &[Candidate], patterns: &Patterns, account: &str) -> Vec<Finding> {
    let absent = patterns.exact().filter(|name| !all.iter().any(|candidate| candidate.name == *name));
    absent
        .map(|name| {
            let text = name.to_string();
            let near = nearest(all, &text).into_iter().filter(|near| distance(near, &text) <= 1 + name.table.len() / 2);
            let grant = format!("GRANT SELECT ON {} TO {account};", catalog::qualified(&name));
            let help = match near.collect::<Vec<_>>() {
                near if near.is_empty() => format!("{grant} -- if the table is there; otherwise make it first"),
                near => format!("is {} meant? otherwise: {grant}", near.join(" or ")),
            };
            problem(subject(&name), "is not there, or the account may not see it", help)
        })
        .collect()
}

/// No table matches.
fn nothing(all: &[Candidate], config: &Config, account: &str) -> Finding {
    let first = config.tables.iter().find(|text| !text.starts_with('!')).map_or("", String::as_str);
    let database = first.split('.').next().unwrap_or_default();
    let place = if database.contains('*') { "*.*".to_owned() } else { format!("{}.*", catalog::identifier(database)) };
    let grant = format!("GRANT SELECT ON {place} TO {account};");
    let tables: Vec<Candidate> = all.iter().filter(|candidate| candidate.is_table()).cloned().collect();
    if tables.is_empty() {
        return problem("tables", "the account sees no table at all", grant);
    }
    let what =
        format!("none of the {} tables that the account sees matches {}", tables.len(), config.tables.join(", "));
    let help = format!("is one of these meant: {}? otherwise: {grant}", nearest(&tables, first).join(", "));
    problem("tables", what, help)
}

fn nearest(all: &[Candidate], text: &str) -> Vec<String> {
    let mut names: Vec<String> = all.iter().map(|candidate| candidate.name.to_string()).collect();
    names.sort_by_key(|name| distance(name, text));
    names.truncate(NEAREST);
    names
}

/// Letters to change, add or take away; capitals do not count.
fn distance(a: &str, b: &str) -> usize {
    edits(a.to_lowercase().as_bytes(), b.to_lowercase().as_bytes())
}

/// What is to be said of one table.
#[derive(Default)]
struct Said {
    severity: Option<Severity>,
    what: Vec<String>,
    help: Vec<String>,
}

impl Said {
    fn add(&mut self, severity: Severity, what: impl Into<String>, help: Option<String>) {
        self.severity = self.severity.max(Some(severity));
        self.what.push(what.into());
        self.help.extend(help);
    }

    fn refused(&mut self, error: &Error, table: &TableName, account: &str) {
        let grant = format!("GRANT SELECT ON {} TO {account};", catalog::qualified(table));
        if catalog::is_denied(error) {
            let what = "the account may not select all of its columns, which a snapshot does";
            self.add(Severity::Problem, what, Some(grant));
        } else {
            self.add(Severity::Warning, error.to_string(), Some(format!("CHECK TABLE {};", catalog::qualified(table))));
        }
    }

    fn described(&mut self, catalogue: Option<&Catalogue>, table: &TableName, server: &Server) {
        let Some(catalogue) = catalogue else {
            self.add(Severity::Good, "was dropped a moment ago", None);
            return;
        };
        let name = catalog::qualified(table);
        if catalogue.primary_key.is_empty() {
            let what =
                "has no primary key: its records have no key, all go to one partition, and none can be compacted";
            let help = format!(
                "ALTER TABLE {name} ADD COLUMN row_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST; -- or ADD \
                 PRIMARY KEY with the columns that tell rows apart"
            );
            self.add(Severity::Warning, what, Some(help));
        } else {
            self.add(Severity::Good, format!("primary key ({})", catalogue.primary_key.join(", ")), None);
        }
        if let Some(column) = declared::unknown(catalogue, server.flavour) {
            let what =
                format!("column {} has the type {}, which this version does not know", column.name, column.column_type);
            self.add(Severity::Problem, what, Some(format!("leave the table out: \"!{table}\" in `tables`")));
        }
        // MariaDB's times from before 10.1.2; the log does not tell their fractions.
        let old = |text: &str| text.contains("mariadb-5.3") && text.contains('(');
        if let Some(column) = catalogue.columns.iter().find(|column| old(&column.column_type)) {
            let what =
                format!("column {} has an old form of times with fractions, which the log does not tell", column.name);
            let help = format!("ALTER TABLE {name} FORCE; -- with mysql56_temporal_format = ON, the default");
            self.add(Severity::Problem, what, Some(help));
        }
    }

    fn loose(&mut self, engine: &str, table: &TableName) {
        let what = format!(
            "its engine is {engine}, without transactions: what is rolled back stays in the table and in the topic, and stops \
             the pipeline if tables with transactions were in it"
        );
        let help = format!("ALTER TABLE {} ENGINE = InnoDB;", catalog::qualified(table));
        self.add(Severity::Warning, what, Some(help));
    }

    fn silent(&mut self, foreign_key: &str) {
        let what = format!(
            "the foreign key {foreign_key} changes or deletes its rows with their parent's, and this server does not log that: \
             the topic keeps them as they were"
        );
        let help = format!(
            "change and delete these rows by statements of their own, before their parent's; to be sure that nothing is \
             forgotten, make {foreign_key} anew with ON DELETE RESTRICT ON UPDATE RESTRICT"
        );
        self.add(Severity::Warning, what, Some(help));
    }

    fn finding(self, table: &TableName) -> Finding {
        let severity = self.severity.unwrap_or(Severity::Good);
        let help = if self.help.is_empty() { None } else { Some(self.help.join("\n")) };
        finding(severity, subject(table), self.what.join("; "), help)
    }
}
