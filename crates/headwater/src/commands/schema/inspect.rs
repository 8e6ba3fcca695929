//! `headwater schema show`, `diff` and `history`: what is registered for one table.

use change::TableName;
use event_avro::compatibility::{self, Finding, Shape, Verdict};
use schema_registry::{Latest, Part};
use serde::Serialize;

use super::check;
use super::human::{self, Paint};
use super::registered::{Holdings, Registered};
use crate::assemble;
use crate::cli::Output;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{self, one_line};

/// What is registered for a table now.
#[derive(Serialize)]
struct Shown {
    table: String,
    topic: String,
    columns: Vec<Column>,
    subjects: Vec<Subject>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    /// The Avro type, in words.
    form: String,
    sql_type: Option<String>,
    /// The database's; `None`: not known.
    nullable: Option<bool>,
    /// Its place in the key, counted from 1.
    key: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
}

#[derive(Serialize)]
struct Subject {
    subject: String,
    level: String,
    versions: Vec<Version>,
}

#[derive(Serialize)]
struct Version {
    version: u32,
    id: u32,
}

/// What two versions differ in.
#[derive(Serialize)]
struct Difference {
    from: String,
    to: String,
    verdict: Verdict,
    findings: Vec<Finding>,
}

/// A version of a subject with what it changed.
#[derive(Serialize)]
struct Step {
    subject: String,
    version: u32,
    id: u32,
    /// `None`: it is the first, or a key, which is not judged by itself.
    verdict: Option<Verdict>,
    findings: Vec<Finding>,
    /// Which fields differ from the version before.
    differences: Vec<String>,
}

/// Prints the columns of a table, and its subjects.
pub(super) fn show(config: &Config, table: &TableName, format: Output) -> Result<(), Failure> {
    let holdings = Holdings::open(config)?;
    let known = known(&holdings, table)?;
    let shape = check::shape(table, &known)?;
    let topic = holdings.topic(table, known.version)?;
    let columns = shape.fields.iter().map(|field| Column {
        name: field.column.clone(),
        form: field.form.words(),
        sql_type: field.sql_type.clone(),
        nullable: field.nullable,
        key: shape.key.iter().flatten().position(|key| key.name == field.name).map(|index| index + 1),
        labels: field.labels.clone(),
    });
    let mut subjects = Vec::new();
    for part in [Part::Value, Part::Key] {
        let subject = holdings.subject(table, known.version, part)?;
        let versions = holdings.versions(&subject)?;
        if !versions.is_empty() {
            let level = holdings.level(&subject)?.to_string();
            let versions = versions.iter().map(|Latest { version, id, .. }| Version { version: *version, id: id.0 });
            subjects.push(Subject { subject, level, versions: versions.collect() });
        }
    }
    let shown = Shown { table: table.to_string(), topic, columns: columns.collect(), subjects };
    print(&shown, format, || human_shown(&shown))
}

