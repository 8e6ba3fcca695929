//! What the catalogue says: the server, the tables, their columns and types. Read on a control connection.

use std::collections::BTreeMap;

use change::TableName;

use crate::config::Patterns;
use crate::connection::{Connection, Row};
use crate::error::Error;
use crate::lsn::Lsn;
use crate::sql;
use crate::wire::pgoutput::{Relation, RelationColumn};

/// The `index`th field of a row, or an error that names what was asked.
pub(crate) fn field<'a>(row: &'a Row, index: usize, doing: &str) -> Result<&'a str, Error> {
    row.get(index).and_then(Option::as_deref).ok_or_else(|| strange(doing))
}

pub(crate) fn number<T: std::str::FromStr>(row: &Row, index: usize, doing: &str) -> Result<T, Error> {
    field(row, index, doing)?.parse().map_err(|_| strange(doing))
}

pub(crate) fn flag(row: &Row, index: usize) -> bool {
    row.get(index).and_then(Option::as_deref) == Some("t")
}

pub(crate) fn strange(doing: &str) -> Error {
    Error::stop(format!("{doing}: the server's answer has another form than expected"), "please report this")
}

fn one(mut rows: Vec<Row>, doing: &str) -> Result<Row, Error> {
    if rows.len() == 1 { rows.pop().ok_or_else(|| strange(doing)) } else { Err(strange(doing)) }
}

/// The server, as far as it matters before anything is begun.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) version: u32,
    pub(crate) version_text: String,
    pub(crate) wal_level: String,
    /// Milliseconds; 0 is never.
    pub(crate) wal_sender_timeout: u64,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) may_replicate: bool,
    /// When it was asked, by its own clock.
    pub(crate) time: String,
}

pub(crate) fn server(connection: &mut Connection) -> Result<Server, Error> {
    let doing = "asking for the server's settings";
    let rows = connection.query(
        doing,
        "SELECT current_setting('server_version_num'), current_setting('server_version'), \
         current_setting('wal_level'), (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'), \
         current_user, current_database(), r.rolreplication OR r.rolsuper OR EXISTS (SELECT FROM pg_roles g \
         WHERE g.rolname = 'rds_replication' AND pg_has_role(r.oid, g.oid, 'member')), \
         now()::timestamptz(0) FROM pg_roles r WHERE r.rolname = current_user",
    )?;
    let row = one(rows, doing)?;
    Ok(Server {
        version: number(&row, 0, doing)?,
        version_text: field(&row, 1, doing)?.to_owned(),
        wal_level: field(&row, 2, doing)?.to_owned(),
        wal_sender_timeout: number(&row, 3, doing)?,
        user: field(&row, 4, doing)?.to_owned(),
        database: field(&row, 5, doing)?.to_owned(),
        may_replicate: flag(&row, 6),
        time: field(&row, 7, doing)?.to_owned(),
    })
}

/// Which server this is, and where its log ends.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) identifier: String,
    pub(crate) timeline: u32,
    pub(crate) wal_end: Lsn,
}

impl System {
    /// `identifier/timeline`: the timeline tells, after a failover, whether the new primary ever had what was read.
    pub(crate) fn identity(&self) -> String {
        format!("{}/{}", self.identifier, self.timeline)
    }
}

/// On a replication connection only.
pub(crate) fn identify(connection: &mut Connection) -> Result<System, Error> {
    let doing = "identifying the server";
    let row = one(connection.query(doing, "IDENTIFY_SYSTEM")?, doing)?;
    Ok(System {
        identifier: field(&row, 0, doing)?.to_owned(),
        timeline: number(&row, 1, doing)?,
        wal_end: number(&row, 2, doing)?,
    })
}

/// Where each older timeline ended: `(timeline, switch point)`. On a replication connection only.
pub(crate) fn timeline_history(connection: &mut Connection, timeline: u32) -> Result<Vec<(u32, Lsn)>, Error> {
    let doing = "reading the timeline history";
    let row = one(connection.query(doing, &format!("TIMELINE_HISTORY {timeline}"))?, doing)?;
    // The content is a bytea column, sent as the file's own text or in hexadecimal, by version.
    let content = field(&row, 1, doing)?;
    let mut bytes = Vec::new();
    let text = match crate::value::number::bytea(content.as_bytes(), &mut bytes) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => content.to_owned(),
    };
    Ok(parse_history(&text))
}

fn parse_history(text: &str) -> Vec<(u32, Lsn)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect()
}

/// A relation that could be captured.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) oid: u32,
    pub(crate) name: TableName,
    /// `pg_class.relkind`.
    pub(crate) kind: char,
    /// `pg_class.relpersistence`.
    pub(crate) persistence: char,
    /// `pg_class.relreplident`.
    pub(crate) identity: char,
    pub(crate) has_primary_key: bool,
    pub(crate) has_identity_index: bool,
    /// The topmost table that it is a partition of.
    pub(crate) root: Option<TableName>,
    /// How many rows it has, by the server's own estimate. `None`: it was never analysed.
    pub(crate) estimate: Option<u64>,
    /// The entry of the publication that lists it, once that was looked at.
    pub(crate) entry: Option<u32>,
}

