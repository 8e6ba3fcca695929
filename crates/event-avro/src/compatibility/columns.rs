//! Which column became which, and what its readers see.
//!
//! A reader finds a field by its name, a person by what the column means. Where the two part, values are shown under a
//! name that is not theirs, or not at all. Column numbers (PostgreSQL) prove what became of a column, as long as the table
//! itself is the same; and so do statements of the log (MySQL) of the columns that they name. Of any other column a statement
//! may have been missed: a name that went and another that came may be one column.

use change::Moved;
use serde_json::Value;

use super::form::Reading;
use super::shape::{Field, Shape};
use super::{Finding, Verdict, advice, declared};

/// What became of a column.
#[derive(Clone, Copy)]
pub(super) enum Fate<'a> {
    /// It is there, under its name. Without proof that is taken to be so where the name is there.
    Stays(&'a Field),
    Renamed(&'a Field),
    /// Its name is there, and is another column.
    Replaced(&'a Field),
    Dropped,
    /// Its name is not there, and it is not proven that it was not renamed.
    Vanished,
}

impl<'a> Fate<'a> {
    fn field(self) -> Option<&'a Field> {
        match self {
            Self::Stays(field) | Self::Renamed(field) | Self::Replaced(field) => Some(field),
            Self::Dropped | Self::Vanished => None,
        }
    }
}

/// What became of each column of the old shape, and which of the new one came.
pub(super) struct Fates<'a> {
    pub(super) old: Vec<(&'a Field, Fate<'a>)>,
    pub(super) came: Vec<&'a Field>,
}

impl<'a> Fates<'a> {
    pub(super) fn of(old: &'a Shape, new: &'a Shape, moved: &[Moved]) -> Self {
        let by_number = old.numbers_prove(new);
        let fate = |field: &Field| if by_number { numbered(field, new) } else { stated(field, new, moved) };
        let old: Vec<_> = old.fields.iter().map(|field| (field, fate(field))).collect();
        let is_taken =
            |field: &&Field| old.iter().any(|(_, fate)| fate.field().is_some_and(|taken| std::ptr::eq(taken, *field)));
        let came = new.fields.iter().filter(|field| !is_taken(field)).collect();
        Self { old, came }
    }
}

fn numbered<'a>(field: &Field, new: &'a Shape) -> Fate<'a> {
    match (new.fields.iter().find(|other| other.number == field.number), new.find(&field.column)) {
        (Some(same), _) if same.column == field.column => Fate::Stays(same),
        (Some(same), _) => Fate::Renamed(same),
        (None, Some(other)) => Fate::Replaced(other),
        (None, None) => Fate::Dropped,
    }
}

fn stated<'a>(field: &Field, new: &'a Shape, moved: &[Moved]) -> Fate<'a> {
    let is_here = |name: &str| Moved::same_name(name, &field.column);
    let here = new.find(&field.column);
    match moved.iter().find(|one| is_here(&one.from)) {
        Some(Moved { to: Some(to), .. }) => find_any_case(new, to).map_or(Fate::Vanished, Fate::Renamed),
        Some(Moved { to: None, .. }) => here.map_or(Fate::Dropped, Fate::Replaced),
        None if moved.iter().any(|one| one.to.as_deref().is_some_and(is_here)) => {
            here.map_or(Fate::Vanished, Fate::Replaced)
        }
        None => named(field, new),
    }
}

fn find_any_case<'a>(shape: &'a Shape, column: &str) -> Option<&'a Field> {
    shape.find(column).or_else(|| shape.fields.iter().find(|field| Moved::same_name(&field.column, column)))
}

fn named<'a>(field: &Field, new: &'a Shape) -> Fate<'a> {
    let aliased = || new.fields.iter().find(|other| other.aliases.contains(&field.name));
    match new.find(&field.column) {
        Some(same) => Fate::Stays(same),
        None => aliased().map_or(Fate::Vanished, Fate::Renamed),
    }
}