fn human_shown(shown: &Shown) -> String {
    let paint = Paint(output::has_colours());
    let title = ["column", "avro", "sql type", "null", "key"].map(str::to_owned).to_vec();
    let row = |column: &Column| {
        let nullable = match column.nullable {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        };
        vec![
            one_line(&column.name),
            one_line(&column.form),
            one_line(column.sql_type.as_deref().unwrap_or_default()),
            nullable.to_owned(),
            column.key.map(|place| place.to_string()).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = std::iter::once(title).chain(shown.columns.iter().map(row)).collect();
    let title = paint.title(&one_line(&shown.table));
    let mut text = format!("{title} -> {}\n\n{}\n", shown.topic, output::columns(&rows));
    for Subject { subject, level, versions } in &shown.subjects {
        let versions: Vec<String> =
            versions.iter().map(|Version { version, id }| format!("{version} (id {id})")).collect();
        text.push_str(&format!("subject {subject}, level {level}: versions {}\n", versions.join(", ")));
    }
    text
}

/// Prints what two registered versions differ in, or without them the newest one and the database.
pub(super) fn diff(
    config: &Config,
    table: &TableName,
    versions: Option<(u32, u32)>,
    format: Output,
) -> Result<(), Failure> {
    let holdings = Holdings::open(config)?;
    let known = known(&holdings, table)?;
    let difference = match versions {
        Some((from, to)) => {
            let subject = holdings.subject(table, known.version, Part::Value)?;
            let all = holdings.versions(&subject)?;
            let shape = |number: u32| {
                let found = all.iter().find(|version| version.version == number).ok_or_else(|| {
                    let there: Vec<String> = all.iter().map(|version| version.version.to_string()).collect();
                    Failure::stop(
                        format!("{subject} has no version {number}"),
                        format!("its versions are {}", there.join(", ")),
                    )
                })?;
                value_shape(&subject, found)
            };
            judged(format!("version {from}"), &shape(from)?, format!("version {to}"), &shape(to)?)
        }
        None => {
            let described = assemble::database(config).describe()?;
            let now = described.tables.iter().find(|candidate| candidate.name == *table).ok_or_else(|| {
                Failure::stop(
                    format!("the database has no table {table} that source.tables asks for"),
                    "check the name and --tables; `headwater schema show` needs no database",
                )
            })?;
            let registered = check::shape(table, &known)?;
            let from = format!("version {}", known.value.version);
            judged(from, &registered, "the database".to_owned(), &Shape::of_table(now))
        }
    };
    print(&difference, format, || human_difference(&difference))
}

fn judged(from: String, old: &Shape, to: String, new: &Shape) -> Difference {
    let findings = compatibility::judge(old, new, &[]);
    Difference { from, to, verdict: compatibility::worst(&findings), findings }
}

fn human_difference(difference: &Difference) -> String {
    let paint = Paint(output::has_colours());
    let Difference { from, to, verdict, findings } = difference;
    let verdict = paint.verdict(*verdict, verdict.name());
    let nothing = if findings.is_empty() { "; nothing changes for a consumer" } else { "" };
    let mut text = format!("from {from} to {to}: {verdict}{nothing}\n");
    findings.iter().for_each(|found| text.push_str(&human::finding(found, paint)));
    text
}

/// Prints every version of a table's subjects, with what it changed. The subjects of the first version of the topic are the
/// first.
pub(super) fn history(config: &Config, table: &TableName, format: Output) -> Result<(), Failure> {
    let holdings = Holdings::open(config)?;
    let known = known(&holdings, table)?;
    let mut steps = Vec::new();
    let parts = (1..=known.version).flat_map(|version| [Part::Value, Part::Key].map(|part| (version, part)));
    for (version, part) in parts {
        let subject = holdings.subject(table, version, part)?;
        let mut before: Option<Latest> = None;
        for now in holdings.versions(&subject)? {
            steps.push(step(&subject, part, before.as_ref(), &now)?);
            before = Some(now);
        }
    }
    print(&steps, format, || human_history(&steps))
}

fn step(subject: &str, part: Part, before: Option<&Latest>, now: &Latest) -> Result<Step, Failure> {
    let differences = before.map(|before| compatibility::differences(&before.schema, &now.schema)).unwrap_or_default();
    let findings = match before.filter(|_| part == Part::Value) {
        Some(before) => Some(compatibility::judge(&value_shape(subject, before)?, &value_shape(subject, now)?, &[])),
        None => None,
    };
    Ok(Step {
        subject: subject.to_owned(),
        version: now.version,
        id: now.id.0,
        verdict: findings.as_deref().map(compatibility::worst),
        findings: findings.unwrap_or_default(),
        differences,
    })
}

fn human_history(steps: &[Step]) -> String {
    let paint = Paint(output::has_colours());
    let mut text = String::new();
    let mut subject = "";
    for step in steps {
        if step.subject != subject {
            subject = &step.subject;
            text.push_str(&format!("{}\n", paint.title(subject)));
        }
        let verdict = step.verdict.map(|verdict| format!(": {}", paint.verdict(verdict, verdict.name())));
        text.push_str(&format!("version {} (id {}){}\n", step.version, step.id, verdict.unwrap_or_default()));
        step.findings.iter().for_each(|found| text.push_str(&human::finding(found, paint)));
        if step.findings.is_empty() {
            step.differences.iter().for_each(|difference| text.push_str(&format!("  {}\n", one_line(difference))));
        }
    }
    text
}

/// The shape of a value alone: which key it went with is not registered.
fn value_shape(subject: &str, version: &Latest) -> Result<Shape, Failure> {
    Shape::of_schemas(None, &version.schema).map_err(|error| {
        Failure::stop(
            format!("version {} of {subject} cannot be judged: {error}", version.version),
            "only Avro schemas of records can be",
        )
    })
}

fn known(holdings: &Holdings, table: &TableName) -> Result<Registered, Failure> {
    let topic = holdings.topic(table, 1)?;
    holdings.table(table)?.ok_or_else(|| {
        Failure::stop(
            format!("nothing is registered for {table}: there is no subject {topic}-value"),
            "check the table's name, --topic-prefix and --registry-url; a table's first change registers its schemas",
        )
    })
}

fn print<T: Serialize>(data: &T, format: Output, human: impl FnOnce() -> String) -> Result<(), Failure> {
    match format {
        Output::Human => output::print(&human()),
        Output::Json => {
            let text = serde_json::to_string_pretty(data).map_err(|error| Failure::unexpected(error.to_string()))?;
            output::print(&format!("{text}\n"));
        }
    }
    Ok(())
}
