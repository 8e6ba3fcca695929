//! How far the copy of a table has come, as the checkpoint keeps it.

use change::Table;
use serde::{Deserialize, Serialize};

use super::key::Key;
use crate::error::Error;

/// The state of one table's copy. Everything up to `after` was published or dropped for something newer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// What the key is made of: of each column its name, type and collation. A key of something else has another order, or is
    /// another key: then the places below mean nothing, and the copy begins anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) by: Vec<String>,
    /// The last key that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Key>,
    /// Rows to read once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) again: Vec<Key>,
    /// Rows read so far.
    pub(crate) rows: u64,
    /// Nothing is left to read but `again`.
    pub(crate) end: bool,
    /// A table without a key: what its copy shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shows: Option<Shows>,
    /// A person asked for it, whatever the configuration says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) asked: bool,
    /// Which rows that person asked for, as SQL behind `WHERE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<String>,
    /// A person paused it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) paused: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The end of what the copy of a table without a key shows: the stream's changes up to there are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shows {
    /// Whose files the place is in: it means nothing to another server.
    pub(crate) server: String,
    /// [`FilePlace`](crate::position::FilePlace) as text.
    pub(crate) place: String,
}

/// The columns of a table's key, with their types: where these are the same, the texts of two keys can be compared.
pub(crate) fn key_columns(table: &Table) -> impl Iterator<Item = (&str, &str)> {
    let columns = table.key.iter().filter_map(|&at| table.columns.get(at));
    columns.map(|column| (column.name.as_str(), column.sql_type.as_str()))
}

impl Progress {
    pub(crate) fn is_done(&self) -> bool {
        self.end && self.again.is_empty()
    }

    /// What was read means nothing any more; what a person wishes stays.
    pub(crate) fn begin_anew(&mut self) {
        let Self { asked, condition, paused, .. } = std::mem::take(self);
        *self = Self { asked, condition, paused, ..Self::default() };
    }

    pub(crate) fn parse(table: &str, text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| {
            Error::stop(
                format!("the snapshot progress of {table} in the checkpoint cannot be read: {error}"),
                "was it written by a newer headwater? run that version",
            )
        })
    }

    pub(crate) fn text(&self) -> String {
        // Strings and numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_written() {
        let key = |text: &str| vec![text.to_owned(), "ä'\"\\".to_owned()];
        let shows = Some(Shows { server: "s".to_owned(), place: "bin.000001:4".to_owned() });
        let all = Progress {
            by: vec!["a".to_owned(), "b".to_owned()],
            after: Some(key("1")),
            again: vec![key("0")],
            rows: 9,
            end: true,
            shows,
            asked: true,
            condition: Some("a > 'ä'".to_owned()),
            paused: true,
        };
        for progress in [Progress::default(), all.clone()] {
            assert_eq!(Progress::parse("t", &progress.text()).unwrap(), progress);
        }
        assert!(Progress::parse("t", "{}").is_err());
        let mut anew = all.clone();
        anew.begin_anew();
        assert_eq!(anew, Progress { asked: true, paused: true, condition: all.condition, ..Progress::default() });
    }
}
