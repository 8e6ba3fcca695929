//! Every change of the catalogue on a real database: rows before, the statement, rows after. Old rows are read with the new
//! schema and new rows with the old one, by two readers, and the verdict has to agree with what became of the values. The
//! registry's verdict stands beside it in `docs/evolution.md`, whose tables are what this found: with `UPDATE_DOCS=1` they are written.

mod changes;
#[path = "../../crates/event-avro/tests/cases/readers.rs"]
mod readers;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use change::Moved;
use event_avro::compatibility::level::{self, Level};
use event_avro::compatibility::{Finding, Shape, Verdict, judge, worst};
use testkit::{Flavour, shared};

use self::changes::{CHANGES, Change, Statements};
use self::readers::{Happened, Outcome, Reader};
use super::*;
use crate::support::Store;

/// Columns with their numbers.
type Numbers = Vec<(String, u32)>;

/// A change on one database.
struct Run {
    change: &'static Change,
    statements: Statements,
    table: String,
    /// The columns' numbers before and after, where the database has them.
    numbers: [Numbers; 2],
}

impl Run {
    fn of(change: &'static Change, statements: Statements) -> Self {
        Self { change, statements, table: change.id.replace('-', "_"), numbers: Default::default() }
    }

    fn sql(&self, text: &str) -> String {
        text.replace("{t}", &self.table)
    }

    fn create(&self) -> String {
        let columns = self.sql(self.statements.columns);
        let name = format!("{}_e", self.table);
        let kind =
            if columns.contains(&name) { format!("create type {name} as enum ('a', 'b'); ") } else { String::new() };
        format!("{kind}create table {} (id int primary key{columns})", self.table)
    }

    /// Rows with ids from `first`, one statement each.
    fn insert(&self, rows: &[&str], first: usize) -> String {
        let row =
            |(at, values): (usize, &&str)| format!("insert into {} values ({}{values}); ", self.table, first + at);
        rows.iter().enumerate().map(row).collect()
    }

    fn last_id(&self) -> usize {
        self.statements.before.len() + self.statements.after.len()
    }
}

/// What came of a change.
struct Found {
    findings: Vec<Finding>,
    /// Whether the registry takes the new schema at BACKWARD and at FORWARD; none: it is the old one, and nobody asks it.
    registry: Option<[bool; 2]>,
}

/// Does all changes at once, one table each, and looks at what came of them.
fn run<D: Store>(
    mut scene: Scene<D>,
    mut runs: Vec<Run>,
    numbers: fn(&D, &str) -> Result<Numbers>,
) -> Result<Vec<(Run, Found)>> {
    scene.kafka = "[kafka.topics]\npartitions = 1".to_owned();
    let headwater = scene.start()?;
    let wait_row = |table: &str, id: usize| {
        let has = |events: &[Event]| events.iter().any(|event| event.after("id") == id);
        scene.oracle().wait_for(&scene.topic(table), PATIENCE, has).with_context(|| headwater.output())
    };
    for run in &runs {
        scene.database.execute(&run.insert(run.statements.before, 1))?;
    }
    for run in &mut runs {
        wait_row(&run.table, run.statements.before.len())?;
        run.numbers[0] = numbers(&scene.database, &run.table)?;
        scene.database.execute(&run.sql(run.statements.alter)).with_context(|| run.change.id)?;
        run.numbers[1] = numbers(&scene.database, &run.table)?;
        let after = run.insert(run.statements.after, run.statements.before.len() + 1);
        scene.database.execute(&after).with_context(|| run.change.id)?;
    }
    let events: Vec<Vec<Event>> = runs.iter().map(|run| wait_row(&run.table, run.last_id())).collect::<Result<_>>()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    let found = runs.into_iter().zip(&events).map(|(run, events)| {
        let found = judged(&scene, &run, events).with_context(|| run.change.id)?;
        Ok((run, found))
    });
    found.collect()
}