impl Candidate {
    /// Whether updates and deletes go on working once the table is published.
    pub(crate) fn has_identity(&self) -> bool {
        match self.identity {
            'd' => self.has_primary_key,
            'i' => self.has_identity_index,
            'f' => true,
            _ => false,
        }
    }

    /// Neither a primary key nor a unique index: nothing tells its rows apart.
    pub(crate) fn is_keyless(&self) -> bool {
        !self.has_primary_key && self.identity != 'i'
    }

    pub(crate) fn is_partitioned(&self) -> bool {
        self.kind == 'p'
    }

    /// Why the log has nothing of it, if that is so.
    pub(crate) fn unloggable(&self) -> Option<&'static str> {
        match (self.kind, self.persistence) {
            ('r' | 'p', 'p') => None,
            ('r' | 'p', 'u') => Some("is unlogged: the log has nothing of it"),
            ('r' | 'p', _) => Some("is temporary: the log has nothing of it"),
            ('v' | 'm', _) => Some("is a view: capture the tables that it reads"),
            ('f', _) => Some("is a foreign table: capture it where it lives"),
            _ => Some("is not a table"),
        }
    }
}

/// All relations outside the system's schemas.
pub(crate) fn relations(connection: &mut Connection) -> Result<Vec<Candidate>, Error> {
    let doing = "listing tables";
    let rows = connection.query(
        doing,
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, \
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid), \
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid), \
         rn.nspname, rc.relname, CASE c.relkind WHEN 'p' THEN \
         (SELECT sum(l.reltuples) FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid \
         WHERE t.isleaf AND l.reltuples >= 0) WHEN 'r' THEN c.reltuples END::bigint \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_class rc ON c.relispartition AND rc.oid = pg_partition_root(c.oid) \
         LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 2, 3",
    )?;
    let letter = |row: &Row, index| field(row, index, doing).map(|text| text.chars().next().unwrap_or(' '));
    rows.iter()
        .map(|row| {
            let root = match (row.get(8).and_then(Option::as_ref), row.get(9).and_then(Option::as_ref)) {
                (Some(schema), Some(table)) => Some(TableName::new(schema, table)),
                _ => None,
            };
            Ok(Candidate {
                oid: number(row, 0, doing)?,
                name: TableName::new(field(row, 1, doing)?, field(row, 2, doing)?),
                kind: letter(row, 3)?,
                persistence: letter(row, 4)?,
                identity: letter(row, 5)?,
                has_primary_key: flag(row, 6),
                has_identity_index: flag(row, 7),
                root,
                // -1: never analysed.
                estimate: row.get(10).and_then(Option::as_ref).and_then(|text| text.parse().ok()),
                entry: None,
            })
        })
        .collect()
}

/// Which of `all` are asked for: roots of partitioned tables, not their leaves, unless a leaf alone is named.
pub(crate) fn wanted(all: &[Candidate], patterns: &Patterns) -> Vec<Candidate> {
    all.iter()
        .filter(|table| match &table.root {
            Some(root) => patterns.names(&table.name) && !patterns.matches(root),
            None => patterns.matches(&table.name),
        })
        .cloned()
        .collect()
}

/// Columns and keys as the catalogue has them now.
#[derive(Debug, Default)]
pub(crate) struct TableFacts {
    columns: BTreeMap<String, ColumnFacts>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) identity_index: Vec<String>,
}

/// One column as the catalogue has it.
#[derive(Clone, Copy, Debug)]
struct ColumnFacts {
    not_null: bool,
    number: i16,
    type_oid: u32,
    typmod: i32,
    /// That its texts are ordered by.
    collation: u32,
}

impl TableFacts {
    pub(crate) fn nullable(&self, column: &str) -> Option<bool> {
        self.columns.get(column).map(|column| !column.not_null)
    }

    /// Of a column: its number, and the collation that its texts are ordered by.
    pub(crate) fn place(&self, column: &str) -> (i16, u32) {
        self.columns.get(column).map(|column| (column.number, column.collation)).unwrap_or_default()
    }

    /// The numbers of the columns of a relation message, if the catalogue shows the same table: each column by its name,
    /// with its type, in the order of the message. Otherwise the table was altered behind the message, and a name may mean
    /// another column by now.
    pub(crate) fn numbers(&self, columns: &[RelationColumn]) -> Option<Vec<u32>> {
        let number = |column: &RelationColumn| {
            let known = self.columns.get(&column.name)?;
            let same = (known.type_oid, known.typmod) == (column.type_oid, column.typmod);
            u32::try_from(known.number).ok().filter(|_| same)
        };
        let numbers: Vec<u32> = columns.iter().map(number).collect::<Option<_>>()?;
        numbers.is_sorted_by(|one, other| one < other).then_some(numbers)
    }
}

