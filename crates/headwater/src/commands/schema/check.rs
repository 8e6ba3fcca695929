//! `headwater schema check`: what is registered against what would be, table by table.

use std::collections::{BTreeMap, BTreeSet};

use change::TableName;
use event_avro::compatibility::{self, Finding, Shape, Verdict, level};
use schema_registry::{Latest, Part};
use serde_json::Value;

use super::planned::{self, Plan, Planned};
use super::registered::{Holdings, Registered};
use super::report::{Answer, Change, Report, SubjectReport, TableReport, sentence};
use super::{human, markdown};
use crate::assemble;
use crate::cli::{ReportFormat, SchemaCheck};
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// Prints the report; the exit code tells the verdict.
pub(super) fn run(config: &Config, arguments: &SchemaCheck) -> Result<Exit, Failure> {
    let holdings = Holdings::open(config)?;
    let mut names = holdings.names();
    assemble::database(config).captured(&mut names)?;
    let mut registered = holdings.tables(&names)?;
    let plan = planned::find(config, arguments, &holdings, &registered)?;
    // A registry may list only so many subjects: what is not listed is asked for.
    let unlisted: Vec<TableName> = plan.tables.keys().filter(|name| !registered.contains_key(name)).cloned().collect();
    registered.extend(holdings.tables(&unlisted)?);
    let report = compare(&holdings, &registered, &plan, arguments.fail_on)?;
    match arguments.output {
        ReportFormat::Human => output::print(&human::check(&report, output::has_colours())),
        ReportFormat::Json => output::print(&format!("{}\n", json(&report)?)),
        ReportFormat::Markdown => output::print(&markdown::comment(&report)),
        ReportFormat::Github => {
            let file = match &arguments.migration[..] {
                [file] => Some(file.as_path()),
                _ => None,
            };
            output::print(&markdown::annotations(&report, file));
            markdown::summarise(&report)?;
        }
    }
    Ok(report.exit())
}

fn json(report: &Report) -> Result<String, Failure> {
    serde_json::to_string_pretty(report).map_err(|error| Failure::unexpected(error.to_string()))
}

fn compare(
    holdings: &Holdings,
    registered: &BTreeMap<TableName, Registered>,
    plan: &Plan,
    fail_on: Verdict,
) -> Result<Report, Failure> {
    let (mut tables, mut unchanged, mut not_checked) = (Vec::new(), Vec::new(), Vec::new());
    let names: BTreeSet<&TableName> = registered.keys().chain(plan.tables.keys()).collect();
    for name in names {
        let topic = holdings.topic(name, registered.get(name).map_or(1, |known| known.version))?;
        match (registered.get(name), plan.tables.get(name)) {
            (Some(known), Some(planned)) => match changed(holdings, name, topic, known, planned)? {
                Some(table) => tables.push(table),
                None => unchanged.push(name.to_string()),
            },
            (Some(_), None) if plan.is_complete => tables.push(dropped(name, topic)),
            (Some(_), None) => not_checked.push(name.to_string()),
            (None, Some(planned)) => tables.push(new(name, topic, planned)),
            (None, None) => {}
        }
    }
    Ok(Report::new(fail_on, tables, unchanged, not_checked))
}

/// `None`: no new schema, and nothing to find.
fn changed(
    holdings: &Holdings,
    name: &TableName,
    topic: String,
    known: &Registered,
    planned: &Planned,
) -> Result<Option<TableReport>, Failure> {
    let registered_shape = shape(name, known)?;
    let before = planned.before.as_ref().unwrap_or(&registered_shape);
    let said = planned.said.as_ref();
    let moved = said.and_then(|said| said.moved.as_deref()).unwrap_or_default();
    let mut findings = compatibility::judge(before, &planned.shape, moved);
    let generated = said.map_or(&[][..], |said| &said.generated);
    findings.extend(compatibility::judge_generated(&planned.shape, generated));
    findings.extend(returned(holdings, name, known, before, &planned.shape)?);
    let mut notes = Vec::new();
    if planned.before.is_some() {
        let drift = compatibility::judge(&registered_shape, before, &[]);
        let whats: Vec<&str> = drift.iter().map(|finding| finding.what.as_str()).collect();
        if !whats.is_empty() {
            notes.push(format!(
                "already before the migration the table differs from what is registered: {}",
                whats.join("; ")
            ));
        }
    }
    let parts = [
        (Part::Value, Some(&planned.value), Some(&known.value)),
        (Part::Key, planned.key.as_ref(), known.key.as_ref()),
    ];
    let mut subjects = Vec::new();
    for (part, schema, latest) in parts {
        if let Some(schema) = schema.filter(|schema| is_new(schema, latest)) {
            let subject = holdings.subject(name, known.version, part)?;
            let report = ask(holdings, subject, schema)?;
            findings.extend(refusal(&report));
            subjects.push(report);
        }
    }
    if findings.is_empty() && subjects.is_empty() && notes.is_empty() {
        return Ok(None);
    }
    if findings.is_empty() && !subjects.is_empty() {
        notes.push("the schemas get a new version, in which nothing changes for a consumer".to_owned());
    }
    let verdict = compatibility::worst(&findings);
    let sentence = sentence(&topic, verdict, &findings);
    let table = name.to_string();
    Ok(Some(TableReport { table, topic, change: Change::Changed, verdict, sentence, findings, subjects, notes }))
}