fn judged<D: Store>(scene: &Scene<D>, run: &Run, events: &[Event]) -> Result<Found> {
    let id = |event: Option<&Event>| event.and_then(Event::value_schema_id).context("no schema");
    let (old_id, new_id) = (id(events.first())?, id(events.last())?);
    let (old, new) = (scene.oracle().schema(old_id)?, scene.oracle().schema(new_id)?);
    let shape = |at: usize, value: &Json, event: Option<&Event>| -> Result<Shape> {
        let key = event.and_then(Event::key_schema_id).context("no key")?;
        let mut shape = Shape::of_schemas(Some(&scene.oracle().schema(key)?.to_string()), &value.to_string())?;
        for field in &mut shape.fields {
            let found = run.numbers[at].iter().find(|(name, _)| *name == field.column);
            field.number = found.map(|(_, number)| *number);
        }
        Ok(shape)
    };
    // What a statement of the log says: PostgreSQL's has none, MySQL's says all.
    let moved = run.numbers[0].is_empty().then(|| {
        let to = |to: &str| Some(to.to_owned()).filter(|to| !to.is_empty());
        let pairs = run.change.moved.iter();
        pairs.map(|(from, name)| Moved { from: (*from).to_owned(), to: to(name) }).collect::<Vec<_>>()
    });
    let findings =
        judge(&shape(0, &old, events.first())?, &shape(1, &new, events.last())?, moved.as_deref().unwrap_or_default());
    let verdict = worst(&findings);
    let happened = |reader: Reader| -> Result<Happened> {
        let of = |is_new: bool, writer: &Json, mine: &Json| {
            let is_wanted = |event: &&Event| {
                event.after("id").as_u64().is_some_and(|id| (id > run.statements.before.len() as u64) == is_new)
            };
            let mut rows = events.iter().filter(is_wanted).map(|event| outcomes(run, reader, writer, mine, event));
            rows.try_fold(BTreeSet::new(), |mut all, found| {
                all.extend(found?);
                anyhow::Ok(all)
            })
        };
        Ok(Happened { running: of(true, &new, &old)?, replaying: of(false, &old, &new)? })
    };
    let (java, rust) = (happened(readers::java)?, happened(readers::rust)?);
    ensure!(
        java.is(verdict) && (rust.is_harm() == (verdict > Verdict::SafeIfAgreed)),
        "{verdict} is not what happened: {java:?} {rust:?} {findings:#?}"
    );
    let subject = format!("{}-value", scene.topic(&run.table));
    let versions = shared::registry().versions(&subject)?;
    ensure!(versions.len() == if old_id == new_id { 1 } else { 2 }, "{subject} has the versions {versions:?}");
    let registry = (old_id != new_id).then(|| registry(&subject, &old, &new)).transpose()?;
    Ok(Found { findings, registry })
}

/// What became of one row.
fn outcomes(run: &Run, reader: Reader, writer: &Json, mine: &Json, event: &Event) -> Result<BTreeSet<Outcome>> {
    let bytes = event.raw_value.as_deref().and_then(|bytes| bytes.get(5..)).context("no value")?;
    let original = readers::java(writer, writer, bytes).map_err(anyhow::Error::msg)?;
    let moved = run.change.moved.iter();
    let both_ways = |(from, to): &(&'static str, &'static str)| match *to {
        "" => vec![(*from, "")],
        to => vec![(*from, to), (to, *from)],
    };
    let sources: Vec<_> = moved.flat_map(both_ways).collect();
    Ok(readers::outcomes(&original, &reader(writer, mine, bytes), &sources))
}

/// Asks the registry, and the rules that foresee its answer.
fn registry(subject: &str, old: &Json, new: &Json) -> Result<[bool; 2]> {
    let registry = shared::registry();
    let ask = |asked: Level| -> Result<bool> {
        registry.set_level(Some(subject), asked.name())?;
        let body = serde_json::json!({ "schema": new.to_string() }).to_string();
        let path = format!("/compatibility/subjects/{subject}/versions/1");
        let answer: Json = serde_json::from_str(&registry.call("POST", &path, Some(&body))?)?;
        let passes = answer["is_compatible"].as_bool().context("no answer")?;
        let foreseen = level::conflicts(asked, &[&old.to_string()], &new.to_string())?;
        ensure!(passes == foreseen.is_empty(), "the registry says {passes} at {asked}, foreseen was {foreseen:?}");
        Ok(passes)
    };
    Ok([ask(Level::Backward)?, ask(Level::Forward)?])
}

