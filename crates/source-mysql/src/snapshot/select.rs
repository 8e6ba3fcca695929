//! The queries that read a table's rows: what is asked of each column, and which rows.
//!
//! The session gives texts and bytes as they are stored (`character_set_results = NULL`). A FLOAT is printed with six digits,
//! a DOUBLE(8,2) with two, so both are asked for as the double that they are (times one keeps even the sign of zero); labels
//! are asked for by their numbers, as their texts would come in any character set.

use change::TableName;

use super::key::{self, Key};
use crate::catalog::{self, identifier};
use crate::connection::Connection;
use crate::declared;
use crate::error::Error;
use crate::table::{Catalogue, Shape};
use crate::value::Meaning;

/// A table as its rows can be read now.
pub(super) struct Select {
    /// With the meanings of what is printed.
    pub(super) shape: Shape,
    /// What its key is made of, for [`Progress::by`](super::progress::Progress::by).
    pub(super) by: Vec<String>,
    /// `SELECT … FROM …`
    head: String,
    /// Which rows a person wants.
    pub(super) wanted: Option<String>,
}

/// How a query gives a column: the expression, and what its bytes mean.
fn asked(name: &str, meaning: &Meaning) -> (String, Meaning) {
    let column = identifier(name);
    let printed = || Meaning::Printed(Box::new(meaning.clone()));
    match meaning {
        Meaning::Float | Meaning::Double => (format!("{column} * 1e0"), printed()),
        Meaning::Enum(_) | Meaning::Set(_) => (format!("CAST({column} AS UNSIGNED)"), printed()),
        // A query unpacks it.
        Meaning::Packed(charset) => (column, charset.map_or(Meaning::Bytes, Meaning::Text)),
        Meaning::Text(_) | Meaning::Bytes | Meaning::Padded(_) | Meaning::Bits(_) => (column, meaning.clone()),
        _ => (column, printed()),
    }
}

impl Select {
    pub(super) fn new(
        name: &TableName,
        catalogue: &Catalogue,
        collations: &[(String, String)],
        shape: Shape,
    ) -> Result<Self, Error> {
        let mut shape = shape;
        let mut columns = Vec::with_capacity(shape.meanings.len());
        for (column, meaning) in shape.table.columns.iter().zip(&mut shape.meanings) {
            let (expression, printed) = asked(&column.name, meaning);
            columns.push(expression);
            *meaning = printed;
        }
        let by = shape.table.key.iter().filter_map(|&at| shape.table.columns.get(at)).map(|column| {
            let collation = collations.iter().find(|(name, _)| *name == column.name);
            let collation = collation.map(|(_, collation)| collation.as_str()).unwrap_or_default();
            format!("{}/{}/{collation}", column.name, column.sql_type)
        });
        let by = by.collect();
        if catalogue.columns.is_empty() {
            return Err(catalog::strange("reading a table's columns"));
        }
        // The key's own index: another one would have to be sorted for each chunk.
        let index = if shape.table.key.is_empty() { "" } else { " FORCE INDEX (PRIMARY)" };
        let head = format!("SELECT {} FROM {}{index}", columns.join(", "), table(name));
        Ok(Self { shape, by, head, wanted: None })
    }

    fn key_columns(&self) -> Vec<(String, &Meaning)> {
        let Shape { table, meanings, .. } = &self.shape;
        let column = |&at: &usize| Some((identifier(&table.columns.get(at)?.name), meanings.get(at)?));
        table.key.iter().filter_map(column).collect()
    }

    fn with(&self, conditions: &[String], rest: &str) -> String {
        let wanted = self.wanted.as_ref().map(|wanted| nested(wanted));
        let all: Vec<String> = conditions.iter().cloned().chain(wanted).collect();
        let conditions = if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) };
        format!("{}{conditions}{rest}", self.head)
    }

    /// All rows.
    pub(super) fn whole(&self) -> String {
        self.with(&[], "")
    }

    /// The next rows behind a key. `(a, b) > (1, 2)` would not be looked up in the index, so it is written out.
    pub(super) fn next(&self, after: Option<&Key>, limit: usize) -> String {
        let columns = self.key_columns();
        let order: Vec<&str> = columns.iter().map(|(column, _)| column.as_str()).collect();
        let condition = after.map(|after| {
            let mut equal = String::new();
            let mut ways = Vec::new();
            for ((column, meaning), part) in columns.iter().zip(after) {
                let literal = key::literal(meaning, part);
                ways.push(format!("({equal}{column} > {literal})"));
                equal += &format!("{column} = {literal} AND ");
            }
            format!("({})", ways.join(" OR "))
        });
        let rest = format!(" ORDER BY {} LIMIT {limit}", order.join(", "));
        self.with(&condition.into_iter().collect::<Vec<_>>(), &rest)
    }

    /// These rows.
    pub(super) fn again(&self, keys: &[Key]) -> String {
        let columns = self.key_columns();
        let row = |key: &Key| {
            let equal = columns.iter().zip(key);
            let equal: Vec<String> =
                equal.map(|((column, meaning), part)| format!("{column} = {}", key::literal(meaning, part))).collect();
            format!("({})", equal.join(" AND "))
        };
        let rows: Vec<String> = keys.iter().map(row).collect();
        self.with(&[format!("({})", rows.join(" OR "))], "")
    }
}

