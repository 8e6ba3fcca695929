//! Subjects: the names under which a registry keeps the versions of one schema.

/// Which half of a record a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Key,
    Value,
}

/// The subject name strategy, as Confluent's serializers call them. Readers find a schema by its id, whatever the strategy:
/// it decides which versions are judged against each other, and which name a CI job registers under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SubjectNaming {
    /// `<topic>-key` and `<topic>-value`, which tools assume unless told otherwise.
    #[default]
    Topic,
    /// The record's full name: one history for a record, whichever topics it goes to.
    Record,
    /// `<topic>-<the record's full name>`: one history for each record of each topic.
    TopicRecord,
}

/// The subject of one half of a topic's records. `record` is the full name (with namespace) of the schema's record, which
/// must differ between key and value: by it alone two of the strategies tell them apart.
pub fn subject(naming: SubjectNaming, topic: &str, part: Part, record: &str) -> String {
    match (naming, part) {
        (SubjectNaming::Topic, Part::Key) => format!("{topic}-key"),
        (SubjectNaming::Topic, Part::Value) => format!("{topic}-value"),
        (SubjectNaming::Record, _) => record.to_owned(),
        (SubjectNaming::TopicRecord, _) => format!("{topic}-{record}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, SubjectNaming, subject};

    #[test]
    fn follows_the_strategy() {
        let of = |naming, part, record| subject(naming, "shop.public.orders", part, record);
        let (key, value) = ("shop.public.orders.Key", "shop.public.orders.Envelope");
        for (naming, key_subject, value_subject) in [
            (SubjectNaming::Topic, "shop.public.orders-key", "shop.public.orders-value"),
            (SubjectNaming::Record, key, value),
            (
                SubjectNaming::TopicRecord,
                "shop.public.orders-shop.public.orders.Key",
                "shop.public.orders-shop.public.orders.Envelope",
            ),
        ] {
            assert_eq!(of(naming, Part::Key, key), key_subject);
            assert_eq!(of(naming, Part::Value, value), value_subject);
        }
    }
}