/// The table of the document.
fn table(found: &[(Run, Found)]) -> String {
    let mut text = String::from(
        "| change | statement | verdict | registry | running consumers | replaying consumers |\n|---|---|---|---|---|---|\n",
    );
    for (run, found) in found {
        let verdict = worst(&found.findings);
        let worst = found.findings.iter().find(|finding| finding.verdict == verdict);
        let registry = match found.registry {
            Some([true, true]) => "passes",
            Some([true, false]) => "refused by FORWARD",
            Some([false, true]) => "refused by BACKWARD",
            Some([false, false]) => "refused by both",
            None => "is not asked: the schema is the same",
        };
        let statement = run.statements.alter.replace("{t}", "t");
        let (running, replaying) = worst
            .map_or(("reads the same", "reads the same"), |worst| (worst.running.as_str(), worst.replaying.as_str()));
        writeln!(
            text,
            "| {} | `{statement}` | **{verdict}** | {registry} | {running} | {replaying} |",
            run.change.id.replace('-', " ")
        )
        .expect("a String takes all");
    }
    text
}

/// The document has this table between its marks.
fn documented(name: &str, table: &str) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evolution.md");
    let document = std::fs::read_to_string(&path)?;
    let (open, close) = (format!("<!-- generated: {name} -->"), format!("<!-- end: {name} -->"));
    let start = document.find(&open).with_context(|| format!("{open} is missing"))? + open.len();
    let end = start + document[start..].find(&close).with_context(|| format!("{close} is missing"))?;
    let wanted = format!("{}\n\n{}\n\n{}", &document[..start], table.trim(), &document[end..]);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted)?;
        return Ok(());
    }
    let differs = document.lines().zip(wanted.lines()).find(|(has, wants)| has != wants);
    ensure!(
        document == wanted,
        "docs/evolution.md is out of date; run this test with UPDATE_DOCS=1 and commit the result. The first line that differs: {differs:#?}"
    );
    Ok(())
}

fn setup(runs: &[Run]) -> String {
    runs.iter().map(|run| run.create() + "; ").collect()
}

#[test]
fn every_verdict_is_what_happens_on_postgres() -> Result<()> {
    let of = |change: &'static Change| change.postgres.map(|statements| Run::of(change, statements));
    let runs: Vec<Run> = CHANGES.iter().filter_map(of).collect();
    let scene = Scene::new("verdicts", &setup(&runs))?;
    let found = run(scene, runs, |database, table| {
        let sql = format!(
            "select attname, attnum from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
        );
        let rows = database.query(&sql)?.into_iter();
        rows.map(|row| Ok((row[0].clone().context("a name")?, row[1].as_deref().context("a number")?.parse()?)))
            .collect()
    })?;
    documented("postgresql", &table(&found))
}

fn run_on(flavour: Flavour) -> Result<Vec<(Run, Found)>> {
    let of = |change: &'static Change| change.mysql.map(|statements| Run::of(change, statements));
    let runs: Vec<Run> = CHANGES.iter().filter_map(of).collect();
    let scene = Scene::of(flavour, "verdicts", &setup(&runs))?;
    run(scene, runs, |_, _| Ok(Vec::new()))
}

#[test]
fn every_verdict_is_what_happens_on_mysql() -> Result<()> {
    documented("mysql", &table(&run_on(Flavour::MySql)?))
}

/// Its types have other names, and its log has no JSON; what readers see agrees with the verdict all the same.
#[test]
fn every_verdict_is_what_happens_on_mariadb() -> Result<()> {
    run_on(Flavour::MariaDb).map(drop)
}
