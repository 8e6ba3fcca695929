//! Tables, read from the names of subjects.

use std::collections::BTreeMap;

use change::TableName;
use event_avro::{Naming, name};
use schema_registry::SubjectNaming;

/// Every topic that is no table's but has a table's form.
const NO_TABLES: [(&str, &str); 1] = [("pg_logical", "message")];

/// The tables that have a value subject under the prefix, each with the highest version of its topic.
pub(super) fn tables(prefix: &str, naming: SubjectNaming, subjects: &[String]) -> BTreeMap<TableName, u32> {
    let mut found = BTreeMap::new();
    for (table, version) in subjects.iter().filter_map(|subject| table(prefix, naming, subject)) {
        let highest = found.entry(table).or_insert(version);
        *highest = version.max(*highest);
    }
    found
}

fn table(prefix: &str, naming: SubjectNaming, subject: &str) -> Option<(TableName, u32)> {
    match naming {
        SubjectNaming::Topic => of_topic(prefix, subject.strip_suffix("-value")?),
        SubjectNaming::Record => {
            let (before, after) = around(&event_avro::value_record(&example(), &Naming { prefix: prefix.to_owned() }))?;
            Some((of_parts(subject.strip_prefix(&before)?.strip_suffix(&after)?)?, 1))
        }
        SubjectNaming::TopicRecord => {
            // A record's name has no hyphen; a topic's may have.
            let (topic, record) = subject.rsplit_once('-')?;
            let (table, _) = table(prefix, SubjectNaming::Record, record)?;
            of_topic(prefix, topic).filter(|(found, _)| *found == table)
        }
    }
}

/// The table of `<prefix>.<schema>.<table>` or `<prefix>.<schema>.<table>.v2`. Dots in names are escaped, so one more belongs
/// to a version, or to another kind of topic.
fn of_topic(prefix: &str, topic: &str) -> Option<(TableName, u32)> {
    let (before, _) = around(&event_avro::topic(prefix, &example().schema, &example().table).ok()?)?;
    let rest = topic.strip_prefix(&before)?;
    if let Some(table) = of_parts(rest) {
        return Some((table, 1));
    }
    let (plain, version) = rest.rsplit_once(".v")?;
    let version = version.parse().ok()?;
    // Nobody else's number: written with zeros in front, or 1.
    (event_avro::topic_version(plain, version) == rest).then_some((of_parts(plain)?, version))
}

/// The table of `<schema>.<table>`.
fn of_parts(text: &str) -> Option<TableName> {
    let (schema, table) = text.split_once('.')?;
    let is_table = !table.contains('.') && !NO_TABLES.contains(&(schema, table));
    is_table.then(|| TableName::new(name::unmangle(schema), name::unmangle(table)))
}

fn example() -> TableName {
    TableName::new("s", "t")
}

/// What stands around the example's parts in a name that holds it.
fn around(text: &str) -> Option<(String, String)> {
    text.rsplit_once("s.t").map(|(before, after)| (before.to_owned(), after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(naming: SubjectNaming, subjects: &[&str]) -> Vec<String> {
        let subjects: Vec<String> = subjects.iter().map(|&subject| subject.to_owned()).collect();
        let found = tables("eu.shop", naming, &subjects);
        found.iter().map(|(TableName { schema, table }, version)| format!("{schema}/{table} {version}")).collect()
    }

    #[test]
    fn the_highest_version_of_a_topic_counts() {
        let subjects = [
            "eu.shop.public.orders-value",
            "eu.shop.public.orders-key",
            "eu.shop.public.orders.v10-value",
            "eu.shop.public.orders.v2-value",
            "eu.shop.public.only.v2-value",
        ];
        assert_eq!(found(SubjectNaming::Topic, &subjects), ["public/only 2", "public/orders 10"]);
        let subjects = [
            "eu.shop.a-b.c-eu.shop.a_x2d_b.c.Envelope",
            "eu.shop.a-b.c.v3-eu.shop.a_x2d_b.c.Envelope",
            "eu.shop.a-b.c.v4-eu.shop.a_x2d_b.c.Key",
            "elsewhere-eu.shop.a_x2d_b.c.Envelope",
        ];
        assert_eq!(found(SubjectNaming::TopicRecord, &subjects), ["a-b/c 3"]);
        assert_eq!(found(SubjectNaming::Record, &["eu.shop.a.b.Envelope", "eu.shop.a.b.Key"]), ["a/b 1"]);
    }

    #[test]
    fn dots_in_names_make_no_version() {
        for (schema, table) in [("public", "orders.v2"), ("public.orders", "v2"), ("v2", "v3"), ("a", ".v2")] {
            let topic = event_avro::topic("eu.shop", schema, table).unwrap();
            for version in [1, 2, 3] {
                let subject = format!("{}-value", event_avro::topic_version(&topic, version));
                assert_eq!(found(SubjectNaming::Topic, &[&subject]), [format!("{schema}/{table} {version}")]);
            }
        }
    }

    #[test]
    fn other_subjects_are_no_tables() {
        let subjects = [
            "eu.shop.pg_logical.message-value",
            "eu.shop.__schema_changes-value",
            "eu.shop.public.orders.parked-value",
            "eu.shop.public.orders.v1-value",
            "eu.shop.public.orders.v02-value",
            "eu.shop.public.orders.v2.parked-value",
            "eu.shop.public.orders.v99999999999-value",
            "other.public.orders-value",
            "eu.shop.public-value",
        ];
        assert_eq!(found(SubjectNaming::Topic, &subjects), [""; 0]);
    }
}