/// The fields whose names are gone: what was written under them stays in the topic.
pub(super) fn departing<'a>(old: &'a Shape, new: &Shape) -> impl Iterator<Item = &'a Field> {
    old.fields.iter().filter(|field| !has_name(new, field))
}

/// New columns under names that departed once, of another type perhaps: the topic still has the old values.
pub(super) fn returned(departed: &[Field], old: &Shape, new: &Shape) -> Vec<Finding> {
    let came = new.fields.iter().filter(|field| !has_name(old, field));
    let earlier = |field: &Field| departed.iter().find(|departed| departed.name == field.name);
    came.filter_map(|field| Some(replaced(earlier(field)?, field))).collect()
}

/// Columns whose values the server computes from now on, also in the rows that are there.
pub(super) fn generated(shape: &Shape, columns: &[String]) -> Vec<Finding> {
    let finding = |field: &Field| Finding {
        rule: "column-generated",
        column: Some(field.column.clone()),
        verdict: Verdict::SafeIfAgreed,
        what: format!("`{}` is generated: the server computes it, and did so in the rows that are there", field.column),
        running: "sees computed values from now on; no event says what became of the rows that were there".to_owned(),
        replaying: "sees what was written before the change, until a row changes again".to_owned(),
        advice: "copy the table again with `headwater snapshot` if consumers keep its rows".to_owned(),
    };
    columns.iter().filter_map(|column| find_any_case(shape, column)).map(finding).collect()
}

fn has_name(shape: &Shape, field: &Field) -> bool {
    shape.fields.iter().any(|other| other.name == field.name)
}

pub(super) fn judge(old: &Shape, new: &Shape, fates: &Fates<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (field, fate) in &fates.old {
        match *fate {
            Fate::Stays(now) => compare(&mut found, field, now),
            Fate::Renamed(now) => {
                found.push(renamed(old, new, field, now));
                compare(&mut found, field, now);
            }
            Fate::Replaced(now) => found.push(replaced(field, now)),
            Fate::Dropped => found.push(dropped(field)),
            Fate::Vanished if fates.came.is_empty() => found.push(dropped(field)),
            Fate::Vanished => found.push(vanished(field, &fates.came)),
        }
    }
    found.extend(fates.came.iter().map(|field| added(old, field)));
    found
}

/// What follows from what the two readers see.
fn verdict(running: &Reading, replaying: &Reading) -> Verdict {
    let silent = |reading: &Reading| matches!(reading, Reading::Silent(_));
    match (running, replaying) {
        (running, replaying) if silent(running) || silent(replaying) => Verdict::CorruptsSilently,
        (Reading::Same, Reading::Same) => Verdict::Safe,
        (Reading::Same, _) => Verdict::BreaksReplay,
        _ => Verdict::BreaksRunning,
    }
}

fn sentence(reading: &Reading, written: &Field) -> String {
    match reading {
        Reading::Same => "reads the values as they were written".to_owned(),
        Reading::FailsAtNull => "fails at the first null: its schema has none".to_owned(),
        Reading::FailsAt(values) => format!("fails at {values}: its schema does not know it"),
        Reading::Fails => format!("fails at every value: its schema cannot read {}", written.form.words()),
        Reading::Silent(what) => format!("sees {what}"),
    }
}

/// What a reader sees in a field that is missing in what it reads.
fn missing(reader: &Field) -> Reading {
    match &reader.default {
        Some(Value::Null) => Reading::Silent("null in the place of the values, without an error".to_owned()),
        Some(default) => Reading::Silent(format!("its default {default} in the place of the values, without an error")),
        None => Reading::Fails,
    }
}

fn missing_sentence(reading: &Reading, reader: &Field) -> String {
    match reading {
        Reading::Fails => {
            format!("fails at every event: its schema wants a field `{}`, without a default", reader.name)
        }
        other => sentence(other, reader),
    }
}

