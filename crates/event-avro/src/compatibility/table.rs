//! What concerns the table as a whole: its key, its replica identity, the names of its fields, the record around them.

use change::Identity;

use super::columns::{Fate, Fates};
use super::form::Base;
use super::shape::{Field, KeyField, Shape, extent};
use super::{Finding, Verdict, advice, declared};

pub(super) fn judge(old: &Shape, new: &Shape, fates: &Fates<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(record(old, new));
    if let (Some(before), Some(now)) = (&old.key, &new.key) {
        found.extend(key(before, now, fates));
    }
    found.extend(identity(old, new));
    found.extend(names(old, new));
    found
}

fn of_table(
    rule: &'static str,
    verdict: Verdict,
    what: String,
    running: &str,
    replaying: &str,
    to_do: &str,
) -> Finding {
    Finding {
        rule,
        column: None,
        verdict,
        what,
        running: running.to_owned(),
        replaying: replaying.to_owned(),
        advice: to_do.to_owned(),
    }
}

fn record(old: &Shape, new: &Shape) -> Option<Finding> {
    let fails = "fails at every event: the records do not fit";
    let around = |shape: &Shape| if shape.in_envelope { "in an envelope" } else { "bare" };
    let finding = |rule, what| of_table(rule, Verdict::BreaksRunning, what, fails, fails, advice::NEW_VERSION);
    if old.in_envelope != new.in_envelope {
        return Some(finding("envelope", format!("rows come {} instead of {}", around(new), around(old))));
    }
    (old.record != new.record)
        .then(|| finding("record-name", format!("the row's record is called {} instead of {}", new.record, old.record)))
}

/// The key decides the partition, and what compaction takes for the same row.
fn key(old: &[KeyField], new: &[KeyField], fates: &Fates<'_>) -> Option<Finding> {
    if old == new {
        return rewritten(old, fates);
    }
    let words = |key: &[KeyField]| {
        let fields: Vec<String> = key.iter().map(|field| format!("{} {}", field.name, field.form.words())).collect();
        if fields.is_empty() { "no key".to_owned() } else { format!("the key ({})", fields.join(", ")) }
    };
    let what = format!("the table has {} instead of {}", words(new), words(old));
    let became = |from: &KeyField, to: &KeyField| {
        from.form == to.form
            && fates.old.iter().any(|(field, fate)| {
                let is_same = |now: &Field| now.name == to.name && declared::is_same_in_key(field, now);
                field.name == from.name && matches!(fate, Fate::Stays(now) | Fate::Renamed(now) if is_same(now))
            })
    };
    if old.len() == new.len() && old.iter().zip(new).all(|(from, to)| became(from, to)) {
        let fails = "fails at the key: its schema has another name for a field. The key's bytes, and with them partitions and \
                     compaction, stay as they are";
        return Some(of_table("key-renamed", Verdict::BreaksRunning, what, fails, fails, advice::CONSUMERS_FIRST));
    }
    let (mut before, mut now) = (names_of(old), names_of(new));
    let rule = if old.is_empty() {
        "key-added"
    } else if new.is_empty() {
        "key-removed"
    } else if before == now {
        "key-type"
    } else {
        before.sort_unstable();
        now.sort_unstable();
        if before == now { "key-order" } else { "key-columns" }
    };
    Some(another_key(rule, what))
}

