//! Ids already known, by subject and exact schema text, within a limit of bytes.

use crate::frame::SchemaId;
use std::collections::HashMap;

/// A thousand tables with schemas of 8 KB each for key and value fit.
const LIMIT: usize = 16 << 20;

/// The texts of a subject are few: one, or two around a change of the table.
#[derive(Default)]
pub(crate) struct Cache {
    subjects: HashMap<String, Vec<(String, SchemaId)>>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn get(&self, subject: &str, schema: &str) -> Option<SchemaId> {
        self.subjects.get(subject)?.iter().find(|(text, _)| text == schema).map(|(_, id)| *id)
    }

    pub(crate) fn put(&mut self, subject: &str, schema: &str, id: SchemaId) {
        if self.get(subject, schema).is_some() {
            return;
        }
        let bytes = subject.len() + schema.len() + size_of::<(String, SchemaId)>();
        if self.bytes + bytes > LIMIT {
            // Asking the registry again is cheap; remembering what was used when is not worth it.
            *self = Self::default();
        }
        self.bytes += bytes;
        self.subjects.entry(subject.to_owned()).or_default().push((schema.to_owned(), id));
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, LIMIT};
    use crate::frame::SchemaId;

    #[test]
    fn both_subject_and_text_must_be_equal() {
        let mut cache = Cache::default();
        cache.put("a", "x", SchemaId(1));
        cache.put("a", "y", SchemaId(2));
        cache.put("b", "x", SchemaId(3));
        assert_eq!(cache.get("a", "x"), Some(SchemaId(1)));
        assert_eq!(cache.get("a", "y"), Some(SchemaId(2)));
        assert_eq!(cache.get("b", "x"), Some(SchemaId(3)));
        assert_eq!(cache.get("b", "y"), None);
    }

    #[test]
    fn never_grows_beyond_its_limit() {
        let mut cache = Cache::default();
        let text = "s".repeat(LIMIT / 10);
        for id in 0..100 {
            cache.put(&id.to_string(), &text, SchemaId(id));
            assert!(cache.bytes <= LIMIT);
        }
        assert_eq!(cache.get("99", &text), Some(SchemaId(99)));
    }
}