/// One column under one name, before and after.
fn compare(found: &mut Vec<Finding>, old: &Field, new: &Field) {
    if old.form == new.form {
        found.extend(declared::judge(old, new));
    } else {
        let (before, now) = kinds(old, new);
        let running = old.form.reads(&new.form, declared::bits(new));
        let replaying = new.form.reads(&old.form, declared::bits(old));
        let verdict = verdict(&running, &replaying);
        found.push(Finding {
            rule: old.form.rule(&new.form),
            column: Some(old.column.clone()),
            verdict,
            what: format!("`{}` is {now} instead of {before}", new.column),
            running: sentence(&running, new),
            replaying: sentence(&replaying, old),
            advice: advised(verdict).to_owned(),
        });
    }
    found.extend(nullability(old, new));
}

/// The two types in words that differ: those of SQL where they do, of Avro otherwise.
fn kinds(old: &Field, new: &Field) -> (String, String) {
    match (&old.sql_type, &new.sql_type) {
        (Some(before), Some(now)) if before != now => (before.clone(), now.clone()),
        _ => (old.form.words(), new.form.words()),
    }
}

fn advised(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Safe => advice::NOTHING,
        Verdict::SafeIfAgreed => advice::AGREE,
        Verdict::BreaksReplay => advice::REPLAY,
        Verdict::BreaksRunning => advice::CONSUMERS_FIRST,
        Verdict::CorruptsSilently => advice::NEW_COLUMN,
    }
}

fn nullability(old: &Field, new: &Field) -> Option<Finding> {
    let of_schema = (old.optional != new.optional).then_some(new.optional);
    let of_column = || match (old.nullable, new.nullable) {
        (Some(before), Some(now)) if before != now => Some(now),
        _ => None,
    };
    let allowed = of_schema.or_else(of_column)?;
    let (same, fails) = ("reads the values as they were written", "fails at the first null: its schema has none");
    let sees = "sees the first null in a column that had none so far; its schema allows it";
    let (rule, what, verdict, running, replaying) = match (allowed, of_schema.is_some()) {
        (true, true) => ("null-allowed", "admits null", Verdict::BreaksRunning, fails, same),
        (true, false) => ("null-allowed", "admits null", Verdict::SafeIfAgreed, sees, same),
        (false, true) => ("null-forbidden", "admits no null any more", Verdict::BreaksReplay, same, fails),
        (false, false) => (
            "null-forbidden",
            "admits no null any more",
            Verdict::SafeIfAgreed,
            same,
            "sees nulls in events from before the change; its schema allows them",
        ),
    };
    Some(Finding {
        rule,
        column: Some(old.column.clone()),
        verdict,
        what: format!("`{}` {what}", new.column),
        running: running.to_owned(),
        replaying: replaying.to_owned(),
        advice: advised(verdict).to_owned(),
    })
}

fn renamed(old: &Shape, new: &Shape, field: &Field, now: &Field) -> Finding {
    let (running, said) = misplaced(field, now, new);
    let (replaying, replayed) = misplaced(now, field, old);
    let swapped = new.find(&field.column).is_some() && old.find(&now.column).is_some();
    Finding {
        rule: if swapped { "columns-swapped" } else { "column-renamed" },
        column: Some(field.column.clone()),
        verdict: verdict(&running, &replaying),
        what: format!("`{}` is called `{}`", field.column, now.column),
        running: said,
        replaying: replayed,
        advice: format!(
            "add a column `{}` beside `{}`, fill both for as long as consumers read the old one, then drop that; or release \
             the table with --new-version",
            now.column, field.column
        ),
    }
}

/// What `reader` sees where its values are in `writer`, a field of `all` that has another name.
fn misplaced(reader: &Field, writer: &Field, all: &Shape) -> (Reading, String) {
    match reader.source(all) {
        Some(source) if std::ptr::eq(source, writer) => (Reading::Same, "finds the values by the alias".to_owned()),
        Some(other) => {
            let reading = match reader.form.reads(&other.form, declared::bits(other)) {
                Reading::Fails => Reading::Fails,
                _ => Reading::Silent(format!("the values of another column in `{}`, without an error", reader.name)),
            };
            let said = sentence(&reading, other);
            (reading, said)
        }
        None => {
            let reading = missing(reader);
            let said = missing_sentence(&reading, reader);
            (reading, said)
        }
    }
}