/// Columns of the key whose values are written in another way, although the key's schema is the same.
fn rewritten(key: &[KeyField], fates: &Fates<'_>) -> Option<Finding> {
    let words = |field: &Field| field.sql_type.clone().unwrap_or_else(|| field.form.words());
    let of_column = |(field, fate): &(&Field, Fate<'_>)| match fate {
        Fate::Stays(now) if !declared::is_same_in_key(field, now) => {
            Some(format!("`{}` is {} instead of {}", field.column, words(now), words(field)))
        }
        _ => None,
    };
    let is_key = |(field, _): &&(&Field, Fate<'_>)| key.iter().any(|of_key| of_key.name == field.name);
    let columns: Vec<String> = fates.old.iter().filter(is_key).filter_map(of_column).collect();
    let what = || format!("the key's column {}, which is written in another way", columns.join(", "));
    (!columns.is_empty()).then(|| another_key("key-type", what()))
}

fn another_key(rule: &'static str, what: String) -> Finding {
    of_table(
        rule,
        Verdict::CorruptsSilently,
        what,
        "meets a row under another key, and perhaps in another partition: the order between its old and its new events is lost, \
         and under the old key the row stays for ever, as if it were there twice",
        "sees rows from before the change under keys that no later event updates or deletes; compaction keeps them",
        advice::NEW_VERSION,
    )
}

fn names_of(key: &[KeyField]) -> Vec<&str> {
    key.iter().map(|field| field.name.as_str()).collect()
}

fn identity(old: &Shape, new: &Shape) -> Option<Finding> {
    let (before, now) = (old.identity.as_deref()?, new.identity.as_deref()?);
    let what = format!("the replica identity is {now} instead of {before}");
    let finding = |verdict, running, replaying, to_do| {
        Some(of_table("replica-identity", verdict, what.clone(), running, replaying, to_do))
    };
    match (extent(before), extent(now)) {
        _ if before == now => None,
        (_, 0) => finding(
            Verdict::SafeIfAgreed,
            "sees no updates and deletes any more: the server refuses them while the table is published",
            "reads the events as they were written",
            "give the table a primary key, or run ALTER TABLE … REPLICA IDENTITY DEFAULT",
        ),
        (2, 1) if let Some(values) = left_out(old, new) => finding(
            Verdict::CorruptsSilently,
            &format!(
                "sees null in `before`, but for the key, and in `after` for {values} that an update left as they were, without \
                 an error; `absent` says so (`key-only`, `unchanged`)"
            ),
            "finds more in `before` and `after` in events from before the change than in later ones",
            "keep REPLICA IDENTITY FULL (MySQL: binlog_row_image = FULL), unless every consumer reads `absent`",
        ),
        (2, 1) => finding(
            Verdict::SafeIfAgreed,
            "sees null in `before`, but for the key, in updates and deletes; `absent` says so (`key-only`)",
            "finds more in `before` in events from before the change than in later ones",
            "keep REPLICA IDENTITY FULL for as long as a consumer reads `before`",
        ),
        _ => finding(
            Verdict::Safe,
            "finds more in `before` and `after`, or the same",
            "sees null in `before`, but for the key, and in `after` for values that an update left as they were, in events from \
             before the change; `absent` says so (`key-only`, `unchanged`)",
            advice::NOTHING,
        ),
    }
}

/// Values that `after` has only because the log has the whole old row, if there may be such: what an update did not set
/// (MySQL), or only what of that is so large that PostgreSQL stores it elsewhere.
fn left_out(old: &Shape, new: &Shape) -> Option<&'static str> {
    let is_key = |field: &Field| new.key.iter().flatten().any(|key| key.name == field.name);
    let mut others = new.fields.iter().filter(|field| !is_key(field));
    // Neither an index as the identity nor column numbers are known of MySQL.
    let is_postgresql = new.identity.as_deref() == Some(Identity::Index.name())
        || [old, new].iter().any(|shape| shape.fields.iter().any(|field| field.number.is_some()));
    match is_postgresql {
        true => others.any(has_large_values).then_some("large values"),
        false => others.next().map(|_| "values"),
    }
}

/// Whether PostgreSQL may store a value elsewhere (TOAST): no type of a fixed size.
fn has_large_values(field: &Field) -> bool {
    match field.form.base {
        Base::Bytes | Base::Array { .. } => true,
        // A uuid is a logical type, a label a number to the server.
        Base::String => field.form.logical.is_none() && field.labels.is_empty(),
        _ => false,
    }
}

/// Two fields of one name, or of names that differ only in case. Columns of ours cannot collide: names are mangled by a rule
/// that can be reversed.
fn names(old: &Shape, new: &Shape) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, field) in new.fields.iter().enumerate() {
        for other in &new.fields[..at] {
            let columns = format!("`{}` and `{}`", other.column, field.column);
            if field.name == other.name {
                found.push(of_table(
                    "name-collision",
                    Verdict::BreaksRunning,
                    format!("{columns} are both called {} in the schema", field.name),
                    "fails: no registry takes such a schema",
                    "fails: no reader takes such a schema",
                    "rename one of the columns",
                ));
            } else if field.name.eq_ignore_ascii_case(&other.name)
                && !(old.fields.iter().any(|old| old.name == field.name)
                    && old.fields.iter().any(|old| old.name == other.name))
            {
                found.push(of_table(
                    "names-differ-by-case",
                    Verdict::SafeIfAgreed,
                    format!("the names of {columns} differ only in case"),
                    "reads both; a store that does not tell upper from lower case takes them for one",
                    "reads both; a store that does not tell upper from lower case takes them for one",
                    "rename one of the columns, or agree with the consumers of the topic",
                ));
            }
        }
    }
    found
}