/// New columns under names that an earlier version of the topic's schemas had: the older versions are looked at only if there
/// is anything new.
fn returned(
    holdings: &Holdings,
    name: &TableName,
    known: &Registered,
    before: &Shape,
    after: &Shape,
) -> Result<Vec<Finding>, Failure> {
    if known.value.version == 1 || compatibility::departing(after, before).next().is_none() {
        return Ok(Vec::new());
    }
    let mut shapes = Vec::new();
    for version in holdings.versions(&holdings.subject(name, known.version, Part::Value)?)? {
        // One that is no record of ours has no columns that could come back.
        shapes.extend(Shape::of_schemas(None, &version.schema));
    }
    let departed = shapes.windows(2).flat_map(|pair| compatibility::departing(&pair[0], &pair[1]));
    // The newest of a name counts, and is found first.
    let mut departed: Vec<_> = departed.cloned().collect();
    departed.reverse();
    Ok(compatibility::judge_returned(&departed, before, after))
}

/// The shape that the registered schemas describe.
pub(super) fn shape(name: &TableName, known: &Registered) -> Result<Shape, Failure> {
    let key = known.key.as_ref().map(|key| key.schema.as_str());
    let mut shape = Shape::of_schemas(key, &known.value.schema).map_err(|error| {
        Failure::stop(
            format!("what is registered for {name} cannot be judged: {error}"),
            "leave the table out of --tables if its topic is not headwater's",
        )
    })?;
    // A table that has a value but no key subject has no key.
    shape.key.get_or_insert_default();
    Ok(shape)
}

/// Whether registering it would make a version. Registries keep the meaning of a text, not its blanks.
fn is_new(schema: &str, latest: Option<&Latest>) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    latest.is_none_or(|latest| parse(schema) != parse(&latest.schema))
}

/// What the registry's level makes of a schema, here and there.
fn ask(holdings: &Holdings, subject: String, schema: &str) -> Result<SubjectReport, Failure> {
    let level = holdings.level(&subject)?;
    let versions = holdings.versions(&subject)?;
    let texts: Vec<&str> = versions.iter().map(|version| version.schema.as_str()).collect();
    let local = match level::conflicts(level, &texts, schema) {
        Ok(conflicts) => {
            let message = |conflict: &level::Conflict| {
                let version = versions.get(conflict.version.saturating_sub(1)).map_or(0, |version| version.version);
                let (reader, writer) = match conflict.direction {
                    level::Direction::Backward => ("the new schema".to_owned(), format!("version {version}")),
                    level::Direction::Forward => (format!("version {version}"), "the new schema".to_owned()),
                };
                format!("{reader} cannot read what {writer} wrote: {}", conflict.message)
            };
            Answer { compatible: conflicts.is_empty(), messages: conflicts.iter().map(message).collect() }
        }
        Err(error) => Answer { compatible: false, messages: vec![error.to_string()] },
    };
    let opinion = holdings.opinion(&subject, schema)?;
    let registry = Answer { compatible: opinion.is_compatible, messages: opinion.messages };
    Ok(SubjectReport { subject, level, local, registry })
}

/// Whatever consumers could make of it: a schema that the registry refuses is not published.
fn refusal(report: &SubjectReport) -> Option<Finding> {
    let SubjectReport { subject, level, registry, .. } = report;
    let held = "sees no event from after the change until somebody decides: they are held back";
    (!registry.compatible).then(|| Finding {
        rule: "registry-refuses",
        column: None,
        verdict: Verdict::BreaksRunning,
        what: format!("the registry refuses the new schema under {subject}, whose level is {level}"),
        running: held.to_owned(),
        replaying: held.to_owned(),
        advice: "change the table in steps that the level allows, or decide with the consumers on another level of the subject"
            .to_owned(),
    })
}

fn dropped(name: &TableName, topic: String) -> TableReport {
    let finding = Finding {
        rule: "table-dropped",
        column: None,
        verdict: Verdict::SafeIfAgreed,
        what: "the table is gone".to_owned(),
        running: "sees no further event; rows that were there stay as they were".to_owned(),
        replaying: "sees all events from before".to_owned(),
        advice: "agree with the consumers of the topic; if the table was renamed, its events go to another topic from now on"
            .to_owned(),
    };
    let verdict = finding.verdict;
    let findings = vec![finding];
    TableReport {
        table: name.to_string(),
        change: Change::Dropped,
        verdict,
        sentence: sentence(&topic, verdict, &findings),
        topic,
        findings,
        subjects: Vec::new(),
        notes: Vec::new(),
    }
}

fn new(name: &TableName, topic: String, planned: &Planned) -> TableReport {
    let mut notes = vec![format!("its first change makes the topic {topic} and the first version of its schemas")];
    if planned.key.is_none() {
        notes.push("it has no key: its events go to one partition, and a compacted topic cannot hold them".to_owned());
    }
    TableReport {
        table: name.to_string(),
        sentence: format!("A new table: nobody reads {topic} yet."),
        topic,
        change: Change::New,
        verdict: Verdict::Safe,
        findings: Vec::new(),
        subjects: Vec::new(),
        notes,
    }
}