fn replaced(field: &Field, now: &Field) -> Finding {
    let seen = |reading: Reading| match reading {
        Reading::Fails => Reading::Fails,
        _ => Reading::Silent("the values of another column under the same name, without an error".to_owned()),
    };
    let running = seen(field.form.reads(&now.form, declared::bits(now)));
    let replaying = seen(now.form.reads(&field.form, declared::bits(field)));
    Finding {
        rule: "column-replaced",
        column: Some(field.column.clone()),
        verdict: verdict(&running, &replaying),
        what: format!("`{}` is another column than before: the old one was dropped, or has another name", now.column),
        running: sentence(&running, now),
        replaying: sentence(&replaying, field),
        advice: "give the new column a name of its own; or release the table with --new-version".to_owned(),
    }
}

fn dropped(field: &Field) -> Finding {
    let (verdict, running, advice) = match &field.default {
        Some(default) => (
            Verdict::SafeIfAgreed,
            format!("sees {default} from now on, without an error"),
            "agree with the consumers that nobody reads it",
        ),
        None => (Verdict::BreaksRunning, missing_sentence(&Reading::Fails, field), advice::CONSUMERS_FIRST),
    };
    Finding {
        rule: "column-dropped",
        column: Some(field.column.clone()),
        verdict,
        what: format!("`{}` is gone: dropped, or no longer in the log (generated, or not published)", field.column),
        running,
        replaying: "reads the events from before the change without it".to_owned(),
        advice: advice.to_owned(),
    }
}

fn vanished(field: &Field, came: &[&Field]) -> Finding {
    let names: Vec<String> = came.iter().map(|field| format!("`{}`", field.column)).collect();
    let (came, running) = (names.join(", "), missing(field));
    // The other side of it, a replaying reader that finds no values for what came, is that of the columns that came.
    Finding {
        rule: "column-may-be-renamed",
        column: Some(field.column.clone()),
        verdict: verdict(&running, &Reading::Same),
        what: format!("`{}` went while {came} came, and nothing proves that it was not renamed", field.column),
        running: missing_sentence(&running, field),
        replaying: format!("may see null in {came} where events from before the change have the value in `{}`", field.name),
        advice: "if it was renamed, keep the old column beside the new one until the consumers have moved; if not, drop and \
                 add in two changes"
            .to_owned(),
    }
}

fn added(old: &Shape, field: &Field) -> Finding {
    let ignores = "does not see it, and loses nothing else".to_owned();
    let finding = |verdict, replaying: String, advice: &str| Finding {
        rule: "column-added",
        column: Some(field.column.clone()),
        verdict,
        what: format!("`{}` is new: {}", field.column, field.sql_type.clone().unwrap_or_else(|| field.form.words())),
        running: ignores.clone(),
        replaying,
        advice: advice.to_owned(),
    };
    if let Some(source) = field.source(old) {
        let reading = match field.form.reads(&source.form, declared::bits(source)) {
            Reading::Fails => Reading::Fails,
            _ => Reading::Silent(format!("the values of `{}`, which is another column, without an error", source.name)),
        };
        let said = sentence(&reading, source);
        return finding(verdict(&Reading::Same, &reading), said, advice::NEW_COLUMN);
    }
    let shown = |default: &Value| format!("sees {default} in events from before the change");
    match &field.default {
        None => finding(Verdict::BreaksReplay, missing_sentence(&Reading::Fails, field), advice::REPLAY),
        Some(default @ Value::Null) if field.nullable == Some(true) || field.sql_type.is_none() => {
            finding(Verdict::Safe, shown(default), advice::NOTHING)
        }
        Some(default @ Value::Null) => {
            let known = if field.nullable.is_some() { "which admits none" } else { "which may admit none" };
            finding(Verdict::SafeIfAgreed, format!("{}, {known}", shown(default)), advice::AGREE)
        }
        Some(default) => finding(
            Verdict::SafeIfAgreed,
            format!("{}, whatever the row holds", shown(default)),
            "make sure that rows from before the change hold the default",
        ),
    }
}