pub(crate) fn table_facts(connection: &mut Connection, oid: u32) -> Result<TableFacts, Error> {
    let doing = "reading a table's columns";
    let rows = connection.query_prepared(
        doing,
        "headwater_table_facts",
        "(oid) AS SELECT a.attname, a.attnotnull, \
         (SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index i \
          WHERE i.indrelid = a.attrelid AND i.indisprimary), \
         (SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index i \
          WHERE i.indrelid = a.attrelid AND i.indisreplident), a.attnum, a.attcollation, a.atttypid, a.atttypmod \
         FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
        &format!("({oid})"),
    )?;
    let mut facts = TableFacts::default();
    let (mut primary, mut index) = (BTreeMap::new(), BTreeMap::new());
    for row in &rows {
        let name = field(row, 0, doing)?.to_owned();
        for (at, keys) in [(2, &mut primary), (3, &mut index)] {
            if row.get(at).is_some_and(Option::is_some) {
                keys.insert(number::<i32>(row, at, doing)?, name.clone());
            }
        }
        let column = ColumnFacts {
            not_null: flag(row, 1),
            number: number(row, 4, doing)?,
            collation: number(row, 5, doing)?,
            type_oid: number(row, 6, doing)?,
            typmod: number(row, 7, doing)?,
        };
        facts.columns.insert(name, column);
    }
    facts.primary_key = primary.into_values().collect();
    facts.identity_index = index.into_values().collect();
    Ok(facts)
}

/// What the stream would say of a table if a change came now. `None`: the table is gone. Identity and columns are those of
/// this moment, whatever `table` says: it was looked up some time ago.
pub(crate) fn as_relation(
    connection: &mut Connection,
    table: &Candidate,
    published: &Published,
) -> Result<Option<Relation>, Error> {
    let doing = format!("reading the columns of {}", table.name);
    let rows = connection.query_prepared(
        &doing,
        "headwater_relation",
        "(oid) AS SELECT c.relreplident, a.attname, a.atttypid, a.atttypmod, EXISTS (SELECT FROM pg_index i \
         WHERE i.indrelid = a.attrelid AND a.attnum = ANY (i.indkey) AND i.indisvalid \
         AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END), \
         a.attgenerated <> '' \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = $1 AND a.attnum > 0 \
         AND NOT a.attisdropped AND a.attgenerated IN ('', 's') ORDER BY a.attnum",
        &format!("({})", table.oid),
    )?;
    let Some(first) = rows.first() else { return Ok(None) };
    let identity = field(first, 0, &doing)?.bytes().next().unwrap_or(b'n');
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let name = field(row, 1, &doing)?;
        if published.has(name, flag(row, 5)) {
            columns.push(RelationColumn {
                name: name.to_owned(),
                type_oid: number(row, 2, &doing)?,
                typmod: number(row, 3, &doing)?,
                key: identity == b'f' || flag(row, 4),
            });
        }
    }
    let TableName { schema, table: name } = table.name.clone();
    Ok(Some(Relation { oid: table.oid, schema, table: name, identity, columns }))
}

/// What a publication leaves of a table.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// The columns in its list, if it has one.
    columns: Option<Vec<String>>,
    /// Without a list: stored generated columns, too. Virtual ones are never in the log.
    generated: bool,
    /// The condition that its rows have to meet, as SQL.
    pub(crate) filter: Option<String>,
}

impl Published {
    fn has(&self, column: &str, generated: bool) -> bool {
        match &self.columns {
            Some(list) => list.iter().any(|name| name == column),
            None => !generated || self.generated,
        }
    }
}

/// Column lists and row filters exist since version 15, generated columns in the log since 18.
pub(crate) fn published(connection: &mut Connection, publication: &str, table: &Candidate) -> Result<Published, Error> {
    let doing = format!("reading what publication {publication} publishes of {}", table.name);
    let version = connection.query_prepared(
        &doing,
        "headwater_version",
        "AS SELECT current_setting('server_version_num')",
        "",
    )?;
    let version: u32 = number(&one(version, &doing)?, 0, &doing)?;
    if version < 150_000 {
        return Ok(Published::default());
    }
    let generated = if version >= 180_000 { "p.pubgencols = 's'" } else { "false" };
    let rows = connection.query_prepared(
        &doing,
        "headwater_published",
        &format!(
            "(oid, name) AS SELECT {generated}, pg_get_expr(r.prqual, r.prrelid), r.prattrs IS NOT NULL, a.attname \
             FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = $1 \
             LEFT JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs) WHERE p.pubname = $2"
        ),
        &format!("({}, {})", table.oid, sql::literal(publication)),
    )?;
    let Some(first) = rows.first() else { return Ok(Published::default()) };
    let text = |row: &Row, index: usize| row.get(index).cloned().flatten();
    let columns = flag(first, 2).then(|| rows.iter().filter_map(|row| text(row, 3)).collect());
    Ok(Published { columns, generated: flag(first, 0), filter: text(first, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_files() {
        let text = "1\t0/3000000\tno recovery target specified\n\n2\t1/A0\tbefore 2026\n";
        assert_eq!(parse_history(text), [(1, Lsn(0x300_0000)), (2, Lsn(0x1_0000_00a0))]);
    }
}