/// The table's name in SQL.
pub(super) fn table(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.table))
}

/// A person's condition beside others. The line end is for one that ends with a comment.
pub(super) fn nested(condition: &str) -> String {
    format!("({condition}\n)")
}

/// Lets the server look at a condition, without reading a row. It has to be one expression by itself: what closes our
/// parenthesis and opens another one (`false) OR (true`) would loosen the conditions beside it, and is an error as a
/// function's argument.
pub(super) fn try_condition(control: &mut Connection, name: &TableName, condition: &str) -> Result<(), Error> {
    let doing = "looking at the condition";
    control.query(doing, &format!("SELECT IF({condition}\n, 1, 0) FROM {} LIMIT 0", table(name)))?;
    control.query(doing, &format!("SELECT 1 FROM {} WHERE {} LIMIT 0", table(name), nested(condition))).map(drop)
}

/// The table as the catalogue shows it now.
pub(super) fn describe(
    control: &mut Connection,
    name: &TableName,
    server: &catalog::Server,
) -> Result<Option<Select>, Error> {
    let Some(catalogue) = catalog::describe(control, name)? else { return Ok(None) };
    let collations = catalog::collations(control, name)?;
    let shape = declared::shape(name, &catalogue, server.flavour, server.key_identity());
    let shape = shape.map_err(|error| Error::stop(error.to_string(), "please report this"))?.ok_or_else(|| {
        Error::stop(
            format!("{name} has a column of a type that is not known"),
            "leave the table out with `tables`, or copy nothing: snapshot = \"never\"",
        )
    })?;
    Select::new(name, &catalogue, &collations, shape).map(Some)
}

#[cfg(test)]
mod tests {
    use change::{Column, ColumnType, Identity, Table};

    use super::*;
    use crate::table::Declared;
    use crate::value::charset::Charset;

    fn select() -> Select {
        let names = ["a", "b`", "f", "e"];
        let meanings = vec![
            Meaning::Integer { width: 4, unsigned: false },
            Meaning::Text(Charset::Latin1),
            Meaning::Float,
            Meaning::Enum(Vec::new()),
        ];
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            kind: ColumnType::Text,
            sql_type: "t".to_owned(),
            labels: Vec::new(),
            nullable: None,
            number: None,
        };
        let columns = names.iter().map(column).collect();
        let name = TableName::new("s", "t");
        let table = Table { name: name.clone(), columns, key: vec![1, 0], identity: Identity::Full, relation: None };
        let declared =
            Declared { name: "a".to_owned(), column_type: String::new(), character_set: None, nullable: false };
        let catalogue = Catalogue { columns: vec![declared], primary_key: Vec::new() };
        let shape = Shape { table, extents: Vec::new(), meanings };
        Select::new(&name, &catalogue, &[("b`".to_owned(), "latin1_bin".to_owned())], shape).unwrap()
    }

    #[test]
    fn the_next_rows_in_the_order_of_the_key() {
        let mut select = select();
        let head = "SELECT `a`, `b```, `f` * 1e0, CAST(`e` AS UNSIGNED) FROM `s`.`t` FORCE INDEX (PRIMARY)";
        assert_eq!(select.by, ["b`/t/latin1_bin", "a/t/"]);
        assert_eq!(select.next(None, 1), format!("{head} ORDER BY `b```, `a` LIMIT 1"));
        select.wanted = Some("a > 0 -- all".to_owned());
        let key = vec!["61".to_owned(), "-5".to_owned()];
        assert_eq!(
            select.next(Some(&key), 9),
            format!(
                "{head} WHERE ((`b``` > _latin1 x'61') OR (`b``` = _latin1 x'61' AND `a` > -5)) AND (a > 0 -- all\n) \
                 ORDER BY `b```, `a` LIMIT 9"
            )
        );
        assert_eq!(
            select.again(&[key.clone(), key]),
            format!(
                "{head} WHERE ((`b``` = _latin1 x'61' AND `a` = -5) OR (`b``` = _latin1 x'61' AND `a` = -5)) AND \
                 (a > 0 -- all\n)"
            )
        );
    }
}
