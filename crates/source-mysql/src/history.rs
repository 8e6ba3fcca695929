//! What the columns of a table are called and mean, where the log does not say it.
//!
//! With `binlog_row_metadata=MINIMAL` a table map has types and nothing else, and the catalogue shows a table as it is *now*,
//! while the log may be hours behind. So the catalogue's word is kept beside the checkpoint, one record for each table, and
//! holds from there on until the log itself shows a statement that names the table: then the catalogue is asked again, and
//! what changed is returned as progress before any later position is. A process that starts again in front of rows from
//! before an `ALTER TABLE` so reads them as they were written, although the catalogue shows the table as altered.
//!
//! What this cannot know: two statements in a row of which the first is met when both were executed. Then the catalogue
//! already shows the second. The table map's types and number of columns are compared with it, and what does not fit is
//! refused; columns of one type that were only renamed look alike. With `FULL` nothing of this is needed.

use std::collections::{BTreeMap, VecDeque};

use change::TableName;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::statement;
use crate::table::Catalogue;

/// What the names of its records begin with. No table's progress has such a name: those have a dot.
const PREFIX: &str = "shape/";

/// The catalogue's word on each captured table, as of the place in the log where the stream is.
#[derive(Debug, Default)]
pub(crate) struct History {
    shapes: BTreeMap<TableName, Catalogue>,
    notes: VecDeque<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    database: String,
    table: String,
    shape: T,
}

impl History {
    /// Takes what earlier processes have noted out of the progress that a checkpoint has.
    ///
    /// # Errors
    ///
    /// A record that this version does not understand.
    pub(crate) fn take(progress: &mut BTreeMap<String, String>) -> Result<Self, Error> {
        let mut history = Self::default();
        let names: Vec<String> = progress.keys().filter(|name| name.starts_with(PREFIX)).cloned().collect();
        for name in names.iter().filter(|name| !name.contains('.')) {
            let text = progress.remove(name).unwrap_or_default();
            let Entry { database, table, shape } = serde_json::from_str(&text).map_err(|error| {
                Error::stop(
                    format!("the record {name} of the checkpoint cannot be read: {error}"),
                    "was it written by a newer headwater? run that version",
                )
            })?;
            history.shapes.insert(TableName::new(&database, &table), shape);
        }
        Ok(history)
    }

    /// The table as it was where the stream is, if that was noted.
    pub(crate) fn get(&self, table: &TableName) -> Option<&Catalogue> {
        self.shapes.get(table)
    }

    /// Notes what the catalogue says, if that is news.
    pub(crate) fn note(&mut self, table: &TableName, shape: &Catalogue) {
        if self.shapes.get(table) == Some(shape) {
            return;
        }
        self.shapes.insert(table.clone(), shape.clone());
        let entry = Entry { database: table.schema.clone(), table: table.table.clone(), shape };
        // Texts and truth values always have a JSON form.
        let text = serde_json::to_string(&entry).unwrap_or_default();
        self.notes.push_back((key(table), text));
    }

    /// The tables that a statement may have altered: those that it names.
    pub(crate) fn named(&self, database: &str, sql: &[u8]) -> Vec<TableName> {
        let sql = String::from_utf8_lossy(sql);
        let named = |name: &&TableName| statement::names(&sql, database, name);
        self.shapes.keys().filter(named).cloned().collect()
    }

    pub(crate) fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// The next record to be written: its name and its text.
    pub(crate) fn next_note(&mut self) -> Option<(String, String)> {
        self.notes.pop_front()
    }
}

/// A record's name, without a dot: 64 bits of the table's name.
fn key(table: &TableName) -> String {
    let half = |salt: u8| crc32fast::hash(&[table.schema.as_bytes(), &[0, salt], table.table.as_bytes()].concat());
    format!("{PREFIX}{:08x}{:08x}", half(1), half(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Declared;

    fn shape(column: &str) -> Catalogue {
        let declared =
            Declared { name: column.to_owned(), column_type: "int".to_owned(), character_set: None, nullable: false };
        Catalogue { columns: vec![declared], primary_key: vec![column.to_owned()] }
    }

    #[test]
    fn what_was_noted_comes_back() {
        let mut history = History::default();
        let (one, other) = (TableName::new("shop", "t"), TableName::new("shop", "u.v"));
        history.note(&one, &shape("a"));
        history.note(&other, &shape("b"));
        history.note(&one, &shape("c"));
        history.note(&one, &shape("c"));
        let mut progress: BTreeMap<String, String> = std::iter::from_fn(|| history.next_note()).collect();
        assert_eq!(progress.len(), 2);
        assert!(progress.keys().all(|name| !name.contains('.')), "{progress:?}");
        progress.insert("shape/x.t".to_owned(), "{}".to_owned());
        let history = History::take(&mut progress).unwrap();
        assert_eq!((history.get(&one), history.get(&other)), (Some(&shape("c")), Some(&shape("b"))));
        assert_eq!(progress.into_keys().collect::<Vec<_>>(), ["shape/x.t"], "a table's progress is left where it is");
        assert!(History::take(&mut BTreeMap::from([("shape/1".to_owned(), "{}".to_owned())])).is_err());
    }

    #[test]
    fn statements_name_tables() {
        let mut history = History::default();
        for table in ["t", "tt", "Orders", "größe"] {
            history.note(&TableName::new("shop", table), &shape("a"));
        }
        history.note(&TableName::new("other", "t"), &shape("a"));
        let named = |database: &str, sql: &str| {
            history.named(database, sql.as_bytes()).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(named("shop", "ALTER TABLE t ADD x int"), ["shop.t"]);
        assert_eq!(named("", "ALTER TABLE `other`.`t` ADD x int"), ["other.t"]);
        assert_eq!(named("shop", "rename table t to tt, other.t to t"), ["other.t", "shop.t", "shop.tt"]);
        assert_eq!(named("shop", "alter table ORDERS add x int"), ["shop.Orders"], "names may not know case");
        assert_eq!(named("shop", "alter table größe add x int"), ["shop.größe"]);
        assert_eq!(named("shop", "create table ttt (id int)"), [""; 0]);
    }
}
